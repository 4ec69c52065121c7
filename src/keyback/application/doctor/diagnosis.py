"""The login doctor: what keeps a person out of their systems, read there and never changed (design, section 8).

Every system is asked at the same moment and within a bound, so that one that is slow or hangs delays nobody's answer:
it is named, and can be asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from keyback.application.asking import MAX_ACCOUNTS, Answer, Silence, ask_each
from keyback.application.audit_log import log_of
from keyback.application.challenges.count import allowed
from keyback.application.ports.connectors import Activity, Connector, Finding, Means, SignIn
from keyback.application.ports.storage import Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.replace_factor import AFTERWARDS, overtaken
from keyback.application.services import Services
from keyback.application.throttling import lockouts
from keyback.application.throttling.lockouts import REPEATED
from keyback.application.throttling.password_attempts import SYSTEM as BUILT_IN
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import Rules
from keyback.domain.people.person import Account, Person
from keyback.domain.recovery.case import Case, State
from keyback.domain.recovery.events import Note

PATIENCE_S = 4.0  # for all systems together
AGAIN_S = 12.0  # the same when somebody asks once more, because one of them was slow
PER_HOUR = 40
MAX_NAMES = 4  # that a system without an account of the person's is asked for
NOTE = "diagnosed"
ELSEWHERE = frozenset({"sso_only", "federated", "synced_elsewhere"})
"""The password is kept somewhere else; one that is set in the system opens nothing."""
NO_WAY_IN = frozenset({"privileged", "not_found", "wrong_host", "ambiguous", "inactive", "frozen"})
"""With one of these it is of no use to replace a second step, or it is not done."""
READS = (Means.NATIVE, Means.COMPOSED)


@dataclass(frozen=True, slots=True)
class StaleSource:
    """What keeps trying a wrong password at a system.

    Args:
        source, client: network address and program as the system wrote them down, cleaned.
        count: how often since somebody last got in from there.
        last: ms.
    """

    source: str
    client: str
    count: int
    last: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one account's system said.

    Args:
        fault: why it said nothing; empty where it answered.
        silent: it tells nobody about its accounts, so it was not asked.
        second_step: it may have second steps that Keyback can see to (`system_factor`).
        home: the person's account whose password opens this one, where it is kept elsewhere and that is connected.
    """

    account: Account
    findings: tuple[Finding, ...] = ()
    stale: tuple[StaleSource, ...] = ()
    fault: Silence = ""
    silent: bool = False
    second_step: bool = False
    home: Account | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """Whose accounts a page may ask about, and what Keyback knows of them itself.

    Args:
        named: the system that the page was asked for, where no account of theirs is known; else empty.
        names: by which an account there would be found: their user names and mail addresses.
    """

    case: Case
    person: Person
    accounts: tuple[Account, ...]
    open: bool
    known: Mapping[str, Diagnosis]
    named: str = ""
    names: tuple[str, ...] = ()


def patient(tx: Tx, handle: str, here: Here, rules: Rules) -> Patient:
    """The person whom a page verified, while it may go on and for an hour after what it did.

    Raises:
        Refusal: `not_found`, `not_enough_evidence` or `expired`; the same for every page that verified nobody.
    """
    intake = tx.intakes.get(handle)
    case = tx.cases.get(intake.case_id) if intake and intake.case_id else None
    person = tx.people.person(case.person_id) if case else None
    if intake is None or case is None or person is None or person.state != "active":
        raise Refusal("not_found")
    accounts = tuple(tx.people.accounts([person.id]).get(person.id, ()))[:MAX_ACCOUNTS]
    open_now = case.open_to(handle)
    if open_now and tx.now >= case.expires_at:
        raise Refusal("expired")
    if not open_now and not _lately(tx, case, handle):
        raise Refusal("not_enough_evidence")
    if not evidence.still_enough(tx, case, handle, person, accounts, here.policy):
        raise Refusal("not_enough_evidence")
    named = intake.system if all(a.system != intake.system for a in accounts) else ""
    mails = [c.address for c in tx.people.contacts([person.id]).get(person.id, ()) if c.channel == "mail"]
    names = tuple(dict.fromkeys([*(a.username for a in accounts), *mails]))[:MAX_NAMES]
    return Patient(case, person, accounts, open_now, _own(tx, person.id, accounts, rules), named, names)


def _lately(tx: Tx, case: Case, handle: str) -> bool:
    """Whether a page set a new password, or unlocked or replaced something, and nothing has overtaken it since."""
    if handle not in case.approved_for or not (case.results or case.remedied_at):
        return False
    if case.state == State.APPLYING:
        return True
    last = max((case.remedied_at, *(r.at for r in case.results)))
    over = case.state in (State.RECOVERED, State.CLOSED, State.FAILED)
    return over and tx.now < last + AFTERWARDS and not overtaken(tx, case.person_id, last)


def opens(tx: Tx, handle: str, here: Here, rules: Rules) -> bool:
    """Whether a page's link to the doctor leads there, and not back to the page."""
    try:
        patient(tx, handle, here, rules)
    except Refusal:
        return False
    return True


def count(tx: Tx, person_id: str) -> bool:
    """Counts one round of questions about a person; False for one too many in an hour."""
    return allowed(tx, f"diagnosis/{person_id}", hour=PER_HOUR)


def _own(tx: Tx, person_id: str, accounts: Sequence[Account], rules: Rules) -> dict[str, Diagnosis]:
    """What is known without asking anybody: our own records, and our own locks."""
    out = {}
    locks = lockouts.locks(tx, person_id, rules)
    stale = tuple(
        StaleSource(s.source, s.device, s.count, s.last) for s in lockouts.stale_password_sources(tx, person_id)
    )
    for a in accounts:
        found = [Finding("sso_only", a.provider)] if a.provider else []
        if a.state == "disabled":
            found.append(Finding("inactive"))
        if tx.counters.get(f"lockdown/{a.id}").total:
            found.append(Finding("locked", "locked by the owner"))
        if a.system == BUILT_IN:
            found += [Finding("locked", x.reason, x.until) for x in locks]
        out[a.id] = Diagnosis(a, tuple(found), stale if a.system == BUILT_IN else ())
    return out


# ── asking ──────────────────────────────────────────────────────────────────


async def diagnose(
    s: Services, of: Patient, patience_s: float = PATIENCE_S, *, history: bool = True
) -> tuple[Diagnosis, ...]:
    """Asks all systems at once for what keeps the person out.

    Args:
        history: also look for what keeps trying an old password, and for second steps.
    """
    tell = [a for a in of.accounts if _tells(s.connectors.get(a.system))]
    past = [a for a in of.accounts if history and _remembers(s.connectors.get(a.system))]
    asks = [a for a in of.accounts if history and sees_to_factors(s.connectors.get(a.system))]
    asked = of.named if history and _tells(s.connectors.get(of.named)) else ""
    nobody = [Account("", of.person.id, asked, "", "")] if asked else []
    said, seen, steps, absent = await asyncio.gather(
        ask_each(s.connectors, tell, lambda c, a: c.diagnose(a.username, a.external_id), patience_s),
        ask_each(s.connectors, past, lambda c, a: c.activity(a.external_id), patience_s),
        ask_each(s.connectors, asks, lambda c, a: c.factors(a.external_id), patience_s),
        ask_each(s.connectors, nobody, lambda c, _: _knows_none(c, of.names), patience_s),
    )
    findings, activities = {x.account.id: x for x in said}, {x.account.id: x.value for x in seen}
    has = {x.account.id for x in steps if (x.value is None or len(x.value)) or _gives(s.connectors[x.account.system])}
    diagnoses = [
        _diagnosis(of.known[a.id], findings.get(a.id), activities.get(a.id), second_step=a.id in has)
        for a in of.accounts
    ]
    elsewhere = Finding("wrong_host", "asked for this system, which knows none of the person's names")
    tried = [Diagnosis(x.account, (elsewhere,)) for x in absent if x.value]
    return (*tried, *(replace(d, home=_home(s, of, d)) for d in diagnoses))


async def _knows_none(connector: Connector, names: Sequence[str]) -> bool:
    """Whether a system has nobody by any of these names."""
    found = await asyncio.gather(*(connector.find(n) for n in names))
    return bool(names) and not any(found)


def _home(s: Services, of: Patient, d: Diagnosis) -> Account | None:
    """The one account of the person's that holds the password of another; None where it is not theirs to choose."""
    if not any(f.code in ELSEWHERE for f in d.findings):
        return None
    there, everything = s.passwords_in.get(d.account.system, ""), (k.account for k in of.known.values())
    found = [a for a in everything if a.system == there and a.state != "disabled" and not a.provider]
    return found[0] if len(found) == 1 else None


def _tells(connector: Connector | None) -> bool:
    return connector is not None and (connector.capabilities.lookup in READS or connector.capabilities.status in READS)


def _remembers(connector: Connector | None) -> bool:
    return connector is not None and connector.capabilities.activity in READS


def sees_to_factors(connector: Connector | None) -> bool:
    """Whether a system lets second steps be removed, or gives temporary passes."""
    can = connector.capabilities if connector is not None else None
    return can is not None and (can.reset_factor in READS or can.temporary_pass in READS)


def _gives(connector: Connector) -> bool:
    return connector.capabilities.temporary_pass in READS


def _diagnosis(
    known: Diagnosis, said: Answer[Sequence[Finding]] | None, activity: Activity | None, *, second_step: bool
) -> Diagnosis:
    a = known.account
    theirs = tuple(said.value or ()) if said is not None else ()
    codes = {f.code for f in theirs}
    ours = [f for f in known.findings if f.code not in codes and not (f.code == "sso_only" and codes & ELSEWHERE)]
    if any(f.code == "sso_only" for f in ours):  # our records know that it is kept elsewhere, so it need not be there
        theirs = tuple(f for f in theirs if f.code != "not_found")
    stale = known.stale
    if activity is not None:
        stale += stale_sources(activity.sign_ins)
    findings = (*theirs, *ours)
    if stale:
        findings += (Finding("stale_password", "; ".join(f"{x.count} × {x.source} {x.client}".strip() for x in stale)),)
    silent = said is None and not ours
    return replace(
        known,
        findings=findings,
        stale=stale,
        fault=said.silence if said is not None else "",
        silent=silent,
        second_step=second_step and not a.privileged and not codes & NO_WAY_IN,
    )


def stale_sources(sign_ins: Sequence[SignIn]) -> tuple[StaleSource, ...]:
    """Places that only fail: the same program at the same address, again and again, and never once inside since."""
    entered = {(x.source, x.client): x.at for x in sorted(sign_ins, key=lambda x: x.at) if x.ok}
    failed: dict[tuple[str, str], list[int]] = {}
    for x in sign_ins:
        where = (x.source, x.client)
        if not x.ok and x.source and x.at > entered.get(where, 0):
            failed.setdefault(where, []).append(x.at)
    return tuple(StaleSource(*where, len(at), max(at)) for where, at in failed.items() if len(at) >= REPEATED)


# ── for the operator ────────────────────────────────────────────────────────


def record_lost(tx: Tx, case: Case, account: Account) -> None:
    """Keeps that the person says they lost the second step of an account, as a finding like those of systems."""
    found = {"code": "factor_lost", "detail": "the person says so", "until": None}
    row = {"account": account.id, "system": account.system, "findings": [found], "fault": ""}
    tx.audit.record(case.id, [Note(NOTE, {"accounts": [row]})])


def record(tx: Tx, case: Case, found: Sequence[Diagnosis]) -> None:
    """Keeps everything that was found in the case's log, for operators; nothing where the log says it already."""
    rows = [
        {
            "account": d.account.id,
            "system": d.account.system,
            "findings": [{"code": f.code, "detail": f.detail[:200], "until": f.until} for f in d.findings],
            "fault": d.fault,
        }
        for d in found
    ]
    before = [e["data"] for e in log_of(tx).of_stream(case.id) if e["type"] == NOTE]
    if rows not in [b.get("accounts") for b in before]:
        tx.audit.record(case.id, [Note(NOTE, {"accounts": rows})])
