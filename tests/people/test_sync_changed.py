"""A sync of what changed: it asks since the mark of the last one, and takes nobody's absence for anything (ADR 41)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from keyback.application.people.scheduled_sync import Schedule, sync_next
from keyback.application.people.sync import sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.people.sync_report import SyncReport
from keyback.application.ports.connectors import FoundAccount, Unavailable
from keyback.domain.units import HOUR
from tests.support.kit import Kit
from tests.support.listing import Listing, account
from tests.support.steps import drain, fit

Make = Callable[..., Kit]
pytestmark = pytest.mark.both


class Company:
    """A Keyback, and a system that says what changed."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.crm, self.runs = kit, Listing(), 0
        fit(kit)

    def sync(self, page: Sequence[FoundAccount], mark: str, *, full: bool = False, **over: Any) -> SyncReport:
        self.crm.pages, self.crm.marks = [page], [mark]
        self.runs += 1
        rules = over.pop("rules", SyncRules())
        work = sync_people(self.kit.services.db, self.crm, f"run-{self.runs}", rules, full=full, **over)
        report: SyncReport = self.kit.run(work)
        drain(self.kit)
        return report

    def live(self) -> set[str]:
        return {a.username for a in self.kit.read(lambda tx: tx.syncs.live_accounts("crm", "", 1000))}

    def cursor(self) -> str:
        run = self.kit.read(lambda tx: tx.syncs.run("crm"))
        return run.cursor if run else ""


@pytest.fixture
def company(make_kit: Make, database_url: str) -> Company:
    return Company(make_kit(url=database_url))


EVERYBODY = [account(n) for n in range(10)]


def test_only_what_changed_is_asked_for_and_nobody_is_missed(company: Company) -> None:
    assert company.sync(EVERYBODY, "m1").full, "without a mark there is only the whole list"
    assert company.crm.asked == []
    changed = [account(1, username="married"), account(2, state="disabled"), account("new")]
    dry = company.sync(changed, "lost", dry_run=True)
    report = company.sync(changed, "m2")
    for r in (dry, report):
        assert (r.full, r.listed, r.added, r.changed, r.off, r.held) == (False, 3, 1, 1, 1, 0)
    assert company.crm.asked == ["m1", "m1"]
    assert company.live() == {"user0", "married", *(f"user{n}" for n in range(3, 10)), "usernew"}
    again = company.sync(changed, "m3")
    assert (again.added, again.changed, again.same, again.off) == (0, 0, 3, 0)
    assert (company.crm.asked[-1], company.cursor()) == ("m2", "m3")
    assert company.sync([], "m4").held == 0, "nothing changed"
    assert len(company.live()) == 10


def test_the_whole_list_is_read_again_in_time(company: Company) -> None:
    company.sync(EVERYBODY, "m1")
    company.kit.clock.forward(hours=23)
    company.sync([account(1)], "m2")
    company.kit.clock.forward(hours=2)
    report = company.sync(EVERYBODY[:-1], "m3")
    assert (report.full, report.off) == (True, 1), "who was deleted shows in the whole list alone"
    assert not company.sync([account(1)], "m4").full
    assert company.sync(EVERYBODY[:-1], "m5", full=True).full
    assert company.sync(EVERYBODY[:-1], "m6", rules=SyncRules(full_every_ms=0)).full


def test_the_mark_counts_once_the_run_ended_well(company: Company) -> None:
    company.sync(EVERYBODY, "m1")
    company.crm.breaks = 0
    with pytest.raises(Unavailable):
        company.sync([account(1, username="married")], "m2")
    company.crm.breaks = -1
    assert company.cursor() == "m1"
    # What changes between the break and the next try is asked for again from the first mark on.
    report = company.sync([account(1, username="married")], "m3")
    assert (report.resumed, report.changed, company.crm.asked[-1], company.cursor()) == (True, 1, "m1", "m2")
    gone = [account(n, state="disabled") for n in range(6)]
    assert company.sync(gone, "m4").held == 6
    assert (len(company.live()), company.cursor()) == (10, "m2"), "who was not switched off is listed again"
    assert company.sync(gone, "m5", any_off=True).off == 6
    assert (len(company.live()), company.cursor()) == (4, "m5")


def test_what_changed_again_after_a_break_is_taken(company: Company) -> None:
    company.sync(EVERYBODY, "m1")
    company.crm.breaks = 1
    company.crm.pages = [[account(1, username="first")], []]
    company.crm.marks = ["m2"]
    with pytest.raises(Unavailable):
        company.kit.run(sync_people(company.kit.services.db, company.crm, "broken", SyncRules(), full=False))
    company.crm.breaks = -1
    assert "first" in company.live()
    company.sync([account(1, username="second")], "m3")
    assert "second" in company.live()


def test_who_looks_like_somebody_waits_for_the_whole_list(company: Company) -> None:
    """Whether the one who is there has left shows only there."""
    company.sync(EVERYBODY, "m1")
    twin = account("twin", mail="user3@example.com")
    namesake = account("namesake", username="user4")
    report = company.sync([twin, namesake], "m2")
    assert (report.added, report.skipped, report.faults) == (0, {"waits": 2}, 0)
    assert company.kit.read(lambda tx: tx.syncs.links("crm")) == []
    report = company.sync([*(a for a in EVERYBODY if a.username != "user4"), twin, namesake], "m3", full=True)
    assert report.added == 1, "the twin shares a mailbox with somebody who is still listed"
    (link,) = company.kit.read(lambda tx: tx.syncs.links("crm"))
    assert (link.external_id, link.reason) == ("id-namesake", "username")
    company.sync([account(1)], "m4")
    assert len(company.kit.read(lambda tx: tx.syncs.links("crm"))) == 1, "what waits for a decision goes on waiting"


def test_a_name_that_goes_on_to_somebody_else(company: Company) -> None:
    company.sync(EVERYBODY, "m1")
    report = company.sync([account(1, username="user2"), account(2, username="user1")], "m2")
    assert (report.changed, report.skipped) == (2, {})
    assert len(company.live()) == 10


def test_by_the_clock_only_what_changed(company: Company) -> None:
    schedule = Schedule(("crm",), HOUR, SyncRules())
    db, crm = company.kit.services.db, company.crm
    crm.pages, crm.marks = [EVERYBODY], ["m1"]
    company.kit.run(sync_next(db, {"crm": crm}, schedule))
    company.kit.clock.forward(hours=1.1)
    crm.pages, crm.marks = [[account(1, username="married")]], ["m2"]
    ended = company.kit.run(sync_next(db, {"crm": crm}, schedule))
    assert ended is not None
    assert ended.report is not None
    assert (ended.report.full, crm.asked, len(company.live())) == (False, ["m1"], 10)
