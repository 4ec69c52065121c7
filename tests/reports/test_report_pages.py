"""The page of reports and its files, in both languages, for those who may see them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest

from keyback.application.reports import make
from keyback.domain.operators.roles import Role
from keyback.domain.recovery.events import Note
from tests.support.console import URL, staffed
from tests.support.kit import Kit
from tests.support.steps import ask, drain

Make = Callable[..., Kit]
AT = "/console/reports"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", ("Reports", "People without a way back", "As a table")), ("zh", ("报表", "无法自行找回的人员", "表格"))],
)
def test_every_chart_has_its_table(make_kit: Make, lang: str, words: tuple[str, ...]) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    officer = staff.add(Role.SECURITY_OFFICER)
    pair = {"operator": staff.made["security_officer"].id, "recommended_by": "", "intake_id": ""}
    kit.write(lambda tx: tx.audit.record("x" * 22, [Note("review_approved", pair), Note("caller_check_failed", {})]))
    ask(kit, "omar")
    drain(kit)
    while kit.write(make.fold_next):
        pass
    page = officer.get(f"{AT}?lang={lang}&days=7").text
    for word in words:
        assert word in page
    assert page.count("<figure") == 10
    drawn = page.count('<svg height="120"') + page.count('<ul class="bars">')
    assert page.count('<details class="fold">') >= drawn >= 5
    assert "Security_Officer" in page, "an officer sees who decides"
    assert page.count('<svg height="120"') == 1, "a day on which nobody looked is no day without anybody stranded"
    admin = staff.add(Role.SYSTEM_ADMINISTRATOR)
    auditor = staff.add(Role.AUDITOR)
    assert admin.get(AT).status_code == auditor.get(AT).status_code == 200
    assert staff.add(Role.AGENT).get(AT).status_code == 403


def test_files_hold_the_same_figures(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    officer = staffed(kit).add(Role.SECURITY_OFFICER)
    ask(kit, "omar")
    drain(kit)
    while kit.write(make.fold_next):
        pass
    got = officer.get(f"{AT}.csv")
    assert got.headers["content-type"].startswith("text/csv")
    assert "attachment" in got.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(got.content.decode("utf-8-sig"))))
    assert {"figure": "funnel", "part": "asked", "day": "", "value": "1"} in rows
    assert json.loads(officer.get(f"{AT}.json").text)["sums"]["funnel"]["asked"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("from=yesterday", "such as 2026-11-28"),
        ("from=2026-11-28&to=2026-11-01", "after the last one"),
        ("from=2020-01-01&to=2026-01-01", "at most 400 days"),
        ("desk_cost=lots", "Give a cost as a number"),
    ],
)
def test_what_is_wrong_is_said(make_kit: Make, query: str, says: str) -> None:
    officer = staffed(make_kit(public_url=URL)).add(Role.SECURITY_OFFICER)
    got = officer.get(f"{AT}?{query}")
    assert got.status_code == 422
    assert says in got.text
    for typed in query.split("&"):
        assert f'value="{typed.partition("=")[2]}"' in got.text


def test_money_is_by_the_companys_own_figures(make_kit: Make) -> None:
    officer = staffed(make_kit(public_url=URL)).add(Role.SECURITY_OFFICER)
    assert "Saved, by your figures" not in officer.get(AT).text
    assert "Saved, by your figures" in officer.get(f"{AT}?desk_cost=60&own_cost=2").text


def test_what_a_call_costs_can_be_set(make_kit: Make) -> None:
    kit = make_kit(public_url=URL, reports={"desk_cost": 60, "own_cost": 2.5, "currency": "EUR"})
    officer = staffed(kit).add(Role.SECURITY_OFFICER)
    page = officer.get(AT).text
    assert "Saved, by your figures" in page
    assert 'value="2.5"' in page
    assert "EUR" in page
    assert json.loads(officer.get(f"{AT}.json").text)["saved"] == {"amount": 0.0, "currency": "EUR"}
    assert "saved,EUR,," in officer.get(f"{AT}.csv").text
    assert officer.get(f"{AT}?own_cost=moon").status_code == 422


def test_the_command_prints_both_formats(
    place: object, make_kit: Make, sqlite_url: str, keyback: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = make_kit(url=sqlite_url)
    keyring = kit.settings.keyring
    assert keyring is not None
    monkeypatch.setenv("KEYBACK_KEYRING", keyring.get_secret_value())
    assert keyback("report").output.startswith("figure,part,day,value")  # type: ignore[operator]
    assert (
        "funnel"
        in json.loads(keyback("report", "--format", "json", "--from", "2026-11-01", "--to", "2026-11-03").output)[
            "sums"
        ]
    )  # type: ignore[operator]
    assert "such as 2026-11-28" in keyback("report", "--from", "x", code=2).output  # type: ignore[operator]
