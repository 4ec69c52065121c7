"""How Graph and Dataverse show people, methods and sign-ins."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keyback.demo.vendors.accounts import Account, Factor, SignIn

USER = (
    "id", "userPrincipalName", "mail", "displayName", "accountEnabled", "userType", "otherMails", "proxyAddresses",
    "mobilePhone", "onPremisesSyncEnabled", "onPremisesSamAccountName", "onPremisesImmutableId",
    "lastPasswordChangeDateTime", "signInSessionsValidFromDateTime", "signInActivity", "preferredLanguage",
    "department",
)  # fmt: skip
USER_DEFAULT = ("id", "userPrincipalName", "mail", "displayName", "mobilePhone", "preferredLanguage")
SYSTEMUSER = (
    "systemuserid", "domainname", "internalemailaddress", "fullname", "isdisabled", "islicensed", "accessmode",
    "applicationid", "azureactivedirectoryobjectid", "_parentsystemuserid_value",
    "mobilephone", "modifiedon",
)  # fmt: skip
ADVANCED = frozenset({"mobilePhone"})  # filters on these need ConsistencyLevel and $count
PASSWORD_METHOD = "28c10230-6103-485e-b985-444c60001490"  # noqa: S105
# Kind of factor to the collection, its type, and the permission that is enough to remove one.
METHODS: Mapping[str, tuple[str, str, str]] = {
    "authenticator": (
        "microsoftAuthenticatorMethods",
        "microsoftAuthenticatorAuthenticationMethod",
        "UserAuthMethod-MicrosoftAuthApp.ReadWrite.All",
    ),
    "totp": ("softwareOathMethods", "softwareOathAuthenticationMethod", "UserAuthMethod-SoftwareOATH.ReadWrite.All"),
    "passkey": ("fido2Methods", "fido2AuthenticationMethod", "UserAuthMethod-Passkey.ReadWrite.All"),
    "phone": ("phoneMethods", "phoneAuthenticationMethod", "UserAuthMethod-Phone.ReadWrite.All"),
    "temporary_pass": (
        "temporaryAccessPassMethods",
        "temporaryAccessPassAuthenticationMethod",
        "UserAuthMethod-TAP.ReadWrite.All",
    ),
}


def iso(ms: int) -> str | None:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}" if ms else None


def new_guid(what: str, n: int) -> str:
    """The same in every demo."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://qingyu.example.com/{what}/{n}"))


def systemuser_id(a: Account) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"systemuser {a.id}"))


def user(a: Account) -> dict[str, Any]:
    seen = [s.at for s in a.sign_ins]
    good = [s.at for s in a.sign_ins if s.code == 0]
    return {
        "id": a.id,
        "userPrincipalName": a.username,
        "mail": a.mail,
        "displayName": a.name,
        "accountEnabled": a.active,
        "userType": "Member",
        "otherMails": a.extra.get("other_mails", []),
        "proxyAddresses": [f"SMTP:{a.mail}"] if a.mail else [],
        "mobilePhone": a.mobile or None,
        "department": a.extra.get("department"),
        "onPremisesSyncEnabled": True if a.synced else None,
        "onPremisesSamAccountName": a.username.partition("@")[0] if a.synced else None,
        "onPremisesImmutableId": f"{a.id[:8]}==" if a.synced or a.provider else None,
        "lastPasswordChangeDateTime": iso(a.changed_at),
        "signInSessionsValidFromDateTime": iso(int(a.extra.get("sessions_from", a.changed_at))),
        "preferredLanguage": "zh-CN" if a.locale == "zh_CN" else "en-US",
        "signInActivity": {
            "lastSignInDateTime": iso(seen[-1] if seen else 0),
            "lastNonInteractiveSignInDateTime": None,
            "lastSuccessfulSignInDateTime": iso(good[-1] if good else 0),
        },
    }


def systemuser(a: Account) -> dict[str, Any]:
    return {
        "systemuserid": systemuser_id(a),
        "domainname": a.username,
        "internalemailaddress": a.mail,
        "fullname": a.name,
        "isdisabled": bool(a.extra.get("crm_disabled")),
        "islicensed": a.licensed,
        "accessmode": 0,
        "applicationid": None,
        "azureactivedirectoryobjectid": a.id,
        "_parentsystemuserid_value": a.extra.get("crm_manager"),
        "mobilephone": a.extra.get("crm_mobile"),
        "modifiedon": iso(int(a.extra.get("crm_modified_at", 1))),
    }


def method(f: Factor, now: int, *, shown: str = "") -> dict[str, Any]:
    """A method; `shown` is a temporary pass that is shown this once."""
    if f.kind != "temporary_pass":
        return {"id": f.id, "displayName": f.label or None}
    usable = f.at <= now < f.until and not (f.once and f.used)
    return {
        "id": f.id,
        "temporaryAccessPass": shown or None,
        "createdDateTime": iso(f.at),
        "startDateTime": iso(f.at),
        "lifetimeInMinutes": (f.until - f.at) // 60_000,
        "isUsableOnce": f.once,
        "isUsable": usable,
        "methodUsabilityReason": "EnabledByPolicy" if usable else "Expired" if now >= f.until else "OneTimeUsed",
    }


def sign_in(a: Account, s: SignIn, n: int) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"signin {a.id} {s.at} {n}")),
        "createdDateTime": iso(s.at),
        "userId": a.id,
        "userPrincipalName": a.username,
        "appDisplayName": "Meridian 365",
        "appId": "00000007-0000-0000-c000-000000000000",
        "ipAddress": s.source,
        "clientAppUsed": "Browser" if s.app == "Browser" else "Mobile Apps and Desktop clients",
        "isInteractive": True,
        "riskState": "none",
        "status": {"errorCode": s.code, "failureReason": None if not s.code else s.status, "additionalDetails": None},
        "location": {"city": "Hangzhou", "state": "Zhejiang", "countryOrRegion": "CN"},
    }
