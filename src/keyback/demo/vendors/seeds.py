"""Who of the invented company is in which cloud, and what is planted there for the login doctor to find."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Literal

import pyotp

from keyback.demo.company import DOMAIN, PROVIDER, STAFF, Staff
from keyback.demo.enrolled import seed_of
from keyback.demo.vendors.accounts import Account, Factor, Grant, SignIn, hashed

Planted = Literal[
    "", "sso", "frozen", "inactive", "locked", "stale", "lost_factor", "factor", "passkey", "privileged", "grant",
    "synced", "federated", "unlicensed", "crm_disabled", "unconfirmed", "personal", "stopped", "expired",
    "other_environment",
]  # fmt: skip
DAY_MS = 86_400_000
# Vendor to user name in the company to what is the matter there.
PEOPLE: Mapping[str, Mapping[str, Planted]] = {
    "salesforce": {
        "chenyu": "", "priya.raman": "", "grace.adeyemi": "", "lena.hoffmann": "", "mahui": "",
        "oliver.brandt": "factor", "hanxue": "lost_factor", "carlos.ibanez": "passkey", "tomas.novak": "sso",
        "helen.cho": "inactive", "linan": "locked", "emil.kowalczyk": "locked", "fatima.zahran": "frozen",
        "dengchao": "stale", "yuki.tanabe": "grant", "heming": "privileged", "ruth.kessler": "privileged",
        "tangwen": "expired",
    },
    "dynamics365": {
        "priya.raman": "", "chenyu": "", "wambui.njoroge": "", "yelin": "locked", "peter.vandermeer": "synced",
        "ouyangmingyuan": "synced", "amina.diallo": "federated", "david.mensah": "unlicensed", "songyan": "inactive",
        "isla.mackay": "crm_disabled", "sunli": "lost_factor", "fanbing": "stale", "anton.petrov": "privileged",
        "mei.kawahara": "grant", "jiangtao": "factor", "noor.haddad": "passkey",
        "hugo.lefevre": "other_environment",
    },
    "zoho": {
        "nadia.rossi": "", "siobhan.oneill": "", "ana.delacruz": "", "ayguli": "", "leila.farouk": "",
        "helen.cho": "inactive", "rafael.teixeira": "stale", "sara.lindqvist": "lost_factor", "tomas.novak": "sso",
        "isla.mackay": "unconfirmed", "david.mensah": "personal", "joseph.achterberg": "privileged",
    },
    "fxiaoke": {
        "zhaoyang": "", "wangfang": "", "huangjie": "", "guoqiang": "", "tangwen": "stale", "pengfei": "",
        "dingning": "", "qianrong": "stopped", "sunli": "sso", "zhoubo": "", "yaogang": "privileged",
    },
}  # fmt: skip
_BY_NAME = {s.username: s for s in STAFF}


def mail_of(username: str) -> str:
    """The work mail, or what it would be."""
    mails = _BY_NAME[username].mails
    return mails[0] if mails else f"{username}@{DOMAIN}"


def stale_password(username: str) -> str:
    """What a phone of theirs goes on trying."""
    return f"{_BY_NAME[username].password} before"


def people(vendor: str, now: int, new_id: Callable[[str, int], str], kind: str = "Application") -> list[Account]:
    """The people of one cloud as they are at the start.

    Args:
        new_id: makes an id of the vendor's from what it is for (`user`, `factor`, `grant`) and a number.
        kind: what the vendor calls a sign-in by browser.
    """
    out = []
    for n, (username, planted) in enumerate(PEOPLE[vendor].items(), 1):
        s = _BY_NAME[username]
        a = _account(s, new_id("user", n), now)
        _plant(a, planted, n, now, new_id, kind)
        out.append(a)
    return out


def _account(s: Staff, id: str, now: int) -> Account:
    mail = s.mails[0] if s.mails else None
    username = f"{s.username}@{DOMAIN}"
    a = Account(id, username, mail, s.name, hashed(s.password), mobile=s.phone, locale=s.locale)
    a.changed_at = now - 40 * DAY_MS
    return a


def _plant(a: Account, planted: Planted, n: int, now: int, new_id: Callable[[str, int], str], kind: str) -> None:
    login = a.username.partition("@")[0]
    a.note(SignIn(now - 3 * DAY_MS, "Success", f"198.51.100.{n}", kind))
    a.note(SignIn(now - DAY_MS, "Success", f"198.51.100.{n}", kind))
    a.extra["planted"] = planted
    match planted:
        case "sso" | "federated":
            a.provider = PROVIDER
        case "frozen":
            a.frozen = True
        case "inactive" | "stopped":
            a.active = False
        case "locked":
            a.locked, a.failures = True, 10
        case "privileged":
            a.privileged = True
        case "synced":
            a.synced = True
        case "unlicensed":
            a.licensed = False
        case "expired":
            a.must_change = True
        case "factor":
            a.factors.append(Factor(new_id("factor", n), "totp", now - 90 * DAY_MS, "Authenticator", seed_of(login)))
        case "lost_factor":
            lost = Factor(new_id("factor", n), "totp", now - 90 * DAY_MS, "Old phone", pyotp.random_base32())
            a.factors.append(lost)
            a.extra["verifications"] = [[now - k * 1_800_000, False] for k in (4, 3, 2, 1)]
        case "passkey":
            a.factors.append(Factor(new_id("factor", n), "passkey", now - 90 * DAY_MS, "Security key"))
        case "grant":
            token = secrets.token_urlsafe(24)
            a.grants.append(
                Grant(new_id("grant", n), "Ticket Sync Helper", now - 2 * DAY_MS, token, used=now, uses=412)
            )
        case "stale":
            a.changed_at = now - 2 * DAY_MS
            for k in range(12):
                at = now - 2 * DAY_MS + (k + 1) * 4 * 3_600_000
                a.note(SignIn(at, "Invalid Password", f"203.0.113.{n}", kind, "Safari 18", "iOS", "Mail on a phone"))
        case _:
            pass
