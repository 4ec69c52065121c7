"""Security questions that are set, and asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx2

from keyback.application.enrolment import security_questions
from keyback.domain.people.factor import Factor
from keyback.domain.secret import Secret
from tests.support.browser import Browser
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import OLD, Tray, ask, drain, fit, set_password

Make = Callable[..., Kit]


AT = "/account/questions"
ANSWERS = {"deskmate": "Li Lei", "sea": "Beidaihe, 北戴河", "pay": "a small radio"}
ON = {"security_questions": True}


def form(answers: dict[str, str]) -> str:
    fields: dict[str, str] = {}
    for i, (key, answer) in enumerate(answers.items(), 1):
        fields |= {f"question_{i}": key, f"answer_{i}": answer}
    return urlencode(fields)


def signed_in(kit: Kit) -> Browser:
    browser = Browser(kit)
    got = browser("POST", "/sign-in", urlencode({"identifier": "maya", "password": OLD.reveal()}))
    assert got.headers["location"] == "/account"
    return browser


def kit_of(make_kit: Make, url: str | None = None, policy: Any = None, **over: Any) -> tuple[Kit, Tray, Browser]:
    kit = make_kit(url=url, policy=ON if policy is None else policy, **over)
    tray = fit(kit, person("maya"), person("omar"))
    set_password(kit, "maya")
    return kit, tray, signed_in(kit)


def kept(kit: Kit) -> list[Factor]:
    pid = person_id(kit)
    return [f for f in kit.read(lambda tx: tx.factors.of_person(pid)) if f.kind == security_questions.KIND]


def chosen(got: httpx2.Response) -> None:
    assert got.headers.get("location") == "/account/ways?done=questions_set", got.text


def mailed(kit: Kit, tray: Tray, who: str = "maya") -> tuple[Browser, str, str]:
    """A browser that asked, its page, and the code in the mail."""
    started = ask(kit, who)
    drain(kit)
    code = tray.messages[-1].content.code
    assert isinstance(code, Secret)
    return Browser(kit, started), f"/r/{started.handle}", code.reveal()
