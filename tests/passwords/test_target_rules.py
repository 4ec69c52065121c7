"""What another system asks of a password, told before anything is set there."""

from __future__ import annotations

from keyback.domain.passwords.target_rules import TargetRules
from keyback.locale import catalog
from tests.support.each import each

AD = TargetRules(min_length=7, classes_of_four=3, no_names=True, history=24)
ALL = TargetRules(8, 12, frozenset({"class_upper", "class_lower", "class_digit", "class_symbol"}), 3, True, 5)


@each(
    "rules, password, codes",
    [
        (TargetRules(), "", set()),
        (TargetRules(), "a", set()),
        (TargetRules(min_length=10), "neunchars", {"too_short"}),
        (TargetRules(min_length=10), "zehn chars", set()),
        (TargetRules(max_length=10), "elf chars !", {"too_long"}),
        (AD, "alllowercase", {"few_classes"}),
        (AD, "Mixed case", {"few_classes"}),
        (AD, "Mixedcase7", set()),
        (AD, "mixedcase7", {"few_classes"}),
        (AD, "Has-ALICE-in-it-7", {"contains_name"}),
        (AD, "Green-Berg-Tree-7", {"contains_name"}),
        (AD, "Green-van-Tree-7", {"contains_name"}),
        (AD, "Green-de-Tree-7", set()),
        (ALL, "abc", {"too_short", "class_upper", "class_digit", "class_symbol", "few_classes"}),
    ],
)
def test_everything_is_said_at_once(rules: TargetRules, password: str, codes: set[str]) -> None:
    found = rules.violations(password, "alice", "Alicia van de Berg")
    assert {v.code for v in found} == codes
    assert all(len(password) < 3 or password not in v.text.format(**v.values) for v in found)


def test_a_short_user_name_is_no_reason() -> None:
    assert AD.violations("Abba-ab-7788", "ab", "") == ()


def test_every_text_has_chinese_with_the_same_places() -> None:
    chinese = catalog("zh_CN")
    shown = [*ALL.requirements(), *ALL.violations("alice", "alice"), *ALL.violations("x" * 13)]
    assert {r.code for r in shown} >= {"too_long", "few_classes", "contains_name", "used_before"}
    for r in shown:
        assert chinese[r.text].format(**r.values) != r.text
