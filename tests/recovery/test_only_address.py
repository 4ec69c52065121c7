"""Whom nobody could tell elsewhere: the only address is the one that got the code (N-R13)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyback.application.policy.coverage import Offer, census
from keyback.application.policy.report import people_words
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.policy.rules import Holds
from keyback.domain.units import MINUTE
from keyback.settings import Settings
from keyback.settings_policy import make_policy
from tests.support.enrolled import SMS, add_codes, add_contact, answer_way, ask_way
from tests.support.kit import Kit, person
from tests.support.steps import Tray, ask, begin, case_of, drain, fit, try_code

Make = Callable[..., Kit]


def kit_of(make_kit: Make, url: str | None = None, **policy: object) -> tuple[Kit, Tray]:
    """Nobody's browser or network is known."""
    kit = make_kit(url=url, sms=SMS, public_url="https://recover.example.com", policy={"known_networks": [], **policy})
    return kit, fit(kit, person("maya"), person("omar", "omar@example.com", "omar@home.example.net"))


def wait_of(kit: Kit, tray: Tray, who: str = "maya") -> float:
    """Minutes that a recovery by the mailed code waits."""
    handle, _, code, _ = begin(kit, tray, who)
    assert try_code(kit, handle, code) == "accepted"
    case = case_of(kit, handle)
    assert case is not None
    drain(kit)
    return (dict(case.waiting)[handle] - kit.clock.now) / MINUTE


@pytest.mark.covers("N-R13")
def test_who_can_be_told_at_no_other_address_has_longer_to_say_no(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    assert wait_of(kit, tray, "maya") == 15
    assert wait_of(kit, tray, "omar") == 5
    told = [x.to for x in tray.messages if x.kind == "hold"]
    assert told == ["maya@example.com", "omar@example.com", "omar@home.example.net"]


@pytest.mark.covers("N-R13")
@pytest.mark.parametrize(("since", "minutes"), [(0, 5), (COOLING_OFF, 15)])
def test_a_second_address_counts_once_it_could_stop_a_recovery(make_kit: Make, since: int, minutes: int) -> None:
    kit, tray = kit_of(make_kit)
    add_contact(kit, "sms", "+8613800000034", usable_from=kit.clock.now + since if since else 0)
    assert wait_of(kit, tray) == minutes


def test_a_colleague_is_told_nothing_and_so_is_no_second_address(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Wei")
    assert wait_of(kit, tray) == 15


@pytest.mark.covers("N-R13")
def test_a_saved_code_did_not_come_to_the_address_that_is_told(make_kit: Make) -> None:
    kit, _ = kit_of(make_kit)
    code = add_codes(kit)[0]
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "recovery_code")
    assert answer_way(kit, handle, "recovery_code", code) == "accepted"
    case = case_of(kit, handle)
    assert case is not None
    assert dict(case.waiting)[handle] - kit.clock.now == 5 * MINUTE


@pytest.mark.covers("N-R13")
@pytest.mark.parametrize(("preset", "minutes"), [("nist", 15), ("mlps2", 15), ("mlps3", 15), ("classic", 0)])
def test_each_preset_has_its_own_figure_and_a_company_its_choice(preset: str, minutes: int) -> None:
    def holds(**policy: object) -> Holds:
        return make_policy(Settings(public_url="https://x.example.com", policy={"preset": preset, **policy})).holds

    assert holds().only_address == minutes * MINUTE
    assert holds(hold_only_address_minutes=45).only_address == 45 * MINUTE


@pytest.mark.covers("N-R13")
def test_policy_check_says_how_many_they_are(make_kit: Make, database_url: str) -> None:
    kit, _ = kit_of(make_kit, database_url)
    found = kit.run(census(kit.services.db, Offer(kit.services.policy, kit.services.proofs)))
    assert (found.people, found.one_address) == (2, 1)
    assert any("1 people can be told" in line for line in people_words(found, "en"))
    assert any("有1人" in line for line in people_words(found, "zh_CN"))
    add_contact(kit, "mail", "maya@home.example.net")
    found = kit.run(census(kit.services.db, Offer(kit.services.policy, kit.services.proofs)))
    assert found.one_address == 0
    assert not any("can be told" in line for line in people_words(found, "en"))
