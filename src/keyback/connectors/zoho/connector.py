"""What Keyback does in a Zoho organization: looking people up, and setting a password where Zoho Mail allows it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Literal

import httpx2

from keyback.application.ports.connectors import (
    Capabilities,
    CheckLine,
    FoundAccount,
    Guide,
    Means,
    Outcome,
    Plan,
    Step,
    Unavailable,
)
from keyback.connectors.base import ConnectorBase, mark_now, marked_instant, sample_line, unreachable
from keyback.connectors.faults import fault
from keyback.connectors.zoho.options import STEPS, ZohoOptions
from keyback.connectors.zoho.people import People
from keyback.connectors.zoho.rest import Rest
from keyback.domain.secret import Secret
from keyback.locale import all_told
from keyback.outbound.http import MaybeDone, OutboundRefusal

MAX_JOBS = 1000


class ZohoConnector(ConnectorBase):
    """Connector for one organization.

    Args:
        clock: monotonic seconds.
    """

    capabilities = Capabilities(  # with Zoho Mail; without it the password is guided
        lookup=Means.COMPOSED,
        list=Means.NATIVE,
        set_password=Means.NATIVE,
        must_change=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        status=Means.NATIVE,
        deep_link=Means.NATIVE,
    )

    options_model = ZohoOptions

    def __init__(
        self,
        name: str,
        title: str,
        options: ZohoOptions,
        client: httpx2.AsyncClient | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        o = options
        self.name, self.title = name, title
        self._rest = Rest(o, client)
        self.people = People(self._rest, clock)
        self.breaker = self._rest.breaker
        self._zoid = o.zoid
        if o.zoid is None:
            less = {"must_change": Means.NONE, "revoke_sessions": Means.NONE, "set_password": Means.GUIDED}
            self.capabilities = replace(self.capabilities, **less)
        self.url = f"https://crm.{'zohocloud.ca' if o.data_center == 'ca' else f'zoho.{o.data_center}'}/"
        self._reset_page = f"{o.hosts()[0]}/password"
        self.configured(o)
        self._jobs: dict[str, Literal["sent", "done"]] = {}

    def guide(self, locale: str) -> Guide:
        return Guide(all_told(STEPS, locale), self._reset_page)

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        return await self.people.find(identifier)

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        async for page in self.people.everybody():
            yield page

    async def mark(self) -> str | None:
        return mark_now()

    async def list_changed(self, since: str) -> AsyncIterator[Sequence[FoundAccount]]:
        at = marked_instant(since)
        pages = self.people.changed(at.isoformat()) if at else self.people.everybody()
        async for page in pages:
            yield page

    # ── changing ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        try:
            user = await self.people.user(plan.external_id)
            if user is None:
                return [Outcome(Step.GUARD, "refused", "not_found")]
            account = await self.people.account(user)
        except OutboundRefusal as e:
            return [Outcome(Step.GUARD, "refused", e.code, e.text)]
        except Unavailable as e:
            return [fault(Step.GUARD, e)]
        if account.privileged and not plan.allow_privileged:
            return [Outcome(Step.GUARD, "refused", "privileged_target")]
        if account.state == "disabled":
            return [Outcome(Step.GUARD, "refused", "not_permitted", "inactive")]
        done = [Outcome(Step.GUARD, "done"), Outcome(Step.UNLOCK, "unsupported")]
        if plan.new_password is None:
            return done
        zuid = str(user.get("zuid") or "")
        # A personal account is its owner's: no administrator can set its password.
        if self._zoid is None or user.get("personal_account") or not zuid.isdecimal():
            return [*done, Outcome(Step.SET, "pending", "guided")]
        done.append(await self._set(plan, zuid, plan.new_password))
        if done[-1].status != "done":
            return done
        if plan.must_change:
            done.append(Outcome(Step.MUST_CHANGE, "done"))
        return [*done, Outcome(Step.REVOKE, "done"), Outcome(Step.CONFIRM, "unsupported")]

    async def _set(self, plan: Plan, zuid: str, password: Secret) -> Outcome:
        """Sets it and ends sessions in one call, unless an earlier attempt did; Zoho doesn't tell that afterwards."""
        earlier = self._jobs.get(plan.job_id)
        if earlier is not None:
            return Outcome(Step.SET, "done") if earlier == "done" else Outcome(Step.SET, "uncertain", "unavailable")
        body = {
            "mode": "resetPassword",
            "zuid": int(zuid),
            "password": password.reveal(),
            "oneTimePassword": plan.must_change,
            "resetAuthtoken": True,
        }
        if len(self._jobs) >= MAX_JOBS:
            self._jobs.pop(next(iter(self._jobs)))
        self._jobs[plan.job_id] = "sent"
        try:
            await self._rest.mail("PUT", f"api/organization/{self._zoid}/accounts/{zuid}", json=body, hide=password)
        except MaybeDone as e:
            return fault(Step.SET, e)
        except OutboundRefusal as e:
            del self._jobs[plan.job_id]
            if plan.attempt >= 2 and e.code == "policy_rejected":  # as used before: perhaps another process set it
                return Outcome(Step.SET, "uncertain", "unavailable", e.text)
            return Outcome(Step.SET, "refused", e.code, e.text)
        except Unavailable as e:
            del self._jobs[plan.job_id]
            return fault(Step.SET, e)
        self._jobs[plan.job_id] = "done"
        return Outcome(Step.SET, "done")

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        try:
            await self._rest.token.get()
            page = await self._rest.crm("GET", "crm/v8/users", query={"type": "AdminUsers", "per_page": "1"})
        except Unavailable as e:
            return (unreachable(e, "client_id, secret_file or refresh_token_file", "url, accounts_url or mail_url"),)
        lines = [CheckLine("reach", "ok", "answers"), CheckLine("sign_in", "ok", "the client signs in")]
        if not page:
            lines.append(
                CheckLine("permission", "warn", "no administrator can be seen", ("lookup",), "See the scopes.")
            )
        if self._zoid is None:
            words = "zoid is not set, so people are led through Zoho's own page"
            lines.append(CheckLine("permission", "ok", words, ("set_password",)))
        else:
            lines.append(await self._mail_line())
        if sample:
            try:
                lines.append(sample_line(await self.find(sample)))
            except Unavailable as e:
                lines.append(CheckLine("read", "bad", f"{e.code}: {e}"))
        return lines

    async def _mail_line(self) -> CheckLine:
        path = f"api/organization/{self._zoid}/accounts"
        try:
            await self._rest.mail("GET", path, query={"start": "1", "limit": "1"})
        except Unavailable as e:
            advice = "See zoid, and that the refresh token has the scope ZohoMail.organization.accounts.ALL."
            return CheckLine("permission", "warn", f"Zoho Mail refuses ({e.code})", ("set_password",), advice)
        return CheckLine("permission", "ok", "Zoho Mail answers; only setting a password shows that it may be set")

    async def close(self) -> None:
        await self._rest.close()
