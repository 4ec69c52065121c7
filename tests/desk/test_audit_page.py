"""The audit log in the console and in the admin API: searched by case, person, operator, event and day; exported."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from keyback.application.desk import audit_search, keys, workbench
from keyback.application.desk.audit_search import Wanted
from keyback.domain.operators.roles import Role
from keyback.domain.recovery.events import Note
from tests.support.api_client import Client
from tests.support.console import URL, Staff, staffed, waits
from tests.support.kit import Kit

Make = Callable[..., Kit]


@pytest.fixture
def staff(make_kit: Make) -> Staff:
    return staffed(make_kit(public_url=URL))


def find(staff: Staff, before: int = 0, limit: int = 100, **wanted: str) -> Any:
    return staff.kit.read(lambda tx: audit_search.search(tx, Wanted(**wanted), UTC, before, limit))


def day(staff: Staff, later: int = 0) -> str:
    now = staff.kit.read(lambda tx: tx.now) + later * 86_400_000
    return datetime.fromtimestamp(now / 1000, UTC).date().isoformat()


@pytest.mark.both
@pytest.mark.covers("A-16.1.1")
def test_rows_are_found_by_case_person_operator_event_and_day(staff: Staff) -> None:
    _, case_id = waits(staff)
    agent = staff.actor(Role.AGENT)
    staff.kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    me = agent.operator.id
    of_case = find(staff, about=case_id).rows
    assert {r.stream for r in of_case} == {case_id}
    assert of_case[0].type == "case_claimed"
    seqs = [r.seq for r in find(staff).rows]
    assert seqs == sorted(seqs, reverse=True)
    for typed in ("maya@example.com", " MAYA@example.com "):
        rows = find(staff, about=typed).rows
        assert {r.seq for r in of_case} <= {r.seq for r in rows}
    assert [r.type for r in find(staff, operator=me, event="case_claimed").rows] == ["case_claimed"]
    assert find(staff, about=case_id, event="moon").rows == ()
    assert find(staff, about="nobody@example.com").rows == find(staff, about="x" * 22).rows == ()
    today, tomorrow = day(staff), day(staff, 1)
    assert find(staff, since=today, until=today).rows
    assert find(staff, since=tomorrow).rows == find(staff, until=day(staff, -900)).rows == ()


@pytest.mark.both
def test_every_row_is_reached_page_by_page(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    staff.kit.write(
        lambda tx: tx.audit.record("w", [Note("rare" if n % 50 == 0 else "often", {"n": n}) for n in range(300)])
    )
    monkeypatch.setattr(audit_search, "LOOKED_AT", 40)

    def walk(limit: int, **wanted: str) -> list[int]:
        out, before = [], 0
        for _ in range(200):
            found = find(staff, before, limit, **wanted)
            out += [r.seq for r in found.rows]
            before = found.more
            if not before:
                return out
        raise AssertionError("no end")

    everything = walk(7)
    assert everything == list(range(max(everything), 0, -1))
    assert len(walk(2, event="rare")) == 6, "also where whole stretches hold none"


@pytest.mark.covers("A-16.2.1", "C12")
def test_whoever_audits_searches_and_exports_and_that_is_in_the_log(staff: Staff) -> None:
    waits(staff)
    auditor, agent = staff.add(Role.AUDITOR), staff.add(Role.AGENT)
    at = "/console/audit"
    assert agent.get(at).status_code == 403
    assert "review_started" in auditor.get(at).text
    page = auditor.post(at, about="maya@example.com", event="review_started").text
    assert page.count(">review_started<") == 1
    assert 'value="maya@example.com"' in page, "what was typed is still there"
    wrong = auditor.post(at, since="yesterday")
    assert (wrong.status_code, "Write days like" in wrong.text) == (422, True)
    staff.kit.write(lambda tx: tx.audit.record("=1+1", [Note("odd", {"<b>": "<script>"})]))
    assert "<script>" not in auditor.get(at).text.split("<main")[1]
    for kind in ("csv", "json"):
        got = auditor.post(f"{at}/export", event="odd", format=kind)
        assert got.headers["content-disposition"] == f'attachment; filename="keyback-audit.{kind}"'
        if kind == "csv":
            assert [r["stream"] for r in csv.DictReader(io.StringIO(got.text))] == ["'=1+1"]
        else:
            assert [r["data"] for r in got.json()] == [{"<b>": "<script>"}]
    assert auditor.post(f"{at}/export", until="x").status_code == 422
    told = find(staff, event="audit_exported").rows
    assert [r.data["rows"] for r in told] == [1, 1]
    assert all(r.data["operator"] == staff.made["auditor"].id for r in told)


def test_the_audit_log_for_programs(staff: Staff) -> None:
    _, case_id = waits(staff)
    client = Client(staff.kit)
    token = staff.kit.write(lambda tx: keys.add(tx, "Log keeper", ["audit.view"])).token
    first = client.get("/admin/audit?limit=3", secret=token).json()
    second = client.get(f"/admin/audit?limit=3&cursor={first['next']}", secret=token).json()
    seqs = [i["seq"] for i in first["items"] + second["items"]]
    assert seqs == list(range(seqs[0], seqs[0] - 6, -1))
    of_case = client.get(f"/admin/audit?case={case_id}&type=review_started", secret=token).json()["items"]
    assert [(i["stream"], i["type"]) for i in of_case] == [(case_id, "review_started")]
    assert client.get("/admin/audit?since=2026-13-01", secret=token).status_code == 422
    assert client.get("/admin/audit?cursor=!", secret=token).status_code == 422


def test_every_operator_reads_the_policy_and_what_it_gives_up(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    for role in (Role.SYSTEM_ADMINISTRATOR, Role.AUDITOR):
        page = staff.add(role).get("/console/policy")
        assert page.status_code == 200
        assert "Not kept" in page.text, "a second step for all is asked for by C-4, and by no default"
        assert '<span class="mono">second_step_for_all</span>' in page.text
        assert "Kept" in page.text
