"""What is refused leaves a line in the log that says why, and says nothing about whom (ASVS 5.0 16.3.2, 16.3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from keyback.domain.challenges.challenge import holder_secret
from keyback.serving import HOT
from keyback.web.app import make_app, make_context
from keyback.web.http.access_log import EVERY_S, AccessLog
from tests.support.browser import call
from tests.support.enrolled import add_totp
from tests.support.kit import Kit, person
from tests.support.steps import OLD, accept, ask, begin, drain, fit, set_password

Make = Callable[..., Kit]
OURS = {"sec-fetch-site": "same-origin"}


class Counted:
    """Stands where the metrics are."""

    def count(self, *_: object) -> None:
        return None


class House:
    """A Keyback with its access log, whose lines are kept."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.seconds = 0.0
        app = make_app(make_context(kit.settings, kit.services))
        self.app = AccessLog(app, Counted(), HOT, lambda: self.seconds)  # type: ignore[arg-type]
        self.cookies: dict[str, str] = {}

    def go(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = {**OURS, **more.pop("headers", {})}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        got = call(self.kit, self.app, method, path, headers=headers, **more)
        self.cookies |= {k: v for k, v in got.cookies.items() if v}
        return got

    def lines(self, *calls: tuple[Any, ...], **more: Any) -> list[dict[str, Any]]:
        """Does them in turn; their lines."""
        with capture_logs() as logs:
            for method, path, *data in calls:
                self.go(method, path, **more, **({"data": data[0]} if data else {}))
        return [dict(x) for x in logs if x["event"] == "request"]

    def whys(self, *calls: tuple[Any, ...], **more: Any) -> list[Any]:
        """Why they were refused, as the log says it; None for those that were not."""
        found = self.lines(*calls, **more)
        assert len(found) == len(calls)
        assert [x["log_level"] for x in found] == ["warning" if x.get("refused") else "info" for x in found]
        return [x.get("refused") for x in found]

    def hold(self, handle: str) -> None:
        secret = holder_secret(self.kit.services.seals.derive("holder"), handle)
        self.cookies["keyback-recovery"] = f"{handle}.{secret}"


def api(path: str) -> str:
    return f"/api/v1{path}"


@pytest.mark.covers("A-16.3.2")
def test_somebody_elses_recovery(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    handle = ask(kit, "maya").handle
    drain(kit)
    house = House(kit)
    tried = [
        ("GET", f"/r/{handle}"),
        ("POST", f"/r/{handle}/code", {"code": "00000000"}),
        ("GET", api(f"/recoveries/{handle}")),
    ]
    found = house.lines(*tried)
    assert [x["refused"] for x in found] == ["unauthorized"] * 3
    assert handle not in str(found)
    house.hold(handle)
    assert house.whys(tried[0]) == [None]


@pytest.mark.covers("A-16.3.2")
def test_nobody_signed_in_and_a_step_up_that_is_missing(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    house = House(kit)
    assert (
        house.whys(("GET", "/account"), ("POST", "/account/codes", {}), ("GET", api("/session")))
        == ["unauthorized"] * 3
    )
    good = {"identifier": "maya", "password": OLD.reveal()}
    assert house.whys(("POST", "/sign-in", {**good, "password": "x"})) == ["unauthorized"]
    assert house.whys(("POST", "/sign-in", good), ("GET", "/account"), ("GET", "/account/codes")) == [None] * 3
    kit.clock.forward(minutes=30)
    assert house.whys(("GET", "/account"), ("POST", "/account/codes", {})) == [None, "step_up"]
    house.cookies["keyback-session"] = "A" * 43
    assert house.whys(("GET", "/account")) == ["unauthorized"]


def test_what_only_says_how_to_go_on_is_no_refusal(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    add_totp(kit)
    house = House(kit)
    body = {"identifier": "maya", "password": OLD.reveal()}
    with capture_logs() as logs:
        got = call(kit, house.app, "POST", api("/sign-in"), json=body, headers=OURS)
        assert (got.status_code, got.json()["code"]) == (401, "second_factor_required")
        assert (
            call(kit, house.app, "POST", api("/sign-in"), json={**body, "password": "x"}, headers=OURS).status_code
            == 401
        )
    assert [x.get("refused") for x in logs if x["event"] == "request"] == [None, "unauthorized"]


@pytest.mark.covers("A-16.3.2", "A-16.3.3")
def test_limits_that_were_reached(make_kit: Make) -> None:
    kit = make_kit(limits={"sign_ins": 1, "recoveries": 1})
    fit(kit, person("maya"))
    house = House(kit)
    bad = {"identifier": "maya", "password": "no such password"}
    assert house.whys(("POST", "/sign-in", bad), ("POST", "/sign-in", bad)) == ["unauthorized", "slow_down"]
    ask_again = ("POST", "/forgot", {"identifier": "maya"})
    assert [x.get("refused") for x in house.lines(ask_again, ask_again)] == [None, "slow_down"]


@pytest.mark.covers("A-16.3.3")
def test_skipped_steps(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    handle = ask(kit, "maya").handle
    drain(kit)
    house = House(kit)
    house.hold(handle)
    new = {"new_password": "supper ladder teapot 7"}
    steps = [
        ("POST", f"/r/{handle}/password", new),
        ("POST", f"/r/{handle}/unlock", {}),
        ("POST", f"/r/{handle}/factor", {"code": "123456"}),
        ("POST", f"/r/{handle}/mailbox/new", {"address": "evil@example.net"}),
    ]
    assert house.whys(*steps) == ["wrong_state"] * 4
    secret = holder_secret(kit.services.seals.derive("holder"), handle)
    headers = {**OURS, "authorization": f"Bearer {secret}"}
    with capture_logs() as logs:
        path = api(f"/recoveries/{handle}/password")
        assert call(kit, house.app, "POST", path, json={"new_password": "x" * 20}, headers=headers).status_code == 409
    assert [x["refused"] for x in logs if x["event"] == "request"] == ["wrong_state"]


@pytest.mark.covers("A-16.3.3")
def test_a_mail_alone_where_more_is_asked(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya", tier="mfa"))
    handle, token, _, _ = begin(kit, tray)
    assert accept(kit, token) is None
    house = House(kit)
    house.hold(handle)
    new = {"new_password": "supper ladder teapot 7"}
    assert house.whys(("POST", f"/r/{handle}/password", new)) == ["not_enough_evidence"]


@pytest.mark.covers("A-16.3.3")
def test_forged_origins_other_hosts_and_other_methods(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit)
    house = House(kit)
    evil = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert house.whys(("POST", "/sign-in", {}), ("POST", "/link/accept", {}), headers=evil) == ["cross_site"] * 2
    assert house.whys(("GET", "/"), headers={"host": "evil.example"}) == ["other_host"]
    assert house.whys(("TRACE", "/"), ("DELETE", "/account")) == ["method"] * 2
    assert "evil" not in str(house.lines(("POST", "/sign-in", {}), headers=evil))


@pytest.mark.covers("A-16.3.3", "INV-I10")
def test_a_flood_of_refusals_does_not_fill_the_log(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit)
    house = House(kit)
    evil = {"sec-fetch-site": "cross-site"}
    flood = [("POST", "/forgot", {"identifier": "maya"})] * 40
    assert [(x["refused"], x["more"]) for x in house.lines(*flood, headers=evil)] == [("cross_site", 0)]
    assert house.lines(*flood, headers={"host": "evil.example"})[0]["refused"] == "other_host"
    house.seconds += EVERY_S
    (told,) = house.lines(flood[0], headers=evil)
    assert (told["refused"], told["more"]) == ("cross_site", 39)
    assert [x.get("refused") for x in house.lines(flood[0])] == [None]
