"""What only an administrator can do: asked for with the evidence, done or declined, and whether the person got in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from keyback.application.ports.connectors import Capabilities, Means, Outcome, Step
from keyback.application.tasks import lifecycle as tasks
from keyback.domain.errors import Refusal
from keyback.domain.units import HOUR, MINUTE
from tests.support.guided import ADMINS, kit_of, look, news, recovered, task_of
from tests.support.kit import Kit
from tests.support.steps import NEW, choose, drain, proven, types

Make = Callable[..., Kit]


def test_a_guided_reset_makes_a_task_with_the_evidence_and_tells_the_administrators(
    database_url: str, make_kit: Make
) -> None:
    kit, tray, _, task = recovered(make_kit, url=database_url)
    assert (task.kind, task.state, task.system, task.asks, task.watch) == ("reset", "open", "partner", 1, "looking")
    assert [m for m, _ in task.verified] == ["email_link"]
    told = [x for x in tray.messages if x.kind == "task"]
    assert [x.to for x in told] == ADMINS
    content: Any = told[0].content
    assert (content.person_name, content.username, content.system) == ("Maya", "maya", "Partner desk")
    assert content.verified == tuple((m, str(at)) for m, at in task.verified)
    with kit.services.db.engine.connect() as conn:  # type: ignore[attr-defined]
        rows = [str(r) for table in ("tasks", "outbox", "events") for r in conn.execute(text(f"SELECT * FROM {table}"))]
    assert not any(NEW.reveal() in row for row in rows)
    assert {"task_opened", "administrators_asked"} <= set(types(kit))


def test_who_is_asked_later_only_is_asked_by_the_person_or_after_a_day(make_kit: Make) -> None:
    kit, tray, _, task = recovered(make_kit, rules={"at_once": False})
    assert [x for x in tray.messages if x.kind == "task"] == []
    look(kit, hours=25)
    assert [x.to for x in tray.messages if x.kind == "task"] == ADMINS
    assert news(tray) == ["remind"]
    assert task_of(kit, task).asks == 1


def test_where_only_an_administrator_can_do_it_they_are_asked_at_once(make_kit: Make) -> None:
    kit, tray, partner = kit_of(make_kit, rules={"at_once": False})
    partner.outcome = Outcome(Step.SET, "pending", "desk")
    choose(kit, proven(kit, tray))
    drain(kit)
    assert [x.to for x in tray.messages if x.kind == "task"] == ADMINS


def test_done_and_declined_are_told_to_the_person_and_cannot_be_undone(make_kit: Make) -> None:
    kit, tray, _, task = recovered(make_kit)
    kit.write(lambda tx: tasks.done(tx, task.id, "reset by hand"))
    drain(kit)
    (told,) = [x for x in tray.messages if x.kind == "system"]
    assert (told.to, told.content.what, told.content.detail) == ("maya@example.com", "done", "")  # type: ignore[attr-defined]
    for act in (lambda tx: tasks.done(tx, task.id), lambda tx: tasks.decline(tx, task.id, "no")):
        with pytest.raises(Refusal, match="wrong_state"):
            kit.write(act)
    with pytest.raises(Refusal, match="not_found"):
        kit.write(lambda tx: tasks.done(tx, "x" * 22))
    assert task_of(kit, task).watch == "looking"


def test_a_declined_task_says_why(make_kit: Make) -> None:
    kit, tray, _, task = recovered(make_kit)
    kit.write(lambda tx: tasks.decline(tx, task.id, "You left the team"))
    drain(kit)
    (told,) = [x.content for x in tray.messages if x.kind == "system"]
    assert (told.what, told.detail) == ("declined", "You left the team")  # type: ignore[attr-defined]
    assert not kit.write(lambda tx: tasks.ask_again(tx, kit.services.tasks, task.id, task.case_id))


@pytest.mark.covers("INV-I12")
def test_it_is_done_only_once_the_person_was_seen(database_url: str, make_kit: Make) -> None:
    kit, tray, partner, task = recovered(make_kit, url=database_url)
    partner.signed_in = [task.watch_from - 1]  # with the old password
    look(kit, minutes=3)
    assert (task_of(kit, task).watch, task_of(kit, task).state) == ("looking", "open")
    partner.signed_in.append(kit.clock())
    look(kit, minutes=30)
    now = task_of(kit, task)
    assert (now.watch, now.state, now.closed_by, now.look_at) == ("seen", "done", "watch", 0)
    assert now.seen_at == partner.signed_in[-1]
    assert news(tray) == ["seen"]
    asked = partner.asked
    look(kit, hours=100)
    assert partner.asked == asked, "nobody looks any more"


def test_a_sighting_in_time_settles_the_recovery_itself(make_kit: Make) -> None:
    kit, _, partner, task = recovered(make_kit)
    partner.signed_in = [kit.clock() + MINUTE]
    look(kit, minutes=3)
    case = kit.read(lambda tx: tx.cases.get(task.case_id))
    assert {r.result for r in case.results} == {"done"}


def test_the_account_s_own_record_will_do(make_kit: Make) -> None:
    kit, _, partner, task = recovered(make_kit)
    partner.capabilities = Capabilities(lookup=Means.NATIVE, set_password=Means.GUIDED)
    partner.listed = kit.clock() + MINUTE
    look(kit, minutes=3)
    assert (task_of(kit, task).watch, partner.asked) == ("seen", 0)


@pytest.mark.slow
@pytest.mark.parametrize("tells", [True, False])
def test_whoever_is_not_seen_is_reminded_once_and_told_to_ask_again(make_kit: Make, tells: bool) -> None:
    kit, tray, partner, task = recovered(make_kit)
    if not tells:
        partner.capabilities = Capabilities(set_password=Means.GUIDED)
    for _ in range(60):
        look(kit, hours=2)
    assert news(tray) == ["remind" if tells else "remind_blind", "again"]
    now = task_of(kit, task)
    assert (now.watch, now.look_at, now.state) == ("unseen", 0, "open")
    assert partner.asked < 30 * tells + 1, "looks are bounded"
    assert kit.write(lambda tx: tasks.ask_again(tx, kit.services.tasks, task.id, task.case_id))
    again = task_of(kit, task)
    assert (again.watch, again.asks) == ("looking", 2)


def test_a_system_that_is_away_is_asked_later(make_kit: Make) -> None:
    kit, _, partner, task = recovered(make_kit)
    partner.away = True
    look(kit, minutes=3)
    assert (task_of(kit, task).watch, task_of(kit, task).looks) == ("looking", 1)
    partner.away, partner.signed_in = False, [kit.clock()]
    look(kit, hours=1)
    assert task_of(kit, task).watch == "seen"


def test_administrators_are_asked_again_an_hour_later_at_most_five_times(make_kit: Make) -> None:
    kit, tray, _, task = recovered(make_kit)
    ask = lambda: kit.write(lambda tx: tasks.ask_again(tx, kit.services.tasks, task.id, task.case_id))  # noqa: E731
    assert not ask()
    assert not kit.write(lambda tx: tasks.ask_again(tx, kit.services.tasks, task.id, "c" * 22)), "of another recovery"
    answers = []
    for _ in range(10):
        kit.clock.forward(minutes=61)
        answers.append(ask())
    assert answers == [True] * 4 + [False] * 6
    drain(kit)
    assert len([x for x in tray.messages if x.kind == "task"]) == 5 * len(ADMINS)
    assert sum(x.content.again for x in tray.messages if x.kind == "task") == 4 * len(ADMINS)  # type: ignore[attr-defined]


def test_the_person_s_own_word_ends_the_watch_and_nothing_more(make_kit: Make) -> None:
    kit, tray, partner, task = recovered(make_kit)
    assert kit.write(lambda tx: tasks.say_in(tx, task.id, task.case_id))
    assert not kit.write(lambda tx: tasks.say_in(tx, task.id, task.case_id))
    look(kit, hours=100)
    now = task_of(kit, task)
    assert (now.watch, now.state, now.closed_by) == ("said", "done", "person")
    assert (partner.asked, news(tray)) == (0, [])


def test_a_newer_recovery_takes_the_place_of_an_open_task(make_kit: Make) -> None:
    kit, tray, _, task = recovered(make_kit)
    kit.clock.forward(hours=2)
    choose(kit, proven(kit, tray), submission="s2")
    drain(kit)
    assert (task_of(kit, task).state, task_of(kit, task).look_at) == ("over", 0)
    opened = kit.read(lambda tx: tasks.listed(tx))
    assert [v.task.state for v in opened] == ["open"]
    assert (opened[0].person_name, opened[0].username) == ("Maya", "maya")


@pytest.mark.both
def test_workers_that_look_at_once_ask_once(database_url: str, make_kit: Make) -> None:
    kit, _, _, task = recovered(make_kit, url=database_url)
    kit.clock.forward(minutes=3)
    assert [t.id for t in kit.write(lambda tx: tx.tasks.claim(8, HOUR))] == [task.id]
    assert kit.write(lambda tx: tx.tasks.claim(8, HOUR)) == []


@pytest.mark.covers("Q10")
def test_a_message_to_an_administrator_that_cannot_be_read_is_given_up_alone(make_kit: Make) -> None:
    kit, tray, _ = kit_of(make_kit)
    choose(kit, proven(kit, tray))
    with kit.services.db.engine.begin() as conn:  # type: ignore[attr-defined]
        body = json.dumps({"letter": "task", "administrator": ADMINS[0]})
        values = {"b": body, "n": kit.clock(), "e": kit.clock() + HOUR, "i": "b" * 22}
        conn.execute(
            text(
                "INSERT INTO outbox (id, kind, state, body, created_at, due_at, expires_at, attempts, fence, last_code,"
                " turn) VALUES (:i, 'mail', 'ready', :b, :n, :n, :e, 0, 0, '', :n)"
            ),
            values,
        )
    drain(kit)
    assert [x.to for x in tray.messages if x.kind == "task"] == ADMINS
    assert kit.read(lambda tx: tx.outbox.depth()) == {"mail/dead": 1}
