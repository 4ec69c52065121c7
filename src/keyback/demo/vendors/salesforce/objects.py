"""Objects as queries show them: which there are, their fields, and who may see what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from keyback.demo.vendors.accounts import Account
from keyback.demo.vendors.salesforce.soql import Row, Table

USER = (
    "Id", "Username", "Email", "Name", "IsActive", "UserType", "FederationIdentifier", "LastLoginDate",
    "LastPasswordChangeDate", "MobilePhone", "Department", "ManagerId", "SystemModstamp", "LanguageLocaleKey",
    "ProfileId", "Profile.Name", "Profile.PermissionsModifyAllData", "Profile.PermissionsManageUsers",
    "Profile.PermissionsIsSsoEnabled",
)  # fmt: skip
ASSIGNMENT = (
    "Id", "AssigneeId", "PermissionSetId", "PermissionSet.Name", "PermissionSet.IsOwnedByProfile",
    "PermissionSet.PermissionsModifyAllData", "PermissionSet.PermissionsManageUsers",
    "PermissionSet.PermissionsIsSsoEnabled",
)  # fmt: skip
HISTORY = (
    "Id", "UserId", "LoginTime", "SourceIp", "Status", "LoginType", "Browser", "Platform", "Application", "CountryIso",
)  # fmt: skip
VERIFICATIONS = (
    "Id", "UserId", "VerificationTime", "Status", "VerificationMethod", "Activity", "SourceIp", "Policy",
)  # fmt: skip
METHODS = ("Id", "UserId", "HasTotp", "HasSalesforceAuthenticator", "HasSecurityKey", "HasBuiltInAuthenticator")
GRANT = ("Id", "UserId", "AppName", "CreatedDate", "LastUsedDate", "UseCount", "DeleteToken")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "User": USER,
    "UserLogin": ("Id", "UserId", "IsFrozen", "IsPasswordLocked"),
    "AuthSession": ("Id", "UsersId", "SessionType", "SourceIp", "ParentId", "CreatedDate"),
    "LoginHistory": HISTORY,
    "VerificationHistory": VERIFICATIONS,
    "TwoFactorMethodsInfo": METHODS,
    "TwoFactorInfo": ("Id", "UserId", "Type"),
    "OauthToken": GRANT,
    "PermissionSetAssignment": ASSIGNMENT,
    "Organization": ("Id", "Name", "IsSandbox", "InstanceName"),
}
TABLES: Mapping[str, Table] = {name: Table(name, fields) for name, fields in FIELDS.items()}
# Without one of these the object is as if it were not there, or shows only what is one's own.
NEEDS: Mapping[str, frozenset[str]] = {
    "UserLogin": frozenset({"ManageUsers"}),
    "LoginHistory": frozenset({"ManageUsers", "MonitorLoginHistory"}),
    "VerificationHistory": frozenset({"ManageUsers"}),
    "TwoFactorMethodsInfo": frozenset({"ManageMfaInApi"}),
    "TwoFactorInfo": frozenset({"ManageMfaInApi"}),
    "OauthToken": frozenset({"CustomizeApplication"}),
}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def record_id(prefix: str, number: int) -> str:
    """An id of 18 characters: 15 that tell the record, 3 that make up for lost case."""
    short = f"{prefix}5g000{number:07}"
    return full_id(short)


def full_id(short: str) -> str:
    chunks = (short[n : n + 5] for n in (0, 5, 10))
    return short + "".join(_ALPHABET[sum(1 << n for n, c in enumerate(chunk) if c.isupper())] for chunk in chunks)


def stamp(ms: int) -> str | None:
    """`2026-11-01T08:00:00.000+0000`; None for never."""
    if not ms:
        return None
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}+0000"


def rows(name: str, accounts: Iterable[Account], sandbox: bool) -> list[Row]:
    if name == "Organization":
        return [{"Id": record_id("00D", 1), "Name": "Qingyu", "IsSandbox": sandbox, "InstanceName": "DEMO1"}]
    return [row for a in accounts for row in _MAKERS[name](a)]


def _of_login(user_id: str) -> str:
    return full_id(f"0Yw{user_id[3:15]}")


def _user(a: Account) -> Iterable[Row]:
    signed_in = [s.at for s in a.sign_ins if s.status == "Success"]
    yield {
        "Id": a.id,
        "Username": a.username,
        "Email": a.mail,
        "Name": a.name,
        "IsActive": a.active,
        "UserType": "Standard",
        "FederationIdentifier": a.mail if a.provider else None,
        "LastLoginDate": stamp(signed_in[-1] if signed_in else 0),
        "LastPasswordChangeDate": stamp(a.changed_at),
        "MobilePhone": a.mobile or None,
        "Department": a.extra.get("department"),
        "ManagerId": a.extra.get("manager"),
        "SystemModstamp": stamp(a.extra.get("modified_at", int(time.time() * 1000))),
        "LanguageLocaleKey": "zh_CN" if a.locale == "zh_CN" else "en_US",
        "ProfileId": record_id("00e", 1 if a.privileged else 2),
        "Profile": {
            "Name": "System Administrator" if a.privileged else "Standard User",
            "PermissionsModifyAllData": a.privileged,
            "PermissionsManageUsers": a.privileged,
            "PermissionsIsSsoEnabled": bool(a.provider),
        },
    }


def _login(a: Account) -> Iterable[Row]:
    yield {"Id": _of_login(a.id), "UserId": a.id, "IsFrozen": a.frozen, "IsPasswordLocked": a.locked}


def _sessions(a: Account) -> Iterable[Row]:
    for s in a.sessions:
        yield {
            "Id": s.id,
            "UsersId": a.id,
            "SessionType": s.kind,
            "SourceIp": s.source,
            "ParentId": s.parent or None,
            "CreatedDate": stamp(s.at),
        }


def _history(a: Account) -> Iterable[Row]:
    for n, s in enumerate(a.sign_ins):
        yield {
            "Id": full_id(f"0Ya{a.id[3:11]}{n:04}"),
            "UserId": a.id,
            "LoginTime": stamp(s.at),
            "SourceIp": s.source,
            "Status": s.status,
            "LoginType": s.kind,
            "Browser": s.browser,
            "Platform": s.platform,
            "Application": s.app,
            "CountryIso": "CN",
        }


def _verifications(a: Account) -> Iterable[Row]:
    """`extra["verifications"]` has the instant and whether it succeeded."""
    for n, (at, passed) in enumerate(a.extra.get("verifications", ())):
        yield {
            "Id": full_id(f"0Yv{a.id[3:11]}{n:04}"),
            "UserId": a.id,
            "VerificationTime": stamp(at),
            "Status": "Succeeded" if passed else "FailedInvalidCode",
            "VerificationMethod": "Totp",
            "Activity": "Login",
            "SourceIp": "127.0.0.1",
            "Policy": "TwoFactorAuthentication",
        }


def _methods(a: Account) -> Iterable[Row]:
    kinds = {f.kind for f in a.factors}
    yield {
        "Id": full_id(f"0Yq{a.id[3:15]}"),
        "UserId": a.id,
        "HasTotp": "totp" in kinds,
        "HasSalesforceAuthenticator": "authenticator" in kinds,
        "HasSecurityKey": "passkey" in kinds,
        "HasBuiltInAuthenticator": False,
    }


def _factors(a: Account) -> Iterable[Row]:
    for f in a.factors:
        if f.kind == "totp":
            yield {"Id": f.id, "UserId": a.id, "Type": "TOTP"}


def _grants(a: Account) -> Iterable[Row]:
    for g in a.grants:
        yield {
            "Id": g.id,
            "UserId": a.id,
            "AppName": g.app,
            "CreatedDate": stamp(g.at),
            "LastUsedDate": stamp(g.used),
            "UseCount": g.uses,
            "DeleteToken": g.token,
        }


def _assignments(a: Account) -> Iterable[Row]:
    """A profile is one permission set; `extra["permission_sets"]` names those that somebody has besides."""
    own = {"Name": "X00e", "IsOwnedByProfile": True, "PermissionsModifyAllData": a.privileged}
    sets = [{**own, "PermissionsManageUsers": a.privileged, "PermissionsIsSsoEnabled": bool(a.provider)}]
    for name in a.extra.get("permission_sets", ()):
        powers = {f"Permissions{p}": p == name for p in ("ModifyAllData", "ManageUsers", "IsSsoEnabled")}
        sets.append({"Name": name, "IsOwnedByProfile": False, **powers})
    for n, one in enumerate(sets):
        yield {
            "Id": full_id(f"0Pa{a.id[3:13]}{n:02}"),
            "AssigneeId": a.id,
            "PermissionSetId": full_id(f"0PS{a.id[3:13]}{n:02}"),
            "PermissionSet": one,
        }


_MAKERS: Mapping[str, Callable[[Account], Iterable[Row]]] = {
    "User": _user,
    "UserLogin": _login,
    "AuthSession": _sessions,
    "LoginHistory": _history,
    "VerificationHistory": _verifications,
    "TwoFactorMethodsInfo": _methods,
    "TwoFactorInfo": _factors,
    "OauthToken": _grants,
    "PermissionSetAssignment": _assignments,
}
