"""Every address that takes a form, and what protects somebody."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from keyback.application.ports.storage import Tx
from keyback.application.signin.sessions import SignedIn
from keyback.web.app import make_app, make_context
from tests.support import reach
from tests.support.browser import call
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import (
    OLD,
    Tray,
    fit,
    set_password,
    sign_in,
)

Make = Callable[..., Kit]


class Site:
    """A Keyback over HTTP, without a socket."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.app: Any = make_app(make_context(kit.settings, kit.services))
        self.cookies: dict[str, str] = {}

    def posts(self) -> list[tuple[str, str]]:
        """(pattern, function) of every address that takes a form."""
        return [(p, f) for m, p, f in reach.routes(self.app._app.routes) if m == "POST" and not p.startswith("/api/")]

    def post(self, path: str, **form: str) -> tuple[int, str]:
        cookie = "; ".join(f"keyback-{k}={v}" for k, v in self.cookies.items())
        headers = {"sec-fetch-site": "same-origin", **({"cookie": cookie} if cookie else {})}
        got = call(self.kit, self.app, "POST", path, data=form, headers=headers)
        return got.status_code, got.headers.get("location", "")


def ready(make_kit: Make, url: str) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, limits={"sign_ins": 10_000, "proofs": 10_000, "recoveries": 10_000})
    tray = fit(kit, person("maya"), person("omar"))
    for who in ("maya", "omar"):
        set_password(kit, who, job_id=who)
    return kit, tray


def token_of(kit: Kit, who: str) -> str:
    done = sign_in(kit, who, OLD)
    assert isinstance(done, SignedIn)
    return done.token


def filled(pattern: str, **values: str) -> str:
    for name in ("id", "kind", "handle", "proof"):
        pattern = pattern.replace(f"{{{name}}}", values.get(name, "mail" if name == "kind" else "x"))
    return pattern


def protection(kit: Kit, who: str) -> list[Any]:
    """All that protects somebody: contacts in any state, factors with their codes, sessions, password."""
    pid = person_id(kit, who)

    def look(tx: Tx) -> list[Any]:
        mine = tx.factors.of_person(pid, states=("active", "pending", "removed"))
        account_id = tx.people.accounts([pid])[pid][0].id
        return [
            tx.contacts.of_person(pid, states=("confirmed", "pending", "removed")),
            mine,
            tx.factors.codes([f.id for f in mine]),
            [s.digest for s in tx.sessions.of_person(pid)],
            tx.people.credential(account_id),
        ]

    return kit.read(look)


def actions(text: str, action: str) -> list[str]:
    """The addresses that a template may put there."""
    name = re.fullmatch(r"\{\{ (action|page\.action) \}\}", action)
    if name and name[1] == "action":
        return re.findall(r"'(/[^']+)'", re.search(r"\{% set action = (.*?) %\}", text)[1])  # type: ignore[index]
    if name:
        return ["/wasnt-me", "/account/lock"]
    at = re.search(r"\{% set at = (.*?) %\}", text)
    if at:
        action = action.replace("{{ at }}", re.sub(r"'| ~ ", "", re.sub(r"page\.\w+", "*", at[1])))
    return [re.sub(r"\{\{.*?\}\}", "*", action)]
