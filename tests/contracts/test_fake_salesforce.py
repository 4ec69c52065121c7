"""The Salesforce fake: held to the contract, strict about what is not in it, and broken on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from keyback.demo.company import DOMAIN, STAFF
from keyback.demo.enrolled import seed_of
from keyback.demo.vendors import Salesforce, serve
from keyback.demo.vendors.salesforce import objects
from keyback.demo.vendors.salesforce.seed import INTEGRATION, Credentials, register, seed
from keyback.demo.vendors.salesforce.tokens import BEARER
from tests.support.each import each
from tests.support.held import Held
from tests.support.vendor_support import Clock, answered, document, named

KEY, OTHER_KEY = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
PASSWORDS = {s.username: s.password for s in STAFF}
DATA = "/services/data/v67.0"
NEW = "harbor lights 2040"


@dataclass
class Org:
    fake: Salesforce
    clock: Clock
    app: Credentials
    held: Held
    http: Any
    token: str = ""

    def assertion(self, **changed: Any) -> str:
        claims = {"iss": self.app.key, "sub": INTEGRATION, "aud": self.app.audience, "exp": self.clock() // 1000 + 120}
        key = changed.pop("key", RSAKey.import_key(self.app.private_key))
        return jwt.encode({"alg": "RS256"}, claims | changed, key)

    def ask_token(self, assertion: str) -> Any:
        return self.http.post("/services/oauth2/token", data={"grant_type": BEARER, "assertion": assertion})

    def call(self, method: str, path: str, **more: Any) -> Any:
        if not self.token:
            self.token = self.ask_token(self.assertion()).json()["access_token"]
        return self.http.request(method, DATA + path, headers={"authorization": f"Bearer {self.token}"}, **more)

    def query(self, q: str) -> list[dict[str, Any]]:
        answer = self.call("GET", "/query", params={"q": q})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["records"])

    def user(self, login: str) -> dict[str, Any]:
        found = self.query(f"SELECT Id, Username FROM User WHERE Username = '{login}@{DOMAIN}'")
        return found[0]

    def account(self, login: str) -> Any:
        return self.fake.accounts.named(f"{login}@{DOMAIN}")

    def set(self, login: str, password: str) -> Any:
        return self.call("POST", f"/sobjects/User/{self.user(login)['Id']}/password", json={"NewPassword": password})


def new_org() -> Org:
    clock = Clock()
    fake = Salesforce(clock=clock)
    seed(fake)
    held = Held(fake, "salesforce.yaml")
    return Org(fake, clock, register(fake, KEY), held, TestClient(held, base_url="http://fake", follow_redirects=False))


@pytest.fixture
def org() -> Org:
    return new_org()


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()[0]["errorCode"]


def test_fake_and_contract_have_the_same_names(org: Org) -> None:
    assert answered(org.fake) == named("salesforce.yaml")
    schemas = document("salesforce.yaml")["components"]["schemas"]
    assert {name: set(schemas[name]["properties"]) for name in objects.FIELDS} == {
        name: set(fields) for name, fields in objects.FIELDS.items()
    }


def test_a_recovery_by_its_calls(org: Org) -> None:
    login, old = f"linan@{DOMAIN}", PASSWORDS["linan"]
    assert org.fake.sign_in(login, old) == "locked"
    user = org.query(
        "SELECT Id,Username,Email,IsActive,UserType,FederationIdentifier,LastLoginDate,Profile.Name,"
        f"Profile.PermissionsModifyAllData FROM User WHERE Username='{login.upper()}' LIMIT 2"
    )[0]
    assert user["Profile"]["PermissionsModifyAllData"] is False
    state = org.query(f"SELECT Id,IsFrozen,IsPasswordLocked FROM UserLogin WHERE UserId='{user['Id'][:15]}'")[0]
    assert (state["IsFrozen"], state["IsPasswordLocked"]) == (False, True)
    assert org.set("linan", NEW).status_code == 204
    assert org.fake.sign_in(login, NEW) == "locked", "setting does not unlock"
    unlocked = org.call("PATCH", f"/sobjects/UserLogin/{state['Id']}", json={"IsPasswordLocked": False})
    assert unlocked.status_code == 204
    assert org.fake.sign_in(login, old) == "wrong"
    assert org.fake.sign_in(login, NEW) == "ok"
    sessions = org.query(f"SELECT Id,ParentId,SessionType FROM AuthSession WHERE UsersId='{user['Id']}'")
    parents = [s for s in sessions if s["ParentId"] is None]
    assert len(sessions) == 2 * len(parents) > 0
    for s in parents:
        assert org.call("DELETE", f"/sobjects/AuthSession/{s['Id']}").status_code == 204
    assert org.account("linan").sessions == []
    history = org.query(
        f"SELECT LoginTime,Status FROM LoginHistory WHERE UserId='{user['Id']}' ORDER BY LoginTime DESC LIMIT 2"
    )
    assert len(history) == 2
    assert org.account("linan").changes == 1
    assert org.held.faults == []
    assert org.fake.calls[-1].path == f"{DATA}/query"


def test_client_credentials(org: Org) -> None:
    form = {"grant_type": "client_credentials", "client_id": org.app.key, "client_secret": org.app.secret}
    answer = org.http.post("/services/oauth2/token", data=form)
    assert answer.json()["instance_url"] == "http://fake"
    wrong = org.http.post("/services/oauth2/token", data=form | {"client_secret": "x"})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_client")
    org.fake.my_domain = False
    assert org.http.post("/services/oauth2/token", data=form).json()["error"] == "invalid_grant"
    assert org.held.faults == []


@each(
    "changed,description",
    [
        ({"aud": "https://test.salesforce.com"}, "audience is invalid"),
        ({"exp": 1_795_799_999}, "expired authorization code"),
        ({"exp": 1_795_803_600}, "invalid assertion"),
        ({"sub": f"chenyu@{DOMAIN}"}, "user hasn't approved this consumer"),
        ({"iss": "3MVG9other"}, "client identifier invalid"),
        ({"key": OTHER_KEY}, "invalid assertion"),
    ],
)
def test_assertions_that_are_refused(changed: dict[str, Any], description: str) -> None:
    org = new_org()
    answer = org.ask_token(org.assertion(**changed))
    assert (answer.status_code, answer.json()["error_description"]) == (400, description)


def test_user_name_and_password_are_no_grant(org: Org) -> None:
    form = {"grant_type": "password", "client_id": org.app.key, "username": INTEGRATION, "password": "x"}
    assert org.http.post("/services/oauth2/token", data=form).json()["error"] == "unsupported_grant_type"
    assert org.held.faults, "the contract does not name it either"


def test_tokens_end(org: Org) -> None:
    assert org.call("GET", "/limits").status_code == 200
    org.fake.expire_tokens()
    assert error(org.call("GET", "/limits")) == (401, "INVALID_SESSION_ID")
    org.token = ""
    assert org.call("GET", "/limits").status_code == 200
    org.clock.now += 3 * 3_600_000
    assert error(org.call("GET", "/limits")) == (401, "INVALID_SESSION_ID")


def test_missing_permissions_have_their_own_errors(org: Org) -> None:
    chenyu = org.user("chenyu")["Id"]
    org.fake.permissions.discard("ManageUsers")
    refused = org.call("POST", f"/sobjects/User/{chenyu}/password", json={"NewPassword": NEW})
    assert error(refused) == (403, "INSUFFICIENT_ACCESS")
    assert error(org.call("GET", "/query", params={"q": "SELECT Id FROM UserLogin"})) == (400, "INVALID_TYPE")
    assert org.query(f"SELECT Id FROM AuthSession WHERE UsersId = '{chenyu}'") == [], "sessions of others are not shown"
    org.fake.permissions.discard("ManageMfaInApi")
    assert error(org.call("GET", "/query", params={"q": "SELECT Id FROM TwoFactorInfo"})) == (400, "INVALID_TYPE")
    org.fake.permissions.discard("ViewAllUsers")
    assert org.query("SELECT Username FROM User")[0]["Username"] == INTEGRATION
    org.fake.permissions.discard("ApiEnabled")
    assert error(org.call("GET", "/limits")) == (403, "API_CURRENTLY_DISABLED")
    assert org.held.faults == []


@each(
    "password,text",
    [
        ("Ab1", "Your password must be at least 8 characters long."),
        ("onlyletters", "Your password must have a mix of letters and numbers."),
        ("chenyu 2040 x", "Your password cannot equal or contain your user name."),
        ("Password 2040", "Your password cannot be easy to guess. Please choose a different one."),
        (PASSWORDS["chenyu"], "invalid repeated password"),
    ],
)
def test_password_rules(password: str, text: str) -> None:
    org = new_org()
    answer = org.set("chenyu", password)
    assert error(answer) == (400, "INVALID_NEW_PASSWORD")
    assert answer.json()[0]["message"] == text
    assert org.account("chenyu").changes == 0


def test_the_same_set_twice_is_refused(org: Org) -> None:
    assert org.set("chenyu", NEW).status_code == 204
    assert error(org.set("chenyu", NEW)) == (400, "INVALID_NEW_PASSWORD")


def test_reset_unlocks_mails_and_has_to_be_finished(org: Org) -> None:
    user = org.user("linan")["Id"]
    answer = org.call("DELETE", f"/sobjects/User/{user}/password")
    assert org.call("GET", f"/sobjects/User/{user}/password").json() == {"isExpired": True}
    assert org.fake.sign_in(f"linan@{DOMAIN}", answer.json()["NewPassword"]) == "change"
    assert org.fake.sent[-1].to == f"linan@{DOMAIN}"
    assert org.held.faults == []


def test_second_factors_and_grants(org: Org) -> None:
    lost, user = org.account("hanxue"), org.user("hanxue")["Id"]
    assert org.fake.sign_in(lost.username, PASSWORDS["hanxue"]) == "factor"
    has = org.query(f"SELECT HasTotp,HasSecurityKey FROM TwoFactorMethodsInfo WHERE UserId='{user}'")[0]
    assert (has["HasTotp"], has["HasSecurityKey"]) == (True, False)
    info = org.query(f"SELECT Id,Type FROM TwoFactorInfo WHERE UserId='{user}' AND Type='TOTP'")[0]
    assert org.call("DELETE", f"/sobjects/TwoFactorInfo/{info['Id']}").status_code == 204
    assert org.fake.sign_in(lost.username, PASSWORDS["hanxue"]) == "ok"
    oliver = org.account("oliver.brandt")
    code = pyotp.TOTP(seed_of("oliver.brandt")).at(org.clock() // 1000)
    assert org.fake.sign_in(oliver.username, PASSWORDS["oliver.brandt"], code) == "ok"
    assert org.fake.sign_in(oliver.username, PASSWORDS["oliver.brandt"], code) == "factor", "a code works once"
    yuki = org.user("yuki.tanabe")["Id"]
    grant = org.query(f"SELECT AppName,LastUsedDate,UseCount,DeleteToken FROM OauthToken WHERE UserId='{yuki}'")[0]
    org.fake.grants_by_delete_token = False
    assert org.http.post("/services/oauth2/revoke", data={"token": grant["DeleteToken"]}).status_code == 400
    org.fake.grants_by_delete_token = True
    assert org.http.post("/services/oauth2/revoke", data={"token": grant["DeleteToken"]}).status_code == 200
    assert org.query(f"SELECT Id FROM OauthToken WHERE UserId='{yuki}'") == []
    assert org.held.faults == []


def test_many_sessions_in_one_call(org: Org) -> None:
    user = org.user("chenyu")["Id"]
    org.fake.sign_in(f"chenyu@{DOMAIN}", PASSWORDS["chenyu"])
    parents = org.query(f"SELECT Id FROM AuthSession WHERE UsersId='{user}' AND ParentId = null")
    ids = ",".join([*(s["Id"] for s in parents), "0Ak00000000000000A"])
    answer = org.call("DELETE", "/composite/sobjects", params={"ids": ids, "allOrNone": "false"}).json()
    assert [x["success"] for x in answer] == [True] * len(parents) + [False]
    assert org.account("chenyu").sessions == []
    assert org.held.faults == []


@pytest.mark.slow
@each(
    "query,code",
    [
        ("SELECT Password FROM User", "INVALID_FIELD"),
        ("SELECT Id FROM Secret", "INVALID_TYPE"),
        ("SELECT Id FROM User WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM User WHERE Name = 'a' AND Email = 'b' OR IsActive = true", "MALFORMED_QUERY"),
        ("SELECT Id FROM User WHERE Name = 'O'Neill'", "MALFORMED_QUERY"),
        ("DELETE FROM User", "MALFORMED_QUERY"),
        ("", "MALFORMED_QUERY"),
    ],
)
def test_queries_that_are_refused(query: str, code: str) -> None:
    org = new_org()
    assert error(org.call("GET", "/query", params={"q": query})) == (400, code)


def test_queries_with_quotes_lists_and_dates(org: Org) -> None:
    org.account("chenyu").name = "O'Neill \\ 陈"
    assert org.query(r"SELECT Username FROM User WHERE Name = 'O\'Neill \\ 陈'")[0]["Username"] == f"chenyu@{DOMAIN}"
    both = org.query(f"SELECT Name FROM User WHERE Email IN ('chenyu@{DOMAIN}','LINAN@{DOMAIN}') ORDER BY Name DESC")
    assert len(both) == 2
    assert org.query("SELECT Id FROM LoginHistory WHERE LoginTime > 2037-01-01T00:00:00Z") == []
    admins = "SELECT AssigneeId FROM PermissionSetAssignment WHERE PermissionSet.PermissionsModifyAllData = true"
    assert {r["AssigneeId"] for r in org.query(admins)} == {org.account(n).id for n in ("heming", "ruth.kessler")}


def test_what_the_contract_does_not_name_is_refused(org: Org) -> None:
    user = org.user("chenyu")["Id"]
    assert error(org.call("GET", f"/sobjects/User/{user}")) == (404, "NOT_FOUND")
    assert error(org.call("PUT", "/limits")) == (405, "METHOD_NOT_ALLOWED")
    extra = org.call("POST", f"/sobjects/User/{user}/password", json={"NewPassword": NEW, "force": True})
    assert extra.status_code == 400
    login = org.query(f"SELECT Id FROM UserLogin WHERE UserId = '{user}'")[0]["Id"]
    locked = org.call("PATCH", f"/sobjects/UserLogin/{login}", json={"IsPasswordLocked": True})
    assert locked.status_code == 400
    assert not org.account("chenyu").locked
    authorized = {"authorization": f"Bearer {org.token}"}
    assert error(org.http.get("/services/data/v29.0/limits", headers=authorized)) == (410, "GONE")
    assert error(org.http.get("/services/data/v99.0/limits", headers=authorized)) == (404, "NOT_FOUND")


def test_limits(org: Org) -> None:
    org.fake.daily_limit = 2
    answer = org.call("GET", "/limits")
    assert answer.headers["sforce-limit-info"] == "api-usage=1/2"
    assert answer.json()["DailyApiRequests"] == {"Max": 2, "Remaining": 1}
    org.call("GET", "/limits")
    assert error(org.call("GET", "/limits")) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert org.held.faults == []


def test_planted_troubles_are_seen(org: Org) -> None:
    sso = org.query(f"SELECT Profile.PermissionsIsSsoEnabled FROM User WHERE Username='tomas.novak@{DOMAIN}'")[0]
    assert sso["Profile"]["PermissionsIsSsoEnabled"] is True
    assert org.fake.sign_in(f"tomas.novak@{DOMAIN}", PASSWORDS["tomas.novak"]) == "elsewhere"
    assert org.fake.sign_in(f"fatima.zahran@{DOMAIN}", PASSWORDS["fatima.zahran"]) == "frozen"
    assert org.fake.sign_in(f"helen.cho@{DOMAIN}", PASSWORDS["helen.cho"]) == "inactive"
    stale = org.query(
        f"SELECT Status,Platform FROM LoginHistory WHERE UserId='{org.user('dengchao')['Id']}' AND Status != 'Success'"
    )
    assert {(r["Status"], r["Platform"]) for r in stale} == {("Invalid Password", "iOS")}


def test_ten_bad_tries_lock(org: Org) -> None:
    name = f"chenyu@{DOMAIN}"
    assert [org.fake.sign_in(name, "wrong") for _ in range(10)] == ["wrong"] * 10
    assert org.fake.sign_in(name, PASSWORDS["chenyu"]) == "locked"


# ── over a socket: how it breaks ──


@pytest.fixture
def live() -> Iterator[tuple[Org, Callable[..., Any]]]:
    clock = Clock()
    fake = Salesforce(clock=clock)
    seed(fake)
    with serve(fake) as address, httpx2.Client(base_url=address, timeout=30) as http:
        org = Org(fake, clock, register(fake, KEY), Held(fake, "salesforce.yaml"), http)
        org.user("chenyu")
        yield org, org.call


@pytest.mark.slow
def test_a_time_out_after_the_change(live: tuple[Org, Callable[..., Any]]) -> None:
    org, call = live
    path = f"/sobjects/User/{org.user('chenyu')['Id']}/password"
    for kind in ("time_out_after", "cut_after"):
        org.fake.faults.add(kind, "/password", "POST")
        with pytest.raises(httpx2.TransportError):
            call("POST", path, json={"NewPassword": f"{NEW} {kind}"}, timeout=2)
        assert org.account("chenyu").has_password(f"{NEW} {kind}")
    org.fake.faults.add("stall", "/password", "POST")
    with pytest.raises(httpx2.TimeoutException):
        call("POST", path, json={"NewPassword": f"{NEW} stall"}, timeout=2)
    assert org.account("chenyu").changes == 2


def test_garbage(live: tuple[Org, Callable[..., Any]]) -> None:
    org, call = live
    for kind in ("html", "truncated", "unavailable", "redirect", "throttle"):
        org.fake.faults.add(kind, "/limits")  # type: ignore[arg-type]
    answers = [call("GET", "/limits", follow_redirects=False) for _ in range(6)]
    assert [a.status_code for a in answers] == [200, 200, 503, 302, 403, 200]
    assert answers[3].headers["location"].startswith("http://169.254.169.254/")
    with pytest.raises(json.JSONDecodeError):
        answers[1].json()
    org.fake.faults.add("huge", "/limits")
    size = 0
    headers = {"authorization": f"Bearer {org.token}"}
    with org.http.stream("GET", f"{DATA}/limits", headers=headers) as stream:
        for chunk in stream.iter_bytes():
            size += len(chunk)
            if size > 1_000_000:
                break
    assert size > 1_000_000
    with pytest.raises(ValueError, match="no such fault"):
        org.fake.faults.add("other")  # type: ignore[arg-type]
