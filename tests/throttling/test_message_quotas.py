"""Nobody is flooded with messages, whatever is asked for; what strangers ask for uses up nothing of the owner's."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from keyback.application import delivery, known_devices
from keyback.application.enrolment import contacts
from keyback.application.notifications import notify
from keyback.application.origin import Origin
from keyback.application.ports.messages import (
    CONTENTS,
    ChangedMessage,
    Content,
    MessageKind,
    RequestedContent,
    SmsCodeMessage,
    StoppedMessage,
)
from keyback.application.ports.storage import Tx
from keyback.application.recovery import methods as recovery_methods
from keyback.application.recovery import remedy, replace_mailbox
from keyback.application.throttling.mail_quota import QUOTA_OF, InstallationQuota, asker_of, reason_of
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Contact
from keyback.domain.throttling.sms_quota import SpendRules
from tests.support.browser import Browser
from tests.support.enrolled import SMS, add_contact, person_id
from tests.support.kit import Kit, person
from tests.support.reach import SOURCE
from tests.support.steps import HERE, Tray, accept, ask, case_of, drain, fit, here, secrets_of, types

Make = Callable[..., Kit]
IM = {**SMS, "url": "http://127.0.0.1:9/im"}
METHODS = {
    "backup_email": ("mail", "maya@home.example", "backup"),
    "sms_code": ("sms", "+8613800138000", "backup"),
    "im_message": ("im", "maya.okafor", "backup"),
    "recovery_contact": ("mail", "omar@example.com", "recovery"),
}


def kit_of(make_kit: Make, url: str | None = None, **over: Any) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, sms=SMS, im={k: v for k, v in IM.items() if k != "prefixes"}, **over)
    return kit, fit(kit, person("maya"), person("noor"))


def enroll(kit: Kit, *methods: str, who: str = "maya") -> None:
    for name in methods:
        channel, address, role = METHODS[name]
        add_contact(kit, channel, address, role, who, name="Omar" if role == "recovery" else "")


# ── every kind of message has its quota ─────────────────────────────────────

# Every function that writes a message down, by `as_job` or `notify`, and what bounds it. A new one is looked at before
# it is added here.
WRITTEN = {
    "application.recovery.resolve._mail": "asked: MailQuota",
    "application.recovery.issue_requested._send": "asked: MailQuota",
    "application.enrolment.contacts.send": "asked: may_send",
    "application.recovery.replace_mailbox.start_mailbox": "asked: may_send",
    "application.notifications.notify.notify_contacts": (
        "notice: a case changed, by evidence, its owner's link or an operator"
    ),
    "application.recovery.apply._finish": "notice: once for each recovery that is settled",
    "application.notifications.account_changes.send_notice": (
        "notice: whoever is signed in, or has recovered, changed something"
    ),
    "application.signin.alerts._tell": "notice: a right password, five a day of each kind",
    "application.signin.alerts._look_at": "notice: once a day",
    "application.people.address_changes._message": "notice: once for each address that an import changes",
    "application.people.logins._send": "asked: MailQuota, when the request was looked up",
    "application.passwords.expiry._tell": "notice: each step once",
    "application.passwords.system_ages._tell": "notice: each step once for every password that was read anew",
    "application.recovery.choose_again.invite": "notice: once for each password that whoever verified has chosen",
    "application.recovery.aftercare.remind_later": "notice: once after a recovery",
    "application.tasks.lifecycle.tell": "notice: an administrator or the watch ended something, or once a day",
    "application.tasks.lifecycle.ask_now": "notice: five times for each task, an hour apart where the person asks",
    "application.enrolment.reminders._remind": "notice: once a year",
    "application.desk.outbound_call.enter": "notice: five calls a day that operators enter for one person",
    "application.desk.help_request._send_code": "asked: MailQuota",
    "application.desk.help_answers.reply": "notice: once for each answer that an operator writes",
    "application.desk.notices._tell": "notice: once for each decision, or command on the server",
    "application.desk.notices.tell_operator": "notice: when two others, or the server, renew an operator's sign-in",
    "application.desk.manager.ask": "notice: five a day that operators ask of one manager",
    "application.campaigns.run._ask": "notice: once for each person of a campaign that another operator approved",
    "application.desk.actions._start": "notice: three starts a day that operators make for one person",
}
# The two that all of them write by; nothing else makes a row that is a message.
BY = {"application.notifications.notify.as_job", "application.notifications.notify.notify"}


WRITE = {"as_job", "notify", "notify_administrators", "notify_requester"}


def functions() -> Iterator[tuple[str, str, ast.AST]]:
    """Module, name and tree of every function of ours, but for modules that have no call of what writes messages."""
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if any(f"{name}(" in text for name in (*WRITE, "Job")) else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield module, f"{module}.{node.name}", node


def calls(function: ast.AST) -> Iterator[tuple[str, list[ast.expr]]]:
    """Names that are called in it, with what is given by position."""
    for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
        yield getattr(call.func, "id", getattr(call.func, "attr", "")), call.args


def writers() -> dict[str, set[str]]:
    """Functions that write messages down, and the kinds of content that their module names."""
    kinds = {c.__name__ for c in CONTENTS.values()} | {"CodeMessage"}
    found: dict[str, set[str]] = {}
    for module, name, function in functions():
        if WRITE & {called for called, _ in calls(function)}:
            source = (SOURCE / (module.replace(".", "/") + ".py")).read_text("utf-8")
            found[name] = kinds & {n.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)}
    return found


@pytest.mark.covers("A10")
def test_every_kind_of_message_and_every_place_that_writes_one_has_a_quota() -> None:
    assert set(QUOTA_OF) == set(MessageKind)
    rows = {
        name
        for _, name, function in functions()
        for called, args in calls(function)
        if called == "Job" and len(args) > 1 and ast.unparse(args[1]) == "'mail'"
    }
    assert rows == {
        "application.notifications.notify.as_job",
        "application.notifications.notify.notify_administrators",  # to addresses of the settings, which have no person
        "application.notifications.notify.notify_requester",  # to the confirmed address of a request for help
        "application.notifications.notify.last_notices",  # an operator erased somebody; once
    }
    found = writers()
    assert set(found) - BY == set(WRITTEN)
    asked_for = {c.__name__ for c in CONTENTS.values() if issubclass(c, RequestedContent)} | {"CodeMessage"}
    for name, why in WRITTEN.items():
        assert bool(found[name] & asked_for) == why.startswith("asked"), name
    without = [c.__name__ for c in CONTENTS.values() if issubclass(c, RequestedContent) and _default(c, "asker")]
    assert without == [], "nobody forgets to say who asked"
    askers = {asker_of({"letter": k.value}) for k, q in QUOTA_OF.items() if q == "asked"}
    assert askers == {"stranger"}, "where nobody says who asked, it was a stranger"
    assert {asker_of({"letter": k.value}) for k, q in QUOTA_OF.items() if q == "notice"} == {"notice"}
    assert asker_of({"letter": "nonsense"}) == "stranger"


def _default(content: type[Content], name: str) -> bool:
    (found,) = [f for f in fields(content) if f.name == name]
    return found.default is not MISSING or found.default_factory is not MISSING


# ── one quota for each person and each address ──────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("A7", "A10", "INV-I10")
@pytest.mark.parametrize("methods", [(m,) for m in METHODS] + [tuple(METHODS)], ids="+".join)
def test_sixty_requests_by_whatever_method_send_three_messages(
    database_url: str, make_kit: Make, methods: tuple[str, ...]
) -> None:
    kit, tray = kit_of(make_kit, database_url)
    enroll(kit, *methods)
    for n in range(60):
        handle = ask(kit, "maya").handle
        for name in methods:
            assert kit.write(lambda tx, h=handle, m=name: recovery_methods.ask(tx, h, kit.services.proofs[m])), (
                "always the same"
            )
        if n % 3 == 0:
            drain(kit)
    drain(kit)
    told = [x for x in tray.messages if x.kind == MessageKind.ASKED]
    assert len(told) <= 3 * 4, "three notices, to each contact, where a colleague was asked"
    assert bool(told) == any(x.kind == MessageKind.CONFIRMATION for x in tray.messages)
    assert len(tray.messages) - len(told) == 3
    assert any(x.kind == MessageKind.RECOVERY for x in tray.messages), "a flood always leaves a link in the mailbox"
    assert types(kit).count("mail_withheld") == 60 * (1 + len(methods)) - 3


@pytest.mark.slow
@pytest.mark.covers("A7", "A3", "INV-I5")
def test_pages_tell_nothing_of_quotas(make_kit: Make) -> None:
    """Known or not, within the quota or beyond it: the same answers to asking and to looking."""
    kit, _ = kit_of(make_kit)
    enroll(kit, *METHODS)
    seen: dict[str, list[str]] = {}
    for who in ("maya", "nobody"):
        for _ in range(6):
            started = ask(kit, who)
            browser = Browser(kit, started)
            drain(kit)
            for name in METHODS:
                asked = browser("POST", f"/r/{started.handle}/ways/{name}")
                drain(kit)
                page = browser("GET", f"/r/{started.handle}/ways/{name}")
                text = page.text.replace(started.handle, "HANDLE")
                seen.setdefault(name, []).append(f"{asked.status_code} {page.status_code} {len(text)}")
    assert {name: len(set(answers)) for name, answers in seen.items()} == dict.fromkeys(METHODS, 1)


@pytest.mark.slow
@pytest.mark.covers("A10", "INV-I10")
def test_a_colleague_named_by_many_gets_no_more_than_an_address_may(database_url: str, make_kit: Make) -> None:
    kit, tray = kit_of(make_kit, database_url)
    names = [f"p{n}" for n in range(12)]
    kit.write(lambda tx: tx.people.save_imported([*(person(n) for n in names), person("omar", "Omar@example.com")]))
    for n, name in enumerate(names):
        address = "omar@example.com" if n % 2 else "OMAR@example.com"
        add_contact(kit, "mail", address, "recovery", name, name="Omar")
    for name in names:
        handle = ask(kit, name, journey="mailbox").handle
        kit.write(lambda tx, h=handle: recovery_methods.ask(tx, h, kit.services.proofs["recovery_contact"]))
    drain(kit)
    assert sum(x.to.casefold() == "omar@example.com" for x in tray.messages) == 3
    ask(kit, "omar")
    drain(kit)
    assert len(tray.to("Omar@example.com")) == 1, "what others asked of him uses up nothing that he needs himself"


@pytest.mark.covers("A7", "INV-I9")
def test_what_is_withheld_leaves_the_code_before_it_good(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    enroll(kit, "backup_email")
    handle = ask(kit, "maya").handle
    proof = kit.services.proofs["backup_email"]
    live = []
    for _ in range(4):
        assert kit.write(lambda tx: recovery_methods.ask(tx, handle, proof))
        drain(kit)
        live.append([p.id for p in kit.read(lambda tx: tx.challenges.issued(handle, proof.name)) if p.ended is None])
        kit.clock.forward(minutes=3)
    assert len(tray.to("maya@home.example", "mail_code")) == 2
    assert live[1] == live[2] == live[3] != live[0]


@pytest.mark.slow
@pytest.mark.covers("A7", "INV-I9")
def test_a_browser_that_is_known_and_a_page_that_has_proven_have_quotas_of_their_own(
    database_url: str, make_kit: Make
) -> None:
    kit, tray = kit_of(make_kit, database_url)
    enroll(kit, *METHODS)
    me = person_id(kit)
    cookie = kit.write(lambda tx: known_devices.remember(tx, me, HERE))
    other = kit.write(lambda tx: known_devices.remember(tx, person_id_of(tx, "noor"), HERE))
    for _ in range(20):  # a stranger, and a colleague who has a known browser, too: their own
        ask(kit, "maya")
        handle = ask(kit, "maya", origin=replace(HERE, device=other)).handle
        kit.write(lambda tx, h=handle: recovery_methods.ask(tx, h, kit.services.proofs["sms_code"]))
    drain(kit)
    assert len(tray.messages) == 3
    handle = ask(kit, "maya", origin=replace(HERE, device=cookie)).handle
    drain(kit)
    assert len(tray.messages) == 4
    token = secrets_of(tray.messages[-1])[0]
    assert accept(kit, token) is None
    for name in METHODS:
        kit.write(lambda tx, m=name: recovery_methods.ask(tx, handle, kit.services.proofs[m]))
    drain(kit)
    tray.messages[:] = [x for x in tray.messages if x.kind != MessageKind.ASKED]  # the owner hears of the colleague
    assert len(tray.messages) == 4 + len(METHODS)
    for _ in range(20):
        kit.clock.forward(minutes=2)
        kit.write(lambda tx: recovery_methods.ask(tx, handle, kit.services.proofs["backup_email"]))
        drain(kit)
    assert len(tray.messages) <= 4 + 6, "what has proven something has no end of messages either"


def person_id_of(tx: Tx, who: str) -> str:
    mail = f"{who}@example.com"
    return tx.people.match([mail])[mail][0].person.id


# ── addresses that somebody types ───────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("A10", "INV-I10")
def test_a_typed_address_gets_no_more_whoever_types_it(database_url: str, make_kit: Make) -> None:
    """Neither enrolling nor replacing a mailbox is a relay to whomever it pleases, and none tells that it was full."""
    kit, tray = kit_of(make_kit, database_url)
    names = [f"p{n}" for n in range(5)]
    kit.write(lambda tx: tx.people.save_imported([person(n) for n in names]))
    for n, name in enumerate(names):
        pid = person_id(kit, name)

        def start(tx: Tx, pid: str = pid, n: int = n) -> list[str]:
            one = tx.people.person(pid)
            assert one is not None
            first = contacts.start(tx, one, "mail" if n % 2 else "helper", "victim@example.net", "V", HERE)
            mine = tx.contacts.many([first])[first]
            contacts.send(tx, one, mine, HERE)
            return [first, *(p.id for p in tx.challenges.live(person_id=pid, purpose="enrol"))]

        assert len(kit.write(start)) == 2, "a question waits, whether it was sent or not"
        drain(kit)
    assert sum(x.to == "victim@example.net" for x in tray.messages) <= 6
    pid = person_id(kit, "p0")

    def type_many(tx: Tx) -> None:
        for n in range(8):
            contacts.start(tx, tx.people.person(pid), "mail", f"v{n}@example.net", "", HERE)  # type: ignore[arg-type]

    with pytest.raises(Refusal, match="too_often"):
        kit.write(type_many)


@pytest.mark.covers("A10")
def test_the_new_mailbox_of_a_recovery_is_counted_with_what_was_enrolled(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_contact(kit, "mail", "maya@home.example")
    enroll(kit, "sms_code")
    handle = ask(kit, "maya", journey="mailbox").handle
    at = here(kit)
    pid = person_id(kit)
    kit.write(
        lambda tx: [contacts.start(tx, tx.people.person(pid), "mail", f"v{n}@example.net", "", HERE) for n in (1, 2)]
    )
    for n in range(3, 4):
        kit.write(lambda tx, n=n: _prove_and_start(tx, handle, f"v{n}@example.net", at))
        drain(kit)
    with pytest.raises(Refusal, match="too_many"):
        kit.write(lambda tx: _prove_and_start(tx, handle, "v7@example.net", at))
    assert sum(x.to.endswith("@example.net") for x in tray.messages) == 3


def _prove_and_start(tx: Tx, handle: str, address: str, at: Any) -> str:
    """`start_mailbox` for a page whose evidence another test is about."""
    from unittest.mock import patch

    intake = tx.intakes.get(handle)
    assert intake is not None
    match = tx.people.match([intake.identifier])[intake.identifier][0]
    from keyback.application.recovery.resolve import join

    case = join(tx, intake, match)
    assert case is not None
    o = remedy.OpenRecovery(case, match.person, match.accounts)
    with patch.object(replace_mailbox, "open_recovery", lambda *_: o):
        return replace_mailbox.start_mailbox(tx, handle, address, at)


def from_network(n: int) -> Origin:
    return replace(HERE, source=f"198.51.{n}.7")


# ── all mail together ───────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("A8", "INV-I9")
def test_all_mail_together_is_bounded_and_owners_and_notices_come_first(
    database_url: str, make_kit: Make, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    kit, tray = kit_of(make_kit, database_url, mail={"hourly": 20, "daily": 30})
    assert kit.services.mail_quota == InstallationQuota(20, 30)
    names = [f"p{n}" for n in range(40)]
    kit.write(lambda tx: tx.people.save_imported([person(n) for n in names]))
    cookie = kit.write(lambda tx: known_devices.remember(tx, person_id_of(tx, "maya"), HERE))
    for n, name in enumerate(names):
        ask(kit, name, origin=from_network(n))
    worker = drain(kit)
    assert len(tray.messages) == 20
    assert worker.tally.mails_withheld["installation"] == 20
    ask(kit, "noor")
    ask(kit, "maya", origin=replace(HERE, device=cookie))
    me = person_id(kit)
    kit.write(lambda tx: notify.notify_contacts(tx, me, StoppedMessage(username="maya", at=tx.now, by="owner")))
    drain(kit)
    assert [x.kind.value for x in tray.messages[20:]].count("stopped") == 1
    assert len(tray.to("maya@example.com")) == 1
    assert not tray.to("noor@example.com"), "a stranger's request is over the limit"
    kit.clock.forward(minutes=61)
    for n, name in enumerate(names[20:]):
        ask(kit, name, origin=from_network(n))
    drain(kit)
    assert sum(x.kind == MessageKind.RECOVERY for x in tray.messages) == 30 + 1, "a day has its limit, too"


@pytest.mark.slow
@pytest.mark.covers("A8", "A9", "INV-I9")
@pytest.mark.parametrize(
    ("flood", "others"),
    [("203.0.113.9", "198.51.100.{}"), ("2001:db8:7:{:x}::1", "2001:db8:{:x}::1"), ("203.0.113.9", "2001:db8:{:x}::1")],
)
def test_one_network_does_not_use_up_the_mails_of_all(
    database_url: str, make_kit: Make, flood: str, others: str
) -> None:
    """Whoever asks for everybody once leaves half to others; those who ask for a few are not told from them before."""
    kit, tray = kit_of(make_kit, database_url, mail={"hourly": 40, "daily": 400})
    kit.write(lambda tx: tx.people.save_imported([person(f"p{n}") for n in range(80)]))
    for n in range(60):
        ask(kit, f"p{n}", origin=replace(HERE, source=flood.format(n)))
        if n % 7 == 0:
            drain(kit)
    worker = drain(kit)
    assert len(tray.messages) == 20
    for n in range(60, 80):
        ask(kit, f"p{n}", origin=replace(HERE, source=others.format(n)))
    drain(kit)
    assert {x.to for x in tray.messages[20:]} == {f"p{n}@example.com" for n in range(60, 80)}
    assert worker.tally.mails_withheld["installation"] > 0, "which raises the alarm"
    assert reason_of("mail/net/0123") == "installation"


# ── SMS ─────────────────────────────────────────────────────────────────────


def texts(kit: Kit, tray: Tray, spend: SpendRules, *jobs: tuple[str, str | None]) -> Counter[str]:
    """Writes SMS to maya down, each a kind and who asked; how many of each kind went out."""
    me = person_id(kit)
    before = len(tray.messages)

    def write(tx: Tx) -> None:
        to = next(c for c in tx.contacts.of_person(me) if c.channel == "sms")
        for kind, asker in jobs:
            _text(tx, me, to, kind, asker)

    kit.write(write)
    s = kit.services
    while (
        kit.run(delivery.send_batch(s.db, s.channel, s.titles, s.public_url, lambda: 0.5, 100, spend))
        != delivery.Sent()
    ):
        pass
    return Counter(x.kind.value for x in tray.messages[before:])


def _text(tx: Tx, me: str, to: Contact, kind: str, asker: str | None) -> None:
    """A row as any version writes it; `asker` is not in all of them."""
    seen: dict[str, Any] = {"username": "maya", "source": "", "device": ""}
    prompt, content = "", {
        "sms_code": SmsCodeMessage(asker="stranger", asked_at=tx.now, **seen),
        "stopped": StoppedMessage(username="maya", at=tx.now, by="owner"),
        "changed": ChangedMessage(at=tx.now, systems=(), case="", **seen),
    }[kind]  # fmt: skip
    if kind == "sms_code":
        p = Challenge(tx.new_id(), "recovery", kind, me, tx.random(32), 0, tx.now, tx.now + 600_000, target=to.id)
        tx.challenges.issue([replace(p, key_id=tx.seals.primary)])
        prompt = p.id
    job = notify.as_job(tx, content, to, tx.now + 600_000, challenge=prompt)
    body = {k: v for k, v in job.body.items() if k != "asker"} | ({"asker": asker} if asker else {})
    tx.outbox.put([replace(job, body=body)])


RULES = SpendRules(("+86",), daily_per_prefix=5, daily_per_person=4, hourly_per_prefix=4, hourly_per_person=3)


@pytest.mark.covers("A9", "INV-I9")
def test_texts_that_strangers_ask_for_use_up_neither_codes_of_the_owner_nor_notices(
    database_url: str, make_kit: Make
) -> None:
    kit, tray = kit_of(make_kit, database_url)
    enroll(kit, "sms_code")
    flood = [("sms_code", "stranger")] * 10 + [("sms_code", None)] * 10
    assert texts(kit, tray, RULES, *flood) == {"sms_code": 3}
    owner = [("sms_code", "known")] * 2 + [("stopped", None), ("changed", None)]
    assert texts(kit, tray, RULES, *owner) == {"sms_code": 2, "stopped": 1, "changed": 1}
    kit.clock.forward(minutes=61)
    assert texts(kit, tray, RULES, *flood) == {"sms_code": 1}, "four a day"


@pytest.mark.slow
@pytest.mark.covers("A9", "INV-I9", "INV-I10")
def test_a_hundred_names_do_not_close_a_country(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    names = [f"p{n:03}" for n in range(100)]
    kit.write(lambda tx: tx.people.save_imported([person(n) for n in names]))
    kit.services = replace(kit.services, spend=RULES)

    def write(tx: Tx) -> None:
        for n, name in enumerate(names):
            pid = person_id_of(tx, name)
            to = Contact(tx.new_id(), pid, "sms", f"+86138001380{n:02}", "backup", origin="person")
            assert tx.contacts.add(to)
            _text(tx, pid, to, "sms_code", "stranger")

    kit.write(write)
    worker = drain(kit)
    assert len(tray.messages) == 4, "four an hour"
    assert worker.tally.texts_withheld == {"prefix_spent": 96}
    enroll(kit, "sms_code")
    owner = [("sms_code", "known"), ("sms_code", "proven"), ("stopped", None)]
    assert texts(kit, tray, RULES, *owner) == {"sms_code": 2, "stopped": 1}


def test_whoever_asks_is_the_only_one_who_counts_as_known(make_kit: Make) -> None:
    """A cookie of another length, of nobody, or one that was forgotten makes nobody known."""
    kit, tray = kit_of(make_kit)
    me = person_id(kit)
    cookie = kit.write(lambda tx: known_devices.remember(tx, me, HERE))
    kit.write(lambda tx: tx.devices.forget(me))
    for device in ("", "x" * 43, "x" * 300, cookie):
        for _ in range(2):
            ask(kit, "maya", origin=Origin(HERE.source, HERE.agent, device))
    drain(kit)
    assert len(tray.messages) == 3
    assert case_of(kit, ask(kit, "maya").handle) is None
