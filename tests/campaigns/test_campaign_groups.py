"""People chosen by their group: over the console, the command line and the API, counted before anybody is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyback.application.campaigns import lifecycle, run
from keyback.application.campaigns.lifecycle import Draft
from keyback.application.desk import keys
from keyback.domain.errors import BadInput
from keyback.domain.operators.campaigns import Selection
from keyback.domain.operators.roles import Permission, Role
from keyback.storage.stores.campaigns import campaigns as table
from tests.support.api_client import Client
from tests.support.console import URL, Staff, staffed
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import drain

Make = Callable[..., Kit]
SALES = "Sales & <b>Marketing</b> \"'; ７"
FORM = {"name": "After the break-in", "reason": "incident", "pace": "", "people": ""}


def company(make_kit: Make, **over: Any) -> Staff:
    kit = make_kit(public_url=URL, **over)
    staff = staffed(kit)
    people = [replace(person(f"p{n}"), groups=(SALES,) if n < 3 else ("Finance",)) for n in range(5)]
    people.append(replace(person("off", state="disabled"), groups=(SALES,)))
    people.append(replace(person("z", system="zoho"), groups=(SALES,)))
    kit.write(lambda tx: tx.people.save_imported(people))
    return staff


def counted(kit: Kit, selection: Selection) -> list[str]:
    made = kit.write(lambda tx: lifecycle.draft(tx, None, Draft("C", "old", selection), ("builtin", "zoho")))
    while kit.write(run.collect):
        pass
    ids = kit.read(lambda tx: tx.campaigns.waiting(made.id, 100))
    return sorted(p.name for p in kit.read(lambda tx: tx.people.people(ids)).values())


@pytest.mark.both
@pytest.mark.covers("A-8.2.2")
def test_only_the_members_of_a_group_are_meant(make_kit: Make, database_url: str) -> None:
    kit = company(make_kit, url=database_url).kit
    assert counted(kit, Selection(group=" SALES  & <B>marketing</b> \"'; 7")) == ["P0", "P1", "P2", "Z"]
    assert counted(kit, Selection(group="finance")) == ["P3", "P4"]
    assert counted(kit, Selection("zoho", group=SALES)) == ["Z"], "everything that is given has to be true"
    for wrong in ("Sales", "nobody", "%", "\x00"):
        with pytest.raises(BadInput, match="group"):
            counted(kit, Selection(group=wrong))


@pytest.mark.both
def test_a_list_and_a_group_narrow_each_other(make_kit: Make, database_url: str) -> None:
    kit = company(make_kit, url=database_url).kit
    wanted = Draft("C", "old", Selection(listed=True, group=SALES))
    made = kit.write(lambda tx: lifecycle.draft(tx, None, wanted, ()))
    kit.write(lambda tx: lifecycle.name_people(tx, made.id, ["p0", "p3", "p4"]))
    kit.write(lambda tx: lifecycle.act(tx, None, made.id, "listed"))
    while kit.write(run.collect):
        pass
    assert kit.read(lambda tx: tx.campaigns.waiting(made.id, 9)) == [person_id(kit, "p0")]


def test_the_version_before_reads_campaigns_without_a_group_and_stops_at_one_with(make_kit: Make) -> None:
    """It would take a group that it does not know for everybody."""
    kit = company(make_kit).kit
    plain = kit.write(lambda tx: lifecycle.draft(tx, None, Draft("A", "old", Selection()), ()))
    chosen = kit.write(lambda tx: lifecycle.draft(tx, None, Draft("B", "old", Selection(group=SALES)), ()))
    rows = kit.read(lambda tx: dict(tx.conn.execute(table.select().with_only_columns(table.c.id, table.c.body)).all()))
    assert json.loads(rows[plain.id])["selection"].keys() == {"system", "tier", "older_days", "listed"}
    assert json.loads(rows[chosen.id])["selection"]["group"] == SALES
    assert kit.read(lambda tx: tx.campaigns.get(chosen.id)).selection.group == SALES


def test_an_operator_looks_into_a_group_and_drafts_a_campaign_for_it(make_kit: Make) -> None:
    staff = company(make_kit)
    approver = staff.add(Role.APPROVER)
    page = approver.get("/console/people/groups").text
    links = re.findall(r'href="(/console/people/groups\?group=[^"]+)"', page)
    assert len(links) == 2
    assert "<b>" not in page, "names are texts"
    seen = approver.get(links[1].replace("&amp;", "&")).text
    assert [n for n in ("P0", "P1", "P2", "P3", "Off", "Z") if f">{n}<" in seen] == ["P0", "P1", "P2", "Off", "Z"]
    (to_form,) = re.findall(r'href="(/console/campaigns/new\?group=[^"]+)"', seen)
    form = approver.get(to_form).text
    assert "Sales &amp; &lt;b&gt;Marketing" in form
    assert form.count("<option") >= 2
    at = approver.post("/console/campaigns", **FORM, group=SALES.upper()).headers["location"]
    drain(staff.kit)
    one = approver.get(at).text
    assert "Sales &amp; &lt;b&gt;Marketing" in one
    wrong = approver.post("/console/campaigns", **{**FORM, "name": "Kept"}, group="Sails")
    assert wrong.status_code == 422
    assert "No one is in a group of this name." in wrong.text
    assert all(f'value="{typed}"' in wrong.text for typed in ("Kept", "Sails")), "nothing typed is lost"
    person_page = approver.get(f"/console/people/{person_id(staff.kit, 'p0')}").text
    assert "Sales &amp; &lt;b&gt;Marketing" in person_page
    rows = staff.kit.read(lambda tx: tx.audit.rows(0, 1000))
    sought = [json.loads(e["data"]) for e in rows if e["type"] == "person_sought"]
    assert [(d["group"], d["found"]) for d in sought] == [(SALES, 5)]


def test_looks_into_groups_count_among_the_searches_of_an_hour(make_kit: Make) -> None:
    staff = company(make_kit)
    agent = staff.add(Role.AGENT)
    for none in ("nobody", "%00", "x" * 300, "%25", "%F0%9F"):
        assert agent.get(f"/console/people/groups?group={none}").status_code in (400, 404), none
    assert agent.get("/console/people/groups?after=%00").status_code in (200, 400)
    for _ in range(60):
        last = agent.get("/console/people/groups?group=Finance")
    assert last.status_code == 429
    assert "many people in the last hour" in last.text
    assert agent.get("/console/people/groups").status_code == 200, "names alone are no search"


@pytest.mark.covers("A-8.2.2", "J3")
def test_a_program_sees_groups_and_drafts_for_one(make_kit: Make) -> None:
    staff = company(make_kit)
    kit, client = staff.kit, Client(staff.kit)
    scopes = (Permission.PEOPLE_VIEW, Permission.CAMPAIGNS_VIEW, Permission.CAMPAIGNS_DRAFT)
    token = kit.write(lambda tx: keys.add(tx, "Tickets", [s.value for s in scopes])).token
    listed = client.get("/admin/groups", secret=token).json()
    assert (sorted(listed["items"]), listed["next"]) == (sorted(["Finance", SALES]), None)
    found = client.get("/admin/people/in-group?group=FINANCE", secret=token).json()
    assert {(p["name"], p["state"]) for p in found["items"]} == {("P3", "active"), ("P4", "active")}
    assert client.get("/admin/people/in-group?group=nobody", secret=token).status_code == 404
    assert client.get("/admin/people/in-group", secret=token).status_code == 422
    for cursor in ("!!!!", "AA", "_w"):
        assert client.get(f"/admin/groups?cursor={cursor}", secret=token).status_code == 422, cursor
    seen = client.get(f"/admin/people/{person_id(kit, 'p3')}", secret=token).json()
    assert seen["groups"] == ["Finance"]
    body = {"name": "C", "reason": "old", "group": "finance"}
    made = client.post("/admin/campaigns", body, secret=token)
    assert made.status_code == 201
    drain(kit)
    one = client.get(f"/admin/campaigns/{made.json()['id']}", secret=token).json()
    assert (one["group"], one["state"], one["people"]["all"]) == ("Finance", "drafted", 2)
    wrong = client.post("/admin/campaigns", {**body, "group": "Fin"}, secret=token)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "group")


def test_the_command_line_knows_groups(place: Path, keyback: Any, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    rows = "李雷,lilei@example.com,lilei,财务部", "Maya,m@example.com,maya,Sales"
    file.write_text("\n".join(("name,email,username,部门", *rows)), "utf-8")
    assert "changes nothing" not in keyback("people", "import", str(file)).output
    assert keyback("people", "groups").output.splitlines() == ["Sales", "财务部"]
    assert json.loads(keyback("people", "groups", "--json").output) == ["Sales", "财务部"]
    assert json.loads(keyback("people", "show", "lilei", "--json").output)["groups"] == ["财务部"]
    assert "财务部" in keyback("people", "show", "lilei").output
    made = json.loads(keyback("campaign", "start", "C", "--group", "sales", "--json").output)
    assert made["group"] == "Sales"
    assert "keyback people groups" in keyback("campaign", "start", "C", "--group", "Sails", code=1).output
