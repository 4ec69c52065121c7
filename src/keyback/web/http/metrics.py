"""Metrics for Prometheus, on an address of their own. Labels are closed sets, never identifiers, handles or paths."""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import Receive, Scope, Send

from keyback import __version__
from keyback.application.ports.connectors import Connector
from keyback.application.ports.hashing import HashingGate
from keyback.application.ports.storage import StorageDown

PATIENCE_S = 3.0
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Clock(Protocol):
    """What a database's clock tells."""

    behind_ms: int
    jumps: int


class Commits(Protocol):
    """What a database counts."""

    commits: int
    writes: int
    errors: int
    full: bool

    @property
    def clock(self) -> Clock: ...


class Done(Protocol):
    """What a worker counts."""

    intakes: int
    ghosts: int
    mails_withheld: dict[str, int]
    messages: dict[str, int]
    texts_withheld: dict[str, int]
    applies: dict[str, int]
    failures: int
    names: dict[str, int]


class Backlog(Protocol):
    """What waits in the database."""

    @property
    def jobs(self) -> Mapping[str, int]: ...
    @property
    def oldest_ms(self) -> int: ...
    @property
    def intakes(self) -> int: ...
    @property
    def oldest_intake_ms(self) -> int: ...
    @property
    def mails_asked(self) -> Mapping[str, int]: ...
    @property
    def syncs(self) -> Mapping[str, tuple[int, bool]]: ...
    @property
    def webhooks(self) -> tuple[int, int, int]: ...
    @property
    def siem(self) -> tuple[int, int, bool]: ...


class Metrics:
    """Everything that is counted in this process.

    Args:
        gate: the hashing gate.
        database: counts of commits.
        tally: of the worker, if one runs here.
        beat_age: seconds since the worker's last round, if one runs here.
        backlog: asks the database what waits; raises StorageDown.
        schema: the newest revision that this version knows.
    """

    def __init__(
        self,
        gate: HashingGate,
        database: Commits,
        *,
        tally: Done | None = None,
        beat_age: Callable[[], float] | None = None,
        backlog: Callable[[], Awaitable[Backlog]] | None = None,
        schema: str = "",
        connectors: Mapping[str, Connector] | None = None,
    ) -> None:
        self._connectors = connectors or {}
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("keyback_http_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "keyback_http_request_seconds", "Time to answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._gate, self._database, self._tally, self._beat_age = gate, database, tally, beat_age
        self._ask, self._schema = backlog, schema
        self._backlog: Backlog | None = None
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request. `route` is a pattern of ours."""
        key = (method, route, status)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = (self._requests.labels(*key), self._seconds.labels(route))
        found[0].inc()
        found[1].observe(seconds)

    async def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        self._backlog = None
        if self._ask is not None:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    self._backlog = await self._ask()
            except (StorageDown, TimeoutError):
                pass  # told by keyback_db_up
        return generate_latest(self.registry)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        g, d = self._gate, self._database
        build = GaugeMetricFamily(
            "keyback_build_info", "Which Keyback this is.", labels=("version", "schema", "python")
        )
        build.add_metric([__version__, self._schema, platform.python_version()], 1)
        yield build
        yield GaugeMetricFamily("keyback_hash_permits", "Password hashes that may run at once.", g.permits)
        yield GaugeMetricFamily("keyback_hash_busy", "Password hashes running.", g.busy)
        yield GaugeMetricFamily("keyback_hash_waiting", "Callers waiting for a hash.", g.waiting)
        yield CounterMetricFamily("keyback_db_commits", "Commits.", d.commits)
        yield CounterMetricFamily("keyback_db_writes", "Writes; many share one commit.", d.writes)
        yield CounterMetricFamily("keyback_db_errors", "Commits that failed.", d.errors)
        yield GaugeMetricFamily("keyback_db_full", "Whether a write found no room, and none has since.", d.full)
        words = "How far the database's clock is behind the time that counts."
        yield GaugeMetricFamily("keyback_clock_behind_seconds", words, d.clock.behind_ms / 1000)
        yield CounterMetricFamily("keyback_clock_jumps", "Leaps of the clock ahead that were noticed.", d.clock.jumps)
        if self._ask is not None:
            yield GaugeMetricFamily(
                "keyback_db_up", "Whether the database answered just now.", self._backlog is not None
            )
        if self._backlog is not None:
            yield from self._waiting(self._backlog)
        yield from self._systems()
        if self._tally is not None:
            yield from self._work(self._tally)
        if self._beat_age is not None:
            yield GaugeMetricFamily(
                "keyback_worker_beat_age_seconds", "Since the worker's last round.", max(0.0, self._beat_age())
            )

    def _systems(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "keyback_connector_up", "0 while a system is left alone after failures in a row.", labels=("system",)
        )
        missed = GaugeMetricFamily(
            "keyback_connector_failures", "Failures in a row to reach a system.", labels=("system",)
        )
        for name, connector in self._connectors.items():
            health = connector.health
            up.add_metric([name], health.breaker == "closed")
            missed.add_metric([name], health.failures)
        yield up
        yield missed

    def _waiting(self, b: Backlog) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("keyback_outbox_jobs", "Jobs of the outbox.", labels=("kind", "state"))
        for name, n in b.jobs.items():
            jobs.add_metric(name.split("/"), n)
        yield jobs
        yield GaugeMetricFamily("keyback_outbox_oldest_seconds", "Age of the oldest waiting job.", b.oldest_ms / 1000)
        yield GaugeMetricFamily("keyback_intakes_waiting", "Requests not looked up yet.", b.intakes)
        age = b.oldest_intake_ms / 1000
        yield GaugeMetricFamily("keyback_intakes_oldest_seconds", "Age of the oldest request not looked up yet.", age)
        asked = GaugeMetricFamily("keyback_mails_asked", "Mails asked for in the hour under way.", labels=("asker",))
        for asker, n in b.mails_asked.items():
            asked.add_metric([asker], n)
        yield asked
        yield from self._syncs(b)
        waiting, given_up, failing = b.webhooks
        yield GaugeMetricFamily("keyback_webhook_waiting", "Events that wait for their receivers.", waiting)
        yield GaugeMetricFamily("keyback_webhook_given_up", "Events that were given up.", given_up)
        yield GaugeMetricFamily("keyback_webhook_failing", "Receivers that take no events.", failing)
        behind, skipped, away = b.siem
        yield GaugeMetricFamily("keyback_siem_waiting", "Events that wait for the SIEM.", behind)
        yield GaugeMetricFamily("keyback_siem_skipped", "Events that were left out for the SIEM, in all.", skipped)
        yield GaugeMetricFamily("keyback_siem_failing", "1 while the SIEM takes no events.", int(away))

    def _syncs(self, b: Backlog) -> Iterator[Metric]:
        since = GaugeMetricFamily(
            "keyback_people_sync_age_seconds", "Since people were last synced without trouble.", labels=("system",)
        )
        failed = GaugeMetricFamily(
            "keyback_people_sync_failed", "1 if the newest sync broke off, or disabled no one.", labels=("system",)
        )
        for system, (ms, bad) in b.syncs.items():
            if system in self._connectors:
                since.add_metric([system], ms / 1000)
                failed.add_metric([system], bad)
        yield since
        yield failed

    def _work(self, t: Done) -> Iterator[Metric]:
        yield CounterMetricFamily("keyback_intakes_resolved", "Requests looked up.", t.intakes)
        yield CounterMetricFamily("keyback_intakes_unmatched", "Resolved requests that matched no person.", t.ghosts)
        yield CounterMetricFamily("keyback_worker_failures", "Rounds and jobs that broke.", t.failures)
        names = GaugeMetricFamily("keyback_sign_in_names", "Names in the last hour, by trouble.", labels=("trouble",))
        for trouble, n in t.names.items():
            names.add_metric([trouble], n)
        yield names
        for name, words, counts in (
            ("keyback_letters", "Messages by result.", t.messages),
            ("keyback_mails_withheld", "Messages asked for beyond a quota, by what it protects.", t.mails_withheld),
            ("keyback_sms_withheld", "SMS that would have cost more than allowed, by budget.", t.texts_withheld),
            ("keyback_applies", "Passwords carried to systems, by result.", t.applies),
        ):
            family = CounterMetricFamily(name, words, labels=("result",))
            for result, n in dict(counts).items():
                family.add_metric([result], n)
            yield family


Ready = Callable[[], Awaitable[tuple[bool, Mapping[str, str]]]]


def metrics_app(metrics: Metrics, ready: Ready | None = None) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """`GET /metrics`, `/healthz` and `/readyz`, for a server of its own that the outside does not reach.

    Args:
        ready: whether the process can work, and how each of its parts is; None where nobody can say.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status, kind = 404, "text/plain; charset=utf-8"
        body = b"Metrics are at /metrics, health is at /healthz and /readyz.\n"
        if scope["method"] in ("GET", "HEAD"):
            if scope["path"] == "/metrics":
                status, kind, body = 200, CONTENT_TYPE_LATEST, await metrics.text()
            elif scope["path"] == "/healthz":
                status, kind, body = 200, "application/json", b'{"status":"ok"}'
            elif scope["path"] == "/readyz" and ready is not None:
                fine, parts = await ready()
                said = {"status": "ok" if fine else "unavailable", **parts}
                status, kind, body = 200 if fine else 503, "application/json", json.dumps(said).encode()
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
