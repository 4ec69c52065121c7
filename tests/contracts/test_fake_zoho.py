"""The Zoho fake: held to the contract; a reset by Zoho Mail in both readings of the documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from keyback.demo.company import DOMAIN, STAFF
from keyback.demo.vendors import Zoho
from keyback.demo.vendors.zoho import app as zoho_app
from keyback.demo.vendors.zoho.seed import Credentials, register, seed
from tests.support.held import Held
from tests.support.vendor_support import Clock, answered, document, named

PASSWORDS = {s.username: s.password for s in STAFF}
NEW = "Harbor lights 2040"
NADIA = f"nadia.rossi@{DOMAIN}"


@dataclass
class Org:
    fake: Zoho
    clock: Clock
    app: Credentials
    held: Held
    http: Any
    token: str = ""

    def ask_token(self, **changed: str) -> Any:
        form = {
            "grant_type": "refresh_token",
            "client_id": self.app.client_id,
            "client_secret": self.app.client_secret,
            "refresh_token": self.app.refresh_token,
        }
        return self.http.post("/oauth/v2/token", data=form | changed)

    def call(self, method: str, path: str, **more: Any) -> Any:
        self.token = self.token or self.ask_token().json()["access_token"]
        return self.http.request(method, path, headers={"authorization": f"Zoho-oauthtoken {self.token}"}, **more)

    def reset(self, login: str, password: str, **more: Any) -> Any:
        account = self.fake.accounts.named(f"{login}@{DOMAIN}")
        assert account
        body = {"mode": "resetPassword", "password": password, **more}
        return self.call("PUT", f"/api/organization/{self.app.zoid}/accounts/{account.extra['zuid']}", json=body)


@pytest.fixture
def org() -> Org:
    clock = Clock()
    fake = Zoho(clock=clock)
    seed(fake)
    held = Held(fake, "zoho.yaml")
    return Org(fake, clock, register(fake), held, TestClient(held, base_url="http://fake"))


def test_fake_and_contract_have_the_same_names(org: Org) -> None:
    assert answered(org.fake) == named("zoho.yaml")
    schemas = document("zoho.yaml")["components"]["schemas"]
    assert set(schemas["User"]["properties"]) == set(zoho_app.USER) == set(zoho_app.user(next(iter(org.fake.accounts))))


def test_look_up_by_pages(org: Org) -> None:
    seen, page = [], 1
    while True:
        answer = org.call(
            "GET", "/crm/v8/users", params={"type": "AllUsers", "page": str(page), "per_page": "5"}
        ).json()
        seen += answer["users"]
        if not answer["info"]["more_records"]:
            break
        page += 1
    assert len(seen) == len(org.fake.accounts) == 12
    nadia = next(u for u in seen if u["email"] == NADIA)
    assert org.call("GET", f"/crm/v8/users/{nadia['id']}").json()["users"] == [nadia]
    assert org.call("GET", "/crm/v8/users/1").status_code == 204
    assert org.call("GET", "/crm/v8/users", params={"type": "DeletedUsers"}).status_code == 204
    unconfirmed = org.call("GET", "/crm/v8/users", params={"type": "NotConfirmedUsers"}).json()["users"]
    assert [u["email"] for u in unconfirmed] == [f"isla.mackay@{DOMAIN}"]
    assert org.held.faults == []


def test_a_reset_by_zoho_mail(org: Org) -> None:
    assert org.reset("nadia.rossi", NEW, oneTimePassword=False, resetAuthtoken=True).json()["status"]["code"] == 200
    account = org.fake.accounts.named(NADIA)
    assert account
    assert account.sessions == []
    assert org.fake.sign_in(NADIA, PASSWORDS["nadia.rossi"]) == "wrong"
    assert org.fake.sign_in(NADIA, NEW) == "ok"
    org.reset("nadia.rossi", f"{NEW} once")
    assert org.fake.sign_in(NADIA, f"{NEW} once") == "change", "one-time unless said otherwise"
    org.fake.scheme = "one_time"
    org.reset("nadia.rossi", f"{NEW} chosen", oneTimePassword=False)
    assert org.fake.sign_in(NADIA, f"{NEW} chosen") == "change"
    weak = org.reset("nadia.rossi", "weak")
    assert (weak.status_code, weak.json()["data"]["errorCode"]) == (400, "INVALID_PASSWORD")
    assert org.held.faults == []


def test_whom_no_administrator_may_reset(org: Org) -> None:
    for login in ("joseph.achterberg", "david.mensah"):
        assert org.reset(login, NEW).status_code == 403
    org.fake.verified.clear()
    assert org.reset("nadia.rossi", NEW).status_code == 403
    org.fake.mail = False
    assert org.reset("nadia.rossi", NEW).status_code == 404
    assert org.held.faults == []


def test_tokens(org: Org) -> None:
    for changed, error in (
        ({"client_id": "1000.X"}, "invalid_client"),
        ({"refresh_token": "1000.x.y"}, "invalid_code"),
    ):
        answer = org.ask_token(**changed)
        assert (answer.status_code, answer.json()) == (200, {"error": error})
    assert org.ask_token().json()["api_domain"] == "http://fake"
    assert [org.ask_token().status_code for _ in range(10)] == [200] * 9 + [400], "ten in ten minutes"
    org.clock.now += 601_000
    assert org.call("GET", "/crm/v8/users").status_code == 200
    org.fake.expire_tokens()
    assert org.call("GET", "/crm/v8/users").json()["code"] == "INVALID_TOKEN"
    assert org.held.faults == []


def test_scopes_and_credits(org: Org) -> None:
    org.app = register(org.fake, frozenset({"ZohoCRM.users.READ"}))
    refused = org.reset("nadia.rossi", NEW)
    assert (refused.status_code, refused.json()["code"]) == (401, "OAUTH_SCOPE_MISMATCH")
    org.fake.credits = 0
    assert org.call("GET", "/crm/v8/users").json()["code"] == "TOO_MANY_REQUESTS"
    assert org.held.faults == []


def test_state(org: Org) -> None:
    helen = org.fake.accounts.named(f"helen.cho@{DOMAIN}")
    assert helen
    assert org.fake.sign_in(helen.username, PASSWORDS["helen.cho"]) == "inactive"
    assert org.call("PUT", f"/crm/v8/users/{helen.id}", json={"users": [{"status": "active"}]}).status_code == 200
    assert org.fake.sign_in(helen.username, PASSWORDS["helen.cho"]) == "ok"
    assert org.held.faults == []


def test_what_the_contract_does_not_name_is_refused(org: Org) -> None:
    nadia = org.fake.accounts.named(NADIA)
    assert nadia
    assert org.call("POST", "/crm/v8/users", json={}).status_code == 404
    password = org.call("PUT", f"/crm/v8/users/{nadia.id}", json={"users": [{"status": "active", "password": NEW}]})
    assert password.status_code == 400
    assert org.reset("nadia.rossi", NEW, adminPassword="x").status_code == 400
    assert nadia.changes == 0
