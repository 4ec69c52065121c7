"""Accept first, look up later: resolving batches of the requests that `start` wrote down (ADR 1).

It runs in the worker; what it finds is told by mail to stored addresses only, never by the page that asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keyback.application.challenges.issue import draft
from keyback.application.notifications.notify import as_job
from keyback.application.origin import where
from keyback.application.people import logins as logins_now
from keyback.application.ports.messages import By, Content, ElsewhereMessage, LoginsMessage, RecoveryMessage
from keyback.application.ports.storage import Intake, Job, Match, Tx
from keyback.application.throttling.fairness import behind
from keyback.application.throttling.mail_quota import NO_LIMIT, Ask, InstallationQuota, MailQuota, Reason
from keyback.domain.challenges.challenge import EMAIL_LINK, LINK_LIFE, Challenge
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account, Contact, Person
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case, State
from keyback.domain.recovery.events import CaseEvent, Note
from keyback.domain.throttling.sms_quota import AskedBy
from keyback.domain.units import HOUR

ANY_ACCOUNT = ("username", "still_locked_out")  # also for who has no password of ours to choose
MAX_PEOPLE = 4  # behind one identifier; more is a mailing list, and nobody is told


@dataclass(frozen=True, slots=True)
class Resolved:
    """Counts of one batch. `messages`: those that were put into the outbox; `withheld`: those over a quota, by what
    it protects."""

    intakes: int = 0
    messages: int = 0
    ghosts: int = 0
    withheld: Mapping[Reason, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Request:
    """One person of one intake, on the way to a message."""

    intake: Intake
    match: Match
    accounts: tuple[Account, ...]
    contact: Contact
    asker: AskedBy = "stranger"

    @property
    def by(self) -> By:
        """Who asked, when and from where."""
        return By(asker=self.asker, asked_at=self.intake.asked_at, **where(self.intake.source, self.intake.agent))

    def ask(self, *, plain: bool) -> Ask:
        person_id = self.match.person.id
        fetched = self.intake.fetched_for == person_id
        return Ask(person_id, self.contact, self.asker, plain=plain, fetched=fetched, source=self.intake.source)


def resolve(tx: Tx, limit: int = 500, whole: InstallationQuota = NO_LIMIT) -> Resolved:
    """Claims up to `limit` intakes, finds whom they mean, opens or joins cases and puts messages into the outbox.

    Args:
        whole: mails that may be asked for in the whole installation.

    All in one transaction: a crash leaves either everything or nothing of a batch.
    """
    claimed = tx.intakes.claim(limit)
    if not claimed:
        return Resolved()
    live = [i for i in claimed if i.expires_at > tx.now]
    found = tx.people.match(sorted({i.identifier for i in live}))
    requests, elsewhere, ghosts = [], [], len(claimed) - len(live)
    for i in live:
        if i.journey == "mailbox":
            continue  # its mailbox is what was lost: other ways are asked for from the page
        people = found.get(i.identifier, ())
        reachable = [m for m in people if m.person.state == "active" and m.contacts]
        if not reachable or len(people) > MAX_PEOPLE:
            ghosts += 1
            continue
        # Whoever can't get in may be at the wrong system altogether, which the page says once they have verified.
        there = any(a.system == i.system for m in reachable for a in m.accounts)
        system = i.system if there or i.journey != "still_locked_out" else ""
        for m in reachable:
            mine = [a for a in m.accounts if a.state != "disabled"]
            own = tuple(a for a in mine if not a.provider)
            named = [a for a in mine if system in ("", a.system)]
            if not named:
                continue
            if i.system and i.journey not in ANY_ACCOUNT and all(a.provider for a in named):
                own = ()  # asked for one system only, and its password lives elsewhere
            meant = tuple(named) if i.journey == "username" else own or tuple(named)
            request = _Request(i, m, meant, m.contacts[0])
            if own or (mine and i.journey in ANY_ACCOUNT):
                requests.append(request)
            elif mine:
                elsewhere.append(request)
    jobs, withheld = _messages(tx, requests, elsewhere, whole)
    tx.outbox.put(jobs)
    counts = Resolved(len(claimed), len(jobs), ghosts, withheld)
    tx.audit.record("intake", [Note("intakes_resolved", {"count": len(claimed), "unmatched": ghosts})])
    return counts


def _messages(
    tx: Tx, requests: Sequence[_Request], elsewhere: Sequence[_Request], whole: InstallationQuota
) -> tuple[list[Job], Mapping[Reason, int]]:
    everybody = [(w, w.intake.journey == "username") for w in requests] + [(w, True) for w in elsewhere]
    if not everybody:
        return [], {}
    known = tx.devices.pairs([w.intake.device for w, _ in everybody if w.intake.device])
    for w, _ in everybody:
        w.asker = "known" if (w.intake.device, w.match.person.id) in known else "stranger"
    asks = {id(w): w.ask(plain=plain) for w, plain in everybody}
    quota = MailQuota(tx, list(asks.values()), whole)
    jobs: list[Job] = []
    for w in elsewhere:
        if quota.allows(asks[id(w)]):
            a = w.accounts[0]
            content = ElsewhereMessage(username=a.username, provider=a.provider, **w.by)
            jobs.append(_mail(tx, w, content, 24 * HOUR))
    cases = _Cases(tx, requests)
    new: list[Challenge] = []
    older: list[tuple[str, str]] = []
    for w in requests:
        c = None if _turned_down(tx, w) else cases.for_person(w)
        if c is None:
            continue
        if not quota.allows(asks[id(w)]):
            cases.act(c, dc.WithholdMail(w.intake.handle))
        elif w.intake.journey == "username":
            cases.act(c, dc.SendLogins(w.intake.handle, w.contact.id))
            logins = tuple((a.system, a.username) for a in w.accounts)
            told = _mail(tx, w, LoginsMessage(logins=logins, **w.by), 24 * HOUR)
            jobs.append(logins_now.plan(told, w.intake.system))
        else:
            challenge = draft(
                tx, w.match.person, "recovery", EMAIL_LINK, LINK_LIFE, target=w.contact.id, handle=w.intake.handle,
                case_id=c.id,
            )  # fmt: skip
            seen = where(w.intake.source, w.intake.agent)
            cases.act(c, dc.SendChallenge(challenge.id, w.intake.handle, w.contact.id, **seen))
            new.append(challenge)
            if w.intake.sends > 1:  # it voids the older one of its own request, and nobody else's (ADR 18)
                older.append((w.intake.handle, w.match.person.id))
            mail = RecoveryMessage(username=w.accounts[0].username, challenge=challenge.id, case=c.id, **w.by)
            jobs.append(_mail(tx, w, mail, LINK_LIFE))
    cases.save()
    for handle, person_id in older:
        tx.challenges.end_where("replaced", handle=handle, person_id=person_id, method=EMAIL_LINK)
    tx.challenges.issue(new)
    quota.settle()
    return jobs, quota.withheld


def _turned_down(tx: Tx, w: _Request) -> bool:
    """Whether this person stopped this very request, or somebody typed a wrong number for it. Its page goes on to look
    alike, but brings no further mail: its number stays the same, and nobody gets a second guess at it."""
    mailed = tx.challenges.issued(w.intake.handle, EMAIL_LINK) if w.intake.sends > 1 else ()
    mine = w.match.person.id
    return any(c.ended == "wrong_number" or (c.ended == "stopped" and c.person_id == mine) for c in mailed)


def _mail(tx: Tx, w: _Request, content: Content, life: int) -> Job:
    turn = behind(w.intake.asked_at, w.intake.turn, tx.now) if w.asker == "stranger" else tx.now
    return as_job(tx, content, w.contact, tx.now + life, turn=turn)


def join(tx: Tx, intake: Intake, match: Match) -> Case | None:
    """The person's open case, or a new one, for a page that proves by other ways than mail.

    None while a new password is being applied, or where there is nothing to recover."""
    mine = tuple(a for a in match.accounts if a.state != "disabled")
    accounts = mine if intake.journey in ANY_ACCOUNT else tuple(a for a in mine if not a.provider)
    if not accounts:
        return None
    request = _Request(
        intake, match, accounts, Contact("", match.person.id, "mail", "", "primary")
    )  # nothing is mailed
    cases = _Cases(tx, [request])
    case = cases.for_person(request)
    cases.save()
    return tx.cases.get(case.id) if case else None


class _Cases:
    """The cases of a batch, each read once and saved once, however many intakes join it."""

    def __init__(self, tx: Tx, requests: Sequence[_Request]) -> None:
        self._tx = tx
        self._open = dict(tx.cases.open_of(sorted({w.match.person.id for w in requests})))
        self._events: dict[str, list[CaseEvent]] = defaultdict(list)
        self._before: dict[str, Case] = {}
        self._now: dict[str, Case] = {}

    def for_person(self, w: _Request) -> Case | None:
        """The person's open case or a new one; None while a new password is being applied."""
        person: Person = w.match.person
        c = self._open.get(person.id)
        if c is not None:
            c = self._now.get(c.id, c)
        if c is not None and not c.ended and c.expires_at <= self._tx.now and c.state in dc.STOPPABLE:
            c = self.act(c, dc.Expire())
        if c is not None and c.state == State.RECOVERED:
            c = self.act(c, dc.Close())
        # All that may get a password, whichever system this request named: others will join the case.
        accounts = [a for a in w.match.accounts if a.state != "disabled" and not a.provider] or w.accounts
        tier = "privileged" if any(a.privileged for a in accounts) else person.tier
        mine = tuple(a.id for a in accounts)
        if c is None or c.ended:
            c = self.act(Case(self._tx.new_id()), dc.Open(person.id, w.intake.journey, tier, mine))
            self._open[person.id] = c
        else:
            c = self.act(c, dc.Refresh(tier, mine))
        return c if c.state in (State.REQUESTED, *dc.JOINABLE) else None

    def act(self, case: Case, command: dc.Command) -> Case:
        self._before.setdefault(case.id, case)
        now = self._tx.now
        after = self._now.get(case.id, case)
        try:
            events = dc.decide(after, command, now)
        except Refusal:
            return after
        for e in events:
            after = dc.evolve(after, e, now)
        self._events[case.id] += events
        self._now[case.id] = after
        return after

    def save(self) -> None:
        acts = [(self._before[i], events) for i, events in self._events.items() if events]
        # Ended ones first: a person has one open case at most.
        acts.sort(key=lambda a: not self._now[a[0].id].ended)
        self._tx.cases.act_many(acts, [self._now[c.id] for c, _ in acts])
