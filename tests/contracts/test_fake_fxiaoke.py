"""The 纷享销客 fake: held to the contract; status 200 whatever happens, and no way to set a password."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from keyback.demo.company import STAFF
from keyback.demo.vendors import Fxiaoke
from keyback.demo.vendors.fxiaoke import app as fxiaoke_app
from keyback.demo.vendors.fxiaoke.seed import Credentials, register, seed
from tests.support.held import Held
from tests.support.vendor_support import Clock, answered, document, named

PASSWORDS = {s.username: s.password for s in STAFF}


@dataclass
class Tenant:
    fake: Fxiaoke
    clock: Clock
    app: Credentials
    held: Held
    http: Any

    def ask_token(self, trace: str = "", **changed: str) -> Any:
        body = {
            "appId": self.app.app_id,
            "appSecret": self.app.app_secret,
            "permanentCode": self.app.permanent_code,
            "grantType": "app_secret",
        }
        params = {"thirdTraceId": trace or str(uuid.uuid4())}
        return self.http.post("/oauth2.0/token", params=params, json=body | changed).json()

    def call(self, path: str, body: Any, *, trace: str = "", token: str = "") -> Any:
        headers = {
            "authorization": f"Bearer {token or self.ask_token()['accessToken']}",
            "x-fs-ea": self.app.ea,
            "x-fs-userid": self.app.user_id,
        }
        params = {"thirdTraceId": trace or str(uuid.uuid4())}
        answer = self.http.post(path, params=params, json=body, headers=headers)
        assert answer.status_code == 200
        return answer.json()

    def query(self, field: str, value: str, **more: Any) -> Any:
        filters = [{"field_name": field, "operator": "EQ", "field_values": [value]}]
        info = {"limit": 10, "offset": 0, "filters": filters}
        return self.call("/cgi/crm/v2/data/query", _query(info), **more)

    def legacy(self, path: str, **body: Any) -> Any:
        app = {"appId": self.app.app_id, "appSecret": self.app.app_secret, "permanentCode": self.app.permanent_code}
        given = self.http.post("/cgi/corpAccessToken/get/V2", json=app).json()
        token = {"corpAccessToken": given["corpAccessToken"], "corpId": given["corpId"]}
        return self.http.post(path, json=token | body).json()

    def account(self, login: str) -> Any:
        return self.fake.accounts.named(login)


def _query(info: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"dataObjectApiName": "PersonnelObj", "search_query_info": info}}


@pytest.fixture
def tenant() -> Tenant:
    clock = Clock()
    fake = Fxiaoke(clock=clock)
    seed(fake)
    held = Held(fake, "fxiaoke.yaml")
    return Tenant(fake, clock, register(fake), held, TestClient(held, base_url="http://fake"))


def test_fake_and_contract_have_the_same_names(tenant: Tenant) -> None:
    assert answered(tenant.fake) == named("fxiaoke.yaml")
    schemas = document("fxiaoke.yaml")["components"]["schemas"]
    a = next(iter(tenant.fake.accounts))
    assert set(schemas["Personnel"]["properties"]) == set(fxiaoke_app.FIELDS) == set(fxiaoke_app.personnel(a))
    assert set(schemas["Member"]["properties"]) == set(fxiaoke_app.member(a))


def test_look_up(tenant: Tenant) -> None:
    zhao = tenant.account("zhaoyang")
    assert tenant.query("phone", zhao.mobile)["data"]["dataList"][0]["email"] == zhao.mail
    assert tenant.query("email", zhao.mail)["data"]["total"] == 1
    assert tenant.query("email", "nobody@example.com")["data"]["dataList"] == []
    found = tenant.legacy("/cgi/user/getByMobile", mobile=zhao.mobile)
    assert found["empList"][0]["openUserId"] == zhao.id
    assert tenant.legacy("/cgi/user/getByMobile", mobile="1")["errorCode"] == 20012
    everyone = {"departmentId": 999999, "fetchChild": True, "showDepartmentIdsDetail": True}
    people = tenant.call("/cgi/user/list", everyone)["userList"]
    assert {p["account"]: p["isStop"] for p in people}["qianrong"] is True
    assert tenant.held.faults == []


def test_tokens_and_traces(tenant: Tenant) -> None:
    assert tenant.ask_token(appSecret="x")["errorCode"] == 20006
    assert tenant.ask_token(permanentCode="x")["errorCode"] == 20015
    token, trace = tenant.ask_token()["accessToken"], str(uuid.uuid4())
    assert tenant.query("email", "x", token=token, trace=trace)["errorCode"] == 0
    assert tenant.query("email", "x", token=token, trace=trace)["errorCode"] == 10006, "a new one each time"
    tenant.fake.expire_tokens()
    assert tenant.query("email", "x", token=token)["errorCode"] == 20005
    given = [tenant.ask_token()["errorCode"] for _ in range(8)]
    assert given == [0] * 7 + [30004], "ten a minute"
    tenant.clock.now += 61_000
    token = tenant.ask_token()["accessToken"]
    tenant.clock.now += 7_200_000
    assert tenant.query("email", "x", token=token)["errorCode"] == 20005
    assert tenant.held.faults == []


@pytest.mark.slow
def test_quotas(tenant: Tenant) -> None:
    token = tenant.ask_token()["accessToken"]
    codes = [tenant.query("email", "x", token=token)["errorCode"] for _ in range(101)]
    assert codes == [0] * 100 + [14001]
    tenant.clock.now += 21_000
    tenant.fake.personnel = False
    assert tenant.query("email", "x", token=token)["errorCode"] == 20020
    tenant.fake.quota = 0
    assert tenant.query("email", "x", token=token)["errorCode"] == 30002
    tenant.fake.bought = False
    assert tenant.query("email", "x", token=token)["errorCode"] == 30003
    tenant.fake.faults.add("throttle", "/query")
    assert tenant.query("email", "x", token=token)["errorCode"] == 14001
    assert tenant.held.faults == []


def test_stopping_and_starting(tenant: Tenant) -> None:
    zhao = tenant.account("zhaoyang")
    assert tenant.legacy("/cgi/user/setStatus", openUserId=zhao.id, status=1)["errorCode"] == 0
    assert zhao.sessions == []
    assert tenant.fake.sign_in("zhaoyang", PASSWORDS["zhaoyang"]) == "inactive"
    tenant.legacy("/cgi/user/setStatus", openUserId=zhao.id, status=2)
    assert tenant.fake.sign_in(zhao.mobile, PASSWORDS["zhaoyang"]) == "ok"
    assert tenant.legacy("/cgi/user/setStatus", openUserId="FSUID_1", status=1)["errorCode"] == 30027
    assert tenant.held.faults == []


def test_an_administrator_resets_by_hand(tenant: Tenant) -> None:
    tenant.fake.administrator_resets("zhaoyang", "start4567")
    assert tenant.fake.sign_in("zhaoyang", "start4567") == "change"
    with pytest.raises(KeyError):
        tenant.fake.administrator_resets("nobody", "start4567")


def test_there_is_no_call_for_a_password(tenant: Tenant) -> None:
    for path in ("/cgi/user/update", "/cgi/crm/v2/data/update", "/cgi/user/resetPassword"):
        assert tenant.http.post(path, json={"password": "x"}).json()["errorCode"] == 10006
    assert all(a.changes == 0 for a in tenant.fake.accounts)
