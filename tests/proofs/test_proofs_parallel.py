"""Saved codes used many times at once, over several pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from keyback.application.ports.hashing import Busy
from keyback.application.recovery import methods
from tests.support.enrolled import add_codes, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.steps import ask, drain, here

pytestmark = pytest.mark.both

Make = Callable[..., Kit]


def pages(make_kit: Make, url: str, count: int) -> tuple[Kit, list[str], list[str]]:
    """A Keyback, so many pages that ask Maya for a saved code, and her codes."""
    kit = make_kit(url=url)
    kit.write(lambda tx: tx.people.save_imported([person("maya")]))
    codes = add_codes(kit)
    handles = [ask(kit, "maya").handle for _ in range(count)]
    drain(kit)
    for handle in handles:
        ask_way(kit, handle, "recovery_code")
    return kit, handles, codes


def at_once(kit: Kit, answers: list[tuple[str, str]]) -> list[str]:
    proof = kit.services.proofs["recovery_code"]

    async def one(handle: str, code: str) -> str:
        try:
            return (await methods.answer(kit.services.db, proof, handle, code, here(kit)))[0]
        except Busy:
            return "busy"

    async def go() -> list[str]:
        return await asyncio.gather(*(one(h, c) for h, c in answers))

    return kit.run(go())


@pytest.mark.slow
@pytest.mark.covers("M13", "N-L2", "INV-I1")
def test_a_saved_code_works_once_even_fifty_times_at_once(make_kit: Make, database_url: str) -> None:
    kit, handles, codes = pages(make_kit, database_url, 10)
    found = at_once(kit, [(h, codes[0]) for h in handles for _ in range(5)])
    assert found.count("accepted") == 1
    assert spent(kit) == 1


@pytest.mark.covers("M13")
def test_two_codes_at_once_are_both_spent(make_kit: Make, database_url: str) -> None:
    kit, handles, codes = pages(make_kit, database_url, 2)
    found = at_once(kit, list(zip(handles, codes, strict=False)))
    assert found == ["accepted", "accepted"]
    assert spent(kit) == 2


def spent(kit: Kit) -> int:
    """How many of Maya's codes are used up."""
    pid = person_id(kit)
    sets = kit.read(lambda tx: [f.id for f in tx.factors.of_person(pid)])
    return sum(c.used_at is not None for c in kit.read(lambda tx: tx.factors.codes(sets)))
