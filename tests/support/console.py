"""Operators with browsers of their own, and people who wait for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
import pyotp

from keyback.application.desk import operators, sessions
from keyback.application.desk.sessions import Actor
from keyback.application.origin import Origin
from keyback.domain.operators.roles import Operator, Role
from tests.support.browser import Browser
from tests.support.enrolled import add_totp, answer_way, ask_way, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, Tray, accept, ask, drain, fit, secrets_of, set_password

PASSWORD = "copper meadow lantern 58"
URL = "http://localhost:8080"
DESK = Origin("198.51.100.9", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")


class Console(Browser):
    """An operator's browser; forms are given as values."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.seed = ""

    def get(self, path: str) -> httpx2.Response:
        return self("GET", path)

    def post(self, path: str, **values: str) -> httpx2.Response:
        return self("POST", path, urlencode(values))

    def digits(self, steps: int = 0) -> str:
        return pyotp.TOTP(self.seed).at(self.kit.clock() // 1000 + 30 * steps)

    def set_up(self, link: str) -> httpx2.Response:
        """Follows a set-up link and makes a password with an authenticator app."""
        self.get(link.removeprefix(URL))
        page = self.get("/console/set-up").text
        key = re.search(r'secret-key"[^>]*>([A-Z2-7]+)<', page)
        assert key, page
        self.seed = key[1]
        return self.post("/console/set-up", new_password=PASSWORD, code=self.digits())

    def sign_in(self, mail: str, password: str = PASSWORD, code: str = "") -> httpx2.Response:
        self.kit.clock.forward(seconds=30)  # each code works once
        return self.post("/console/sign-in", email=mail, password=password, code=code or self.digits())

    def confirm(self) -> httpx2.Response:
        self.kit.clock.forward(seconds=30)
        return self.post("/console/confirm", code=self.digits())


@dataclass
class Staff:
    """A Keyback with operators, each signed in."""

    kit: Kit
    tray: Tray
    made: dict[str, Operator] = field(default_factory=dict)

    def add(self, role: Role, mail: str = "") -> Console:
        mail = mail or f"{role.value}@example.com"
        invited = self.kit.write(lambda tx: operators.add(tx, role.value.title(), mail, role))
        self.made[role.value] = invited.operator
        browser = Console(self.kit)
        assert browser.set_up(f"{URL}/console/set-up/{invited.token}").status_code == 200
        done = browser.sign_in(mail)
        assert done.headers.get("location") == "/console", done.text
        return browser

    def actor(self, role: Role, name: str = "") -> Actor:
        """An operator with a session that is fresh, without the pages."""
        mail = f"{name or role.value}@example.com"

        def enter(tx: Any) -> Actor:
            operator = tx.operators.by_mail(mail)
            if operator is None:
                operator = operators.add(tx, name or role.value, mail, role).operator
                tx.operators.activate(operator.id, None)
                operator = tx.operators.get(operator.id)
            token = sessions.open_session(tx, operator, "passkey", DESK).token
            found = sessions.actor_of(tx, token)
            assert found
            return found

        return self.kit.write(enter)


def staffed(kit: Kit) -> Staff:
    """Somebody privileged with an authenticator app, whom a relay of ours writes to."""
    tray = fit(kit, person("maya", tier="privileged"), person("omar"))
    set_password(kit, "maya", OLD)
    add_totp(kit)
    return Staff(kit, tray)


def waits(staff: Staff, who: str = "maya", **over: Any) -> tuple[Any, str]:
    """A person who verified by mail and app and waits for approval: their request, and the case."""
    kit = staff.kit
    kit.clock.forward(hours=73)
    started = ask(kit, who, **over)
    drain(kit)
    assert accept(kit, secrets_of(staff.tray.to(f"{who}@example.com")[-1])[0]) is None
    ask_way(kit, started.handle, "totp")
    assert answer_way(kit, started.handle, "totp", totp_now(kit), HERE) == "accepted"
    intake = kit.read(lambda tx: tx.intakes.get(started.handle))
    case = kit.read(lambda tx: tx.cases.get(intake.case_id))
    assert case.state == "in_review"
    return started, case.id
