"""Browsers and networks that are known again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyback.application import known_devices
from keyback.application.known_devices import Standing
from keyback.application.origin import Origin
from keyback.application.ports.storage import Imported
from tests.support.kit import Kit, person

Make = Callable[..., Kit]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HOME, AWAY = Origin("192.0.2.7", FIREFOX), Origin("198.51.100.9", FIREFOX)
DAYS = 24


def person_id(kit: Kit, who: Imported) -> str:
    kit.write(lambda tx: tx.people.save_imported([who]))
    return str(kit.read(lambda tx: tx.people.match([who.mails[0]]))[who.mails[0]][0].person.id)


def standing(kit: Kit, pid: str, cookie: str, origin: Origin, *networks: str) -> Standing:
    return kit.read(lambda tx: known_devices.known(tx, pid, cookie, origin, networks))


@pytest.mark.covers("N-T5")
def test_a_browser_is_known_by_its_cookie_wherever_it_is(make_kit: Make) -> None:
    kit = make_kit()
    maya, noor = person_id(kit, person("maya")), person_id(kit, person("noor"))
    assert standing(kit, maya, "", HOME) == Standing()
    cookie = kit.write(lambda tx: known_devices.remember(tx, maya, HOME))
    assert standing(kit, maya, cookie, AWAY) == Standing(device=True)
    assert standing(kit, maya, "", HOME) == Standing(network=True)
    assert standing(kit, noor, cookie, HOME) == Standing(), "it says nothing about other people"
    assert standing(kit, "", cookie, HOME) == Standing()
    assert standing(kit, maya, cookie[:-1], AWAY) == Standing()


@pytest.mark.covers("A-14.2.7")
def test_networks_are_forgotten_after_30_days_and_browsers_after_180(make_kit: Make) -> None:
    kit = make_kit()
    maya = person_id(kit, person("maya"))
    cookie = kit.write(lambda tx: known_devices.remember(tx, maya, HOME))
    kit.clock.forward(hours=30 * DAYS)
    assert standing(kit, maya, cookie, HOME) == Standing(device=True)
    kit.clock.forward(hours=149 * DAYS)
    again = kit.write(lambda tx: known_devices.remember(tx, maya, Origin(AWAY.source, FIREFOX, cookie)))
    known = kit.read(lambda tx: tx.devices.of_person(maya))
    assert [d.added_at for d in known] == [kit.clock() - 179 * DAYS * 3_600_000], "it is the same browser"
    kit.clock.forward(hours=179 * DAYS)
    assert standing(kit, maya, again, HOME).device
    kit.clock.forward(hours=DAYS)
    assert standing(kit, maya, again, HOME) == Standing()


@pytest.mark.covers("E6", "N-T5")
def test_every_sign_in_gives_a_new_cookie_and_the_one_before_is_nobodys(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    maya, noor = person_id(kit, person("maya")), person_id(kit, person("noor"))
    seen = [kit.write(lambda tx: known_devices.remember(tx, maya, HOME))]
    for who in (noor, noor, maya, noor):  # one browser in the canteen
        shared = Origin(AWAY.source, FIREFOX, seen[-1])
        seen.append(kit.write(lambda tx, w=who, o=shared: known_devices.remember(tx, w, o)))
        for pid in (maya, noor):
            known = [standing(kit, pid, c, Origin("203.0.113.9")).device for c in seen]
            assert known == [False] * (len(seen) - 1) + [pid == who]
    assert len(set(seen)) == len(seen)


@pytest.mark.covers("E6")
@pytest.mark.parametrize("kept", ["", "x", "A" * 43, "A" * 300])
def test_what_somebody_put_into_the_browser_becomes_nobodys(make_kit: Make, kept: str) -> None:
    kit = make_kit()
    maya = person_id(kit, person("maya"))
    given = kit.write(lambda tx: known_devices.remember(tx, maya, Origin(HOME.source, FIREFOX, kept)))
    assert given != kept
    assert not standing(kit, maya, kept, AWAY).device
    assert standing(kit, maya, given, AWAY).device


@pytest.mark.covers("INV-I4")
def test_what_is_stored_is_no_cookie(make_kit: Make) -> None:
    kit = make_kit()
    maya = person_id(kit, person("maya"))
    origins = (HOME, Origin(HOME.source, FIREFOX, "x"))
    made = {kit.write(lambda tx, o=o: known_devices.remember(tx, maya, o)) for o in origins}
    assert len(made) == 2
    assert {len(c) for c in made} == {known_devices.LENGTH}
    for device in kit.read(lambda tx: tx.devices.of_person(maya)):
        assert not any(c.encode() in device.digest or c in device.words for c in made)
        assert device.words == "Linux, Firefox"


def test_networks_are_one_ipv4_address_or_one_ipv6_network(make_kit: Make) -> None:
    kit = make_kit()
    maya = person_id(kit, person("maya"))
    kit.write(lambda tx: known_devices.remember(tx, maya, Origin("2001:db8:1:2::3", FIREFOX)))
    kit.write(lambda tx: known_devices.remember(tx, maya, Origin("not an address", FIREFOX)))
    assert standing(kit, maya, "", Origin("2001:db8:1:2:ffff::9")).network
    assert not standing(kit, maya, "", Origin("2001:db8:1:3::3")).network
    assert not standing(kit, maya, "", Origin("another one")).network
    assert standing(kit, maya, "", Origin("203.0.113.77"), "203.0.113.0/24").network
    assert not standing(kit, maya, "", Origin("another one"), "203.0.113.0/24").network
