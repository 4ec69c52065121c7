"""Hashing through the gate, the packaged list, the meter."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from argon2 import PasswordHasher, extract_parameters, low_level
from babel.messages.pofile import read_po
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from keyback.application.passwords import hashing
from keyback.application.passwords.hashing import FLOOR_KIB, PEPPERED, HashGate, pepper_id
from keyback.application.passwords.strength import STRENGTH, load_blocklist, strength
from keyback.application.ports.hashing import Busy, Verified
from keyback.domain.passwords import rules as domain
from keyback.domain.passwords.rules import PRESETS, USED_BEFORE, Context, Unreadable, check, requirements
from keyback.domain.passwords.target_rules import TargetRules
from keyback.domain.secret import Secret
from keyback.locale import HERE, catalog, gettext

T = TypeVar("T")
T_COST, M_KIB = 2, FLOOR_KIB[2]
MIB = 1024
PEPPER = b"p" * 32
OK, AGAIN, NO = Verified(True, False), Verified(True, True), Verified(False, False)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


def make(permits: int = 1, queue: int = 10, **more: Any) -> HashGate:
    return HashGate(permits * M_KIB // MIB + 1, T_COST, M_KIB, 1, queue, **more)


@pytest.fixture
def gate() -> Iterator[HashGate]:
    made = make()
    yield made
    made.close()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts every way into argon2."""
    seen: list[str] = []

    def spy(owner: Any, name: str) -> None:
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, **more: seen.append(name) or real(*args, **more))

    spy(PasswordHasher, "hash")
    spy(PasswordHasher, "verify")
    spy(low_level, "hash_secret_raw")
    return seen


# ── hashing ─────────────────────────────────────────────────────────────────


@pytest.mark.covers("N-P16", "N-P8", "A-11.4.2", "A-6.2.8")
def test_stored_form_and_whole_password(gate: HashGate) -> None:
    long = "x" * 199

    async def go() -> None:
        phc = await gate.hash(Secret(long + "a"))
        assert phc.startswith(f"$argon2id$v=19$m={M_KIB},t={T_COST},p=1$")
        assert await gate.hash(Secret(long + "a")) != phc
        assert await gate.verify(phc, Secret(long + "a")) == OK
        for wrong in (long + "b", long, long + "a ", (long + "a").upper(), ""):
            assert await gate.verify(phc, Secret(wrong)) == NO

    run(go())


@pytest.mark.covers("N-P8")
def test_bytes_after_the_72nd_count(gate: HashGate) -> None:
    async def go() -> None:
        phc = await gate.hash(Secret("a" * 72 + "b"))
        assert await gate.verify(phc, Secret("a" * 72 + "c")) == NO
        assert await gate.verify(phc, Secret("a" * 72)) == NO

    run(go())


@pytest.mark.slow
@pytest.mark.covers("L6", "L7", "N-P9")
@pytest.mark.parametrize(
    ("stored", "typed", "fits"),
    [
        ("caf\u00e9 harbour", "cafe\u0301 harbour", True),
        ("cafe\u0301 harbour", "caf\u00e9 harbour", True),
        ("\uff21 harbour", "A harbour", False),
        ("\ufb01ne harbour", "fine harbour", False),
        (" harbour ", "harbour", False),
        ("har\u00a0bour", "har bour", False),
        ("中" * 15, "中" * 15, True),
    ],
)
def test_normalised_alike_at_set_and_verify(gate: HashGate, stored: str, typed: str, fits: bool) -> None:
    async def go() -> Verified:
        return await gate.verify(await gate.hash(Secret(stored)), Secret(typed))

    assert run(go()) == Verified(fits, False)


@pytest.mark.covers("L6")
def test_imported_hash_of_a_decomposed_password_is_tried_raw_then_renewed() -> None:
    typed = "cafe\u0301 harbour"
    imported = PasswordHasher(T_COST, M_KIB, 1).hash(typed)
    trying, strict = make(dual_try=True), make()

    async def go() -> None:
        assert await trying.verify(imported, Secret(typed)) == AGAIN
        assert await trying.verify(imported, Secret(typed + "x")) == NO
        assert await trying.verify(await trying.hash(Secret(typed)), Secret(typed)) == OK
        assert await strict.verify(imported, Secret(typed)) == NO

    run(go())
    trying.close()
    strict.close()


@pytest.mark.covers("L1", "INV-I10")
@pytest.mark.parametrize("bad", ["x" * 1_000_000, "中" * 1025, "a\tb", "\ud800"])
def test_unreadable_never_reaches_argon2(gate: HashGate, calls: list[str], bad: str) -> None:
    phc = run(gate.hash(Secret("walnut harbours")))
    calls.clear()

    async def go() -> None:
        with pytest.raises(Unreadable) as caught:
            await gate.hash(Secret(bad))
        assert bad not in str(caught.value)
        answers = await asyncio.gather(*(gate.verify(p, Secret(bad)) for p in [phc, None] * 50))
        assert set(answers) == {NO}

    run(go())
    assert calls == []
    assert (gate.busy, gate.waiting) == (0, 0)


# ── parameters ──────────────────────────────────────────────────────────────


@pytest.mark.covers("A-11.4.2")
@pytest.mark.parametrize("t", [1, 2, 3, 5])
def test_floor(t: int) -> None:
    floor = FLOOR_KIB[min(t, 3)]
    HashGate(64, t, floor, 1, 0).close()
    with pytest.raises(ValueError, match="argon2id below"):
        HashGate(64, t, floor - 1, 1, 0)


@pytest.mark.covers("A-11.4.2", "N-P17")
@pytest.mark.parametrize(
    ("t", "p", "queue", "pepper"), [(0, 1, 0, None), (2, 0, 0, None), (2, 1, -1, None), (2, 1, 0, b"short")]
)
def test_refused_settings(t: int, p: int, queue: int, pepper: bytes | None) -> None:
    with pytest.raises(ValueError):
        HashGate(64, t, M_KIB, p, queue, pepper)


@pytest.mark.covers("R-1")
def test_permits_come_from_the_budget() -> None:
    for mib, permits in ((1, 1), (19, 1), (38, 2), (100, 5)):
        made = HashGate(mib, T_COST, M_KIB, 1, 0)
        assert made.permits == permits
        made.close()


@pytest.mark.covers("N-P16")
def test_other_costs_ask_for_a_new_hash(gate: HashGate) -> None:
    weak = PasswordHasher(1, 8, 1).hash("walnut harbours")

    async def go() -> None:
        assert await gate.verify(weak, Secret("walnut harbours")) == AGAIN
        assert await gate.verify(weak, Secret("walnut harbour")) == NO

    run(go())


@pytest.mark.covers("L10")
def test_no_account_costs_the_same_work(gate: HashGate, monkeypatch: pytest.MonkeyPatch) -> None:
    work: list[int] = []
    real_raw, real_verify = low_level.hash_secret_raw, PasswordHasher.verify

    def raw(secret: bytes, salt: bytes, t: int, m: int, *rest: Any) -> bytes:
        work.append(t * m)
        return real_raw(secret, salt, t, m, *rest)

    def verify(self: PasswordHasher, phc: str, secret: bytes) -> bool:
        costs = extract_parameters(phc)
        work.append(costs.time_cost * costs.memory_cost)
        return real_verify(self, phc, secret)

    monkeypatch.setattr(low_level, "hash_secret_raw", raw)
    monkeypatch.setattr(PasswordHasher, "verify", verify)
    phc = run(gate.hash(Secret("walnut harbours")))
    half = PasswordHasher(1, M_KIB, 1).hash("walnut harbours")
    spent = []
    for stored in (None, phc, half, "not a hash", PEPPERED + "0" + phc):
        work.clear()
        assert run(gate.verify(stored, Secret("something else"))) == NO
        spent.append(sum(work))
    assert spent == [T_COST * M_KIB] * 5


@pytest.mark.covers("L10", "L6")
def test_no_account_is_tried_twice_where_an_account_would_be(calls: list[str]) -> None:
    trying = make(dual_try=True)
    phc = PasswordHasher(T_COST, M_KIB, 1).hash("other")
    calls.clear()
    assert run(trying.verify(None, Secret("cafe\u0301"))) == NO
    assert run(trying.verify(phc, Secret("cafe\u0301"))) == NO
    assert calls == ["hash_secret_raw"] * 2 + ["verify"] * 2
    trying.close()


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "x",
        "$argon2id$v=19$m=19456,t=2,p=1$AAAA",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2id$v=19$m=x,t=2,p=1$YQ$YQ",
    ],
)
def test_damaged_hashes_fit_nothing_and_are_counted(gate: HashGate, stored: str) -> None:
    assert run(gate.verify(stored, Secret("walnut harbours"))) == NO
    assert gate.refused == 1


@pytest.mark.covers("L2")
@pytest.mark.parametrize("costs", ["m=4194304,t=2", "m=19456,t=100000"])
def test_stored_costs_beyond_the_budget_are_not_run(gate: HashGate, calls: list[str], costs: str) -> None:
    stored = f"$argon2id$v=19${costs},p=1$c29tZXNhbHRzb21l$" + "A" * 43
    assert run(gate.verify(stored, Secret("walnut harbours"))) == NO
    assert (calls, gate.refused) == (["hash_secret_raw"], 1)


def test_shortage_of_memory_is_not_called_a_wrong_password(gate: HashGate, monkeypatch: pytest.MonkeyPatch) -> None:
    phc = run(gate.hash(Secret("walnut harbours")))

    def short(*_: Any) -> bool:
        raise hashing.VerificationError("Memory allocation error")

    monkeypatch.setattr(PasswordHasher, "verify", short)
    with pytest.raises(hashing.VerificationError):
        run(gate.verify(phc, Secret("walnut harbours")))
    assert gate.busy == 0


# ── pepper ──────────────────────────────────────────────────────────────────


@pytest.mark.covers("N-P17")
def test_pepper_is_needed_marked_and_introduced_at_sign_in(gate: HashGate) -> None:
    peppered, other = make(pepper=PEPPER), make(pepper=b"q" * 32)
    word = Secret("walnut harbours")

    async def go() -> None:
        phc = await peppered.hash(word)
        assert phc.startswith(f"{PEPPERED}{pepper_id(PEPPER)}$argon2id$")
        assert await peppered.verify(phc, word) == OK
        assert await peppered.verify(phc, Secret("walnut harbour")) == NO
        assert await other.verify(phc, word) == NO
        assert await gate.verify(phc, word) == NO
        assert gate.refused == 1
        bare = phc.removeprefix(PEPPERED + pepper_id(PEPPER))  # the mark cut off by hand does not help either
        assert await gate.verify(bare, word) == NO
        assert PasswordHasher().verify(bare, hmac.digest(PEPPER, b"walnut harbours", hashlib.sha256))
        assert await peppered.verify(await gate.hash(word), word) == AGAIN

    run(go())
    peppered.close()
    other.close()


@pytest.mark.slow
@pytest.mark.covers("N-P17", "L10")
def test_an_earlier_pepper_still_fits_at_the_cost_of_one_hash_and_is_replaced(calls: list[str]) -> None:
    before, word = make(pepper=PEPPER), Secret("walnut harbours")
    old, plain = run(before.hash(word)), PasswordHasher(T_COST, M_KIB, 1).hash("walnut harbours")
    after = make(pepper=b"q" * 32, old_peppers=[b"r" * 32, PEPPER])
    without = make(old_peppers=[PEPPER])  # the pepper given up
    calls.clear()

    async def go() -> None:
        assert await after.verify(old, word) == AGAIN
        assert await after.verify(old, Secret("walnut harbour")) == NO
        assert await after.verify(None, word) == NO
        assert len(calls) == 3
        new = await after.hash(word)
        assert await after.verify(new, word) == OK
        assert await before.verify(new, word) == NO
        assert await after.verify(plain, word) == AGAIN
        assert await without.verify(old, word) == AGAIN
        assert await without.verify(f"{PEPPERED}$argon2id$", word) == NO

    run(go())
    for made in (before, after, without):
        made.close()
    with pytest.raises(ValueError, match="32 bytes"):
        make(pepper=PEPPER, old_peppers=[b"short"])


# ── the gate ────────────────────────────────────────────────────────────────


class Slow:
    """Stands in for argon2: counts how much runs at once and ends only when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = self.runs = 0
        self.go_on = threading.Event()
        self.lock = threading.Lock()
        monkeypatch.setattr(PasswordHasher, "hash", lambda *_a, **_k: self.work())

    def work(self) -> str:
        with self.lock:
            self.now += 1
            self.runs += 1
            self.most = max(self.most, self.now)
        assert self.go_on.wait(30)
        with self.lock:
            self.now -= 1
        return "$argon2id$done"


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.001)


@pytest.mark.covers("L2", "INV-I10", "R-1")
def test_500_with_half_of_them_leaving_never_exceed_the_permits(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, gate = Slow(monkeypatch), make(permits=3, queue=400)

    async def go() -> None:
        callers = [asyncio.create_task(gate.hash(Secret(f"walnut {i}"))) for i in range(500)]
        await until(lambda: slow.now == 3 and gate.waiting == 400)
        assert gate.busy == 3
        for caller in callers[:250]:  # among them the three that are running
            caller.cancel()
        await until(lambda: gate.waiting == 153)
        assert (gate.busy, slow.now) == (3, 3)
        late = [asyncio.create_task(gate.hash(Secret("late"))) for _ in range(10)]
        await until(lambda: gate.waiting == 163)
        assert (gate.busy, slow.now) == (3, 3)
        slow.go_on.set()
        ends = await asyncio.gather(*callers, *late, return_exceptions=True)
        kinds = [type(e) for e in ends]
        assert kinds[:250] == [asyncio.CancelledError] * 250
        assert kinds[250:403] == [str] * 153
        assert kinds[403:500] == [Busy] * 97
        assert kinds[500:] == [str] * 10

    run(go())
    gate.close()
    assert (slow.most, slow.now, gate.busy, gate.waiting) == (3, 0, 0, 0)
    assert slow.runs == 3 + 153 + 10  # who left the queue cost nothing


@pytest.mark.covers("L2")
def test_no_queue_means_busy_at_once_and_free_again_after(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, gate = Slow(monkeypatch), make(queue=0)

    async def go() -> None:
        first = asyncio.create_task(gate.hash(Secret("walnut")))
        await until(lambda: slow.now == 1)
        with pytest.raises(Busy):
            await gate.hash(Secret("walnut"))
        with pytest.raises(Busy):
            await gate.verify(None, Secret("walnut"))
        slow.go_on.set()
        assert await first == "$argon2id$done"
        assert await gate.hash(Secret("walnut")) == "$argon2id$done"

    run(go())
    gate.close()


@pytest.mark.covers("L2")
def test_a_stored_hash_that_needs_more_memory_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    big = PasswordHasher(1, 2 * M_KIB, 1).hash("walnut harbours")
    gate = make(permits=2)
    slow = Slow(monkeypatch)

    async def go() -> None:
        small = asyncio.create_task(gate.hash(Secret("walnut")))
        await until(lambda: slow.now == 1)
        large = asyncio.create_task(gate.verify(big, Secret("walnut harbours")))
        await until(lambda: gate.waiting == 1)
        assert gate.busy == 1
        slow.go_on.set()
        assert await small == "$argon2id$done"
        assert await large == AGAIN

    run(go())
    gate.close()


def test_close_drops_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, gate = Slow(monkeypatch), make()

    async def go() -> list[Any]:
        callers = [asyncio.create_task(gate.hash(Secret("walnut"))) for _ in range(3)]
        await until(lambda: slow.now == 1 and gate.waiting == 2)
        closing = asyncio.create_task(asyncio.to_thread(gate.close))
        await until(lambda: gate.waiting == 0)
        slow.go_on.set()
        await closing
        return await asyncio.gather(*callers, return_exceptions=True)

    first, *rest = run(go())
    assert first == "$argon2id$done"
    assert [type(e) for e in rest] == [asyncio.CancelledError] * 2
    assert slow.runs == 1


# ── list, meter, words ──────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("N-P10", "A-6.2.4")
def test_packaged_list_holds_the_common_ones() -> None:
    listed = load_blocklist()
    assert load_blocklist() is listed
    assert [w for w in FREQUENCY_LISTS["passwords"] if w not in listed] == []
    assert all(w in listed for w in ("woaini1314", "1qaz@WSX", "P@ssw0rd123!", "我爱你", "Welcome1"))
    assert "walnut harbours sing" not in listed
    assert len(listed) > 29_000  # read alike, some are one


@pytest.mark.parametrize(
    ("password", "low", "high"),
    [
        ("", 0, 0),
        ("password", 0, 0),
        ("a\tb", 0, 0),
        ("x" * 5000, 0, 0),
        ("Northwind", 0, 1),
        ("walnut harbour sings at noon", 4, 4),
        ("4@8({[<369&#!1|0$5+7%2" * 4, 3, 4),
    ],
)
def test_strength(password: str, low: int, high: int) -> None:
    assert low <= strength(password, Context(companies=("Northwind",))) <= high


def test_strength_knows_the_context_of_this_call_only() -> None:
    alone = strength("zvkquorn", Context())
    assert strength("zvkquorn", Context(companies=("Zvkquorn",))) < alone
    assert strength("zvkquorn", Context()) == alone


@pytest.mark.covers("L1", "INV-I10")
def test_meter_reads_no_more_than_it_can_afford(monkeypatch: pytest.MonkeyPatch) -> None:
    from zxcvbn import matching

    read: list[str] = []
    real = matching.omnimatch
    monkeypatch.setattr(matching, "omnimatch", lambda text, *words: read.append(text) or real(text, *words))
    strength("walnut harbour " * 60, Context())
    assert len(max(read, key=len)) == 72
    read.clear()
    strength("4@8({[<369&#!1|0$5+7%2" * 4, Context())
    assert len(max(read, key=len)) < 20


@pytest.mark.covers("N-P11")
def test_every_text_has_chinese_with_the_same_places() -> None:
    listed, office = load_blocklist(), Context(companies=("Northwind",))
    classic, nist = PRESETS["classic"], PRESETS["nist"]
    texts: dict[str, dict[str, int]] = {}
    for candidate in ("", "password", "a" * 20, "Northwind1", "中" * 300, "a\t", "x" * 2000):
        for v in check(candidate, classic, office, listed):
            texts[v.text] = texts[v.suggestion] = dict(v.values)
    for v in (*check("leaked", nist, office, listed, leaked={"leaked"}), USED_BEFORE):
        texts[v.text] = texts[v.suggestion] = dict(v.values)
    for r in (*requirements(classic), *requirements(nist, against_leaks=True)):
        texts[r.text] = dict(r.values)
    strict = TargetRules(8, 10, frozenset(), 4, no_names=True, history=3)
    for v in (*strict.violations("maya", "maya"), *strict.violations("x" * 11)):
        texts[v.text] = texts[v.suggestion] = dict(v.values)
    for r in strict.requirements():
        texts[r.text] = dict(r.values)
    for s in STRENGTH:
        texts[s.text] = texts[s.suggestion] = {}
    for text, values in texts.items():
        chinese = gettext("zh_CN", text, **values)
        assert chinese != gettext("en", text, **values)
        assert all(str(n) in chinese for n in (values.values() if "{" in text else ()))
    with (HERE / "zh_CN" / "password.po").open("rb") as f:
        assert {m.id for m in read_po(f) if m.id} == set(texts)
    assert domain.NOT_TEXT.text in catalog("zh_CN")
