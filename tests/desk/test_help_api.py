"""Somebody asks the help desk for help by a program: the rules of the pages, and the same for everyone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.desk import help_request
from keyback.domain.operators.calls import HELP_CODE_LIFE
from keyback.domain.operators.roles import Role
from tests.support.api_client import Client, Recovery
from tests.support.console import staffed
from tests.support.help import ADDRESS, REASON, code_to
from tests.support.kit import Kit
from tests.support.steps import drain

Make = Callable[..., Kit]
GIVEN = {"reason": REASON, "contact": ADDRESS}


def begun(kit: Kit, who: str = "omar") -> Recovery:
    held = Recovery(Client(kit), who, journey="mailbox")
    drain(kit)
    return held


def see(held: Recovery) -> dict[str, Any]:
    answer = held.client.get(f"{held.path}/help", secret=held.secret)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def said(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", answer.json().get("state", ""))


@pytest.mark.covers("I8", "H1")
def test_a_program_asks_confirms_writes_and_has_it_looked_at_again(make_kit: Make) -> None:
    staff = staffed(make_kit())
    kit, tray = staff.kit, staff.tray
    held = begun(kit)
    assert see(held)["state"] == "not_asked"
    assert said(held.post("/help/messages", {"text": "Hello."})) == (409, "wrong_state")
    assert said(held.post("/help/verify", {"code": "123456"})) == (409, "wrong_state")
    assert said(held.post("/help", GIVEN)) == (202, "unconfirmed")
    assert said(held.post("/help", GIVEN)) == (202, "unconfirmed"), "sent again after a lost answer, it counts once"
    assert said(held.post("/help", {**GIVEN, "contact": "else@example.net"})) == (409, "wrong_state")
    code = code_to(tray, kit)
    assert len(tray.to(ADDRESS, "help_code")) == 1
    assert said(held.post("/help/resend")) == (409, "too_early")
    wrong = held.post("/help/verify", {"code": f"{(int(code) + 1) % 10**6:06}"})
    assert (*said(wrong), wrong.json()["tries_left"]) == (422, "wrong_code", 4)
    opened = held.post("/help/verify", {"code": f"{code[:3]} {code[3:]}"}).json()
    assert (opened["state"], opened["place"], opened["contact"], opened["reason"]) == ("open", 1, ADDRESS, REASON)
    assert said(held.post("/help/verify", {"code": code})) == (200, "open")
    for _ in range(2):
        assert said(held.post("/help/messages", {"text": "I am at  home."})) == (200, "open")
    assert [(x["by"], x["text"]) for x in see(held)["messages"]] == [("person", "I am at home.")]

    agent = staff.add(Role.AGENT)
    at = f"/console/requests/{held.handle}"
    assert agent.post(f"{at}/reply", text="We call your manager.", act="answer").status_code == 303
    answered = see(held)
    assert (answered["state"], answered["messages"][-1]["by"]) == ("answered", "desk")
    assert answered["messages"][-1]["name"]
    assert agent.post(f"{at}/reply", text="Done.", act="close").status_code == 303
    assert see(held)["may_reopen"]
    assert said(held.post("/help/messages", {"text": "And now?"})) == (409, "wrong_state")
    for _ in range(2):
        again = held.post("/help/reopen", {"text": "It was not my manager."}).json()
        assert (again["state"], len(again["messages"]), again["may_reopen"]) == ("open", 4, False)


def test_codes_run_out_and_end(make_kit: Make) -> None:
    staff = staffed(make_kit())
    kit, held = staff.kit, begun(staff.kit)
    held.post("/help", GIVEN)
    code = code_to(staff.tray, kit)
    kit.clock.now += HELP_CODE_LIFE
    ended = held.post("/help/verify", {"code": code})
    assert (*said(ended), ended.json()["reason"]) == (422, "code_over", "expired")
    assert said(held.post("/help/resend")) == (202, "unconfirmed")
    code = code_to(staff.tray, kit)
    wrong = f"{(int(code) + 1) % 10**6:06}"
    tries = [said(held.post("/help/verify", {"code": wrong})) for _ in range(6)]
    assert tries == [(422, "wrong_code")] * 5 + [(429, "no_tries")]
    assert said(held.post("/help/verify", {"code": code})) == (429, "no_tries")
    kit.clock.forward(minutes=3)
    assert said(held.post("/help/resend")) == (409, "too_early"), "a new code brings no new tries"


@pytest.mark.covers("A3", "B7", "INV-I5")
def test_it_is_the_same_whoever_it_is_about(make_kit: Make) -> None:
    staff = staffed(make_kit())
    kit = staff.kit
    seen = []
    for n, who in enumerate(("omar", "nobody-here")):
        held, to = begun(kit, who), f"home{n}@example.net"
        answers = [held.post("/help", {**GIVEN, "contact": to})]
        answers.append(held.post("/help/verify", {"code": code_to(staff.tray, kit, to)}))
        answers.append(held.post("/help/messages", {"text": "Hello."}))
        kit.write(lambda tx, h=held.handle: tx.help_requests.save(_closed(tx, h)))
        answers.append(held.post("/help/reopen", {"text": "Please look again."}))
        kit.write(lambda tx, h=held.handle: tx.help_requests.save(_closed(tx, h)))
        seen.append([(a.status_code, a.text.replace(to, "TO"), sorted(a.headers)) for a in answers])
    assert seen[0] == seen[1]


def _closed(tx: Any, handle: str) -> Any:
    return replace(tx.help_requests.get(handle), state="closed", closed_at=tx.now)


@pytest.mark.covers("L9", "B1")
def test_what_gives_something_away_is_refused_by_its_code_and_never_echoed(make_kit: Make) -> None:
    staff = staffed(make_kit())
    held = begun(staff.kit)
    for given, field, code in (
        ({**GIVEN, "reason": "My password is tr0ub4dor"}, "reason", "has_password"),
        ({**GIVEN, "reason": " \n "}, "reason", "empty"),
        ({**GIVEN, "reason": "x" * (help_request.MAX_REASON + 1)}, "reason", "too_long"),
    ):
        refused = held.post("/help", given)
        assert (refused.status_code, refused.json()["errors"]) == (422, [{"field": field, "code": code}])
        assert "tr0ub4dor" not in refused.text
    assert said(held.post("/help", {**GIVEN, "contact": "no address"})) == (422, "not_mail")
    held.post("/help", GIVEN)
    held.post("/help/verify", {"code": code_to(staff.tray, staff.kit)})
    refused = held.post("/help/messages", {"text": "The code is 482913."})
    assert (refused.status_code, refused.json()["errors"]) == (422, [{"field": "text", "code": "has_code"}])
    answers = [held.post("/help/messages", {"text": f"Hello {n}."}).status_code for n in range(11)]
    assert answers == [200] * 10 + [429]


@pytest.mark.covers("D8")
def test_a_network_asks_so_often_and_only_who_holds_the_recovery(make_kit: Make) -> None:
    kit = make_kit(limits={"recoveries": 2, "proofs": 1})
    client = Client(kit)
    held, other = Recovery(client, "omar", journey="mailbox"), Recovery(client, "omar", journey="mailbox")
    for path, body in (("", GIVEN), ("/verify", {"code": "1"}), ("/resend", None), ("/messages", {"text": "x"})):
        answer = client.post(f"{held.path}/help{path}", body, secret=other.secret)
        assert said(answer) == (401, "unauthorized")
    assert said(held.post("/help", GIVEN)) == (429, "slow_down")


def test_the_mail_of_a_stopped_recovery_is_none(make_kit: Make) -> None:
    staff = staffed(make_kit())
    held = begun(staff.kit)
    assert held.post("/cancel").status_code == 200
    assert said(held.post("/help", GIVEN)) == (409, "wrong_state")
