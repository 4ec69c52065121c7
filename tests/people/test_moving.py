"""An address that changes at the source of an import: it waits, everybody hears of it, and its owner may refuse it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from keyback.application.account import lockdown
from keyback.application.audit_log import log_of
from keyback.application.enrolment import contacts as own_contacts
from keyback.application.enrolment import recently_added
from keyback.application.people import address_changes
from keyback.application.people.import_csv import Report, Systems, import_people
from keyback.domain.errors import Refusal
from keyback.domain.people.ages import DAY, Ages, age_of
from keyback.domain.secret import Secret
from keyback.storage.sql.schema import contacts, outbox
from tests.support.browser import Browser
from tests.support.kit import Kit
from tests.support.steps import HERE, Tray, accept, ask, drain, fit, secrets_of, statements

Make = Callable[..., Kit]
OLD, NEW, BACKUP = "maya@example.com", "evil@example.net", "maya@example.org"
HEAD = "key,name,email,backup_email,username\n"


class Company:
    """A Keyback with one employee, and the file that the company imports."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit, self.tray, self.file = kit, fit(kit), folder / "people.csv"
        self.load(OLD)
        self.tray.messages.clear()

    def load(self, mail: str, backup: str = "", **over: Any) -> Report:
        return self.load_text(f"{HEAD}1,Maya,{mail},{backup},maya\n", **over)

    def load_text(self, text: str, **over: Any) -> Report:
        self.file.write_text(text)
        work = import_people(self.kit.services.db, self.file, Systems({"builtin": "Keyback"}), on_bad=print, **over)
        report: Report = self.kit.run(work)
        drain(self.kit)
        return report

    def upkeep(self, hours: float = 72) -> int:
        self.kit.clock.forward(hours=hours)
        self.tray.messages.clear()
        done = self.kit.write(address_changes.take_places)
        drain(self.kit)
        return done

    def mails(self) -> dict[str, tuple[str, str]]:
        """Address to role and state, of every contact that there ever was."""
        rows = self.kit.read(lambda tx: tx.conn.execute(select(contacts)).all())
        return {r.address: (r.role, r.state) for r in rows}

    def ids(self) -> dict[str, str]:
        return dict(self.kit.read(lambda tx: tx.conn.execute(select(contacts.c.address, contacts.c.id)).all()))

    def asked(self, who: str = "maya") -> str:
        """Where the mail of a recovery goes; its link."""
        self.tray.messages.clear()
        ask(self.kit, who)
        drain(self.kit)
        [letter] = [x for x in self.tray.messages if x.kind == "recovery"]
        return letter.to

    def told(self) -> list[tuple[str, str, str]]:
        return sorted((x.to, str(x.kind), str(getattr(x.content, "what", ""))) for x in self.tray.messages)

    def link(self, to: str = OLD) -> str:
        [found] = [x for x in self.tray.messages if x.to == to and x.kind == "moving"]
        token = found.content.stop_link
        assert isinstance(token, Secret)
        return token.reveal().rpartition("/")[2]

    def types(self) -> list[str]:
        pid = self.kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].person.id
        return [n["type"] for n in self.kit.read(lambda tx: list(log_of(tx).of_stream(pid)))]


@pytest.fixture
def company(make_kit: Make, database_url: str, tmp_path: Path) -> Company:
    return Company(make_kit(url=database_url), tmp_path)


@pytest.mark.covers("H11", "F1")
def test_who_edits_the_record_does_not_take_the_account(company: Company) -> None:
    report = company.load(NEW)
    assert (report.changed, report.addresses, report.refused) == (1, 1, 0)
    assert company.told() == [(OLD, "moving", "mail_moving")], "the new one may be a stranger's"
    for who in ("maya", OLD, NEW):
        assert company.asked(who) == OLD
    for hours in (1, 70):
        assert company.upkeep(hours) == 0
        assert company.asked() == OLD
    assert company.upkeep(2) == 1
    assert company.told() == [(NEW, "account_changed", "mail_moved"), (OLD, "account_changed", "mail_moved")]
    assert company.asked() == NEW
    assert company.mails() == {OLD: ("primary", "removed"), NEW: ("primary", "confirmed")}
    assert [x for x in company.types() if x.startswith("mail")] == ["mail_moving", "mail_moved"]
    assert company.kit.read(lambda tx: tx.people.match([OLD])) == {}, "by then it may be somebody else's"


@pytest.mark.covers("H11", "C5")
def test_the_old_address_refuses_by_a_link(company: Company) -> None:
    company.load(NEW)
    token = company.link()
    browser = Browser(company.kit)
    for _ in range(3):
        assert browser("GET", f"/l/{token}").headers["location"].startswith("/new-address?of=")
        page = browser("GET", "/new-address")
        assert page.status_code == 200
        assert "e•••@example.net" in page.text
        assert NEW not in page.text
        assert "<bdi>maya</bdi>" in page.text, "whose account it is: two people may read one mailbox"
    assert company.mails()[NEW] == ("backup", "confirmed"), "looking changes nothing"
    company.tray.messages.clear()
    assert browser("POST", "/new-address").status_code == 200
    drain(company.kit)
    assert company.told() == [(OLD, "account_changed", "mail_refused")]
    assert company.mails() == {OLD: ("primary", "confirmed"), NEW: ("backup", "removed")}
    browser("GET", f"/l/{token}")
    assert browser("POST", "/new-address").status_code == 410, "once"
    assert company.upkeep() == 0
    assert company.asked() == OLD
    assert company.kit.read(lambda tx: tx.people.match([NEW])) == {}


@pytest.mark.covers("H11")
def test_a_refused_address_stays_out_and_is_reported(company: Company) -> None:
    company.load(NEW)
    token = company.link()
    assert company.kit.write(lambda tx: address_changes.refuse_by_link(tx, token, HERE))
    for _ in range(2):
        report = company.load(NEW)
        assert (report.changed, report.same, report.addresses, report.refused) == (0, 1, 0, 1)
        assert [(x.name, x.kind, x.new) for x in report.lines] == [("Maya", "refused", "e•••@example.net")]
        assert company.mails()[NEW] == ("backup", "removed")
    company.kit.clock.forward(hours=24 * 60)
    company.kit.write(lambda tx: tx.purge(
        intakes_before=0, challenges_before=tx.now, dead_before=0, counters_before=0,
    ))  # fmt: skip
    assert company.load(NEW).refused == 1, "also when everything old was forgotten"
    report = company.load("maya@example.org")
    assert (report.addresses, report.refused) == (1, 0), "another one is another change"
    assert company.load(NEW, moved=True).addresses == 1, "a company that insists says so"
    assert company.mails()[NEW] == ("primary", "confirmed")


@pytest.mark.covers("H11")
def test_the_owner_may_want_it_after_all(company: Company) -> None:
    company.load(NEW)
    token = company.link()
    company.kit.write(lambda tx: address_changes.refuse_by_link(tx, token, HERE))
    maya = company.kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].person

    def add(tx: Any) -> None:
        cid = own_contacts.start(tx, maya, "mail", NEW, "", HERE)
        assert tx.contacts.confirm(cid, tx.now)

    company.kit.write(add)
    assert company.load(NEW).refused == 0
    assert company.asked() == NEW, "it could recover already"


@pytest.mark.covers("H11")
def test_importing_twice_changes_nothing_at_any_moment(company: Company) -> None:
    first = company.ids()
    company.load(NEW, BACKUP)
    ids = company.ids()
    assert ids[OLD] == first[OLD]
    for hours in (0, 10, 61):
        company.kit.clock.forward(hours=hours)
        company.tray.messages.clear()
        report = company.load(NEW, BACKUP)
        assert (report.same, report.addresses) == (1, 0)
        assert company.told() == []
    company.upkeep(2)
    assert company.load(NEW, BACKUP).same == 1
    assert company.ids() == ids
    assert company.load_text(f"{HEAD}1,Maja,{NEW},{BACKUP},maya\n").changed == 1
    assert company.ids() == ids, "another name is no other address"


@pytest.mark.covers("H11")
def test_the_old_address_returns_before_its_time(company: Company) -> None:
    company.load(NEW)
    company.tray.messages.clear()
    report = company.load(OLD)
    assert (report.addresses, [x.kind for x in report.lines]) == (1, ["kept"])
    assert company.told() == [(OLD, "account_changed", "mail_kept")]
    assert company.mails() == {OLD: ("primary", "confirmed"), NEW: ("backup", "removed")}
    assert company.upkeep() == 0
    company.load(NEW)
    assert company.asked() == OLD, "and the other way, it waits anew"
    assert company.upkeep(71) == 0
    assert company.upkeep(2) == 1


@pytest.mark.covers("H11")
def test_two_changes_in_a_row(company: Company) -> None:
    company.load(NEW)
    company.kit.clock.forward(hours=70)
    company.tray.messages.clear()
    company.load("third@example.org")
    assert company.told() == [(OLD, "moving", "mail_moving")]
    assert company.upkeep(3) == 0, "the second waits for its own 72 hours"
    assert company.asked() == OLD
    assert company.upkeep(70) == 1
    assert company.asked() == "third@example.org"
    assert company.mails()[NEW][1] == "removed"


@pytest.mark.slow
@pytest.mark.covers("H11", "B4")
@pytest.mark.parametrize(
    ("mail", "waits"),
    [
        ("MAYA@example.com", False),
        ("maya@EXAMPLE.com", False),
        ("maya@sub.example.com", True),
        ("maya@example.com.evil.example", True),
        ("ｍaya@example.com", True),  # full width: folds to the same, yet may be another mailbox
    ],
)
def test_case_alone_is_no_change(company: Company, mail: str, waits: bool) -> None:
    before = company.ids()[OLD]
    report = company.load(mail)
    assert report.addresses == int(waits)
    assert company.asked() == (OLD if waits else mail)
    assert before in company.ids().values()


@pytest.mark.slow
@pytest.mark.covers("H11", "B4")
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("maya@strasse.example", "maya@straße.example", False),  # both can be registered (RFC 5894 section 1.5.3)
        ("maya@βολος.example", "maya@βολοσ.example", False),
        ("maya@straße.example", "maya@xn--strae-oqa.example", True),
        ("maya@bücher.example", "MAYA@BÜCHER.example", True),
        ("maya@bücher.example", "maya@xn--bcher-kva.example", True),
        ("maya@e\u0301cole.example", "maya@école.example", True),
        ("ma\u0131a@example.com", "maia@example.com", False),
    ],
)
def test_a_domain_that_can_be_somebody_elses_is_another(company: Company, one: str, other: str, same: bool) -> None:
    company.load_text(f"{HEAD}1,Maya,{OLD},,maya\n2,Nora,{one},,nora\n")
    company.tray.messages.clear()
    company.load_text(f"{HEAD}1,Maya,{OLD},,maya\n2,Nora,{other},,nora\n")
    assert company.told() == ([] if same else [(one, "moving", "mail_moving")])
    assert company.asked("nora") == (other if same else one)


@pytest.mark.covers("H11")
def test_backup_addresses_are_contacts_too(company: Company) -> None:
    company.load(OLD, BACKUP)
    assert company.told() == [(OLD, "moving", "backup_moving")]
    usable = company.kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].contacts
    assert [c.address for c in usable] == [OLD]
    company.kit.clock.forward(hours=73)
    company.tray.messages.clear()
    company.load(OLD, NEW)
    assert company.told() == [(OLD, "moving", "backup_moving"), (BACKUP, "moving", "backup_moving")]
    usable = company.kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].contacts
    assert [c.address for c in usable] == [OLD, BACKUP], "the one to be replaced stays until then"
    token = company.link(BACKUP)
    assert company.kit.write(lambda tx: address_changes.refuse_by_link(tx, token, HERE))
    assert company.load(OLD, NEW).refused == 1
    assert company.mails()[BACKUP] == ("backup", "confirmed"), "a refused one replaces nothing"
    company.tray.messages.clear()
    company.load(OLD, "")
    assert company.mails()[BACKUP] == ("backup", "removed")
    assert company.told() == [(OLD, "account_changed", "mail_removed"), (BACKUP, "account_changed", "mail_removed")]


@pytest.mark.covers("H11")
def test_primary_and_backup_change_places(company: Company) -> None:
    company.load(OLD, BACKUP)
    company.kit.clock.forward(hours=73)
    company.load(BACKUP, OLD)
    assert company.asked() == BACKUP, "which could recover already"
    assert company.mails() == {OLD: ("backup", "confirmed"), BACKUP: ("primary", "confirmed")}
    company.load(NEW, f"{BACKUP};{OLD}")
    assert company.load(NEW, f"{OLD};{BACKUP}").same == 1
    assert company.upkeep() == 1
    assert company.mails()[BACKUP] == ("backup", "confirmed"), "it is still named"
    assert company.load(NEW, f"{OLD};{BACKUP}").same == 1


@pytest.mark.covers("H11")
def test_a_company_that_moved_says_so(company: Company) -> None:
    report = company.load("maya@new.example", moved=True)
    assert (report.addresses, [x.kind for x in report.lines]) == (1, ["moved"])
    assert company.told() == [
        (OLD, "account_changed", "mail_moved"),
        ("maya@new.example", "account_changed", "mail_moved"),
    ]
    assert company.asked() == "maya@new.example"
    notes = company.kit.read(lambda tx: list(log_of(tx).of_stream("import")))
    assert notes[-2]["data"]["addresses_moved"] is True
    assert notes[-1]["data"]["addresses"] == 1


@pytest.mark.covers("H11")
def test_a_dry_run_shows_what_would_change(company: Company) -> None:
    report = company.load(NEW, dry_run=True)
    assert [(x.name, x.kind, x.old, x.new) for x in report.lines] == [
        ("Maya", "moving", "m•••@example.com", "e•••@example.net")
    ]
    assert company.told() == []
    assert company.mails() == {OLD: ("primary", "confirmed")}


@pytest.mark.covers("H11")
def test_new_people_count_at_once(company: Company) -> None:
    company.load_text(f"{HEAD}1,Maya,{OLD},,maya\n2,Ola,ola@example.com,,ola\n")
    assert company.told() == []
    assert company.asked("ola") == "ola@example.com"


@pytest.mark.covers("H11", "E7")
def test_this_was_not_me_takes_it_back_as_well(company: Company) -> None:
    company.load(NEW)
    pid = company.kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].person.id
    assert [a.label for a in company.kit.read(lambda tx: recently_added.recent(tx, pid, tx.now, hidden=True))] == [
        "e•••@example.net"
    ]
    company.kit.write(lambda tx: lockdown.lock(tx, pid, True, HERE))
    assert company.mails()[NEW] == ("backup", "removed")
    assert company.load(NEW).refused == 1


@pytest.mark.covers("H11")
def test_the_owner_removes_it_in_the_security_centre_while_it_waits(company: Company) -> None:
    company.load(NEW)
    pid, ids = company.kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].person.id, company.ids()
    company.kit.write(lambda tx: own_contacts.remove(tx, pid, ids[NEW], HERE))
    assert company.mails()[NEW] == ("backup", "removed")
    with pytest.raises(Refusal, match="imported"):
        company.kit.write(lambda tx: own_contacts.remove(tx, pid, ids[OLD], HERE))


@pytest.mark.covers("H11")
def test_a_mailbox_that_was_given_up_does_not_come_back(company: Company) -> None:
    """By a recovery, its owner put another one in its place; the file still names the lost one."""
    pid, ids = company.kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].person.id, company.ids()

    def replaced(tx: Any) -> None:
        maya = tx.people.person(pid)
        cid = own_contacts.start(tx, maya, "mail", "maya@example.org", "", HERE)
        tx.contacts.confirm(cid, tx.now)
        tx.contacts.remove(ids[OLD])
        tx.contacts.make_primary(cid)

    company.kit.write(replaced)
    report = company.load_text(f"{HEAD}1,Maja,{OLD},,maya\n")
    assert (report.changed, report.refused) == (1, 1)
    assert company.asked() == "maya@example.org"


@pytest.mark.covers("H11")
def test_nothing_of_a_planted_address_stops_its_owner(company: Company) -> None:
    company.load(NEW)
    company.kit.clock.forward(hours=1)
    company.load(OLD)  # told to the old one only: the planted one is gone
    assert not [x for x in company.tray.messages if x.to == NEW]
    company.load(NEW)
    company.asked()
    [mail] = [x for x in company.tray.messages if x.kind == "recovery"]
    assert accept(company.kit, secrets_of(mail)[0]) is None


@pytest.mark.slow
@pytest.mark.covers("H11", "INV-I10")
def test_a_large_import_costs_no_statement_for_whom_it_does_not_change(
    make_kit: Make, database_url: str, tmp_path: Path
) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit)
    assert isinstance(tray, Tray)

    def cost(people: int, moved: int) -> int:
        rows = [f"{n},P {n},p{n}@{'new' if n < moved else 'old'}.example,,p{n}" for n in range(people)]
        path = tmp_path / "many.csv"
        path.write_text(HEAD + "\n".join(rows))
        with statements(kit) as done:
            kit.run(import_people(kit.services.db, path, Systems({"builtin": "Keyback"}), on_bad=print))
        return len(done)

    cost(900, 0)
    few, same = cost(100, 0), cost(900, 0)
    assert same == few
    one, several = cost(900, 1), cost(900, 101)
    assert several - one <= 100 * 3, "of those that change, the person, the account; letters and links go together"
    jobs = kit.read(lambda tx: tx.conn.execute(select(outbox.c.id)).all())
    assert len(jobs) == 1 + 100


@pytest.mark.covers("F4", "H11")
def test_a_primary_address_that_becomes_a_backup_begins_to_age_then(company: Company) -> None:
    company.kit.clock.forward(hours=24 * 800)
    company.load(OLD, BACKUP)
    company.kit.clock.forward(hours=73)
    company.load(BACKUP, OLD)  # at once: both could recover
    company.load(NEW, f"{BACKUP};{OLD}")
    company.kit.clock.forward(hours=73)
    assert company.kit.write(address_changes.take_places) == 1
    pid = company.kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].person.id
    rows = company.kit.read(lambda tx: list(tx.contacts.of_person(pid)))
    now = company.kit.clock.now
    assert {c.address: age_of(c, now, Ages()) for c in rows} == dict.fromkeys((OLD, NEW, BACKUP), "fresh")
    later = now + 400 * DAY
    assert {c.address for c in rows if age_of(c, later, Ages()) == "aged"} == {OLD, BACKUP}
