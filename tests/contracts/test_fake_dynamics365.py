"""The Dynamics 365 fake: Entra, Graph and Dataverse, held to the contract, with roles that take time to spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from keyback.demo.company import DOMAIN, STAFF
from keyback.demo.vendors import Dynamics365
from keyback.demo.vendors.dynamics365 import shapes
from keyback.demo.vendors.dynamics365.entra import ASSERTION, AUTH_ADMIN, PRIVILEGED_AUTH_ADMIN, USER_ADMIN
from keyback.demo.vendors.dynamics365.seed import ELEVATOR, FEDERATED, Credentials, register, seed
from tests.support.each import each
from tests.support.held import Held
from tests.support.vendor_support import Clock, answered, document, named

KEY, OTHER_KEY = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
PASSWORDS = {s.username: s.password for s in STAFF}
NEW = "Harbor lights 2040"
GRAPH = "https://graph.microsoft.com/.default"
ROLES = "/v1.0/roleManagement/directory/roleAssignments"


@dataclass
class Tenant:
    fake: Dynamics365
    clock: Clock
    app: Credentials
    held: Held
    http: Any

    def assertion(self, **changed: Any) -> str:
        now = self.clock() // 1000
        at = f"https://login.microsoftonline.com/{self.app.tenant}/oauth2/v2.0/token"
        claims = {
            "aud": at,
            "iss": self.app.client_id,
            "sub": self.app.client_id,
            "nbf": now,
            "exp": now + 300,
            "jti": "1",
        }
        key = changed.pop("key", RSAKey.import_key(self.app.private_key))
        return jwt.encode(
            {"alg": "PS256", "x5t#S256": self.app.thumbprint}, claims | changed, key, algorithms=["PS256"]
        )

    def ask_token(self, app: Credentials | None = None, scope: str = GRAPH, **form: str) -> Any:
        app = app or self.app
        whole = {"grant_type": "client_credentials", "client_id": app.client_id, "scope": scope}
        return self.http.post(f"/{app.tenant}/oauth2/v2.0/token", data=whole | (form or {"client_secret": app.secret}))

    def call(self, method: str, path: str, app: Credentials | None = None, scope: str = GRAPH, **more: Any) -> Any:
        token = self.ask_token(app, scope).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"} | more.pop("headers", {})
        return self.http.request(method, path, headers=headers, **more)

    def crm(self, method: str, path: str, **more: Any) -> Any:
        return self.call(method, f"/api/data/v9.2{path}", scope="https://qingyu.crm.dynamics.com/.default", **more)

    def account(self, login: str) -> Any:
        return self.fake.accounts.first(lambda a: a.username.startswith(f"{login}@"))

    def may(self, *permissions: str) -> None:
        self.fake.apps[self.app.client_id].permissions = set(permissions)

    def set(self, login: str, password: str, **more: Any) -> Any:
        profile = {"password": password, "forceChangePasswordNextSignIn": False}
        return self.call("PATCH", f"/v1.0/users/{self.account(login).id}", json={"passwordProfile": profile}, **more)


def new_tenant(**more: Any) -> Tenant:
    clock = Clock()
    fake = Dynamics365(clock=clock, **more)
    seed(fake)
    held = Held(fake, "dynamics365.yaml")
    return Tenant(fake, clock, register(fake, key=KEY), held, TestClient(held, base_url="http://fake"))


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_fake_and_contract_have_the_same_names(tenant: Tenant) -> None:
    assert answered(tenant.fake) == named("dynamics365.yaml")
    schemas = document("dynamics365.yaml")["components"]["schemas"]
    assert set(schemas["user"]["properties"]) == set(shapes.USER)
    assert set(schemas["systemuser"]["properties"]) == set(shapes.SYSTEMUSER)
    a = tenant.account("fanbing")
    assert set(schemas["signIn"]["properties"]) == set(shapes.sign_in(a, a.sign_ins[0], 0))


def test_a_recovery_from_dataverse_to_graph(tenant: Tenant) -> None:
    mail, old = f"priya.raman@{DOMAIN}", PASSWORDS["priya.raman"]
    select = "systemuserid,domainname,isdisabled,azureactivedirectoryobjectid"
    member = tenant.crm(
        "GET", "/systemusers", params={"$select": select, "$filter": f"internalemailaddress eq '{mail}'"}
    )
    id = member.json()["value"][0]["azureactivedirectoryobjectid"]
    found = tenant.call(
        "GET",
        "/v1.0/users",
        params={
            "$filter": f"userPrincipalName eq '{mail}' or mail eq '{mail}' or otherMails/any(x:x eq '{mail}')",
            "$select": "id,accountEnabled,onPremisesSyncEnabled,lastPasswordChangeDateTime,signInActivity",
            "$count": "true",
        },
        headers={"ConsistencyLevel": "eventual"},
    ).json()["value"]
    assert [(u["id"], u["accountEnabled"], u["onPremisesSyncEnabled"]) for u in found] == [(id, True, None)]
    assert tenant.account("priya.raman").sessions
    assert tenant.set("priya.raman", NEW).status_code == 204
    assert tenant.account("priya.raman").sessions, "setting ends no session"
    assert tenant.call("POST", f"/v1.0/users/{id}/revokeSignInSessions").json()["value"] is True
    assert tenant.account("priya.raman").sessions == []
    assert tenant.fake.sign_in(mail, old) == "wrong"
    tenant.clock.now += 1000
    assert tenant.fake.sign_in(mail, NEW) == "ok"
    rows = tenant.call("GET", "/v1.0/auditLogs/signIns", params={"$filter": f"userId eq '{id}'", "$top": "2"}).json()[
        "value"
    ]
    assert [r["status"]["errorCode"] for r in rows] == [0, 50126]
    assert tenant.held.faults == []


@each(
    "changed,number",
    [
        ({"aud": "https://login.microsoftonline.com/other/oauth2/v2.0/token"}, 700023),
        ({"exp": 1_795_799_999}, 700024),
        ({"iss": "other"}, 700021),
        ({"key": OTHER_KEY}, 700027),
        ({}, 0),
    ],
)
def test_assertions(changed: dict[str, Any], number: int) -> None:
    tenant = new_tenant()
    answer = tenant.ask_token(client_assertion_type=ASSERTION, client_assertion=tenant.assertion(**changed))
    assert answer.json().get("error_codes", [0]) == [number]
    assert answer.status_code == (401 if number else 200)
    assert tenant.held.faults == []


@each(
    "scope,error",
    [
        ("https://graph.microsoft.com/User.Read", "invalid_scope"),
        ("https://vault.example.com/.default", "invalid_resource"),
    ],
)
def test_scopes_that_are_refused(scope: str, error: str) -> None:
    answer = new_tenant().ask_token(scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_tokens_end_and_are_for_one_audience(tenant: Tenant) -> None:
    assert error(tenant.call("GET", "/v1.0/users", scope="https://qingyu.crm.dynamics.com/.default")) == (
        401,
        "InvalidAuthenticationToken",
    )
    token = tenant.ask_token().json()["access_token"]
    tenant.fake.expire_tokens()
    assert tenant.http.get("/v1.0/users", headers={"authorization": f"Bearer {token}"}).status_code == 401
    assert tenant.ask_token(client_secret="wrong").status_code == 401
    assert tenant.held.faults == []


def test_a_password_takes_permission_and_role(tenant: Tenant) -> None:
    tenant.fake.roles.all.clear()
    assert error(tenant.set("yelin", NEW)) == (403, "Authorization_RequestDenied")
    tenant.fake.roles.assign(tenant.app.principal, AUTH_ADMIN, at_once=True)
    assert tenant.set("yelin", NEW).status_code == 403
    tenant.fake.roles.assign(tenant.app.principal, USER_ADMIN, at_once=True)
    tenant.may("User.ReadWrite.All", "User.Read.All")
    assert tenant.set("yelin", NEW).status_code == 403
    tenant.may("User-PasswordProfile.ReadWrite.All")
    assert tenant.set("yelin", NEW).status_code == 204
    assert tenant.set("anton.petrov", NEW).status_code == 403, "an administrator"
    tenant.fake.roles.assign(tenant.app.principal, PRIVILEGED_AUTH_ADMIN, at_once=True)
    assert tenant.set("anton.petrov", NEW).status_code == 204, "so the guard is ours"
    assert tenant.held.faults == []


def test_a_role_just_in_time_takes_a_while(tenant: Tenant) -> None:
    tenant.fake.roles.all.clear()
    tenant.fake.roles.lag = 2
    elevator = register(tenant.fake, ELEVATOR, role="", dataverse=False, key=OTHER_KEY)
    wanted = {"principalId": tenant.app.principal, "roleDefinitionId": USER_ADMIN, "directoryScopeId": "/"}
    assert tenant.call("POST", ROLES, json=wanted).status_code == 403, "not with the resetter's permissions"
    made = tenant.call("POST", ROLES, elevator, json=wanted)
    assert made.status_code == 201
    assert [tenant.set("fanbing", NEW).status_code for _ in range(3)] == [403, 403, 204]
    mine = {"$filter": f"principalId eq '{tenant.app.principal}'"}
    assert tenant.call("DELETE", f"{ROLES}/{made.json()['id']}", elevator).status_code == 204
    seen = [len(tenant.call("GET", ROLES, elevator, params=mine).json()["value"]) for _ in range(3)]
    assert seen == [1, 1, 0]
    own = {"principalId": elevator.principal, "roleDefinitionId": USER_ADMIN, "directoryScopeId": "/"}
    made = tenant.call("POST", ROLES, elevator, json=own)
    assert tenant.call("DELETE", f"{ROLES}/{made.json()['id']}", elevator).status_code == 400
    assert tenant.held.faults == []


@each("password", ["Sh0rt", "all lower case", "Password 2040", "fanbing A 2040"])
def test_weak_passwords(password: str) -> None:
    tenant = new_tenant()
    answer = tenant.set("fanbing", password)
    assert error(answer) == (400, "Request_BadRequest")
    assert "does not comply with password complexity" in answer.json()["error"]["message"]
    assert tenant.account("fanbing").changes == 0


def test_synced_and_federated_people_keep_their_password_elsewhere(tenant: Tenant) -> None:
    for login in ("peter.vandermeer", "amina.diallo"):
        assert error(tenant.set(login, NEW)) == (400, "Request_BadRequest")
        assert tenant.account(login).changes == 0
    assert tenant.call("GET", f"/v1.0/domains/{FEDERATED}").json()["authenticationType"] == "Federated"
    assert tenant.call("GET", f"/v1.0/domains/{DOMAIN}").json()["authenticationType"] == "Managed"
    assert tenant.fake.sign_in(f"amina.diallo@{FEDERATED}", PASSWORDS["amina.diallo"]) == "elsewhere"
    assert tenant.held.faults == []


def test_a_temporary_pass_takes_the_place_of_password_and_second_step(tenant: Tenant) -> None:
    sunli = tenant.account("sunli")
    assert tenant.fake.sign_in(sunli.username, PASSWORDS["sunli"]) == "factor"
    at = f"/v1.0/users/{sunli.id}/authentication/temporaryAccessPassMethods"
    made = tenant.call("POST", at, json={"lifetimeInMinutes": 60, "isUsableOnce": True})
    assert made.status_code == 201
    shown = tenant.call("GET", at).json()["value"]
    assert [p["temporaryAccessPass"] for p in shown] == [None], "shown once"
    assert tenant.fake.sign_in(sunli.username, made.json()["temporaryAccessPass"]) == "ok"
    assert tenant.fake.sign_in(sunli.username, made.json()["temporaryAccessPass"]) == "wrong"
    made = tenant.call("POST", at, json={"lifetimeInMinutes": 10})
    tenant.clock.now += 11 * 60_000
    assert tenant.fake.sign_in(sunli.username, made.json()["temporaryAccessPass"]) == "wrong"
    tenant.fake.passes = False
    assert tenant.call("POST", at, json={"lifetimeInMinutes": 60}).status_code == 400
    assert tenant.held.faults == []


def test_single_methods_are_removed_by_their_own_permission(tenant: Tenant) -> None:
    sunli = tenant.account("sunli")
    at = f"/v1.0/users/{sunli.id}/authentication"
    methods = tenant.call("GET", f"{at}/methods").json()["value"]
    one = next(m for m in methods if "microsoftAuthenticator" in m["@odata.type"])
    tenant.may("UserAuthMethod-Phone.ReadWrite.All")
    assert error(tenant.call("DELETE", f"{at}/microsoftAuthenticatorMethods/{one['id']}")) == (403, "accessDenied")
    tenant.may("UserAuthMethod-MicrosoftAuthApp.ReadWrite.All")
    assert tenant.call("DELETE", f"{at}/softwareOathMethods/{one['id']}").status_code == 403
    assert tenant.call("DELETE", f"{at}/microsoftAuthenticatorMethods/{one['id']}").status_code == 204
    assert tenant.call("DELETE", f"{at}/microsoftAuthenticatorMethods/{one['id']}").status_code == 404
    assert tenant.fake.sign_in(sunli.username, PASSWORDS["sunli"]) == "ok"
    assert tenant.held.faults == []


def test_grants_of_applications(tenant: Tenant) -> None:
    mei = tenant.account("mei.kawahara")
    grant = tenant.call("GET", f"/v1.0/users/{mei.id}/oauth2PermissionGrants").json()["value"][0]
    app = tenant.call("GET", f"/v1.0/servicePrincipals/{grant['clientId']}").json()
    assert app["displayName"] == "Ticket Sync Helper"
    assert tenant.call("DELETE", f"/v1.0/oauth2PermissionGrants/{grant['id']}").status_code == 204
    assert tenant.call("GET", f"/v1.0/users/{mei.id}/oauth2PermissionGrants").json()["value"] == []
    assert tenant.held.faults == []


def test_what_applications_may_never_do(tenant: Tenant) -> None:
    id = tenant.account("fanbing").id
    at = f"/v1.0/users/{id}/authentication/methods/{shapes.PASSWORD_METHOD}/resetPassword"
    tenant.may("UserAuthenticationMethod.ReadWrite.All", "UserAuthMethod-Password.ReadWrite.All")
    assert tenant.call("POST", at, json={"newPassword": NEW}).status_code == 403
    assert tenant.held.faults == []


def test_21vianet_has_other_hosts_and_no_passes() -> None:
    tenant = new_tenant(cloud="21vianet")
    scope = "https://microsoftgraph.chinacloudapi.cn/.default"
    assert tenant.ask_token().json()["error"] == "invalid_resource"
    assert tenant.set("fanbing", NEW, scope=scope).status_code == 204
    id = tenant.account("fanbing").id
    at = f"/v1.0/users/{id}/authentication/temporaryAccessPassMethods"
    assert tenant.call("POST", at, scope=scope, json={"lifetimeInMinutes": 60}).status_code == 404
    assert tenant.held.faults == []


def test_sign_ins_need_a_license_and_are_metered(tenant: Tenant) -> None:
    answers = [tenant.call("GET", "/v1.0/auditLogs/signIns", params={"$top": "1"}) for _ in range(6)]
    assert [a.status_code for a in answers] == [200] * 5 + [429]
    assert answers[-1].headers["retry-after"] == "10"
    tenant.fake.premium = False
    tenant.clock.now += 10_000
    code = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
    assert error(tenant.call("GET", "/v1.0/auditLogs/signIns")) == (403, code)
    id = tenant.account("fanbing").id
    select = {"$select": "id,signInActivity"}
    assert error(tenant.call("GET", f"/v1.0/users/{id}", params=select)) == (403, code)
    assert tenant.held.faults == []


def test_reads_lag_behind_changes(tenant: Tenant) -> None:
    tenant.fake.stale_reads = 2
    id = tenant.account("fanbing").id
    tenant.call("PATCH", f"/v1.0/users/{id}", json={"accountEnabled": False})
    reads = [tenant.call("GET", f"/v1.0/users/{id}", params={"$select": "accountEnabled"}) for _ in range(3)]
    assert [r.json()["accountEnabled"] for r in reads] == [True, True, False]
    assert "accountEnabled" not in tenant.call("GET", f"/v1.0/users/{id}").json(), "only when it is selected"
    assert tenant.held.faults == []


def test_planted_troubles_are_seen(tenant: Tenant) -> None:
    fake = tenant.fake
    assert fake.sign_in(f"songyan@{DOMAIN}", PASSWORDS["songyan"]) == "inactive"
    assert fake.sign_in(f"isla.mackay@{DOMAIN}", PASSWORDS["isla.mackay"]) == "inactive"
    assert fake.sign_in(f"yelin@{DOMAIN}", PASSWORDS["yelin"]) == "locked"
    tenant.clock.now += 31 * 60_000
    assert fake.sign_in(f"yelin@{DOMAIN}", PASSWORDS["yelin"]) == "ok", "smart lockout ends by itself"
    licenses = tenant.call("GET", f"/v1.0/users/{tenant.account('david.mensah').id}/licenseDetails")
    assert licenses.json()["value"] == []
    admin = tenant.account("anton.petrov").id
    roles = tenant.call("GET", f"/v1.0/users/{admin}/transitiveMemberOf/microsoft.graph.directoryRole").json()["value"]
    assert roles[0]["displayName"] == "Global Administrator"
    assert tenant.held.faults == []


def test_dataverse_is_for_its_members(tenant: Tenant) -> None:
    assert tenant.crm("GET", "/WhoAmI").json()["UserId"] == tenant.app.principal
    id = shapes.systemuser_id(tenant.account("chenyu"))
    assert error(tenant.crm("PATCH", f"/systemusers({id})", json={"isdisabled": True})) == (403, "0x80040220")
    app = tenant.fake.apps[tenant.app.client_id]
    app.dataverse_writes = True
    assert tenant.crm("PATCH", f"/systemusers({id})", json={"isdisabled": True}).status_code == 204
    app.dataverse = False
    assert error(tenant.crm("GET", "/systemusers")) == (403, "0x80072560")
    tenant.fake.faults.add("throttle", "/systemusers")
    assert error(tenant.crm("GET", "/systemusers")) == (429, "0x80072322")
    assert tenant.held.faults == []


@each(
    "query",
    [
        {"$filter": "password eq 'x'"},
        {"$filter": "mail eq 'a' and mail eq 'b' or mail eq 'c'"},
        {"$filter": "mail eq 'O'Neill'"},
        {"$filter": "mobilePhone eq '1'"},
        {"$select": "passwordProfile"},
    ],
)
def test_queries_that_are_refused(query: dict[str, str]) -> None:
    assert new_tenant().call("GET", "/v1.0/users", params=query).status_code == 400


def test_what_the_contract_does_not_name_is_refused(tenant: Tenant) -> None:
    id = tenant.account("chenyu").id
    assert tenant.call("DELETE", f"/v1.0/users/{id}").status_code == 405
    assert tenant.call("GET", "/v1.0/groups").status_code == 404
    assert tenant.call("PATCH", f"/v1.0/users/{id}", json={"displayName": "x"}).status_code == 400
    tenant.http = TestClient(tenant.fake, base_url="http://fake")
    assert tenant.call("PATCH", f"/v1.0/users/{id}", content=b"{").status_code == 400
