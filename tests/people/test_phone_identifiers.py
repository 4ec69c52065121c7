"""A phone number as identifier: what is read as one, and who is found by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from keyback.domain.errors import BadInput
from keyback.domain.people.pasted import pasted
from keyback.domain.people.phone_identifier import PhoneIdentifiers, as_written, is_phone, names_of
from tests.support.each import each
from tests.support.enrolled import SMS
from tests.support.kit import Kit, person

CHINA, ABROAD, OFF = PhoneIdentifiers(True, "CN"), PhoneIdentifiers(True), PhoneIdentifiers(False, "CN")
NUMBER, TYPED = "tel:+8613800138000", "138 0013 8000"


@pytest.mark.covers("B16")
@each(
    ("typed", "canonical"),
    [
        ("13800138000", NUMBER),
        (TYPED, NUMBER),
        ("138-0013-8000", NUMBER),
        ("+86 138 0013 8000", NUMBER),
        ("+86 (138) 0013-8000", NUMBER),
        ("0086 13800138000", NUMBER),
        ("１３８００１３８０００", NUMBER),
        ("tel:+86-138-0013-8000", NUMBER),
        ("  13800138000 ", NUMBER),
        ("+44 7400 123456", "tel:+447400123456"),
        ("10086", "10086"),  # too short for any number of a person
        ("20260001", "20260001"),  # of a staff list
        ("4008205555", "4008205555"),  # nobody's own
        ("+88213123456", "+88213123456"),  # a satellite
        ("maya", "maya"),
        ("maya13800138000", "maya13800138000"),
        ("13800138000@qq.com", "13800138000@qq.com"),
    ],
)
def test_what_is_typed_decides_whether_it_is_a_number(typed: str, canonical: str) -> None:
    assert CHINA.canonicalize(pasted(typed)) == canonical


@pytest.mark.covers("B16")
def test_a_number_without_its_calling_code_is_guessed_in_no_country() -> None:
    assert ABROAD.canonicalize(TYPED) == TYPED
    assert ABROAD.canonicalize("+86 138 0013 8000") == NUMBER


@pytest.mark.covers("B16")
@each(
    "typed", ["13800138000", "+8613800138000", "tel:+8613800138000", "TEL:tel:+8613800138000", "ｔｅｌ：+8613800138000"]
)
def test_where_the_setting_is_off_nothing_typed_is_a_number(typed: str) -> None:
    assert not is_phone(OFF.canonicalize(pasted(typed)))
    assert not is_phone(OFF.canonicalize(typed))


def test_a_number_is_shown_as_people_write_it_and_other_names_as_they_are() -> None:
    assert as_written(NUMBER) == "+8613800138000"
    assert as_written("maya") == "maya"
    assert names_of("maya") == ("maya",)
    assert names_of(NUMBER) == ("+8613800138000", "8613800138000", "13800138000")
    assert "02071838750" in names_of("tel:+442071838750"), "as it is dialed at home"
    with pytest.raises(BadInput):
        CHINA.canonicalize(" ")


Make = Callable[..., Kit]


def keyback(make_kit: Make, url: str, **people: object) -> Kit:
    return make_kit(url=url, sms=SMS, people={"phone_country": "CN", **people})


def found(kit: Kit, typed: str) -> list[str]:
    canonical = kit.services.numbers.canonicalize(typed)
    return sorted(m.person.name for m in kit.read(lambda tx: tx.people.match([canonical])).get(canonical, ()))


@pytest.mark.both
@pytest.mark.covers("B16")
def test_people_are_found_by_the_number_on_record(database_url: str, make_kit: Make) -> None:
    kit = keyback(make_kit, database_url)
    people = [replace(person("maya"), phones=("+8613800138000",)), replace(person("noor"), phones=("+8613900139000",))]
    kit.write(lambda tx: tx.people.save_imported(people))
    assert found(kit, TYPED) == found(kit, "+8613800138000") == ["Maya"]
    assert found(kit, "13700137000") == []
    assert found(kit, "maya@example.com") == ["Maya"]
    both = ["tel:+8613800138000", "noor@example.com", "tel:+8613900139000", "nobody"]
    assert {k: len(v) for k, v in kit.read(lambda tx: tx.people.match(both)).items()} == dict.fromkeys(both[:3], 1)


@pytest.mark.both
@pytest.mark.covers("B16", "N-R12")
def test_a_number_that_may_not_recover_yet_leads_to_nobody(database_url: str, make_kit: Make) -> None:
    kit = keyback(make_kit, database_url)
    kit.write(lambda tx: tx.people.save_imported([person("maya")]))
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), phones=("+8613800138000",))]))
    assert found(kit, TYPED) == [], "from the records, within 72 hours"
    kit.clock.forward(hours=73)
    assert found(kit, TYPED) == ["Maya"]


@pytest.mark.both
@pytest.mark.covers("B16")
def test_user_names_that_are_numbers_go_on_working(database_url: str, make_kit: Make) -> None:
    kit = keyback(make_kit, database_url)
    kit.write(lambda tx: tx.people.save_imported([person("13800138000", "maya@example.com")]))
    assert found(kit, "13800138000") == ["13800138000"]
    hit = kit.read(lambda tx: tx.people.sign_in_rows("builtin", "tel:+8613800138000"))
    assert hit is not None
    assert hit[0].username == "13800138000"


@pytest.mark.both
@pytest.mark.covers("B16", "L10")
def test_a_number_of_two_people_signs_nobody_in(database_url: str, make_kit: Make) -> None:
    kit = keyback(make_kit, database_url)
    shared = [replace(person(key), phones=("+8613800138000",)) for key in ("maya", "noor")]
    kit.write(lambda tx: tx.people.save_imported([shared[0]]))
    hit = kit.read(lambda tx: tx.people.sign_in_rows("builtin", "tel:+8613800138000"))
    assert hit is not None
    assert hit[0].username == "maya"
    kit.write(lambda tx: tx.people.save_imported([shared[1]]))
    assert kit.read(lambda tx: tx.people.sign_in_rows("builtin", "tel:+8613800138000")) is None
    assert found(kit, TYPED) == ["Maya", "Noor"], "a recovery writes to each at an address of their own"


@pytest.mark.covers("B16")
def test_the_setting_and_sms_have_to_be_on(sqlite_url: str, make_kit: Make) -> None:
    assert not make_kit(url=sqlite_url).services.numbers.taken
    assert not keyback(make_kit, sqlite_url, phone_identifiers=False).services.numbers.taken
    assert keyback(make_kit, sqlite_url).services.numbers == CHINA
