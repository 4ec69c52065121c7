"""Networks: those of one provider count together, an office behind one address can work, no minute ends twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from keyback.application.origin import Origin, networks_of
from keyback.domain.throttling.password_attempts import MAX_PER_SOURCE, OF_WIDER
from keyback.settings_sections import Limits
from keyback.web.http import rate_limits as limits_module
from keyback.web.http.rate_limits import Limiter
from tests.support.browser import Browser
from tests.support.guessing import WRONG, guess, owned
from tests.support.kit import Kit, person
from tests.support.steps import HERE, fit, set_password, sign_in

Make = Callable[..., Kit]
FEW = {"recoveries": 3, "proofs": 3, "sign_ins": 3, "checks": 3, "own_browser": 2}


def allowed(limiter: Limiter, sources: list[str]) -> int:
    async def go() -> int:
        return sum([await limiter.allows("sign_ins", s) for s in sources])

    return asyncio.run(go())


@pytest.mark.covers("D7")
def test_what_a_source_is_counted_by() -> None:
    assert networks_of("192.0.2.7") == networks_of("::ffff:192.0.2.7") == ((32, "192.0.2.7"),)
    around = ((64, "2001:db8:1:203::/64"), (56, "2001:db8:1:200::/56"), (48, "2001:db8:1::/48"))
    assert networks_of("2001:db8:1:203::9") == around
    assert networks_of("no address") == ((32, "unknown"),)


@pytest.mark.covers("D7")
def test_requests_from_one_provider_are_bounded_however_many_networks_they_come_from() -> None:
    narrow = Limits(sign_ins=2)
    one_56 = [f"2001:db8:1:2{n:02x}::1" for n in range(256)] * 2
    assert allowed(Limiter(narrow), one_56) == 2 * narrow.times_56
    one_48 = [f"2001:db8:1:{n:x}00::{i}" for n in range(256) for i in range(8)]
    assert allowed(Limiter(narrow), one_48) == 2 * narrow.times_48
    assert allowed(Limiter(narrow), [f"2001:db8:{n:x}::1" for n in range(50)]) == 50
    assert allowed(Limiter(narrow), [f"192.0.2.{n}" for n in range(50)] * 3) == 100, "IPv4 addresses are no neighbours"


@pytest.mark.slow
@pytest.mark.covers("D7", "J1")
def test_wrong_passwords_from_one_provider_are_too(database_url: str, make_kit: Make, monkeypatch: Any) -> None:
    from keyback.application.throttling import password_attempts

    monkeypatch.setattr(password_attempts, "MAX_PER_SOURCE", 4)
    monkeypatch.setattr(password_attempts, "OF_WIDER", {56: 8, 48: 12})
    kit = owned(make_kit, url=database_url)

    def compared(sources: list[str], start: int) -> int:
        tries = [sign_in(kit, f"name{start + n}", guess(start + n), Origin(s)) for n, s in enumerate(sources)]
        return tries.count(WRONG)

    assert compared(["2001:db8:1:201::1"] * 6, 0) == 4
    assert compared([f"2001:db8:1:2{n:02x}::1" for n in range(16, 32)], 100) == 4, "the rest of the /56"
    assert compared([f"2001:db8:1:{n:x}00::1" for n in range(3, 15)], 200) == 4, "the rest of the /48"
    assert compared(["2001:db8:2::1", "192.0.2.99"], 300) == 2, "others go on"
    kit.clock.forward(hours=1)
    assert compared(["2001:db8:1:201::1"], 400) == 1
    assert MAX_PER_SOURCE < OF_WIDER[56] < OF_WIDER[48]


@pytest.mark.covers("D15", "D8")
def test_no_minute_has_more_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_019.0]
    monkeypatch.setattr(limits_module.time, "monotonic", lambda: now[0])
    limiter, at = Limiter(Limits(sign_ins=10)), []

    async def go() -> None:
        for step in (0, 0, 59.5, 0.3, 0.3, 0, 0, 0, 0, 0, 30, 0.1, 29, 1, 0.5, 0, 0, 0, 59.9, 0.2, 0, 0) * 9:
            now[0] += step
            if await limiter.allows("sign_ins", "192.0.2.1"):
                at.append(now[0])

    asyncio.run(go())
    assert len(at) > 50
    assert max(sum(end - 60 < x <= end for x in at) for end in at) <= 10


@pytest.mark.covers("D8")
def test_three_hundred_colleagues_behind_one_address_start_their_day() -> None:
    assert allowed(Limiter(Limits()), ["198.51.100.7"] * 300) == 300


@pytest.mark.covers("D8", "INV-I9")
def test_strangers_behind_the_same_address_leave_known_browsers_their_share(make_kit: Make) -> None:
    kit = make_kit(limits=FEW)
    fit(kit, person("maya"))
    set_password(kit, "maya")
    own = Browser(kit)
    own("POST", "/sign-in", "identifier=maya&password=an+older+password+42")

    def ask(cookies: dict[str, str]) -> int:
        async def go() -> int:
            transport = httpx2.ASGITransport(app=own.app, client=(HERE.source, 40000))
            headers = {"cookie": "; ".join(f"{k}={v}" for k, v in cookies.items()), "origin": kit.settings.public_url}
            headers["content-type"] = "application/x-www-form-urlencoded"
            async with httpx2.AsyncClient(transport=transport, base_url=kit.settings.public_url) as http:
                return (await http.post("/forgot", content=b"identifier=maya", headers=headers)).status_code

        return int(kit.run(go()))

    assert [ask({}) for _ in range(4)] == [303, 303, 303, 429]
    assert ask({"keyback-device": "A" * 43}) == 429, "a cookie of one's own making"
    assert [ask({"keyback-device": own.cookies["keyback-device"]}) for _ in range(3)] == [303, 303, 429]
