"""Phone numbers from systems and files: contacts by the same rules as addresses from there (ADR 48)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyback.application.people import address_changes
from keyback.application.people.csv_headings import field_of
from keyback.application.people.import_csv import Report, Systems, import_people
from keyback.application.people.sync import sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.people.sync_report import SyncReport
from keyback.application.ports.connectors import FoundAccount, Unavailable
from keyback.domain.people.person import Contact
from keyback.domain.secret import Secret
from keyback.storage.sql.schema import contacts
from tests.support.browser import Browser
from tests.support.enrolled import SMS
from tests.support.kit import Kit
from tests.support.listing import Listing, account
from tests.support.steps import drain, fit

Make = Callable[..., Kit]
pytestmark = pytest.mark.both
ONE, TWO, THREE = "+8613800138000", "+8613900139000", "+8613700137000"
RULES = SyncRules(country="CN")


class Company:
    """A Keyback and a system that lists mobile numbers."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.crm, self.tray, self.runs = kit, Listing(), fit(kit), 0

    def sync(self, *page: FoundAccount, rules: SyncRules = RULES, **over: Any) -> SyncReport:
        self.crm.pages = [page] if page else self.crm.pages
        self.runs += 1
        self.tray.messages.clear()
        report: SyncReport = self.kit.run(
            sync_people(self.kit.services.db, self.crm, f"run-{self.runs}", rules, **over)
        )
        drain(self.kit)
        return report

    def upkeep(self, hours: float = 73) -> int:
        self.kit.clock.forward(hours=hours)
        self.tray.messages.clear()
        done: int = self.kit.write(address_changes.take_places)
        drain(self.kit)
        return done

    def numbers(self, n: int = 1, *, usable: bool = False) -> list[str]:
        """Confirmed ones of a person; `usable`: those that may recover now."""
        pid = self.id_of(n)
        now, own = self.kit.read(lambda tx: (tx.now, tx.contacts.of_person(pid)))
        return sorted(c.address for c in own if c.channel == "sms" and (not usable or c.usable_from <= now))

    def id_of(self, n: int) -> str:
        return str(self.kit.read(lambda tx: tx.people.match([f"user{n}"]))[f"user{n}"][0].person.id)

    def told(self) -> list[tuple[str, str]]:
        return sorted((x.to, str(getattr(x.content, "what", ""))) for x in self.tray.messages)


@pytest.fixture
def company(make_kit: Make, database_url: str) -> Company:
    return Company(make_kit(url=database_url, sms=SMS))


def of(n: int, *phones: str, **over: Any) -> FoundAccount:
    return account(n, phones=phones, **over)


def counts(r: SyncReport) -> tuple[int, int, int]:
    return r.added, r.changed, r.same


def test_people_come_with_their_numbers_and_a_second_sync_changes_nothing(company: Company) -> None:
    page = [of(1, "138 0013 8000"), of(2), account(3)]
    assert counts(company.sync(*page, dry_run=True)) == (3, 0, 0)
    assert counts(company.sync(*page)) == (3, 0, 0)
    assert (company.numbers(1, usable=True), company.numbers(2), company.numbers(3)) == ([ONE], [], [])
    assert counts(company.sync(of(1, "+86-138-0013-8000"), *page[1:])) == (0, 0, 3)
    assert company.told() == []


@pytest.mark.covers("H11", "F1")
def test_a_changed_number_waits_and_everybody_is_told_once(company: Company) -> None:
    company.sync(of(1, ONE), of(2, THREE))
    report = company.sync(of(1, TWO), of(2, THREE))
    assert (counts(report), report.addresses) == ((0, 1, 1), 1)
    assert company.told() == [(ONE, "phone_moving"), ("user1@example.com", "phone_moving")]
    assert company.numbers(usable=True) == [ONE], "until then a thief of the record has nothing"
    assert counts(company.sync()) == (0, 0, 2)
    assert company.told() == []
    assert company.upkeep(70) == 0
    assert company.upkeep(3) == 1
    assert company.told() == [(ONE, "phone_added"), ("user1@example.com", "phone_added")]
    assert company.numbers(usable=True) == [TWO]
    assert counts(company.sync()) == (0, 0, 2)


@pytest.mark.covers("H11", "C5")
def test_the_owner_refuses_a_number_by_a_link_and_it_stays_out(company: Company) -> None:
    company.sync(of(1, ONE))
    company.sync(of(1, TWO))
    [mail] = [x for x in company.tray.messages if x.to == "user1@example.com"]
    token = mail.content.stop_link
    assert isinstance(token, Secret)
    browser = Browser(company.kit)
    browser("GET", f"/l/{token.reveal().rpartition('/')[2]}")
    page = browser("GET", "/new-address").text
    assert "Refuse this phone number?" in page
    assert "+86 ••• 00" in page
    assert TWO not in page
    company.tray.messages.clear()
    assert "Phone number refused" in browser("POST", "/new-address").text
    drain(company.kit)
    assert company.told() == [(ONE, "phone_refused"), ("user1@example.com", "phone_refused")]
    assert company.upkeep() == 0
    report = company.sync()
    assert (counts(report), report.refused) == ((0, 0, 1), 1)
    assert (company.numbers(), company.told()) == ([ONE], [])


def test_a_number_that_is_gone_is_removed_and_its_owner_told(company: Company) -> None:
    company.sync(of(1, ONE))
    assert counts(company.sync(account(1))) == (0, 0, 1), "a system that says nothing of numbers"
    assert counts(company.sync(of(1))) == (0, 1, 0)
    assert company.told() == [(ONE, "phone_removed"), ("user1@example.com", "phone_removed")]
    assert company.numbers() == []


def test_an_earlier_number_that_is_back_calls_the_new_one_off(company: Company) -> None:
    company.sync(of(1, ONE))
    company.sync(of(1, TWO))
    company.sync(of(1, ONE))
    assert company.told() == [(ONE, "phone_kept"), ("user1@example.com", "phone_kept")]
    assert company.numbers() == [ONE]
    assert company.upkeep() == 0


def test_two_people_who_swap_numbers_keep_what_they_have_for_three_days(company: Company) -> None:
    company.sync(of(1, ONE), of(2, TWO))
    swapped = (of(1, TWO), of(2, ONE))
    assert counts(company.sync(*swapped, dry_run=True)) == (0, 2, 0)
    assert counts(company.sync(*swapped)) == (0, 2, 0)
    assert company.told() == [
        (ONE, "phone_moving"), (TWO, "phone_moving"), ("user1@example.com", "phone_moving"),
        ("user2@example.com", "phone_moving"),
    ]  # fmt: skip
    assert (company.numbers(1, usable=True), company.numbers(2, usable=True)) == ([ONE], [TWO])
    assert company.upkeep() == 2
    assert (company.numbers(1), company.numbers(2)) == ([TWO], [ONE])


@pytest.mark.slow
@pytest.mark.parametrize("bad", ["12", "13800138000", "+86 10 6552 9988", "1.38E+10", "+1 800 555 0199", "x" * 99])
def test_a_number_that_cannot_be_used_is_reported_and_loses_nobody(company: Company, bad: str) -> None:
    rules = SyncRules(country="")
    company.sync(of(1, ONE), rules=rules)
    report = company.sync(of(1, bad, name="Maya"), of(2, bad), rules=rules)
    assert (counts(report), report.skipped, report.faults) == ((1, 1, 0), {"bad_phone": 2}, 0)
    assert (company.numbers(1), company.numbers(2)) == ([ONE], [])


@pytest.mark.parametrize("rules", [SyncRules(), replace(RULES, no_phones_from=frozenset({"crm"}))])
def test_numbers_that_nobody_asked_for_are_not_taken(company: Company, rules: SyncRules) -> None:
    report = company.sync(of(1, ONE), of(2, "12"), rules=rules)
    assert (counts(report), report.skipped, company.numbers()) == ((2, 0, 0), {}, [])


def test_what_the_owner_added_stays_theirs_beside_the_records(company: Company) -> None:
    company.sync(of(1, ONE))
    person = company.id_of(1)
    own = Contact("o" * 22, person, "sms", THREE, "backup", "confirmed", "person")
    company.kit.write(lambda tx: tx.contacts.add(own))
    assert counts(company.sync()) == (0, 0, 1)
    company.sync(of(1))
    assert company.numbers() == [THREE]


def test_a_number_never_becomes_the_main_contact(company: Company) -> None:
    company.sync(of(1, ONE))
    pid = company.id_of(1)
    mine = (contacts.c.person_id == pid) & (contacts.c.channel == "mail")
    company.kit.write(lambda tx: tx.conn.execute(contacts.update().where(mine).values(state="removed")))
    company.sync(of(1, TWO, mail=None))
    assert company.upkeep() == 1
    own = company.kit.read(lambda tx: tx.contacts.of_person(pid))
    assert [(c.address, c.role) for c in own] == [(TWO, "backup")]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3])
def test_a_dry_run_comes_to_what_the_sync_then_comes_to(company: Company, size: int) -> None:
    some = random.Random(size)
    changes = 0
    for _ in range(5):
        listed = [of(n, *some.sample([ONE, TWO, THREE, "bad"], some.randrange(3))) for n in range(6)]
        dry = company.sync(*listed, dry_run=True, batch_size=size)
        real = company.sync(*listed, batch_size=size)
        # A dry run forgets the instants at which numbers came; what is told and counted is alike.
        assert replace(real, dry_run=True) == dry
        changes += real.addresses
        assert company.sync(*listed, batch_size=size).changed == 0
    assert changes > 5


def test_a_sync_that_broke_off_goes_on(company: Company) -> None:
    pages: Sequence[Sequence[FoundAccount]] = [[of(n, ONE)] for n in range(4)]
    company.crm.breaks = 2
    company.crm.pages = pages
    with pytest.raises(Unavailable):
        company.sync()
    company.crm.breaks = -1
    report = company.sync()
    assert (report.resumed, counts(report)) == (True, (2, 0, 2))
    assert [company.numbers(n) for n in range(4)] == [[ONE]] * 4


# ── files ───────────────────────────────────────────────────────────────────

SYSTEMS = Systems({"builtin": "Keyback"}, phone_country="CN")


def load(company: Company, folder: Path, *rows: str, head: str = "手机号", systems: Systems = SYSTEMS) -> Report:
    file = folder / "people.csv"
    file.write_text(f"key,name,email,username,{head}\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    bad: list[Any] = []
    company.tray.messages.clear()
    report: Report = company.kit.run(import_people(company.kit.services.db, file, systems, on_bad=bad.append))
    drain(company.kit)
    assert bad == [], "a number loses nobody"
    return report


def row(n: int, numbers: str, name: str = "Maya") -> str:
    return f"{n},{name},user{n}@example.com,user{n},{numbers}"


def test_a_file_brings_numbers_changes_them_and_takes_them_away(company: Company, tmp_path: Path) -> None:
    rows = [row(1, "138-0013-8000"), row(2, f"{TWO}; 137 0013 7000"), row(3, "")]
    assert load(company, tmp_path, *rows).added == 3
    assert [company.numbers(n, usable=True) for n in (1, 2, 3)] == [[ONE], [THREE, TWO], []]
    assert load(company, tmp_path, *rows).same == 3
    report = load(company, tmp_path, row(1, TWO), row(2, TWO), row(3, THREE))
    assert (report.changed, report.addresses) == (3, 3)
    assert company.told() == [
        (THREE, "phone_removed"), (ONE, "phone_moving"), (TWO, "phone_removed"), ("user1@example.com", "phone_moving"),
        ("user2@example.com", "phone_removed"), ("user3@example.com", "phone_moving"),
    ]  # fmt: skip
    assert [company.numbers(n, usable=True) for n in (1, 2, 3)] == [[ONE], [TWO], []]
    assert load(company, tmp_path, row(1, TWO), row(2, TWO), row(3, THREE)).same == 3


def test_a_number_in_a_file_that_cannot_be_used_is_reported(company: Company, tmp_path: Path) -> None:
    load(company, tmp_path, row(1, ONE))
    report = load(company, tmp_path, row(1, "1.38E+10", "May"), row(2, "010-65529988"), row(3, "\ufffd13800138000"))
    assert (report.added, report.changed, report.bad) == (2, 1, 0)
    assert (report.bad_phones, report.bad_phone_lines) == (2, [2, 3])
    assert (company.numbers(1), company.numbers(2), company.numbers(3)) == ([ONE], [], [ONE])


@pytest.mark.parametrize("head", ["电话", "手机号"])
def test_a_column_that_is_not_taken_changes_nothing_and_is_named(company: Company, tmp_path: Path, head: str) -> None:
    load(company, tmp_path, row(1, ONE))
    systems = SYSTEMS if head == "电话" else Systems({"builtin": "Keyback"})
    report = load(company, tmp_path, row(1, TWO), head=head, systems=systems)
    assert (report.same, report.unused, company.numbers()) == (1, (head,), [ONE])


def test_columns_of_mobile_numbers_are_known_and_those_of_desks_are_not() -> None:
    mobile = (
        "Mobile Phone",
        "mobile",
        "手机",
        "手机号码（必填）",
        "行動電話",
        'phoneNumbers[type eq "mobile"].value',
        "Mobile",
    )
    assert {field_of(h) for h in mobile} == {"phone"}
    desk = ("Phone", "Work Phone", "电话", "办公电话", "telephoneNumber", "Fax", 'phoneNumbers[type eq "work"].value')
    assert {field_of(h) for h in desk} == {None}
