"""What operators watch: request lines and their ids, the process's metrics, health, faults that are told once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyback.application.ports.outages import LimitsDown, StorageDown
from keyback.observability import Seldom
from keyback.serving import _metrics, _readiness
from keyback.web.app import make_app, make_context
from keyback.web.health import is_ready, parts_of
from keyback.web.http.access_log import LINES, AccessLog
from keyback.web.http.metrics import metrics_app
from keyback.web.http.problems import tell_down
from keyback.worker import Worker
from tests.support.kit import Kit
from tests.support.live import logged

FORM = {"sec-fetch-site": "same-origin"}
HOT = ("/api/v1/recoveries", "/forgot", "/find")


class Ticking:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines(text: str, event: str = "request") -> list[dict[str, Any]]:
    return [found for line in text.splitlines() if (found := json.loads(line))["event"] == event]


def app_of(kit: Kit, clock: Ticking | None = None, **over: Any) -> Any:
    desk = make_context(kit.settings.model_copy(update=over), kit.services)

    async def made() -> Any:
        metrics = _metrics(kit.services, None)
        return AccessLog(make_app(desk), metrics, HOT, clock or Ticking(), desk.proxies.trusts)

    return kit.run(made())


def call(kit: Kit, app: Any, method: str, path: str, peer: str = "198.51.100.7", **more: Any) -> httpx2.Response:
    async def go() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app, client=(peer, 40000), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=kit.settings.public_url) as http:
            return await http.request(method, path, **more)

    return kit.run(go())  # type: ignore[no-any-return]


def test_requests_that_were_taken_have_a_line_each_up_to_fifty_a_second(make_kit: Callable[..., Kit]) -> None:
    kit, clock = make_kit(), Ticking()
    app = app_of(kit, clock)
    with logged() as log:
        for n in range(LINES + 7):
            call(kit, app, "POST", "/forgot", data={"identifier": f"canary{n}"}, headers=FORM)
        clock.now += 1
        call(kit, app, "POST", "/api/v1/recoveries", json={"identifier": "canary"})
        call(kit, app, "GET", "/help")
    said = lines(log.getvalue())
    taken = [x for x in said if x["method"] == "POST"]
    assert [x["route"] for x in taken] == ["/forgot"] * LINES + ["/api/v1/recoveries"]
    assert {x["status"] for x in taken[:-1]} == {303}
    assert (taken[-1]["status"], taken[-1]["more"]) == (202, 7)
    assert not any("more" in x for x in taken[:-1])
    assert said[-1]["route"] == "/help"
    assert "canary" not in log.getvalue()


@pytest.mark.covers("A-16.2.5", "C8")
def test_every_line_of_a_request_has_an_id_and_only_a_trusted_proxy_gives_it(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit()
    app = app_of(kit, trusted_proxies=["10.0.0.0/8"])
    with logged() as log:
        call(kit, app, "GET", "/help")
        call(kit, app, "POST", "/forgot", data={"identifier": "maya"}, headers=FORM)
        odd = 'x"\u00e9' * 9
        for peer, given in (
            ("10.0.0.7", "abcd-1234"),
            ("198.51.100.7", "ab-56789"),
            ("10.0.0.7", "short"),
            ("10.0.0.7", odd),
        ):
            headers: Any = {"x-request-id": given.encode("latin-1")}
            call(kit, app, "GET", "/help", peer, headers=headers)
    ids = [x["request_id"] for x in lines(log.getvalue())]
    assert ids[2] == "abcd-1234"
    mine = ids[:2] + ids[3:]
    assert all(re.fullmatch(r"[0-9a-f]{16}", i) for i in mine)
    assert len(set(mine)) == len(mine)


def test_an_answer_that_is_our_fault_has_the_id_and_others_have_none(
    make_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = make_kit()
    app = app_of(kit)
    assert "x-request-id" not in call(kit, app, "GET", "/help").headers
    assert "x-request-id" not in call(kit, app, "GET", "/r/" + "a" * 22).headers

    async def away(*_: Any) -> None:
        raise StorageDown("away")

    monkeypatch.setattr(kit.services.db, "read", away)
    with logged() as log:
        told = [call(kit, app, "GET", "/l/" + "a" * 22) for _ in range(3)]
    assert {r.status_code for r in told} == {503}
    assert [r.headers["x-request-id"] for r in told] == [x["request_id"] for x in lines(log.getvalue())]
    assert len(lines(log.getvalue(), "storage_down")) == 1, "once a minute, not for each request"


def test_what_goes_on_is_told_once_a_minute() -> None:
    clock = Ticking()
    seldom = Seldom(60, clock)
    assert [seldom.due("a") for _ in range(3)] == [0, None, None]
    assert seldom.due("b") == 0
    clock.now += 60
    assert [seldom.due("a"), seldom.due("a")] == [2, None]
    with logged() as log:
        tell_down(seldom, LimitsDown("limits"), "/sign-in")
    assert log.getvalue() == "", "what counts limits tells of itself"


@pytest.mark.covers("D13")
def test_a_shared_store_that_is_away_is_no_database_that_is(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit()
    app = app_of(kit, valkey_url="valkey://127.0.0.1:1/0")
    with logged() as log:
        for _ in range(3):
            got = call(kit, app, "POST", "/sign-in", data={"identifier": "maya", "password": "x"}, headers=FORM)
            assert got.status_code == 503
            got = call(kit, app, "POST", "/api/v1/sign-in", json={"identifier": "maya", "password": "x"})
            assert got.status_code == 503
            assert call(kit, app, "POST", "/forgot", data={"identifier": "maya"}, headers=FORM).status_code == 303
    assert lines(log.getvalue(), "storage_down") == []
    assert len(lines(log.getvalue(), "limits_down")) == 1


def test_the_process_and_the_build_are_measured_and_a_worker_alone_has_health(
    make_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:

    kit = make_kit()
    worker = Worker(kit.services)

    async def made() -> Any:
        readiness = _readiness(kit.services, worker)

        async def ready() -> tuple[bool, dict[str, str]]:

            parts = await parts_of(readiness)
            return is_ready(parts), parts

        return metrics_app(_metrics(kit.services, worker), ready)

    app = kit.run(made())
    text = call(kit, app, "GET", "/metrics").text
    assert re.search(r'keyback_build_info\{python="3\.\d+\.\d+",schema="\d{4}",version="[\d.]+"\} 1\.0', text)
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds"} <= {
        line.split(" ")[0] for line in text.splitlines()
    }
    assert "python_gc_collections_total" in text
    assert call(kit, app, "GET", "/healthz").json() == {"status": "ok"}
    said = call(kit, app, "GET", "/readyz")
    assert (said.status_code, said.json()["worker"], said.json()["database"]) == (200, "ok", "ok")
    assert call(kit, app, "POST", "/readyz").status_code == 404
    assert call(kit, app, "GET", "/readyz/").status_code == 404

    async def away(*_: Any) -> None:
        raise StorageDown("away")

    monkeypatch.setattr(kit.services.db, "write", away)
    monkeypatch.setattr(kit.services.db, "read", away)
    gone = call(kit, app, "GET", "/readyz")
    assert (gone.status_code, gone.json()["status"], gone.json()["database"]) == (503, "unavailable", "down")


def test_the_page_says_where_health_is() -> None:
    for language in ("en", "zh"):
        page = Path(__file__).resolve().parents[2].joinpath("docs", language, "operations.md").read_text("utf-8")
        assert "alerts.yml" in page
        assert "X-Request-Id" in page
