"""A system without any interface but its database: the password's hash is written into its own table of users."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from keyback.application.ports.connectors import (
    Capabilities,
    CheckLine,
    FoundAccount,
    Means,
    Outcome,
    Plan,
    Step,
    Unavailable,
)
from keyback.connectors.base import ConnectorBase, sample_line, unreachable
from keyback.connectors.faults import fault
from keyback.connectors.sql.dialects import DIALECTS, Statement
from keyback.connectors.sql.drivers import Address
from keyback.connectors.sql.hashes import BCRYPT_BYTES, hashed, matches, too_long
from keyback.connectors.sql.options import Rows, SqlOptions
from keyback.connectors.sql.people import People, Person
from keyback.connectors.sql.port import Database, Transaction
from keyback.connectors.sql.rights import rights
from keyback.domain.secret import Secret
from keyback.outbound.http import MaybeDone, NotDone, OutboundRefusal

SIGNS_IN = "login or secret_file"
LONGEST: Final = 320


@dataclass(frozen=True, slots=True)
class _Change:
    """What one transaction does to one person.

    Args:
        seen: the hash that this stands on; another one in its place means that somebody else was here.
        written: the new hash, None to leave it.
    """

    plan: Plan
    seen: str
    written: str | None
    ends_sessions: bool


class SqlConnector(ConnectorBase):
    """Connector for one table of users; see `SqlOptions`.

    Raises `ValueError` or `OSError` when its secret can't be used.
    """

    capabilities = Capabilities(
        lookup=Means.NATIVE,
        list=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.NATIVE,
        must_change=Means.NATIVE,
        unlock=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        status=Means.NATIVE,
    )
    options_model = SqlOptions

    def __init__(
        self, name: str, title: str, options: SqlOptions, people: Callable[[SqlOptions], People] = People
    ) -> None:
        self.name, self.title, self._options = name, title, options
        o, no = options, Means.NONE
        self.capabilities = replace(
            SqlConnector.capabilities,
            must_change=Means.NATIVE if o.must_change_column else no,
            unlock=Means.NATIVE if o.locked or o.unlock_rows else no,
            revoke_sessions=Means.NATIVE if o.sessions else no,
            status=Means.NATIVE if o.disabled or o.locked else no,
        )
        if o.ca_file:
            o.ca_file.read_bytes()  # says now that it can't be read
        at = Address(o.host, o.port, o.database, o.login, o.read_secret(), o.ca_file, o.tls_name, o.timeout_s)
        self._database, self._people, self._dialect = Database(o.kind, at), people(o), DIALECTS[o.kind]
        self.breaker = self._database.breaker
        self.configured(o)

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        return [p.account for p in await self._named(identifier.strip())]

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        page = await self._database.run(lambda t: self._people.page(t, None))
        while page:
            yield [p.account for p in page]
            last = page[-1].key
            page = await self._database.run(lambda t, last=last: self._people.page(t, last))  # type: ignore[misc]

    async def verify(self, username: str, password: Secret) -> bool | None:
        """By its hash, as the system would. None while the account is locked, or for a hash of another format."""
        try:
            found = await self._named(username, usernames_only=True)
        except Unavailable:
            return None
        if len(found) != 1 or found[0].account.state == "disabled" or found[0].account.sso_only:
            return False
        return None if found[0].account.state == "locked" else await self._fits(found[0], password)

    async def _named(self, name: str, *, usernames_only: bool = False) -> list[Person]:
        if not name or len(name) > LONGEST or "\0" in name:
            return []
        try:
            return await self._database.run(lambda t: self._people.named(t, name, usernames_only=usernames_only))
        except OutboundRefusal as e:
            if e.code == "not_found":  # a text that these columns can't hold is nobody's name
                return []
            raise

    async def _fits(self, person: Person, password: Secret) -> bool | None:
        return await self._database.compute(lambda: matches(self._options.hash_format, person.hash, password))

    # ── the plan ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        step, written = Step.GUARD, None
        try:
            person = await self._database.run(lambda t: self._guarded(t, plan))
            if plan.new_password is None:
                step = Step.UNLOCK
                if self.capabilities.unlock is not Means.NONE:
                    await self._carry_out(_Change(plan, person.hash, None, ends_sessions=False))
                return [Outcome(Step.GUARD, "done"), self._outcome(Step.UNLOCK)]
            step = Step.SET
            if words := self._unfit(plan.new_password):
                return [Outcome(Step.GUARD, "done"), Outcome(step, "refused", "policy_rejected", words)]
            if plan.attempt < 2 or await self._fits(person, plan.new_password) is not True:
                written = await self._hashed(plan.new_password, person.hash)
            # Without a new hash an earlier attempt had worked: only what may be repeated is.
            await self._carry_out(_Change(plan, person.hash, written, ends_sessions=True))
        except OutboundRefusal as e:
            before = [] if step is Step.GUARD else [Outcome(Step.GUARD, "done")]
            return [*before, Outcome(step, "refused", e.code, e.text)]
        except MaybeDone as e:
            # It was sent and no answer came. Looking is safe, setting again is not.
            if written is None or not await self._holds(plan.external_id, written):
                return [Outcome(Step.GUARD, "done"), Outcome(step, "uncertain", e.code)]
        except Unavailable as e:
            return [*([] if step is Step.GUARD else [Outcome(Step.GUARD, "done")]), fault(step, e)]
        done = [Outcome(Step.GUARD, "done"), self._outcome(Step.UNLOCK), Outcome(Step.SET, "done")]
        done += [self._outcome(Step.MUST_CHANGE)] if plan.must_change else []
        return [*done, self._revoked(set_now=written is not None), Outcome(Step.CONFIRM, "done")]

    async def revoke_sessions(self, external_id: str) -> Outcome:
        if not self._options.sessions:
            return Outcome(Step.REVOKE, "unsupported")

        def work(t: Transaction) -> None:
            person = self._only(t, external_id, lock=True)
            for statement in self._rows_of(person, self._options.sessions):
                t.change(*statement)

        try:
            await self._database.run(work, changes=True)
        except OutboundRefusal as e:
            return Outcome(Step.REVOKE, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.REVOKE, e)
        return Outcome(Step.REVOKE, "done")

    def _outcome(self, step: Step) -> Outcome:
        """Of a step that goes with the set, where the section names its columns."""
        can = {
            Step.UNLOCK: self.capabilities.unlock,
            Step.MUST_CHANGE: self.capabilities.must_change,
            Step.REVOKE: self.capabilities.revoke_sessions,
        }
        return Outcome(step, "unsupported" if can[step] is Means.NONE else "done")

    def _revoked(self, *, set_now: bool) -> Outcome:
        """What became of the sessions; `set_now` is False when an earlier attempt had set the password."""
        return self._outcome(Step.REVOKE)

    def _unfit(self, password: Secret) -> str:
        """Why the system takes no such password; empty if nothing is known to speak against it."""
        if too_long(self._options.hash_format, password):
            return f"This system takes no passwords longer than {BCRYPT_BYTES} bytes."
        return ""

    async def _hashed(self, password: Secret, before: str) -> str:
        o = self._options
        return o.hash_prefix + await self._database.compute(lambda: hashed(o.hash_format, password, before))

    async def _holds(self, external_id: str, written: str) -> bool:
        """Whether the new hash stands in its row, by a connection of its own."""
        try:
            person = await self._database.run(lambda t: self._only(t, external_id))
        except Unavailable:
            return False
        return self._options.hash_prefix + person.hash == written

    # ── in a transaction ──

    def _only(self, t: Transaction, external_id: str, *, lock: bool = False) -> Person:
        """The one with this id. Raises `OutboundRefusal` when there is none, or more than one."""
        if not external_id or len(external_id) > LONGEST or "\0" in external_id:
            raise OutboundRefusal("not_found")
        found = self._people.with_id(t, external_id, lock=lock)
        if len(found) != 1:
            raise OutboundRefusal("ambiguous" if found else "not_found")
        return found[0]

    def _guarded(self, t: Transaction, plan: Plan, *, lock: bool = False) -> Person:
        """The person, if nothing speaks against changing the account. Raises `OutboundRefusal`."""
        person = self._only(t, plan.external_id, lock=lock)
        if person.account.privileged and not plan.allow_privileged:
            raise OutboundRefusal("privileged_target")
        if person.account.state == "disabled":
            raise OutboundRefusal("not_permitted", "disabled")
        if person.account.sso_only:
            raise OutboundRefusal("synced_elsewhere", "no password is kept here")
        return person

    async def _carry_out(self, change: _Change) -> None:
        """One transaction that touches one row of the table of users, or is undone."""
        await self._database.run(lambda t: self._change(t, change), changes=True)

    def _change(self, t: Transaction, change: _Change) -> None:
        o, plan = self._options, change.plan
        person = self._guarded(t, plan, lock=True)
        if person.hash != change.seen:
            raise NotDone("unavailable", "the password was changed at the same moment", 1_000)
        values: list[tuple[str, Any]] = [(o.hash_column, change.written)] if change.written is not None else []
        values += [
            (r.column, self._dialect.value(0 if r.at_least and r.cleared is None else r.cleared)) for r in o.locked
        ]
        if plan.new_password is not None and plan.must_change and o.must_change_column:
            values.append((o.must_change_column, self._dialect.value(True)))
        if change.written is not None and o.changed_at_column:
            values.append((o.changed_at_column, self._dialect.value(datetime.datetime.now(datetime.UTC))))
        if values:
            touched = t.change(*self._dialect.update(o.table, values, o.id_column, person.key))
            if touched != 1:
                words = f"the change would have touched {touched} rows, so nothing was changed"
                raise OutboundRefusal("not_permitted", words)
        if change.written is not None:
            kept = self._only(t, plan.external_id)
            if o.hash_prefix + kept.hash != change.written:
                words = f"{o.hash_column} didn't keep the hash, so nothing was changed: is it long enough?"
                raise OutboundRefusal("not_permitted", words)
        for statement in self._rows_of(person, (*o.unlock_rows, *(o.sessions if change.ends_sessions else ()))):
            t.change(*statement)

    def _rows_of(self, person: Person, tables: Sequence[Rows]) -> list[Statement]:
        a = person.account
        return [self._dialect.delete(r.table, r.column, person.key if r.of == "id" else a.username) for r in tables]

    # ── looking after it ──

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        try:
            await self._database.run(lambda t: self._people.page(t, None))
            lines = [CheckLine("reach", "ok", "answers, and the tables can be read")]
            lines += await rights(self._database, self._options, self._people.columns)
            if sample:
                lines.append(sample_line(await self.find(sample)))
        except Unavailable as e:
            return (unreachable(e, SIGNS_IN),)
        return lines

    async def close(self) -> None:
        await self._database.close()
