"""Spans of OpenTelemetry: off, nothing is imported and a span is four lines; on, no span says of whom it is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from keyback import telemetry
from keyback.application import tracing
from keyback.observability import configure
from keyback.outbound.http import Endpoint
from keyback.settings import Unsafe
from keyback.testing.mailbox import Mailbox
from keyback.testing.serving import served
from tests.support.api_client import NEW, Client, Recovery
from tests.support.bots import DingTalk
from tests.support.house import ROOT
from tests.support.kit import Kit

EXPORTER = InMemorySpanExporter()
CANARY = "kanarienvogel-4711"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(EXPORTER))
        trace.set_tracer_provider(provider)
    EXPORTER.clear()
    telemetry.switch_on()
    yield EXPORTER
    tracing.use(None)


def test_off_nothing_of_the_library_is_imported() -> None:
    code = (
        "import sys, keyback.worker, keyback.telemetry, keyback.bootstrap\n"
        "from keyback.application import tracing\n"
        "with tracing.span('keyback.intake') as s: s.set('anything', 1)\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr


def test_off_a_span_is_four_lines() -> None:
    ran: list[str] = []

    def watch(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != tracing.__file__:
            return None
        if event == "line":
            ran.append(frame.f_code.co_name)
        return watch

    tracing.use(None)
    before = sys.gettrace()
    sys.settrace(watch)
    try:
        with tracing.span("keyback.intake") as traced:
            traced.set("keyback.journey", "password")
    finally:
        sys.settrace(before)
    assert ran == ["span", "__enter__", "set", "__exit__"]


@pytest.mark.covers("P6")
def test_a_whole_recovery_leaves_spans_that_say_of_nobody(
    make_kit: Callable[..., Kit], spans: InMemorySpanExporter
) -> None:
    with Mailbox() as mailbox:
        client = Client(make_kit(mail={"port": mailbox.port}))
        client.people()
        nobody = Recovery(client, f"{CANARY}@example.com")
        recovery = Recovery(client)
        recovery.prove(mailbox)
        assert recovery.choose().json()["state"] == "done"
        code = mailbox.messages("maya@example.com")[0]["codes"][0]
    found = spans.get_finished_spans()
    assert {s.name for s in found} == {
        "keyback.intake", "keyback.resolve", "keyback.send", "keyback.apply", "keyback.connector",
    }  # fmt: skip
    assert {k for s in found for k in s.attributes or {}} <= tracing.ATTRIBUTES
    intake = [dict(s.attributes or {}) for s in found if s.name == "keyback.intake"]
    assert intake == [{"keyback.journey": "password"}] * 2, "the same for somebody and for nobody"
    applied = next(s for s in found if s.name == "keyback.apply")
    asked = next(s for s in found if s.name == "keyback.connector")
    assert dict(applied.attributes or {}) == {"keyback.attempt": 1, "keyback.outcome": "done"}
    assert asked.parent is not None
    assert asked.parent.span_id == applied.context.span_id
    told = " ".join(s.to_json() for s in found).lower()
    secrets = (CANARY, "maya", "example.com", NEW, code, recovery.handle, recovery.secret, nobody.handle)
    assert [x for x in secrets if x.lower() in told] == []


def test_calls_name_the_host_and_no_path(make_kit: Callable[..., Kit], spans: InMemorySpanExporter) -> None:
    kit, service = make_kit(), DingTalk()
    with served(service.app()) as url:
        endpoint, said = Endpoint(url), {"msgtype": "text", "text": {"content": CANARY}}
        kit.run(endpoint.call("POST", "robot/sendBySession", json=said, query={"session": CANARY}))
        kit.run(endpoint.close())
    (call,) = [s for s in spans.get_finished_spans() if s.name == "keyback.http"]
    assert (call.attributes or {})["server.address"] == "127.0.0.1"
    assert CANARY not in call.to_json()
    assert "sendBySession" not in call.to_json()
    assert (call.attributes or {})["http.response.status_code"] == 200


def test_a_fault_names_its_class_and_never_its_text(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match=CANARY), tracing.span("keyback.send"):
        raise ValueError(CANARY)
    (failed,) = spans.get_finished_spans()
    assert dict(failed.attributes or {}) == {"error.type": "ValueError"}
    assert not failed.status.is_ok
    assert CANARY not in failed.to_json()
    with pytest.raises(KeyError), tracing.span("keyback.send") as traced:
        traced.set("user.name", CANARY)
    assert CANARY not in spans.get_finished_spans()[-1].to_json()


def test_log_lines_have_the_ids_of_their_trace(spans: InMemorySpanExporter) -> None:
    out = io.StringIO()
    configure("info", out, more=[telemetry.add_ids])
    try:
        log = structlog.get_logger("keyback.test")
        with tracing.span("keyback.send"):
            log.info("inside")
        log.info("outside")
    finally:
        configure("info")
    inside, outside = (json.loads(x) for x in out.getvalue().splitlines())
    (done,) = spans.get_finished_spans()
    assert inside["trace_id"] == f"{done.context.trace_id:032x}"
    assert inside["span_id"] == f"{done.context.span_id:016x}"
    assert "trace_id" not in outside


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(Unsafe, match=r"keyback\[otel\]"):
        telemetry.switch_on()
