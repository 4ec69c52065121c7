"""People and application registrations for the Dynamics 365 fake."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from joserfc.jwk import RSAKey

from keyback.demo.company import DOMAIN
from keyback.demo.vendors import seeds
from keyback.demo.vendors.accounts import Factor, SignIn
from keyback.demo.vendors.dynamics365.app import LOCK_MS, TENANT, Dynamics365
from keyback.demo.vendors.dynamics365.entra import USER_ADMIN, EntraApp
from keyback.demo.vendors.dynamics365.shapes import new_guid

FEDERATED = f"fed.{DOMAIN}"
RESETTER = frozenset(
    {
        "User.Read.All", "User-PasswordProfile.ReadWrite.All", "User.RevokeSessions.All",
        "UserAuthMethod-TAP.ReadWrite.All", "UserAuthenticationMethod.Read.All",
        "UserAuthMethod-MicrosoftAuthApp.ReadWrite.All", "UserAuthMethod-SoftwareOATH.ReadWrite.All",
        "UserAuthMethod-Passkey.ReadWrite.All", "UserAuthMethod-Phone.ReadWrite.All",
        "AuditLog.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "Application.Read.All", "Domain.Read.All",
        "RoleManagement.Read.Directory", "User.EnableDisableAccount.All",
    }
)  # fmt: skip
ELEVATOR = frozenset({"RoleManagement.ReadWrite.Directory"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connector is given. `thumbprint` may stand in the assertion's header; `principal` is the object id."""

    tenant: str
    client_id: str
    secret: str
    principal: str
    private_key: str
    thumbprint: str


def seed(fake: Dynamics365) -> None:
    """The company's people; a kept state is left as it is."""
    if len(fake.accounts):
        return
    people = seeds.people("dynamics365", fake.clock(), new_guid, "Browser")
    for n, a in enumerate(people):
        for s in a.sign_ins:
            s.code = 0 if s.status == "Success" else 50126
        match a.extra["planted"]:
            case "federated":
                a.username = f"{a.username.partition('@')[0]}@{FEDERATED}"
            case "crm_disabled":
                a.extra["crm_disabled"] = True
            case "locked":
                a.locked_until = fake.clock() + 30 * LOCK_MS
            case "lost_factor":
                a.factors = [Factor(new_guid("factor", n), "authenticator", 0, "Old phone")]
                for k in range(4):
                    failed = SignIn(fake.clock() - (4 - k) * 1_800_000, "Failure", "198.51.100.77", "Browser")
                    failed.code = 500121
                    a.note(failed)
            case "other_environment":
                a.extra["no_member"] = True
            case "grant":
                a.grants[0].token = new_guid("app", n)
                a.grants[0].scope = "Mail.Read Contacts.Read offline_access"
    fake.accounts.add(people)
    for a in people:
        if a.active:
            fake.open_session(a, source="198.51.100.77")


def register(
    fake: Dynamics365,
    permissions: frozenset[str] = RESETTER,
    *,
    role: str = USER_ADMIN,
    dataverse: bool = True,
    key: RSAKey | None = None,
) -> Credentials:
    """An application registration with consent.

    The hardened set-up is two of them: `register(fake, role="")` acts, `register(fake, ELEVATOR, role="",
    dataverse=False)` gives it a role for one act and takes it.

    Args:
        permissions: application permissions of Graph.
        role: directory role that it has all the time; empty for none.
        dataverse: is an application user there, with a role that reads.
        key: signs its assertions; None makes one.
    """
    key = key or RSAKey.generate_key(2048)
    n = len(fake.apps) + 1
    app = EntraApp(
        new_guid("client", n),
        new_guid("principal", n),
        key.as_pem(private=False).decode(),
        secrets.token_urlsafe(30),
        set(permissions),
        dataverse,
    )
    fake.apps[app.client_id] = app
    if role:
        fake.roles.assign(app.principal, role, at_once=True)
    private = key.as_pem(private=True).decode()
    return Credentials(TENANT, app.client_id, app.secret, app.principal, private, key.thumbprint())
