"""`keyback case list`, `show`, `cancel`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import click

from keyback.application.audit_log import log_of
from keyback.application.doctor.diagnosis import NOTE as DIAGNOSED
from keyback.application.ports.storage import Tx
from keyback.application.recovery.cancel import cancel
from keyback.application.signin.sessions import people_named
from keyback.cli.common import TakesId, at, columns, echo_json, in_database, reason_of, safe, sure
from keyback.domain.errors import Refusal
from keyback.domain.recovery.case import Case, State


@click.group()
def case() -> None:
    """Look at recoveries, and stop one."""


@case.command("list")
@click.option("--state", type=click.Choice([s.value for s in State]), help="Only recoveries in this state.")
@click.option("--person", default="", help="Only recoveries of this person: username, email or ID.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Maximum number to print.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(state: str | None, person: str, limit: int, as_json: bool) -> None:
    """List recoveries, newest first."""

    def fn(tx: Tx) -> list[dict[str, Any]]:
        ids = [p.id for p in people_named(tx, person)] if person else None
        if ids == []:
            raise click.ClickException("No one has this username, email address, or ID.")
        cases = tx.cases.listed(state=state, limit=limit, people=ids)
        names = tx.people.people([c.person_id for c in cases])
        return [_fields(c, names[c.person_id].name if c.person_id in names else "") for c in cases]

    found = in_database(fn)
    if as_json:
        echo_json(found)
        return
    heading = ("id", "opened", "journey", "state", "tier", "person")
    rows = [(c["id"], at(c["opened_at"]), c["journey"], c["state"], c["tier"], safe(c["person"])) for c in found]
    columns([heading, *rows]) if rows else click.echo("None.")


@case.command("show", cls=TakesId)
@click.argument("case_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(case_id: str, as_json: bool) -> None:
    """Show one recovery and what happened in it."""

    def fn(tx: Tx) -> tuple[dict[str, Any], list[Any], list[Any]]:
        c = tx.cases.get(case_id)
        if c is None:
            raise Refusal("not_found")
        person = tx.people.person(c.person_id)
        results = {r.account_id: r for r in c.results}
        accounts = [
            {"id": a.id, "system": a.system, "username": a.username, "result": dataclasses.asdict(results[a.id])}
            if a.id in results
            else {"id": a.id, "system": a.system, "username": a.username, "result": None}
            for a in tx.people.accounts([c.person_id]).get(c.person_id, ())
            if a.id in c.accounts
        ]
        return _fields(c, person.name if person else ""), accounts, list(log_of(tx).of_stream(case_id))

    fields, accounts, events = in_database(fn)
    if as_json:
        echo_json({**fields, "accounts": accounts, "events": events})
        return
    fields |= {k: at(fields[k]) for k in ("opened_at", "expires_at")}
    columns([(k.replace("_", " "), safe(v)) for k, v in fields.items()])
    click.echo("\nAccounts")
    columns([(safe(a["system"]), safe(a["username"]), _result(a["result"])) for a in accounts])
    click.echo("\nEvents")
    columns([(at(e["at"]), event_words(e)) for e in events])


@case.command("cancel", cls=TakesId)
@click.argument("case_id", metavar="ID")
@click.option("--reason", required=True, help="Reason, for the audit log.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
def cancel_(case_id: str, reason: str, yes: bool) -> None:
    """Cancel a recovery. Its links and codes stop working, and all contacts of the person are notified."""
    reason = reason_of(reason)
    sure("Its links and codes end, and every contact is told. Cancel it?", yes)
    in_database(lambda tx: cancel(tx, case_id, "operator", reason), write=True)
    click.echo("Canceled. All contacts of the person will be notified.")


def _fields(c: Case, person: str) -> dict[str, Any]:
    return {
        "id": c.id,
        "person": person,
        "person_id": c.person_id,
        "journey": c.journey,
        "tier": c.tier,
        "state": c.state.value,
        "version": c.version,
        "opened_at": c.opened_at,
        "expires_at": c.expires_at,
    }


def _result(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "no password chosen yet"
    return safe(" ".join(str(result[k]) for k in ("result", "code", "vendor_text") if result[k]))


def event_words(event: Mapping[str, Any]) -> str:
    """One event as a sentence; nothing in it can act on a terminal."""
    d: Mapping[str, Any] = event["data"]
    if event["type"] == DIAGNOSED:
        return safe(f"Systems were checked: {'; '.join(map(_found, d.get('accounts', ())))}.")
    words = WORDS.get(event["type"])
    if words is None:
        return safe(f"{event['type']} {dict(d)}")
    return safe(words.format_map({k: d.get(k) or "unknown" for k in NAMED}))


def _found(checked: Mapping[str, Any]) -> str:
    """What the login doctor found at one account, in full."""
    told = [f"{f['code']} ({f['detail']})" if f["detail"] else f["code"] for f in checked["findings"]]
    return f"{checked['system']}: {', '.join(told) or checked['fault'] or 'nothing found'}"


NAMED = ("source", "device", "how", "by", "reason", "proof", "result", "code", "journey")
WORDS = {
    "requested": "A recovery was asked for: {journey}.",
    "challenge_sent": "A link and a code were sent; asked from {source}, {device}.",
    "mail_withheld": "Asked again; no mail, since the person's mails for now are used up.",
    "proof_accepted": "Proof accepted: {proof}, by {how}.",
    "proof_refused": "A proof was refused: {reason}.",
    "review_started": "Went to review: {reason}.",
    "hold_started": "The waiting period began.",
    "hold_changed": "An operator changed when the waiting period ends.",
    "review_approved": "An operator approved it.",
    "case_claimed": "An operator claimed it.",
    "case_released": "An operator gave it back.",
    "case_commented": "An operator commented on it.",
    "case_recommended": "An operator recommended it for approval.",
    "caller_check_begun": "An operator began to check a caller.",
    "caller_number_wrong": "A wrong number was read out.",
    "manager_asked": "The manager of record was asked about a caller.",
    "caller_check_passed": "A caller was checked, and it's them.",
    "caller_check_failed": "A caller was refused: {reason}.",
    "call_entered": "An operator entered a call to the person: {reason}.",
    "call_ended": "The call ended.",
    "approved": "Approved by {by}.",
    "password_chosen": "A new password was chosen.",
    "account_settled": "One account: {result} ({code}).",
    "reopened": "A system refused the password by its own rules, or was away too long; another one may be chosen.",
    "choose_again_mailed": "A link to choose again was mailed: a system was away for over ten minutes.",
    "choose_again_opened": "The link to choose again was opened, from {source}.",
    "logins_sent": "The usernames were mailed.",
    "recovered": "Recovered.",
    "failed": "Failed: {reason}.",
    "cancelled": "Canceled by {by}; reason: {reason}.",
    "expired": "Ran out of time.",
    "rejected": "Rejected: {reason}.",
    "closed": "Closed.",
}
