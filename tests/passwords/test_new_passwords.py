"""New passwords: one validator behind every door, earlier ones remembered, and those that come of age."""

from __future__ import annotations

import email
import hashlib
import html
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from keyback.application.passwords import expiry, validation
from keyback.application.ports.hashing import Busy
from keyback.application.recovery import new_password
from keyback.application.signin import sessions
from keyback.application.signin import sign_in as signin_sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.application.throttling import password_attempts
from keyback.channels.mail.composer import MailComposer
from keyback.domain.passwords.rules import DAY, PRESETS
from keyback.domain.secret import Secret
from keyback.settings import Unsafe
from keyback.storage.breach.build import BreachBuilder
from keyback.storage.breach.lookup import BreachFile
from keyback.storage.database import make_engine
from keyback.testing.mailbox import Mailbox
from tests.support.api_client import Client, Recovery
from tests.support.kit import Clock, Kit, person
from tests.support.steps import HERE, NEW, OLD, Tray, accept, begin, choose, drain, fit, page_of, proven, set_password

AGED = [r.name for r in PRESETS.values() if r.max_age_days]
STRONG = "Copper-lantern 5 orchards"
WORDS = ("Teapot-ladder 7 suppers", "Harbour+walnut 9 noons", "Kettle=saddle 3 rivers", "Window~basket 8 tides")
REFUSED = [
    "", "a", "short", "password", "Password1!", "P@ssw0rd!", "12345678", "qwertyuiop", "aaaaaaaaaaaaaaaa", "letmein",
    "abcabcabcabcabcabc", "1qaz2wsx3edc4rfv", "maya", "maya2026", "Maya-2026!", "Keyback2026!", "回钥回钥回钥",
    "x" * 300, "y" * 2000, "tab\tin the middle of it", "line\nbreak in the middle", "woaini1314", "admin123",
    "Qingyu Instruments 1!", "青屿仪器2026", "maya@example.com", "iloveyou", "dragon", "Leaked lantern 44 !", "Zz9!",
]  # fmt: skip


@pytest.fixture
def leak(tmp_path: Path) -> Path:
    """A breach file with one password in it."""
    (tmp_path / "leak.txt").write_text(hashlib.sha1(b"Leaked lantern 44 !").hexdigest())
    with BreachBuilder(tmp_path / "leak.kbl", 1e-6) as builder:
        builder.add([tmp_path / "leak.txt"])
        builder.write(0)
    return tmp_path / "leak.kbl"


def sign_in(kit: Kit, password: Secret, who: str = "maya") -> Any:
    s = kit.services
    return kit.run(signin_sign_in.sign_in(s.db, s.gate, who, password, HERE, s.rules, s.leaked))


def judged(kit: Kit, case_id: str, password: Secret) -> list[str]:
    found = kit.read(lambda tx: new_password.choice(tx, case_id, page_of(tx, case_id), kit.services.policy))
    ids, context = (
        [a.id for a in found.accounts],
        validation.context_of(kit.services, found.person, found.accounts, found.mails),
    )
    return [v.code for v in kit.run(validation.judge(kit.services, password, context, False, ids))]


def change(kit: Kit, tray: Tray, password: str) -> None:
    case_id = proven(kit, tray)
    assert judged(kit, case_id, Secret(password)) == []
    choose(kit, case_id, Secret(password))
    drain(kit)
    kit.clock.forward(hours=25)


def rows(kit: Kit, query: str) -> list[Any]:
    engine = make_engine(kit.settings.database)
    with engine.connect() as conn:
        found = list(conn.execute(text(query)).scalars())
    engine.dispose()
    return found


# ── doors ───────────────────────────────────────────────────────────────────


async def portal(client: Client, r: Recovery, path: str, **body: Any) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=client.app, client=("192.0.2.7", 40000))
    headers = {
        "cookie": f"keyback-recovery={r.handle}.{r.secret}",
        "origin": client.kit.settings.public_url,
        "accept-language": "en",
    }
    async with httpx2.AsyncClient(transport=transport, base_url=client.kit.settings.public_url) as http:
        return await http.post(path, headers=headers, **body)


@pytest.mark.slow
@pytest.mark.covers("E8", "A-6.3.4", "A-6.2.12", "N-P11", "O-F8", "A-6.2.11")
@pytest.mark.parametrize(
    "preset", ["mlps3", *(pytest.param(p, marks=pytest.mark.slow) for p in sorted(PRESETS) if p != "mlps3")]
)
def test_four_doors_judge_thirty_passwords_alike(make_kit: Callable[..., Kit], leak: Path, preset: str) -> None:
    with Mailbox() as mailbox:
        limits = {"proofs": 10_000, "checks": 10_000}
        password = {"preset": preset, "breach_file": leak}
        # mlps3 asks everybody for two proofs; here the rules alone matter.
        policy = {"floor": "standard", "accepted": {"low_floor": "this test is about passwords only"}}
        client = Client(make_kit(mail={"port": mailbox.port}, password=password, limits=limits, policy=policy))
        client.people()
        r = Recovery(client)
        r.prove(mailbox)
        seen: set[str] = set()
        assert len(REFUSED) == 30
        for candidate in [*REFUSED, NEW.reveal(), STRONG]:
            live = client.kit.run(
                portal(client, r, "/passwords/check", json={"password": candidate, "handle": r.handle})
            )
            codes = {v["code"] for v in live.json()["violations"]}
            body = {"password": candidate, "handle": r.handle}
            checked = client.post("/passwords/check", body, secret=r.secret).json()["violations"]
            assert {v["code"] for v in checked} == {f"password_{c}" for c in codes}, candidate
            if not codes:
                continue
            seen |= codes
            refused = r.choose(candidate)
            assert refused.status_code == 422
            assert {v["code"] for v in refused.json()["violations"]} == {f"password_{c}" for c in codes}
            form = {"new_password": candidate, "accounts": _account(r)}
            page = client.kit.run(portal(client, r, f"/r/{r.handle}/password", data=form))
            assert page.status_code == 422
            shown = html.unescape(page.text)
            assert all(v["text"] in shown for v in live.json()["violations"]), candidate
        assert {"too_short", "too_long", "too_long_to_read", "not_text", "blocklisted", "context_word"} <= seen
        assert "breached" in seen
        assert r.choose(STRONG).status_code == 200


def _account(r: Recovery) -> str:
    return str(r.see()["accounts"][0]["id"])


@pytest.mark.covers("E8")
def test_both_doors_refuse_an_earlier_password(make_kit: Callable[..., Kit]) -> None:
    with Mailbox() as mailbox:
        client = Client(make_kit(mail={"port": mailbox.port}, password={"preset": "mlps2"}))
        client.people()
        set_password(client.kit, "maya", Secret(STRONG))
        r = Recovery(client)
        r.prove(mailbox)
        refused = r.choose(STRONG)
        assert [v["code"] for v in refused.json()["violations"]] == ["password_used_before"]
        form = {"new_password": STRONG, "accounts": _account(r)}
        page = client.kit.run(portal(client, r, f"/r/{r.handle}/password", data=form))
        assert page.status_code == 422
        assert "You’ve used this password here before." in page.text
        form = {"new_password": WORDS[0], "accounts": _account(r)}
        assert client.kit.run(portal(client, r, f"/r/{r.handle}/password", data=form)).status_code == 303


@pytest.mark.covers("L2")
def test_a_full_hashing_queue_answers_503_at_both_doors(
    make_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Mailbox() as mailbox:
        client = Client(make_kit(mail={"port": mailbox.port}, password={"preset": "mlps2"}))
        client.people()
        set_password(client.kit, "maya", Secret(STRONG))
        r = Recovery(client)
        r.prove(mailbox)
        account = _account(r)

        async def full(self: object, phc: str | None, secret: Secret) -> None:
            raise Busy

        monkeypatch.setattr(type(client.kit.services.gate), "verify", full)
        assert r.post("/password", {"new_password": WORDS[0]}).status_code == 503
        form = {"new_password": WORDS[0], "accounts": account}
        page = client.kit.run(portal(client, r, f"/r/{r.handle}/password", data=form))
        assert (page.status_code, page.headers["retry-after"]) == (503, "2")


def test_leaks_are_a_rule_shown_only_with_a_file(make_kit: Callable[..., Kit], leak: Path) -> None:
    with Mailbox() as mailbox:
        client = Client(make_kit(mail={"port": mailbox.port}, password={"breach_file": leak}))
        client.people()
        r = Recovery(client)
        r.prove(mailbox)
        assert "password_breached" in {q["code"] for q in r.see()["requirements"]}


@pytest.mark.parametrize("content", [None, b"", b"not a breach file at all, only text" * 9])
def test_an_unusable_breach_file_stops_the_start(make_kit: Callable[..., Kit], tmp_path: Path, content: Any) -> None:
    path = tmp_path / "broken.kbl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unsafe, match=r"password\.breach_file"):
        make_kit(password={"breach_file": path})


# ── earlier passwords ───────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("C-1")
def test_the_current_one_and_those_before_it_may_not_come_back(database_url: str, make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(url=database_url, password={"preset": "mlps2"})
    kit.services = replace(kit.services, rules=replace(kit.services.rules, history=2))
    store: Any = kit.services.connectors["builtin"]
    store._store._history = 2
    tray = fit(kit, person("maya"))
    for word in WORDS:
        change(kit, tray, word)
    case_id = proven(kit, tray)
    assert [judged(kit, case_id, Secret(w)) for w in WORDS] == [[], *[["used_before"]] * 3]
    assert judged(kit, case_id, Secret(STRONG)) == []
    assert len(rows(kit, "SELECT id FROM password_history")) == 2, "no more is kept than the rules ask for"


def test_a_repeated_job_adds_nothing_to_the_history(database_url: str, make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    account = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0].id

    def put(phc: str, job: str, keep: int) -> bool:
        kit.clock.forward(seconds=1)
        return kit.write(lambda tx: tx.people.set_credential(account, phc, job, keep=keep))

    assert [put("a", "1", 5), put("b", "2", 5), put("b2", "2", 5), put("c", "3", 5)] == [True, True, False, True]
    assert kit.read(lambda tx: tx.people.hashes([account], 5)) == ["c", "b", "a"]
    assert kit.read(lambda tx: tx.people.hashes([account], 1)) == ["c", "b"]
    assert kit.read(lambda tx: tx.people.hashes(["nobody"], 5)) == []
    put("d", "4", 0)
    assert kit.read(lambda tx: tx.people.hashes([account], 5)) == ["d"], "rules without history leave none behind"


@pytest.mark.covers("N-P5")
def test_nist_neither_keeps_nor_asks_for_earlier_ones(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    for word in WORDS[:2]:
        change(kit, tray, word)
    assert rows(kit, "SELECT id FROM password_history") == []
    assert judged(kit, proven(kit, tray), Secret(WORDS[1])) == []


def test_history_costs_hashes_only_for_what_is_good_otherwise(
    make_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = make_kit(password={"preset": "classic"})
    tray = fit(kit, person("maya"))
    set_password(kit, "maya", Secret(STRONG))
    case_id = proven(kit, tray)
    asked: list[str | None] = []
    gate = kit.services.gate
    real = gate.verify
    monkeypatch.setattr(gate, "verify", lambda phc, secret: asked.append(phc) or real(phc, secret))
    assert judged(kit, case_id, Secret("short")) != []
    assert asked == []
    assert judged(kit, case_id, Secret(WORDS[0])) == []
    assert len(asked) == 1


# ── age ─────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("C-1")
@pytest.mark.parametrize("preset", AGED)
def test_sign_in_says_when_a_new_one_is_due(make_kit: Callable[..., Kit], preset: str) -> None:
    kit = make_kit(password={"preset": preset})
    fit(kit, person("maya"))
    set_password(kit, "maya")
    age = PRESETS[preset].max_age_days or 0
    assert (sign_in(kit, OLD).password_due_in_days, sign_in(kit, OLD).must_change) == (age, "")
    kit.clock.now += age * DAY - 1
    assert (sign_in(kit, OLD).password_due_in_days, sign_in(kit, OLD).must_change) == (1, "")
    kit.clock.now += 1
    late = sign_in(kit, OLD)
    assert (late.password_due_in_days, late.must_change) == (0, "due")
    assert kit.read(lambda tx: sessions.session_of(tx, late.token)) is None, "it opens nothing"
    session = kit.read(lambda tx: sessions.session_of(tx, late.token, limited=True))
    assert session[0].must_change == "due"
    assert sign_in(kit, Secret("not it at all")) == signin_sign_in.NotSignedIn("wrong")


@pytest.mark.covers("N-P5", "A-6.2.10")
def test_nist_passwords_still_sign_in_after_years(database_url: str, make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    kit.clock.forward(hours=24 * 400)
    late = sign_in(kit, OLD)
    assert (late.password_due_in_days, late.must_change) == (None, "")
    assert kit.read(lambda tx: sessions.session_of(tx, late.token)) is not None
    assert kit.write(lambda tx: expiry.remind(tx, kit.services.rules)) == 0
    drain(kit)
    assert [x.kind for x in tray.messages] == ["signed_in"], "nothing of age, but after a year the network is new"


@pytest.mark.covers("N-P5")
def test_a_leaked_password_only_reaches_the_change(make_kit: Callable[..., Kit], leak: Path) -> None:
    kit = make_kit(password={"breach_file": leak})
    fit(kit, person("maya"))
    set_password(kit, "maya", Secret("Leaked lantern 44 !"))
    assert isinstance(kit.services.leaked, BreachFile)
    late = sign_in(kit, Secret("Leaked lantern 44 !"))
    assert late.must_change == "breached"
    assert kit.read(lambda tx: sessions.session_of(tx, late.token)) is None


@pytest.mark.covers("N-P5")
@pytest.mark.parametrize(("days", "ends"), [(1, True), (200, False)])
def test_only_a_full_sign_in_ends_pending_links(make_kit: Callable[..., Kit], days: int, ends: bool) -> None:
    kit = make_kit(password={"preset": "mlps2"})
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    kit.clock.forward(hours=24 * days)
    _, token, _, _ = begin(kit, tray)
    assert bool(sign_in(kit, OLD).must_change) is not ends
    assert (accept(kit, token) is not None) is ends


@pytest.mark.covers("N-P5")
def test_faces_lead_from_an_old_password_to_a_new_one(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(password={"preset": "mlps3"})
    client = Client(kit)
    client.people()
    set_password(kit, "maya")
    kit.clock.forward(hours=24 * 91)
    given = {"identifier": "maya", "password": OLD.reveal()}
    answer = client.post("/sign-in", given).json()
    assert (answer["must_change"], answer["password_due_in_days"]) == ("due", 0)
    assert client.get("/session", secret=answer["session"]).json()["must_change"] == "due"

    async def page() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=client.app, client=("192.0.2.7", 40000))
        async with httpx2.AsyncClient(transport=transport, base_url=kit.settings.public_url) as http:
            headers = {"origin": kit.settings.public_url, "accept-language": "zh-CN"}
            return await http.post("/sign-in", data=given, headers=headers)

    shown = kit.run(page())
    assert "设置新密码" in shown.text
    assert 'href="/forgot"' in shown.text
    assert "set-cookie" not in shown.headers


@pytest.mark.slow
@pytest.mark.covers("C-1", "A-6.4.5")
def test_reminders_go_out_once_each(database_url: str, make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(url=database_url, password={"preset": "mlps3"})
    people = [person("maya"), person("off", state="disabled"), person("sso", provider="Entra ID"), person("none")]
    tray = fit(kit, *people)
    for key in ("maya", "off", "sso"):
        set_password(kit, key)
    began, told = kit.clock.now, []
    for day in range(100):
        kit.clock.now = began + day * DAY
        for _ in range(2):
            kit.write(lambda tx: expiry.remind(tx, kit.services.rules))
        drain(kit)
        told += [(day, x.to, x.kind) for x in tray.messages[len(told) :]]
    assert told == [(90 - n, "maya@example.com", "rotation") for n in (14, 7, 1)]
    assert tray.messages[0].content.due_at == began + 90 * DAY
    set_password_again(kit)
    kit.clock.now += 77 * DAY
    assert kit.write(lambda tx: expiry.remind(tx, kit.services.rules)) == 1, "a new password is reminded of anew"


def set_password_again(kit: Kit) -> None:
    phc = kit.run(kit.services.gate.hash(NEW))
    account = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0].id
    kit.write(lambda tx: tx.people.set_credential(account, phc, "later", keep=5))


def test_who_was_missed_gets_one_letter_not_three(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(password={"preset": "mlps3"})
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    kit.clock.forward(hours=24 * 400)  # the rule was switched on later
    sent = [kit.write(lambda tx: expiry.remind(tx, kit.services.rules)) for _ in range(3)]
    assert sent == [1, 0, 0]
    drain(kit)
    assert [x.kind for x in tray.messages] == ["rotation"]


def test_many_are_reminded_in_portions(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(password={"preset": "mlps3"})
    fit(kit, *(person(f"p{i}") for i in range(7)))
    for i in range(7):
        set_password_of(kit, f"p{i}")
    kit.clock.forward(hours=24 * 80)
    sent = [kit.write(lambda tx: expiry.remind(tx, kit.services.rules, limit=3)) for _ in range(4)]
    assert sent == [3, 3, 1, 0]


def set_password_of(kit: Kit, key: str) -> None:
    account = kit.read(lambda tx: tx.people.account_by_username("builtin", key))[0].id
    kit.write(lambda tx: tx.people.set_credential(account, "$argon2id$none", "seeded"))


def test_reminders_are_found_by_index(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(password={"preset": "mlps3"})
    fit(kit)
    query = (
        "SELECT account_id FROM credentials WHERE reminded IN (0, 1) AND changed_at <= 5 ORDER BY changed_at LIMIT 9"
    )
    plan = rows_of_plan(kit, query)
    assert "ix_credentials_reminded" in plan


def rows_of_plan(kit: Kit, query: str) -> str:
    engine = make_engine(kit.settings.database)
    with engine.connect() as conn:
        out = " ".join(str(tuple(r)) for r in conn.execute(text(f"EXPLAIN QUERY PLAN {query}")))
    engine.dispose()
    return out


@pytest.mark.parametrize(
    ("locale", "ahead", "past"), [("en", "Until that day", "expired"), ("zh_CN", "照常可用", "已到期")]
)
def test_the_letter_says_whether_the_day_is_over(
    make_kit: Callable[..., Kit], locale: str, ahead: str, past: str
) -> None:
    kit = make_kit(password={"preset": "mlps3"})
    tray = fit(kit, person("maya", locale=locale))
    set_password(kit, "maya")
    texts = []
    words = {"en": "Qingyu Instruments", "zh_CN": "青屿仪器"}
    composer = MailComposer(words, "keyback@example.com", words, "Asia/Shanghai", kit.settings.public_url)
    for days in (80, 20):
        kit.clock.forward(hours=24 * days)
        kit.write(lambda tx: expiry.remind(tx, kit.services.rules))
        drain(kit)
        message = email.message_from_bytes(composer.compose(tray.messages[-1]).data, policy=policy.default)
        texts.append(message.get_body(("plain",)).get_content())
        kit.write(
            lambda tx: tx.people.mark_reminded({c.account_id: c.reminded for c in tx.people.expiring(9, tx.now, 9)}, 0)
        )
    assert ahead in texts[0]
    assert past in texts[1]
    due = datetime.fromtimestamp((Clock().now + 90 * DAY) / 1000, UTC)
    assert (f"{due.month}月" if locale == "zh_CN" else due.strftime("%B")) in texts[0]
    assert all(f"{kit.settings.public_url}/forgot" in t for t in texts)


# ── the fixed lock of some presets ──────────────────────────────────────────

WRONG = Secret("not it at all")
MIN = 60_000


def locked_kit(make_kit: Callable[..., Kit], **over: Any) -> Kit:
    kit = make_kit(password={"preset": "mlps2"}, **over)
    fit(kit, person("maya"))
    set_password(kit, "maya")
    kit.clock.forward(minutes=10)
    return kit


@pytest.mark.covers("C-2")
def test_five_wrong_ones_lock_for_half_an_hour(database_url: str, make_kit: Callable[..., Kit]) -> None:
    kit = locked_kit(make_kit, url=database_url)
    slow = signin_sign_in.NotSignedIn("slow_down", 30 * 60)
    assert [sign_in(kit, WRONG) for _ in range(5)] == [signin_sign_in.NotSignedIn("wrong")] * 5
    assert sign_in(kit, OLD) == slow
    kit.clock.now += 30 * MIN - 1
    late = [sign_in(kit, OLD), sign_in(kit, WRONG)]
    assert late[0] == late[1]
    assert late[0].reason == "slow_down"
    assert 0 < late[0].wait_s * 1000 <= 1 + password_attempts.LOCK_STEP + 1000, "what is left of it"
    kit.clock.now += 1 + password_attempts.LOCK_STEP
    assert isinstance(sign_in(kit, OLD), SignedIn), "tries while it held did not prolong it"


@pytest.mark.covers("C-2", "INV-I5")
def test_a_name_that_nobody_has_locks_alike(make_kit: Callable[..., Kit]) -> None:
    kit = locked_kit(make_kit)
    answers = [[sign_in(kit, WRONG, who) for _ in range(7)] for who in ("maya", "nobody")]
    assert answers[0] == answers[1]


@pytest.mark.covers("C-2")
def test_the_right_one_in_between_starts_the_count_anew(make_kit: Callable[..., Kit]) -> None:
    kit = locked_kit(make_kit)
    for _ in range(3):
        assert [sign_in(kit, WRONG) for _ in range(4)] == [signin_sign_in.NotSignedIn("wrong")] * 4
        assert isinstance(sign_in(kit, OLD), SignedIn), "the fifth try was right"
        kit.clock.forward(hours=2)


@pytest.mark.covers("C-2")
def test_a_recovery_opens_the_lock(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(password={"preset": "mlps2"})
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    kit.clock.forward(minutes=10)
    for _ in range(6):
        sign_in(kit, WRONG)
    kit.clock.forward(minutes=1)
    choose(kit, proven(kit, tray), Secret(STRONG))
    drain(kit)
    assert isinstance(sign_in(kit, Secret(STRONG)), SignedIn)


@pytest.mark.covers("N-T4")
def test_other_presets_have_no_fixed_lock(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(password={"preset": "classic"})
    fit(kit, person("maya"))
    set_password(kit, "maya")
    kit.clock.forward(minutes=10)
    for _ in range(6):
        sign_in(kit, WRONG)
    assert isinstance(sign_in(kit, OLD), SignedIn)
