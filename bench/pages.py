"""Pages of the portal and of the account: what one costs, with its reads, headers and all that a request brings."""

from __future__ import annotations

import asyncio
import http.client
import importlib
import pkgutil
import statistics
from collections.abc import Iterator

from sqlalchemy import text
from starlette.routing import Route

import keyback.web.account
import keyback.web.portal
from bench import seed, traffic
from bench.complete import proven
from bench.load import fire, write_requests
from bench.machine import Meter, calibrate
from bench.measures import Run
from bench.report import Line, judged, spread
from bench.stage import SENDER, Base, Stage
from keyback.application.origin import Origin
from keyback.application.ports.storage import Tx
from keyback.application.signin.sessions import open_session
from keyback.bootstrap import build, close
from keyback.settings import Settings

MOST_MS = 3.0
TIMES = 36  # in a row: some pages ask the systems, forty times an hour at most
NEVER = ("/static/", "/.well-known/", "/account/remove/")  # no pages, or with an id of something to remove


def paths() -> Iterator[str]:
    """Every address of the portal and the account that shows something, from their own tables of routes."""
    for room in (keyback.web.portal, keyback.web.account):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            for route in getattr(importlib.import_module(module.name), "ROUTES", ()):
                if isinstance(route, Route) and "GET" in (route.methods or ()):
                    yield route.path


def pages(run: Run) -> list[Line]:
    """Every page of the portal and the account that an ordinary person gets, one after the other."""
    stage, lines = run.stage, list[Line]()
    base = stage.database("postgres", 10_000)
    costs: dict[str, list[float]] = {}
    with stage.sink() as sink, stage.app(base, worker=True, mail_port=sink.port) as app:
        waiting, done = asyncio.run(proven(stage, base, 0, 1)), asyncio.run(proven(stage, base, 1, 1))
        waiting_cookie = f"keyback-recovery={waiting[0].handle}.{waiting[0].secret}"
        session = asyncio.run(_session(stage, base))
        cookie = f"{waiting_cookie}~{done[0].handle}.{done[0].secret}; keyback-session={session}"
        for path in dict.fromkeys(paths()):
            named = path.replace("{handle:str}", done[0].handle)
            if "{" in named or path.startswith(NEVER):
                continue
            raw = traffic.get(app.port, named, cookie)
            if not _shows(app.port, named, cookie):
                continue
            file = stage.folder / "page.bin"
            write_requests(file, ((0, raw) for _ in range(TIMES)))
            for r in range(run.rounds + 1):
                _allow(base)
                meter = Meter([app.child.pid], base.pids)
                fired = fire(app.port, 1, 60.0, file)
                if set(fired["status"]) != {"200"}:
                    raise SystemExit(f"{path} was answered with {fired['status']}")
                if r:
                    costs.setdefault(path, []).append(meter.read(TIMES)["cpu_us"] / 1000)
        run.speeds.append(calibrate())
    best = {path: statistics.median(took) for path, took in costs.items()}
    dearest = max(best, key=lambda path: best[path])
    over = sorted(path for path, ms in best.items() if ms > MOST_MS)
    told = f"{len(best)} pages, {min(best.values()):.1f} to {best[dearest]:.1f} ms, the dearest {dearest}"
    told += f"; over it: {', '.join(over)}" if over else ""
    lines.append(judged("pages with their reads", best[dearest], told, f"≤ {MOST_MS:.0f} ms", not over, costs=costs))
    every = [ms for took in costs.values() for ms in took]
    lines.append(Line("pages, all rounds", f"{spread([ms * 1000 for ms in every])} µs"))
    return lines


def _allow(base: Base) -> None:
    """Forgets what was counted, so that no limit of an hour is reached."""
    with base.connect() as conn:
        conn.execute(text("DELETE FROM counters"))


def _shows(port: int, path: str, cookie: str) -> bool:
    """Whether this person gets a page there; also has its template compiled."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    line.request("GET", path, headers={"Cookie": cookie, "User-Agent": traffic.AGENT})
    answer = line.getresponse()
    answer.read()
    line.close()
    return answer.status == 200 and answer.getheader("content-type", "").startswith("text/html")


async def _session(stage: Stage, base: Base) -> str:
    mail = {"host": "127.0.0.1", "port": 1, "security": "plain", "sender": SENDER}
    made = Settings(database_url=base.url, keyring=stage.keyring_line, data_dir=stage.folder, mail=mail)
    services = build(made)

    def fn(tx: Tx) -> str:
        found = tx.people.account_by_username("builtin", seed.known(5))
        assert found is not None
        return open_session(tx, *found, Origin("127.0.0.1", traffic.AGENT), services.rules, proven="totp").token

    token = await services.db.write(fn)
    await close(services)
    return token
