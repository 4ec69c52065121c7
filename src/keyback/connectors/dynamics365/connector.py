"""The connector of Dynamics 365: what is done to an account, and what is said about it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

import httpx2

from keyback.application.ports.connectors import (
    Activity,
    Capabilities,
    CheckLine,
    Finding,
    FoundAccount,
    Health,
    Means,
    Outcome,
    Plan,
    Step,
    SystemFactor,
    TemporaryPass,
    Unavailable,
)
from keyback.connectors.base import ConnectorBase, account_findings
from keyback.connectors.dynamics365.checking import Checking
from keyback.connectors.dynamics365.elevation import PRIVILEGED_AUTH_ADMIN, USER_ADMIN, Elevation, Sleep
from keyback.connectors.dynamics365.methods import Methods
from keyback.connectors.dynamics365.options import Dynamics365Options
from keyback.connectors.dynamics365.people import People
from keyback.connectors.dynamics365.rest import Api, App, endpoints
from keyback.connectors.faults import fault
from keyback.domain.passwords.target_rules import TargetRules
from keyback.domain.secret import Secret
from keyback.domain.units import MINUTE
from keyback.outbound.http import MaybeDone, OutboundRefusal

FRESH = 15 * MINUTE  # a password that was set within this may be the one of an earlier attempt
SPREAD = 2 * MINUTE  # after this a change that no read shows did not happen
LOOKS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)  # seconds before each look for a change
SLACK = MINUTE // 2  # clocks differ, and changes are dated to the second
MAX_JOBS = 1000
# Of accounts that are kept in Entra (learn.microsoft.com, "Password policies and account restrictions"). That it bans
# passwords of its own and the tenant's list, and takes ASCII alone, shows when it refuses.
RULES = TargetRules(min_length=8, max_length=256, classes_of_four=3)


@dataclass(frozen=True, slots=True)
class Sent:
    """What was so before a job first set the password, and when it did; ms since 1970."""

    before: int
    at: int


class Dynamics365Connector(ConnectorBase):
    """Connector for one environment of Dataverse and its tenant.

    Args:
        now: milliseconds since 1970.
        sleep: takes seconds; used while changes spread.
    """

    options_model = Dynamics365Options
    capabilities = Capabilities(
        lookup=Means.COMPOSED,
        list=Means.COMPOSED,
        set_password=Means.NATIVE,
        must_change=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        revoke_grants=Means.COMPOSED,
        reset_factor=Means.NATIVE,
        temporary_pass=Means.NATIVE,
        activity=Means.NATIVE,
        status=Means.COMPOSED,
        deep_link=Means.NATIVE,
    )

    def __init__(
        self,
        name: str,
        title: str,
        options: Dynamics365Options,
        client: httpx2.AsyncClient | None = None,
        *,
        now: Callable[[], int] = lambda: int(time.time() * 1000),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        o = options
        self.name, self.title, self._options, self._now, self._sleep = name, title, o, now, sleep
        login, graph, dataverse = self._endpoints = endpoints(o, client)
        app = self._app = App(o, login, o.hosts.login, o.tenant, now)
        self._graph = Api(graph, o.hosts.graph, "v1.0", app)
        self._dataverse = Api(dataverse, o.url, "api/data/v9.2", app)
        self._people = People(self._graph, self._dataverse, o, now)
        self._methods = Methods(self._graph)
        self._elevation: Elevation | None = None
        if o.elevator and o.principal_id:
            above = Api(graph, o.hosts.graph, "v1.0", App(o.elevator, login, o.hosts.login, o.tenant, now))
            self._elevation = Elevation(above, o.principal_id, self._forget_token, now, sleep)
        self._checking = Checking(o, app, self._graph, self._dataverse, self._elevation, now)
        self._sent: OrderedDict[str, Sent] = OrderedDict()
        self.url = o.url.rstrip("/") + "/"
        if not o.hosts.methods:
            self.capabilities = replace(self.capabilities, reset_factor=Means.NONE, temporary_pass=Means.NONE)
        self.rules = RULES
        self.configured(o)

    @property
    def health(self) -> Health:
        """Of the worst of the three hosts."""
        worst = max((e.breaker for e in self._endpoints), key=lambda b: b.failures)
        return Health(worst.state, worst.failures, worst.reached_ago_ms(), worst.missing_for_ms())

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        if self._elevation:
            await self._elevation.tidy()
        return await self._people.find(identifier)

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        async for page in self._people.pages():
            yield page

    async def mark(self) -> str | None:
        return await self._people.changes.mark()

    async def list_changed(self, since: str) -> AsyncIterator[Sequence[FoundAccount]]:
        """By Entra's delta token and the CRM's `modifiedon`; everybody where Entra has forgotten the token."""
        ids = await self._people.changes.since(since)
        async for page in self._people.pages() if ids is None else self._people.some(ids):
            yield page

    async def diagnose(self, username: str, external_id: str | None = None) -> Sequence[Finding]:
        if external_id is None:
            found = await self.find(username)
            if len(found) != 1:
                return (Finding("ambiguous", str(len(found))),) if found else (Finding("not_found"),)
            account = found[0]
        else:
            read = await self._people.account(external_id)
            if read is None:
                if await self._people.elsewhere(external_id):
                    return (Finding("wrong_host", f"in the tenant, without a user in {self._options.url}"),)
                return (Finding("not_found"),)
            account = read
        findings = [
            Finding("federated", self._provider(account)) if f.code == "federated" else f
            for f in account_findings(account)
        ]
        if account.state == "active" and not account.federated:
            try:
                findings += await self._methods.troubles(account.external_id, self._now())
            except Unavailable:  # not licensed, not permitted, or asked too often: `check` says so
                pass
        return tuple(findings)

    async def activity(self, external_id: str) -> Activity | None:
        """Sign-ins where the tenant has Entra P1, and applications; without either there is that much less."""
        try:
            sign_ins = tuple(await self._methods.sign_ins(external_id))
        except OutboundRefusal:
            sign_ins = ()
        try:
            grants = tuple(await self._methods.grants(external_id))
        except OutboundRefusal:
            grants = ()
        return Activity(sign_ins, grants)

    async def factors(self, external_id: str) -> Sequence[SystemFactor]:
        return await self._methods.factors(external_id) if self._options.hosts.methods else ()

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        return await self._checking.lines(self._people, sample)

    # ── changing ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        done: list[Outcome] = []
        step = Step.GUARD
        try:
            account = await self._guard(plan.external_id, plan.allow_privileged)
            if isinstance(account, Outcome):
                return [account]
            # Smart lockout ends by itself; no call ends it.
            done += [Outcome(step, "done"), Outcome(Step.UNLOCK, "unsupported")]
            if plan.new_password is None:
                return done
            step = Step.SET
            done.append(await self._set(plan, account, plan.new_password))
            if done[-1].status != "done":
                return done
            if plan.must_change:
                done.append(Outcome(Step.MUST_CHANGE, "done"))
            step = Step.REVOKE
            await self._graph.call("POST", f"users/{account.external_id}/revokeSignInSessions")
            done.append(Outcome(step, "done"))
            if plan.revoke_grants:
                step = Step.GRANTS
                await self._methods.revoke(account.external_id, None)
                done.append(Outcome(step, "done"))
        except OutboundRefusal as e:
            return [*done, Outcome(step, "refused", e.code, e.text)]
        except Unavailable as e:
            return [*done, fault(step, e)]
        return [*done, Outcome(Step.CONFIRM, "done" if await self._was_set(plan) else "uncertain")]

    async def revoke_grants(self, external_id: str, grants: Sequence[str] | None = None) -> Outcome:
        try:
            await self._methods.revoke(external_id, grants)
        except OutboundRefusal as e:
            return Outcome(Step.GRANTS, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.GRANTS, e)
        return Outcome(Step.GRANTS, "done")

    async def revoke_sessions(self, external_id: str) -> Outcome:
        try:
            await self._graph.call("POST", f"users/{external_id}/revokeSignInSessions")
        except OutboundRefusal as e:
            return Outcome(Step.REVOKE, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.REVOKE, e)
        return Outcome(Step.REVOKE, "done")

    async def reset_factor(self, external_id: str, factor: str, *, allow_privileged: bool = False) -> Outcome:
        """Removes one method. What no application may remove is an administrator's."""
        if not self._options.hosts.methods:
            return Outcome(Step.FACTOR, "unsupported")
        try:
            account = await self._guard(external_id, allow_privileged, password=False)
            if isinstance(account, Outcome):
                return replace(account, step=Step.FACTOR)
            removed = await self._methods.remove(account.external_id, factor)
        except OutboundRefusal as e:
            return Outcome(Step.FACTOR, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.FACTOR, e)
        return Outcome(Step.FACTOR, "done") if removed else Outcome(Step.FACTOR, "pending", "desk")

    async def temporary_pass(
        self, external_id: str, minutes: int, *, allow_privileged: bool = False
    ) -> TemporaryPass | Outcome:
        """A pass for one sign-in, which takes the place of one that was there. It helps people whose password is kept
        elsewhere too."""
        if not self._options.hosts.methods:
            return Outcome(Step.TEMPORARY, "unsupported")
        try:
            account = await self._guard(external_id, allow_privileged, password=False)
            if isinstance(account, Outcome):
                return replace(account, step=Step.TEMPORARY)
            return await self._methods.new_pass(account.external_id, minutes, self._now())
        except OutboundRefusal as e:
            return Outcome(Step.TEMPORARY, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.TEMPORARY, e)

    async def close(self) -> None:
        for endpoint in self._endpoints:
            await endpoint.close()

    # ── steps ──

    async def _guard(
        self, external_id: str, allow_privileged: bool, *, password: bool = True
    ) -> FoundAccount | Outcome:
        """The account as it is now, or why it must not be touched.

        Args:
            password: it is about the password, which must be kept here.
        """
        account = await self._people.account(external_id)
        if account is None:
            return Outcome(Step.GUARD, "refused", "not_found")
        if account.privileged and not allow_privileged:
            return Outcome(Step.GUARD, "refused", "privileged_target")
        if account.state == "disabled":
            return Outcome(Step.GUARD, "refused", "not_permitted", "inactive")
        if password and account.synced_from is not None:
            return Outcome(Step.GUARD, "refused", "synced_elsewhere", account.synced_from)
        if password and account.federated:
            return Outcome(Step.GUARD, "refused", "synced_elsewhere", self._provider(account))
        return account

    async def _set(self, plan: Plan, account: FoundAccount, password: Secret) -> Outcome:
        """Sets it, unless an earlier attempt did. No call tells whether a password signs in, but it is dated."""
        earlier = self._sent.get(plan.job_id)
        if plan.attempt >= 2 and earlier:
            if await self._was_set(plan):
                return Outcome(Step.SET, "done")
            left = earlier.at + SPREAD - self._now()
            if left > 0:  # reads may still be old
                return Outcome(Step.SET, "uncertain", "unavailable", retry_after_ms=left)
        before = account.password_changed_at or 0
        if plan.attempt >= 2 and not earlier and self._now() - before < FRESH:
            # Of an attempt by another process, or of somebody else.
            return Outcome(Step.SET, "uncertain", "unavailable")
        profile = {"password": password.reveal(), "forceChangePasswordNextSignIn": plan.must_change}

        async def change() -> None:
            self._note(plan.job_id, before)
            await self._graph.call(
                "PATCH", f"users/{account.external_id}", json={"passwordProfile": profile}, hide=password
            )

        try:
            if self._elevation:
                role = PRIVILEGED_AUTH_ADMIN if account.privileged else USER_ADMIN
                await self._elevation.act(role, change)
            else:
                await change()
        except MaybeDone as e:
            return Outcome(Step.SET, "done") if await self._was_set(plan) else fault(Step.SET, e)
        except Unavailable:
            self._sent.pop(plan.job_id, None)  # nothing was changed
            raise
        return Outcome(Step.SET, "done")

    def _note(self, job: str, before: int) -> None:
        self._sent[job] = Sent(before, self._now())
        while len(self._sent) > MAX_JOBS:
            self._sent.popitem(last=False)

    async def _was_set(self, plan: Plan) -> bool:
        """Whether Entra dates a change of the password after the job began. Reads may be old, so it looks again."""
        earlier = self._sent.get(plan.job_id)
        since = earlier.at + (self._app.ahead or 0) - SLACK if earlier else 0
        for wait in LOOKS if earlier else ():
            await self._sleep(wait)
            try:
                at = await self._people.changed_at(plan.external_id)
            except Unavailable:
                continue
            # `before` may have been read old itself, so the change must also be no older than the job.
            if earlier and at is not None and at > earlier.before and at >= since:
                return True
        return False

    def _provider(self, account: FoundAccount) -> str:
        """Where the password of a federated account is kept, as far as it is known."""
        return self._options.federated_with or f"the identity provider of {account.username.rpartition('@')[2]}"

    def _forget_token(self) -> None:
        self._graph.token.drop()
