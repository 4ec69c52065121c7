"""A campaign over the console: drafted by one, approved by another, and looked at; nothing typed is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from keyback.domain.operators.roles import Role
from tests.support.console import URL, Console, Staff, staffed
from tests.support.kit import Kit, person
from tests.support.steps import drain

Make = Callable[..., Kit]
AT = "/console/campaigns"
FORM = {"name": "After the break-in", "reason": "incident", "pace": "", "people": ""}


def company(make_kit: Make, **over: Any) -> tuple[Staff, Console, Console]:
    kit = make_kit(public_url=URL, **over)
    staff = staffed(kit)
    kit.write(lambda tx: tx.people.save_imported([person(f"p{n}") for n in range(5)]))
    return staff, staff.add(Role.APPROVER), staff.add(Role.SECURITY_OFFICER)


def version(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found, page
    return found[1]


@pytest.mark.slow
@pytest.mark.covers("A-8.2.2", "A-8.2.1")
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_one_drafts_and_another_approves(make_kit: Make, lang: str) -> None:
    staff, drafter, officer = company(make_kit)
    for browser in (drafter, officer):
        browser.get(f"{AT}?lang={lang}")
    words = {
        "en": (
            "New campaign",
            "Waits for approval",
            "7 people will get an email.",
            "You drafted",
            "Finished",
            "New password set",
        ),
        "zh": ("新建批量找回", "等待批准", "将有7人收到邮件。", "由你起草", "已完成", "已设置新密码"),
    }[lang]
    assert words[0] in drafter.get(f"{AT}/new").text
    at = drafter.post(AT, **FORM).headers["location"]
    assert "0" in drafter.get(at).text
    drain(staff.kit)
    page = drafter.get(at).text
    assert words[1] in page
    assert "/approve" not in page, "an approver drafts; a security officer decides"
    officer.confirm()
    page = officer.get(at).text
    assert words[2] in page
    done = officer.post(f"{at}/approve", version=version(page))
    assert done.headers["location"] == at
    drain(staff.kit)
    page = officer.get(at).text
    assert words[4] in page
    assert words[5] in page
    assert len([m for m in staff.tray.messages if m.kind == "campaign"]) == 7
    assert [m.content.what for m in staff.tray.to("security_officer@example.com", "desk")][-2:] == [
        "campaign_drafted",
        "campaign_approved",
    ]
    assert "After the break-in" in officer.get(AT).text


def test_an_officer_does_not_approve_their_own(make_kit: Make) -> None:
    staff, _, officer = company(make_kit)
    at = officer.post(AT, **FORM).headers["location"]
    drain(staff.kit)
    officer.confirm()
    page = officer.get(at).text
    assert "You drafted this campaign" in page
    got = officer.post(f"{at}/approve", version="2")
    assert got.status_code == 403
    assert "Someone else approves it" in got.text


@pytest.mark.slow
def test_pause_resume_and_stop_by_the_pages(make_kit: Make) -> None:
    staff, drafter, officer = company(make_kit)
    at = drafter.post(AT, **{**FORM, "pace": "60", "quiet_from": "22:00", "quiet_until": "6:30"}).headers["location"]
    drain(staff.kit)
    officer.confirm()
    page = officer.get(at).text
    assert "22:00–06:30" in page
    officer.post(f"{at}/approve", version=version(page))
    assert drafter.post(f"{at}/pause").headers["location"] == at
    assert drafter.post(f"{at}/resume").status_code == 403
    assert officer.post(f"{at}/resume").headers["location"] == at
    assert "Stopping ends it for good" in drafter.get(at).text
    assert drafter.post(f"{at}/stop").headers["location"] == at
    got = officer.post(f"{at}/resume")
    assert got.status_code == 409
    assert "not possible any more" in got.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": ""}, "Give the campaign a name"),
        ({"reason": "fun"}, "Choose a reason"),
        ({"system": "nowhere"}, "Choose a system"),
        ({"tier": "top"}, "Choose a tier"),
        ({"older": "many"}, "whole numbers"),
        ({"pace": "99999"}, "at most 60000"),
        ({"quiet_from": "25:00"}, "such as 22:00"),
        ({"people": "nobody@example.com\nno one"}, "No one is known"),
        ({"people": "x\n" * 2001}, "more than 2000 lines"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(make_kit: Make, wrong: dict[str, str], says: str) -> None:
    _, drafter, _ = company(make_kit)
    got = drafter.post(AT, **{**FORM, "name": "Autumn <b>", "must": "yes", **wrong})
    assert got.status_code == 422
    assert says in got.text
    assert "<b>" not in got.text
    if "name" not in wrong:
        assert 'value="Autumn &lt;b&gt;"' in got.text
    assert 'name="must" value="yes" checked' in got.text
    if "people" in wrong:
        assert wrong["people"].splitlines()[0] in got.text
    assert "Autumn" not in drafter.get(AT).text


@pytest.mark.slow
def test_agents_see_no_campaigns_and_auditors_change_none(make_kit: Make) -> None:
    staff, drafter, _ = company(make_kit)
    at = drafter.post(AT, **FORM).headers["location"]
    agent, auditor = staff.add(Role.AGENT), staff.add(Role.AUDITOR)
    assert agent.get(AT).status_code == 403
    assert AT not in agent.get("/console").text
    assert auditor.get(at).status_code == 200
    assert auditor.post(f"{at}/stop").status_code == 403
