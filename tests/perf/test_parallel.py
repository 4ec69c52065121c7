"""Many at once, bounded and untimed: guesses do not outrun their counter, resets do not get into each other's way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.recovery import cancel, mailed_link, resolve, start
from keyback.domain.errors import Refusal
from keyback.domain.throttling.limits import TRIES_SHOWN, WINDOW_TRIES
from keyback.proofs.email_link.method import EmailLink
from keyback.storage.database import SqlDatabase
from tests.support.kit import Kit, person
from tests.support.steps import HERE, accept, ask, begin, case_of, drain, fit, here, secrets_of

pytestmark = pytest.mark.both

Make = Callable[..., Kit]


def guesses(right: str, n: int) -> list[str]:
    return [f"{(int(right) + k + 1) % 10**8:08}" for k in range(n)]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every code that is really compared with a live challenge, whoever asks."""
    seen: list[str] = []
    real = EmailLink.verify

    async def watch(self: EmailLink, asked: Any, answer: str, now: int) -> Any:
        seen.extend([answer] if asked else [])
        return await real(self, asked, answer, now)

    monkeypatch.setattr(EmailLink, "verify", watch)
    return seen


@pytest.mark.covers("D1", "INV-I1")
def test_five_hundred_guesses_on_one_page(database_url: str, make_kit: Make, compared: list[str]) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    handle, link, code, _ = begin(kit, tray)
    other = SqlDatabase(database_url, kit.services.seals, clock=kit.clock)  # type: ignore[arg-type]

    async def go() -> Counter[str]:
        nodes: list[Any] = [kit.services.db, other]
        tried = [*guesses(code, TRIES_SHOWN), code, *guesses(code, 494)]
        answers = await asyncio.gather(
            *(mailed_link.try_code(nodes[n % 2], EmailLink(), handle, g, here(kit)) for n, g in enumerate(tried))
        )
        await other.close()
        return Counter(a for a, _ in answers)

    found = kit.run(go())
    assert len(compared) == TRIES_SHOWN
    assert sum(found[a] for a in ("no_tries", "done", "accepted", "wrong_code")) == 500
    assert found["accepted"] == compared.count(code)
    late, left = kit.run(mailed_link.try_code(kit.services.db, EmailLink(), handle, code, here(kit)))
    if found["accepted"]:
        assert late == "done"
    else:
        assert (late, left, found["no_tries"]) == ("no_tries", 0, 500 - TRIES_SHOWN)
        assert case_of(kit, handle) is None
        assert accept(kit, link) is None


@pytest.mark.slow
@pytest.mark.covers("D1", "D2")
def test_five_hundred_guesses_over_a_hundred_pages_of_one_person(make_kit: Make, compared: list[str]) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handles: list[str] = []
    for _ in range(3):  # as many as the mail budget gives; every further page has no live challenge at all
        handles.append(ask(kit, "maya").handle)
        drain(kit)
    handles += [ask(kit, "maya").handle for _ in range(97)]
    drain(kit)
    code = secrets_of(tray.messages[-1])[1]

    async def go() -> Counter[str]:
        db = kit.services.db
        tried = [mailed_link.try_code(db, EmailLink(), h, g, here(kit)) for h in handles for g in guesses(code, 5)]
        return Counter(a for a, _ in await asyncio.gather(*tried))

    found = kit.run(go())
    assert found["accepted"] == 0
    assert found["wrong_code"] == 500
    live = handles[2]
    assert kit.run(mailed_link.try_code(kit.services.db, EmailLink(), live, code, here(kit))) == ("no_tries", 0)
    assert case_of(kit, live) is None


@pytest.mark.covers("D1", "D2", "D3")
def test_the_window_holds_over_handles_that_each_had_a_live_code(make_kit: Make, compared: list[str]) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    mails = []
    for _ in range(3):
        handle, _, code, _ = begin(kit, tray)
        mails.append((handle, secrets_of(tray.messages[-1])[0], code, ""))

        async def go(handle: str = handle, code: str = code) -> Counter[str]:
            db = kit.services.db
            tried = [mailed_link.try_code(db, EmailLink(), handle, g, here(kit)) for g in guesses(code, 100)]
            return Counter(a for a, _ in await asyncio.gather(*tried))

        assert kit.run(go())["wrong_code"] == TRIES_SHOWN
    assert len(compared) == WINDOW_TRIES
    handle, link, code, _ = mails[-1]
    assert kit.run(mailed_link.try_code(kit.services.db, EmailLink(), handle, code, here(kit))) == ("no_tries", 0)
    assert accept(kit, link) is None  # the link is no guess, and stays open to its owner


@pytest.mark.covers("D10", "C15", "INV-I1")
def test_one_right_code_by_fifty_at_once_is_one_proof(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    handle, _, code, _ = begin(kit, tray)

    async def go() -> Counter[str]:
        db = kit.services.db
        return Counter(
            a
            for a, _ in await asyncio.gather(
                *(mailed_link.try_code(db, EmailLink(), handle, code, here(kit)) for _ in range(50))
            )
        )

    found = kit.run(go())
    assert found["accepted"] == 1
    case = case_of(kit, handle)
    assert case is not None
    assert len(case.evidence) == 1


@pytest.mark.slow
@pytest.mark.covers("INV-I11", "Q12")
def test_resolving_proving_and_stopping_from_two_nodes_at_once(
    make_kit: Make, make_database: Callable[[str], str]
) -> None:
    """Every pair of acts on the same case at the same time: each is answered, none is half done."""
    url = make_database("postgres")
    kit = make_kit(url=url)
    people = [person(f"p{n}") for n in range(12)]
    tray = fit(kit, *people)
    other: Any = SqlDatabase(url, kit.services.seals, clock=kit.clock)  # type: ignore[arg-type]
    mails = [begin(kit, tray, f"p{n}") for n in range(12)]

    async def go() -> list[Any]:
        db = kit.services.db
        acts: list[Any] = []
        values: Any = {"journey": "password", "system": "", "locale": "en", "origin": HERE, "now": kit.clock()}
        h = here(kit)
        for n, (handle, link, code, stop) in enumerate(mails):
            acts.append(start.write_down(db, kit.services.seals, f"p{n}", **values))
            acts.append(other.write(lambda tx, t=link: mailed_link.accept_link(tx, t, held=True, number=None, here=h)))
            acts.append(db.write(lambda tx, t=stop: cancel.stop_by_owner(tx, t)))
            acts.append(mailed_link.try_code(other, EmailLink(), handle, code, here(kit)))
            acts.append(other.write(resolve.resolve))
            acts.append(db.write(lambda tx, h=handle: cancel.stop_by_requester(tx, h)))
        found = await asyncio.gather(*acts, return_exceptions=True)
        await other.close()
        return list(found)

    found = kit.run(go())
    assert [f for f in found if isinstance(f, Exception) and not isinstance(f, Refusal)] == []
    drain(kit)
    cases = kit.read(lambda tx: tx.cases.listed(state=None, limit=100))
    for c in cases:
        if c.evidence:
            assert len(c.evidence) <= 2
    rows = kit.read(lambda tx: tx.audit.rows(limit=10_000))
    assert [r["seq"] for r in rows] == list(range(1, len(rows) + 1))
    notes = ("proof_refused", "request_stopped")  # which change no case
    for c in cases:
        assert c.version == sum(r["stream"] == c.id and r["type"] not in notes for r in rows)
