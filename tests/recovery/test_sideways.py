"""Ways round the straight path: second guesses, other people's ids, the wrong origin, one address for an office."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.origin import Origin
from keyback.application.passwords import validation
from keyback.application.ports.storage import Imported, ImportedAccount
from keyback.application.recovery import cancel, mailed_link
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.sign_in import NotSignedIn
from keyback.domain.secret import Secret
from keyback.domain.throttling.password_attempts import FREE_ATTEMPTS, MAX_PER_SOURCE
from keyback.web.app import make_app, make_context
from keyback.web.http.edge import RequestGuard
from tests.support.api_client import Client
from tests.support.browser import call
from tests.support.kit import Kit, person
from tests.support.steps import (
    OLD,
    accept,
    ask,
    begin,
    case_of,
    drain,
    fit,
    proven,
    secrets_of,
    set_password,
    sign_in,
)

Make = Callable[..., Kit]


def resend(kit: Kit, handle: str) -> bool:
    kit.clock.forward(minutes=3)
    queued = bool(kit.write(lambda tx: mailed_link.ask_again(tx, handle)))
    drain(kit)
    return queued


@pytest.mark.covers("C20", "C22")
def test_who_guessed_a_number_wrong_gets_no_second_guess(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handle, link, _, _ = begin(kit, tray)
    right = mailed_link.number_for(kit.services.seals, handle)
    assert accept(kit, link, held=False, number=109 - right) == "wrong_number"
    assert kit.write(lambda tx: mailed_link.renew(tx, link)) is None
    assert resend(kit, handle)  # to its page nothing looks different
    assert len(tray.to("maya@example.com")) == 1
    _, again, _, _ = begin(kit, tray)  # a new request has a new number
    assert accept(kit, again) is None


@pytest.mark.covers("C20", "INV-I9")
def test_what_its_owner_stopped_mails_nothing_more(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"), person("noor", "maya@example.com"))
    handle = ask(kit, "maya@example.com").handle
    drain(kit)
    first, second = tray.to("maya@example.com")
    link, _, stop = secrets_of(first)
    assert kit.write(lambda tx: cancel.stop_by_owner(tx, stop)).problem is None
    assert kit.write(lambda tx: mailed_link.renew(tx, link)) is None
    assert resend(kit, handle)
    mails = tray.to("maya@example.com")
    assert len(mails) == 3, "the other reader of the mailbox did not stop theirs"
    assert mails[2].content.username == second.content.username != first.content.username


@pytest.mark.covers("INV-I9")
def test_a_strangers_request_for_names_does_not_narrow_a_later_recovery(make_kit: Make) -> None:
    kit = make_kit()
    mine = (ImportedAccount("builtin", "maya", "maya"), ImportedAccount("tryton", "2", "maya2"))
    tray = fit(kit, Imported("maya", "Maya", "en", "standard", "active", ("maya@example.com",), mine))
    for _ in range(3):  # uses up the hour
        _, _, _, stop = begin(kit, tray)
    assert kit.write(lambda tx: cancel.stop_by_owner(tx, stop)).problem is None
    ask(kit, "maya@example.com", journey="username", system="tryton")  # withheld; its case stays
    drain(kit)
    kit.clock.forward(hours=1)
    handle, link, _, _ = begin(kit, tray)
    assert accept(kit, link) is None
    case = case_of(kit, handle)
    assert case is not None
    assert len(case.accounts) == 2


@pytest.mark.slow
@pytest.mark.covers("B7", "L10")
def test_right_passwords_do_not_count(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    for _ in range(FREE_ATTEMPTS + 2):
        assert isinstance(sign_in(kit, "maya", OLD), SignedIn)
    bad = Secret("not the password")
    for n in range(MAX_PER_SOURCE):
        assert sign_in(kit, f"nobody{n}", bad) == NotSignedIn("wrong")
    slow = NotSignedIn("slow_down", 3600)
    assert sign_in(kit, "nobody", bad) == slow
    assert sign_in(kit, "maya", OLD) == slow, "a network that only guesses has used its tries up"
    assert isinstance(sign_in(kit, "maya", OLD, Origin("192.0.2.8")), SignedIn)


@pytest.mark.covers("E8", "C22")
def test_nobody_can_ask_what_somebody_elses_password_was(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = make_kit()
    fit(kit, person("noor"))
    set_password(kit, "noor", Secret("supper ladder teapot 7"))
    noor = kit.read(lambda tx: tx.people.account_by_username("builtin", "noor"))[0].id
    tray = fit(kit, person("maya"))
    asked: list[list[str]] = []
    judge = validation.judge

    async def noted(s: Any, candidate: Any, context: Any, with_factor: bool, ids: list[str]) -> Any:
        asked.append(list(ids))
        return await judge(s, candidate, context, with_factor, ids)

    monkeypatch.setattr(validation, "judge", noted)
    proven(kit, tray)
    started = ask(kit, "maya")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    client = Client(kit)
    given = {"new_password": "supper ladder teapot 7", "accounts": [noor]}
    answer = client.post(f"/recoveries/{started.handle}/password", given, secret=started.secret)
    assert (answer.status_code, answer.json()["code"]) == (422, "no_accounts")
    assert asked == [[]]
    page = f"/r/{started.handle}"
    headers = {
        "origin": kit.settings.public_url,
        "cookie": f"keyback-recovery={started.handle}.{started.secret}",
        "content-type": "application/x-www-form-urlencoded",
    }
    body = f"new_password=supper+ladder+teapot+7&submission=x&accounts={noor}"
    got = call(kit, client.app, "POST", f"{page}/password", headers=headers, content=body.encode())
    assert (got.status_code, got.headers["location"]) == (303, page)
    assert asked == [[], []]


@pytest.mark.covers("C1")
def test_no_redirect_is_built_from_the_request(make_kit: Make) -> None:
    kit = make_kit()
    app = make_app(make_context(kit.settings, kit.services))
    for path in ("/forgot/", "/r/x/", "/sign-in//", "//evil.example/forgot/", "/link/"):
        got = call(kit, app, "GET", path)
        assert (got.status_code, got.headers.get("location")) == (404, None), path


@pytest.mark.parametrize(
    ("public", "origin", "ours"),
    [
        ("https://recover.example.com", "https://recover.example.com", True),
        ("https://recover.example.com", "HTTPS://Recover.example.com.:443", True),
        ("https://recover.example.com", "https://recover.example.com:80", False),
        ("https://recover.example.com", "https://recover.example.com@evil.example", False),
        ("https://recover.example.com", "https://recover.example.com.evil.example", False),
        ("https://recover.example.com", "null", False),
        ("https://recover.example.com", "http://recover.example.com", False),
        ("https://recover.example.com", "recover.example.com", False),
        ("https://recover.example.com", "https://evil.example", False),
        ("http://127.0.0.1:8080", "http://localhost:8080", True),
        ("http://127.0.0.1:8080", "https://127.0.0.1:8080", False),
    ],
)
def test_only_our_own_origin_posts(public: str, origin: str, ours: bool) -> None:
    assert RequestGuard(lambda *_: None, public)._ours("/sign-in", origin.encode(), b"", b"") is ours  # type: ignore[arg-type]
