"""The four presets: what each asks for, what each breaks, and what none gives up."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyback.domain.passwords.rules import (
    DAY,
    PRESETS,
    Blocklist,
    Context,
    FixedLock,
    Rules,
    check,
    requirements,
    state_of,
)
from tests.support.each import each

LISTED = Blocklist(["password", "dragon"])
NOBODY = Context()
ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("rules", PRESETS.values(), ids=lambda r: r.name)
OF_AGE = [r for r in PRESETS.values() if r.max_age_days]


def codes(password: str, rules: Rules, **over: object) -> list[str]:
    return [v.code for v in check(password, rules, NOBODY, LISTED, **over)]  # type: ignore[arg-type]


@pytest.mark.covers("C-1")
@each(
    ("name", "alone", "classes", "history", "days"),
    [("nist", 15, 0, 0, None), ("mlps2", 8, 4, 5, 180), ("mlps3", 10, 4, 5, 90), ("classic", 8, 4, 5, 180)],
)
def test_what_each_preset_asks(name: str, alone: int, classes: int, history: int, days: int | None) -> None:
    r = PRESETS[name]
    assert (r.name, r.min_length, r.classes_required, r.history, r.max_age_days) == (
        name,
        alone,
        classes,
        history,
        days,
    )


def test_fixed_locks_are_data_of_the_mlps_presets_only() -> None:
    locks = {r.name: r.lock for r in PRESETS.values()}
    assert locks == {"nist": None, "classic": None, "mlps2": FixedLock(5, 30), "mlps3": FixedLock(5, 30)}


@EVERY
@pytest.mark.covers("N-P2", "A-6.2.9", "N-P10")
def test_long_passwords_and_the_list_stay_in_every_preset(rules: Rules) -> None:
    assert rules.max_length >= 64
    assert "too_long" not in codes("Aa1-" + "walnut harbour " * 4, rules)
    assert "blocklisted" in codes("Password1!", rules)


@EVERY
@pytest.mark.covers("A-6.2.12", "N-P11")
def test_a_leaked_password_is_refused_in_every_preset(rules: Rules) -> None:
    leaked = {"Copper-lantern 5 orchards"}
    assert codes("Copper-lantern 5 orchards", rules, leaked=leaked) == ["breached"]
    assert codes("Copper-lantern 6 orchards", rules, leaked=leaked) == []
    told = next(v for v in check("Copper-lantern 5 orchards", rules, NOBODY, LISTED, leaked=leaked))
    assert "public leak" in told.text
    assert told.suggestion


@pytest.mark.covers("N-P9")
def test_the_leak_is_asked_for_the_normal_form() -> None:
    assert "breached" in codes("cafe\u0301 on the harbour", PRESETS["nist"], leaked={"caf\u00e9 on the harbour"})


def test_leaks_are_a_rule_to_show_only_where_a_file_is_set() -> None:
    r = PRESETS["nist"]
    assert "breached" not in [q.code for q in requirements(r)]
    shown = {s.requirement.code: s.state for s in state_of("copper lantern orchard", r, NOBODY, LISTED, leaked={"x"})}
    assert shown["breached"] == "met"
    assert "breached" not in {s.requirement.code for s in state_of("x", r, NOBODY, LISTED)}


@EVERY
def test_conflicts_are_known_requirements(rules: Rules) -> None:
    known = tomllib.loads((ROOT / "docs" / "requirements.toml").read_text("utf-8"))
    ids = {key for group in known.values() if isinstance(group, dict) for key in group} | set(known)
    assert set(rules.conflicts) <= ids


@EVERY
@pytest.mark.covers("N-P1", "N-P4", "N-P5", "A-6.2.5", "A-6.2.10")
def test_conflicts_follow_from_the_rules(rules: Rules) -> None:
    broken = set()
    if rules.min_length < 15 or rules.min_length_with_factor < 8:
        broken |= {"N-P1"}
    if rules.classes_required:
        broken |= {"N-P4", "A-6.2.5"}
    if rules.max_age_days is not None:
        broken |= {"N-P5", "A-6.2.10"}
    assert set(rules.conflicts) == broken


@given(
    st.sampled_from(list(PRESETS.values())), st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), max_size=40)
)
def test_stricter_rules_never_accept_more(rules: Rules, password: str) -> None:
    stricter = replace(rules, min_length=rules.min_length + 3, min_length_with_factor=rules.min_length_with_factor + 3)
    assert set(codes(password, rules)) <= set(codes(password, stricter))


@given(st.sampled_from(OF_AGE), st.integers(0, 2**42))
def test_age_counts_whole_days_from_the_change(rules: Rules, changed_at: int) -> None:
    assert rules.due_at(changed_at) == changed_at + (rules.max_age_days or 0) * DAY


@pytest.mark.covers("N-P5", "A-6.2.10")
@given(st.integers(0, 2**42))
def test_nist_passwords_never_come_of_age(changed_at: int) -> None:
    assert PRESETS["nist"].due_at(changed_at) is None


@each("lock", [FixedLock(2, 30), FixedLock(5, 0)])
def test_a_lock_that_a_slip_of_the_finger_sets_off_is_no_preset(lock: FixedLock) -> None:
    with pytest.raises(ValueError, match="lock"):
        replace(PRESETS["mlps2"], lock=lock)
