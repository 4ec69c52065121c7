"""Step 2 and 3 of a recovery: the new password, and what became of it in every system."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application import handles
from keyback.application.doctor import preflight
from keyback.application.passwords import system_rules, validation
from keyback.application.ports.connectors import Connector, Means
from keyback.application.ports.storage import Tx
from keyback.application.ports.tasks import Task, TaskRules
from keyback.application.recovery import new_password, replace_factor
from keyback.application.tasks import watch
from keyback.application.tasks.lifecycle import may_ask
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import state_of
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Account
from keyback.domain.recovery.case import Case
from keyback.domain.secret import Secret
from keyback.web.http.problems import problem
from keyback.web.portal import pages
from keyback.web.portal.over import over_page
from keyback.web.portal.remedy import passkey_maker
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.findings import shown
from keyback.web.ui.forms import BadForm, one_string, parse_json
from keyback.web.ui.page import PasswordRule
from keyback.web.ui.password_feedback import (
    asked_twice,
    beside,
    judged,
    reasons_of,
    reasons_of_systems,
    rules_of,
    rules_of_systems,
)


async def password_page(
    desk: AppContext,
    request: Request,
    handle: str,
    case: Case,
    *,
    typed: str = "",
    chosen: Sequence[str] | None = None,
    preferred: str = "",
    status: int = 200,
    **over: Any,
) -> Response:
    """The form for the new password; `typed` is judged, never sent back.

    Args:
        chosen: ids of the accounts that were selected in the form.
        preferred: id of the one to select before it was sent.
    """
    try:
        choice = await desk.services.db.read(lambda tx: new_password.choice(tx, case.id, handle, desk.services.policy))
    except Refusal as e:
        # Something about the person or the case changed since the proof: say so, never lead in a circle.
        return await over_page(desk, request, handle, e.code)
    intake = await desk.services.db.read(lambda tx: tx.intakes.get(handle))
    locale, s = desk.locale(request), desk.services
    context = validation.context_of(s, choice.person, choice.accounts, choice.mails)
    with_factor = choice.tier != "standard"
    rules = rules_of(state_of(typed, s.rules, context, s.blocklist, with_factor, s.leaked), locale)
    asked, before = await asyncio.gather(
        system_rules.rules_of_systems(s, choice.accounts),
        preflight.preflight(s, handle, desk.here(request), choice.accounts, aside=True),
    )
    possible = before.sensible(choice.accounts)
    can = {a.system for a in possible}
    theirs = rules_of_systems([x for x in asked if x.system in can], typed, choice.person.name, locale)
    asked_for = intake.system if intake is not None else ""
    named = {a.id for a in possible if a.id == preferred}
    named = named or {a.id for a in possible if asked_for in ("", a.system)}
    named = named or {a.id for a in possible if a.id in before.homes(asked_for)}
    wanted = set(chosen) if chosen is not None else named or {a.id for a in possible}
    model = pages.Password(
        handle=handle,
        display_name=choice.person.name,
        username=possible[0].username if possible else "",
        minutes_left=max(1, choice.seconds_left // 60),
        min_length=s.rules.shortest(with_factor),
        requirements=(*rules, *theirs),
        accounts=tuple(
            pages.AccountChoice(
                a.id,
                s.titles.get(a.system, a.system),
                a.username,
                _hint(s.connectors.get(a.system)),
                a.id in wanted,
                tuple(shown(f, locale) for f in before.findings(a.id) if f.code in BESIDE),
            )
            for a in possible
        ),
        aside=tuple(
            pages.Aside(
                s.titles.get(d.account.system, d.account.system),
                d.account.username,
                shown(why, locale, home=d.home, titles=s.titles),
            )
            for d in before.accounts
            if (why := before.in_vain.get(d.account.id))
        ),
        submission=secrets.token_urlsafe(18),
        again=any(r.timed_out for r in choice.case.results),
        **beside(desk, request, context, with_factor, [x for x in asked if x.system in can], choice.person.name),
        own=tuple((s.titles.get(a.system, a.system), a.username) for a in choice.barred),
        **over,
    )
    return desk.page(request, model, status, step=2, path=f"/r/{handle}")


BESIDE = frozenset({"no_license", "factor_lost"})  # a new password can be set, but it is not what is missing


def _hint(connector: Connector | None) -> Any:
    if connector is None:
        return "desk"
    return "guided" if connector.capabilities.set_password == Means.GUIDED else "at_once"


async def take_password(
    desk: AppContext, request: Request, handle: str, case: Case, values: Mapping[str, str]
) -> Response:
    """Judges and takes the new password; every fault is shown at once, nothing typed is lost but the passwords."""
    s, typed = desk.services, values["new_password"]
    chosen = [a for a in values["accounts"].split("\n") if a]
    submission = handles.submission_digest(s.seals, values["submission"])
    locale = desk.locale(request)
    try:
        choice = await s.db.read(lambda tx: new_password.choice(tx, case.id, handle, s.policy))
    except Refusal as e:
        return await _refused(desk, request, handle, case, e, submission)
    context, with_factor = (
        validation.context_of(s, choice.person, choice.accounts, choice.mails),
        choice.tier != "standard",
    )
    # Of this person's accounts only: the history of anybody else's must not be asked.
    meant = [a for a in choice.accounts if not chosen or a.id in chosen]
    broken = await validation.judge(s, Secret(typed), context, with_factor, [a.id for a in meant])
    here = desk.here(request)
    systems, before = await asyncio.gather(
        system_rules.rules_of_systems(s, meant), preflight.preflight(s, handle, here, meant)
    )
    vain = any(a.id in before.in_vain for a in meant)
    theirs = system_rules.broken_by(systems, typed, choice.person.name)
    mismatch = asked_twice(values)
    if broken or theirs or mismatch or vain or not chosen:
        errors = (*reasons_of(broken, locale), *reasons_of_systems(theirs, locale))
        over: dict[str, Any] = {"errors": errors, "mismatch": mismatch, "none_chosen": not chosen, "in_vain": vain}
        return await password_page(desk, request, handle, case, typed=typed, chosen=chosen, status=422, **over)
    try:
        await s.db.write(lambda tx: new_password.choose(tx, case.id, handle, Secret(typed), chosen, submission, here))
    except Refusal as e:
        return await _refused(desk, request, handle, case, e, submission)
    return redirect(f"/r/{handle}")


async def _refused(
    desk: AppContext, request: Request, handle: str, case: Case, e: Refusal, submission: str
) -> Response:
    if e.code == "already_chosen":
        now = await desk.services.db.read(lambda tx: tx.cases.get(case.id))
        if now is not None and now.submission != submission:
            return await results_page(desk, request, handle, now, f"c{now.version}", ignored_second=True, status=409)
    else:
        note_refusal(request, e.code)
    return redirect(f"/r/{handle}")


async def results_page(
    desk: AppContext,
    request: Request,
    handle: str,
    case: Case,
    version: str,
    *,
    tasks: Sequence[Task] = (),
    ignored_second: bool = False,
    status: int = 200,
) -> Response:
    """Each system with its own result, as far as it is confirmed."""
    s, locale = desk.services, desk.locale(request)

    def load(tx: Tx) -> tuple[Sequence[Account], Sequence[Factor], bool, int]:
        logins = tx.people.accounts([case.person_id]).get(case.person_id, ())
        has_passkey = any(f.kind == "passkey" for f in tx.factors.of_person(case.person_id))
        return logins, replace_factor.lately_added(tx, handle), has_passkey, tx.now

    logins, added, has_passkey, now = await s.db.read(load)
    accounts = {a.id: a for a in logins}
    of_account = {t.account_id: t for t in tasks}
    systems, built_in = [], False
    for r in case.results:
        account = accounts.get(r.account_id)
        if account is None:
            continue
        connector = s.connectors.get(account.system)
        task = _progress(of_account.get(r.account_id), s.tasks, now, connector)
        state = "done" if task is not None and task.is_in else r.result
        guide = connector.guide(locale) if connector is not None and state == "yours" else None
        built_in = built_in or (account.system == "builtin" and state == "done")
        systems.append(
            pages.SystemResult(
                title=s.titles.get(account.system, account.system),
                state=state,
                at=r.at if state == "done" else None,
                vendor_text=r.vendor_text,
                steps=guide.steps if guide else (),
                url=(guide.url or "") if guide else "",
                reason_code=r.code if state == "refused" or r.timed_out else "",
                username=account.username,
                open_url=_sign_in_url(account.system, connector) if state == "done" else "",
                task=task,
                sessions_open=r.sessions_open,
                signed_out=r.result == "done"
                and not r.sessions_open
                and task is None
                and connector is not None
                and connector.capabilities.revoke_sessions in (Means.NATIVE, Means.COMPOSED),
            )
        )
    model = pages.Results(
        handle=handle,
        systems=tuple(systems),
        all_settled=case.settled,
        ignored_second=ignored_second,
        can_retry=case.open_to(handle),
        version=version,
        built_in=built_in,
        passkey=built_in and not has_passkey and passkey_maker(desk) is not None,
        added=tuple((f.id, f.kind, f.label, f.added_at) for f in added) if built_in else (),
    )
    return desk.page(request, model, status, step=3, path=f"/r/{handle}")


def _progress(task: Task | None, rules: TaskRules, now: int, connector: Connector | None) -> pages.Progress | None:
    """What waits for an administrator or for the person, as the page says it."""
    if task is None or task.kind != "reset":
        return None
    can_tell = connector is not None and watch.can_tell(connector.capabilities)
    return pages.Progress(
        task.id,
        task.state,
        task.watch if can_tell or task.watch != "looking" else "blind",
        asked=task.asks > 0,
        may_ask=bool(rules.administrators) and may_ask(task, now),
        seen_at=task.seen_at,
        reason=task.note if task.state == "declined" else "",
    )


def _sign_in_url(system: str, connector: Connector | None) -> str:
    return "/sign-in" if system == "builtin" else (connector.url or "") if connector is not None else ""


async def live_check(request: Request) -> Response:
    """POST `/passwords/check`: what speaks against a password, for the live list. Personal words count only for the
    browser that proved whose account it is; anything else would confirm guesses about a person."""
    desk = context_of(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return problem(415, "unsupported_media_type")
    if not await desk.allows("checks", request):
        return problem(429, "slow_down", retry_after=60)
    try:
        values = parse_json(await request.body())
        if set(values) - {"password", "handle"}:
            raise BadForm(422, "unknown_field")
        typed = one_string(values, "password", longest=5000)
        handle = one_string(values, "handle", required=False, longest=22)
    except BadForm as e:
        return problem(e.status, e.code, field=e.field)
    s, locale = desk.services, desk.locale(request)
    context, with_factor = validation.public_context(s), False
    more: tuple[PasswordRule, ...] = ()
    if handle and desk.cookies.holds(request, s.seals, handle):
        choice = await s.db.read(lambda tx: _choice(tx, desk, handle))
        if choice is not None:
            context = validation.context_of(s, choice.person, choice.accounts, choice.mails)
            with_factor = choice.tier != "standard"
            systems = await system_rules.rules_of_systems(s, choice.accounts)
            more = reasons_of_systems(system_rules.broken_by(systems, typed, choice.person.name), locale)
    return JSONResponse(await judged(desk, locale, typed, context, with_factor, more))


def _choice(tx: Tx, desk: AppContext, handle: str) -> new_password.Choice | None:
    intake = tx.intakes.get(handle)
    if intake is None or intake.case_id is None:
        return None
    try:
        return new_password.choice(tx, intake.case_id, handle, desk.services.policy)
    except Refusal:
        return None


ROUTES = [Route("/passwords/check", live_check, methods=["POST"])]
