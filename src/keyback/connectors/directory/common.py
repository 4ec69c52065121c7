"""What the connectors of all directories share: finding people, who is privileged, and the run of a plan."""

from __future__ import annotations

import calendar
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from keyback.application.ports.connectors import CheckLine, FoundAccount, Outcome, Plan, Step, Unavailable
from keyback.connectors.base import ConnectorBase, mark_now, marked_instant, sample_line, unreachable
from keyback.connectors.directory.listing import Known, fitting, folded, managers, members
from keyback.connectors.directory.options import DirectoryOptions
from keyback.connectors.directory.port import Bound, Entry, escaped
from keyback.connectors.faults import fault
from keyback.domain.secret import Secret
from keyback.outbound.http import MaybeDone, OutboundRefusal

SIGNS_IN = "bind_dn or secret_file"
MAX_DEPTH = 10  # groups in groups
_TIME = re.compile(r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?Z$")


def instant(text: str | None) -> int | None:
    """GeneralizedTime in UTC as ms since 1970; None for anything else, such as a lock without a date."""
    match = _TIME.match(text or "")
    if not match or match[1] == "0000":
        return None
    return calendar.timegm((*(int(g) for g in match.groups()), 0, 0, 0)) * 1000


class DirectoryConnector(ConnectorBase, ABC):
    """A connector for one kind of directory; a subclass knows the attributes and how a password is set.

    Raises `ValueError` or `OSError` when secret or CA file cannot be used.
    """

    def __init__(self, name: str, title: str, options: DirectoryOptions) -> None:
        self.name, self.title, self._options = name, title, options
        self._directory = options.directory()
        self.breaker = self._directory.breaker
        self.configured(options)

    # ── of a subclass ──

    @abstractmethod
    async def _attributes(self) -> Sequence[str]:
        """Which attributes of people to read."""

    @abstractmethod
    def _people(self) -> str:
        """The filter for all people."""

    @abstractmethod
    def _named(self, value: str) -> str:
        """The filter for people with this user name or mail address; `value` is escaped."""

    @abstractmethod
    def _naming(self) -> Sequence[str]:
        """The attributes that `_named` looks in."""

    @abstractmethod
    def _with_id(self, external_id: str) -> str | None:
        """The filter for an external id; None for what can't be one."""

    @abstractmethod
    def _account(self, entry: Entry) -> FoundAccount:
        """Without its privileges."""

    @abstractmethod
    async def _open(self, entry: Entry) -> None:
        """Unlock it."""

    @abstractmethod
    async def _set(self, entry: Entry, plan: Plan, password: Secret) -> Sequence[Outcome]:
        """Set and must_change, as far as they get. Raises what the directory's port raises, for the set alone."""

    async def _bind(self, entry: Entry, password: Secret) -> Bound:
        return await self._directory.bind(entry.dn, password)

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        wanted = identifier.strip()
        if not wanted or len(wanted) > 320 or "\x00" in wanted:
            return ()
        return [await self._told(e) for e in await self._entries(wanted)]

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        async for page in self._listed(self._people(), whole=True):
            yield page

    async def mark(self) -> str | None:
        return mark_now()

    async def list_changed(self, since: str) -> AsyncIterator[Sequence[FoundAccount]]:
        at = marked_instant(since)
        changed = f"({self._changed_attribute}>={at:%Y%m%d%H%M%S}{self._fraction}Z)" if at else ""
        where = f"(&{self._people()}{changed})" if changed else self._people()
        async for page in self._listed(where, whole=not changed):
            yield page

    async def _listed(self, where: str, *, whole: bool) -> AsyncIterator[Sequence[FoundAccount]]:
        """What is to be known of everybody is asked once, not for each."""
        o, attributes, naming = self._options, await self._attributes(), self._naming()
        base, id_of = o.base, lambda e: self._account(e).external_id
        known = replace(
            await self._known(),
            managers=await managers(self._directory, base, where, self._ids, id_of, whole=whole),
            mobile=o.mobile_attribute,
            groups=o.group_attributes,
        )
        asked = [*attributes, "manager", o.mobile_attribute, *o.group_attributes]
        async for entries in self._directory.pages(base, where, asked):
            yield [known.told(e, self._account(e), (t for a in naming for t in e.texts(a))) for e in entries]

    async def _known(self) -> Known:
        """Who is privileged, as `_privileged` finds it for one."""
        o = self._options
        names, logins = {folded(o.bind_dn)}, set[str]()
        if o.privileged_groups:
            found, logins = await members(self._directory, o.base, o.privileged_groups)
            names |= found
        if o.privileged_filter:
            names |= await fitting(self._directory, o.base, o.privileged_filter)
        return Known(frozenset(names), frozenset(logins))

    async def verify(self, username: str, password: Secret) -> bool | None:
        """By signing in as the person, which counts as a try when it is wrong. None while the account is locked."""
        try:
            found = await self._entries(username)
            return works(await self._bind(found[0], password)) if len(found) == 1 else False
        except Unavailable:
            return None

    async def _entries(self, name: str) -> list[Entry]:
        """People with exactly this user name or mail address: directories compare more loosely, by spaces for one."""
        if not name or "\x00" in name:
            return []
        found = await self._search(self._named(escaped(name)))
        return [e for e in found if name.casefold() in {t.casefold() for a in self._naming() for t in e.texts(a)}]

    async def _search(self, where: str) -> list[Entry]:
        people = f"(&{self._people()}{where})"
        return await self._directory.search(self._options.base, people, await self._attributes())

    async def _told(self, entry: Entry) -> FoundAccount:
        """The account with its privileges."""
        account = self._account(entry)
        if account.privileged or not await self._privileged(entry):
            return account
        return FoundAccount(
            **{f: getattr(account, f) for f in FoundAccount.__slots__ if f != "privileged"}, privileged=True
        )

    async def _privileged(self, entry: Entry) -> bool:
        """Keyback's own account, whom the filter fits, and members of the groups, through other groups too."""
        o = self._options
        if entry.dn.casefold() == o.bind_dn.casefold():
            return True
        if o.privileged_filter and await self._directory.search(entry.dn, o.privileged_filter, ["1.1"], 1):
            return True
        wanted = {dn.casefold() for dn in o.privileged_groups}
        seen: set[str] = set()
        new = {entry.dn} if wanted else set()
        for depth in range(MAX_DEPTH):
            groups: set[str] = set()
            for dn in new:
                name = escaped(self._account(entry).username) if depth == 0 else ""
                by_name = f"(memberUid={name})" if name else ""
                where = f"(|(member={escaped(dn)})(uniqueMember={escaped(dn)}){by_name})"
                groups |= {g.dn for g in await self._directory.search(o.base, where, ["1.1"], 500)}
            if wanted & {g.casefold() for g in groups}:
                return True
            new = groups - seen
            seen |= groups
            if not new:
                return False
        return bool(new)  # deeper than anybody looks: rather one too many

    async def _by_id(self, external_id: str) -> Entry | None:
        await self._attributes()  # says which directory it is, where nobody else did
        where = self._with_id(external_id)
        found = await self._search(where) if where else []
        return found[0] if len(found) == 1 else None

    # ── the plan ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        step = Step.GUARD
        done: list[Outcome] = []
        entry: Entry | None = None
        try:
            entry = await self._by_id(plan.external_id)
            if entry is None:
                return [Outcome(step, "refused", "not_found")]
            account = await self._told(entry)
            if account.privileged and not plan.allow_privileged:
                return [Outcome(step, "refused", "privileged_target")]
            if account.state == "disabled":
                return [Outcome(step, "refused", "not_permitted", "disabled")]
            done.append(Outcome(step, "done"))
            password = plan.new_password
            step = Step.UNLOCK
            if password is None:
                if account.state == "locked":
                    await self._open(entry)
                return [*done, Outcome(step, "done")]
            if plan.attempt >= 2 and self._signing_in_proves_the_set and works(await self._bind(entry, password)):
                return [*done, Outcome(step, "done"), *await self._settled(entry, plan)]
            if account.state == "locked":
                await self._open(entry)
            done.append(Outcome(step, "done"))
            step = Step.SET
            done += await self._set(entry, plan, password)
        except OutboundRefusal as e:
            return [*done, Outcome(step, "refused", e.code, e.text)]
        except MaybeDone as e:
            if step is not Step.SET or plan.new_password is None or entry is None:
                return [*done, fault(step, e)]
            # It was sent and no answer came. Looking is safe, setting again is not.
            if not self._signing_in_proves_the_set or await self._works(entry, plan.new_password) is not True:
                return [*done, Outcome(step, "uncertain", e.code)]
            return [*done, *await self._settled(entry, plan)]
        except Unavailable as e:
            return [*done, fault(step, e)]
        if done[-1].status not in {"done", "unsupported"}:
            return done
        return [*done, await self._confirmed(entry, password)]

    async def _settled(self, entry: Entry, plan: Plan) -> list[Outcome]:
        """The steps after a set that had worked before anybody knew."""
        out = [Outcome(Step.SET, "done"), *await self._must_change(entry, plan)]
        return [*out, Outcome(Step.CONFIRM, "done")] if out[-1].status in {"done", "unsupported"} else out

    async def _must_change(self, entry: Entry, plan: Plan) -> list[Outcome]:
        """The step after a set, for directories where it is a call of its own."""
        return []

    async def _works(self, entry: Entry, password: Secret) -> bool | None:
        try:
            return works(await self._bind(entry, password))
        except Unavailable:
            return None

    async def _confirmed(self, entry: Entry, password: Secret) -> Outcome:
        return Outcome(Step.CONFIRM, "done" if await self._works(entry, password) else "uncertain")

    # ── looking after it ──

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        o = self._options
        try:
            if await self._directory.read(o.base, ["1.1"]) is None:
                return (
                    CheckLine(
                        "read",
                        "bad",
                        "there is nothing at base",
                        ("lookup",),
                        "Correct base, or let the service account read it.",
                    ),
                )
            lines = [CheckLine("reach", "ok", "answers"), CheckLine("sign_in", "ok", "the service account signs in")]
            lines += await self._looked_after()
            if not o.privileged_groups and not o.privileged_filter and not self._knows_administrators:
                advice = "Name the groups of your administrators in privileged_groups."
                lines.append(CheckLine("permission", "warn", "no one counts as an administrator", advice=advice))
            for dn in o.privileged_groups:
                if await self._directory.read(dn, ["1.1"]) is None:
                    lines.append(
                        CheckLine(
                            "read",
                            "bad",
                            "a group of privileged_groups is not there",
                            advice=f"Correct {dn}, or let the service account read it.",
                        )
                    )
            if sample:
                lines.append(sample_line(await self.find(sample)))
        except Unavailable as e:
            return (unreachable(e, SIGNS_IN),)
        return lines

    _ids: Sequence[str] = ()
    _changed_attribute, _fraction = "modifyTimestamp", ""
    _knows_administrators = False
    _signing_in_proves_the_set = True

    async def _looked_after(self) -> list[CheckLine]:
        """What else this kind of directory can tell about permissions, clock and rules."""
        return []

    async def close(self) -> None:
        await self._directory.close()


def works(bound: Bound) -> bool | None:
    """Whether a password signs in; None where the account's state hides that."""
    if bound.ok:
        return True
    # 389 Directory Server answers a locked account with constraintViolation, whatever the password.
    return None if bound.why in {"locked", "expired"} or bound.code == 19 else False
