"""Puts the questions that pages asked for: the worker finds whom each page is about, and what they have enrolled.

What a message carries is counted before it is written down (`mail_quota`); beyond a quota no question is put.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keyback.application.challenges.issue import draft
from keyback.application.notifications.notify import as_job, notify_started, username_of
from keyback.application.origin import device_words, where
from keyback.application.ports.messages import (
    CodeMessage,
    ConfirmationMessage,
    Content,
    ImCodeMessage,
    MailCodeMessage,
    SmsCodeMessage,
)
from keyback.application.ports.proofs import Enrolments, Proof, Target
from keyback.application.ports.storage import Intake, Match, Tx
from keyback.application.recovery.methods import holder_of, is_shown, may_ask, nonce_for
from keyback.application.recovery.resolve import join
from keyback.application.throttling.fairness import behind
from keyback.application.throttling.mail_quota import NO_LIMIT, Ask, InstallationQuota, MailQuota, Reason
from keyback.domain.challenges.challenge import EMAIL_LINK, RECOVERY_CONTACT, Challenge, ChallengeRequest
from keyback.domain.errors import Refusal
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery import case as dc
from keyback.domain.throttling.sms_quota import AskedBy

MAX_PEOPLE = 4  # as for the mailed link: more is a mailing list
LIMIT = 500
CODES: Mapping[str, type[CodeMessage]] = {"mail": MailCodeMessage, "sms": SmsCodeMessage, "im": ImCodeMessage}


@dataclass(frozen=True, slots=True)
class Issued:
    """Counts of one batch: requests that were looked at, and messages that were over a quota, by what it protects."""

    wants: int = 0
    withheld: Mapping[Reason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Request:
    """One question to one person; `ask` where a message carries it."""

    want: ChallengeRequest
    intake: Intake
    match: Match
    proof: Proof
    targets: tuple[Target, ...]
    ask: Ask | None


def issue_requested(
    tx: Tx, proofs: Mapping[str, Proof], policy: Policy, limit: int = LIMIT, whole: InstallationQuota = NO_LIMIT
) -> Issued:
    """Puts the questions that pages asked for.

    Args:
        whole: mails that may be asked for in the whole installation.
    """
    wants = tx.challenges.claim_requests(limit)
    requests = _requests(tx, wants, proofs, policy)
    asks = [w.ask for w in requests if w.ask is not None]
    if not asks:
        for w in requests:
            _put(tx, w, None)
        return Issued(len(wants))
    quota = MailQuota(tx, asks, whole)
    for w in requests:
        _put(tx, w, quota)
    quota.settle()
    return Issued(len(wants), quota.withheld)


def _requests(tx: Tx, wants: Sequence[ChallengeRequest], proofs: Mapping[str, Proof], policy: Policy) -> list[_Request]:
    out: list[_Request] = []
    for want in wants:
        intake = tx.intakes.get(want.handle)
        proof = proofs.get(want.method)
        if intake is None or proof is None or want.method == EMAIL_LINK or not policy.takes(want.method):
            continue
        if intake.state == "stopped" or (intake.expires_at <= tx.now and not intake.case_id):
            continue
        if not may_ask(proof, tx.cases.get(intake.case_id) if intake.case_id else None, intake.handle):
            continue
        for match in _meant(tx, intake):
            holder = holder_of(tx, match.person, policy.ages)
            targets = tuple(t for t in proof.targets(holder) if want.target in ("", t.id))
            if proof.carrier:
                targets = targets[:1]  # one message at a time, to the address that was chosen
            ask = _asks(tx, intake, holder, targets[0]) if proof.carrier and targets else None
            out.append(_Request(want, intake, match, proof, targets, ask))
    return out


def _asks(tx: Tx, intake: Intake, holder: Enrolments, target: Target) -> Ask | None:
    contact = next((c for c in holder.contacts if c.id == target.id), None)
    if contact is None:
        return None
    asker: AskedBy = "stranger"
    if intake.device and (intake.device, holder.person.id) in tx.devices.pairs([intake.device]):
        asker = "known"
    case = tx.cases.get(intake.case_id) if intake.case_id else None
    if case is not None and case.person_id == holder.person.id and case.shown_by(intake.handle):
        asker = "proven"
    return Ask(holder.person.id, contact, asker, plain=True, code=True, source=intake.source)


def _meant(tx: Tx, intake: Intake) -> Sequence[Match]:
    """Whom a page is about: the person that was proven there, else whoever the identifier fits."""
    if intake.case_id:
        case = tx.cases.get(intake.case_id)
        person = tx.people.person(case.person_id) if case else None
        if person is None:
            return ()
        found: tuple[Match, ...] = (Match("", person, (), tuple(tx.people.accounts([person.id]).get(person.id, ()))),)
    else:
        found = tuple(tx.people.match([intake.identifier]).get(intake.identifier, ()))
    return [m for m in found if m.person.state == "active"] if len(found) <= MAX_PEOPLE else ()


def _put(tx: Tx, w: _Request, quota: MailQuota | None) -> None:
    intake, match, proof, want, targets = w.intake, w.match, w.proof, w.want, w.targets
    case = join(tx, intake, match) if targets else None
    if case is None or (proof.carrier and w.ask is None):
        return
    if w.ask is not None and quota is not None and not quota.allows(w.ask):
        with contextlib.suppress(Refusal):
            tx.cases.act(case, dc.decide(case, dc.WithholdMail(intake.handle), tx.now))
        return  # what was sent before stays good
    for old in tx.challenges.issued(intake.handle, proof.name):
        if old.person_id == match.person.id and old.ended is None:
            tx.challenges.end(old.id, "replaced")  # a newer code overwrites the older one (O-M2)
    for target in targets:
        # Where a message carries a secret, every message has its own.
        nonce = nonce_for(tx.seals, want) if is_shown(proof) else b""
        new = draft(
            tx, match.person, "recovery", proof.name, proof.life_ms, target=target.id, handle=intake.handle,
            case_id=case.id, nonce=nonce,
        )  # fmt: skip
        sent = dc.SendChallenge(
            new.id, intake.handle, target.id, source=intake.source, device=device_words(intake.agent)
        )
        try:
            happened = dc.decide(case, sent, tx.now)
        except Refusal:
            return
        case = tx.cases.act(case, happened)
        tx.challenges.issue([new])
        if proof.kind == "contact":
            notify_started(tx, match.person.id, "helper_asked", case.id, new.expires_at, intake)
        if w.ask is not None:
            _send(tx, new, intake, proof, match.person.name, w.ask)


def _send(tx: Tx, new: Challenge, intake: Intake, proof: Proof, person_name: str, ask: Ask) -> None:
    asker = ask.asker
    since, seen = intake.asked_at, where(intake.source, intake.agent)
    content: Content
    if proof.name == RECOVERY_CONTACT:
        content = ConfirmationMessage(asker=asker, person_name=person_name, asked_at=since, **seen)
    else:
        kind, username = CODES[proof.carrier], username_of(tx, new.person_id)
        content = kind(asker=asker, username=username, asked_at=since, **seen)
    turn = behind(since, intake.turn, tx.now) if asker == "stranger" else tx.now
    tx.outbox.put([as_job(tx, content, ask.contact, new.expires_at, challenge=new.id, turn=turn)])
