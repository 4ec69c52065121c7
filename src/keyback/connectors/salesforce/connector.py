"""The connector of Salesforce: what is done to an account, and what is said about it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence

import httpx2

from keyback.application.ports.connectors import (
    Activity,
    Capabilities,
    CheckLine,
    Finding,
    FoundAccount,
    Grant,
    Means,
    Outcome,
    Plan,
    SignIn,
    Step,
    SystemFactor,
    Unavailable,
)
from keyback.connectors.base import ConnectorBase, account_findings, mark_now, marked_instant, sample_line, unreachable
from keyback.connectors.faults import fault
from keyback.connectors.salesforce.options import SalesforceOptions
from keyback.connectors.salesforce.people import People
from keyback.connectors.salesforce.rest import CODES, Rest, Row, instant, quoted, text_of
from keyback.domain.secret import Secret
from keyback.domain.units import MINUTE
from keyback.outbound.http import MaybeDone, OutboundRefusal, vendor_text

SIGNS_IN = "client_id, with username and private_key_file or with secret_file"
FRESH = 15 * MINUTE  # a password that was set within this may be the one of an earlier attempt
MAX_JOBS = 1000
REPEATED = 3  # failures of a second step that are no slips any more
BATCH = 200  # ids that one call may delete
# Factors that no call removes, by the field that tells of them.
OTHERS = {
    "HasSalesforceAuthenticator": ("app", "Salesforce Authenticator"),
    "HasSecurityKey": ("passkey", ""),
    "HasBuiltInAuthenticator": ("passkey", ""),
}
# What each object needs of the run-as user, what is lost without it, and the permission's name in Setup.
NEEDS = (
    ("UserLogin", ("unlock", "status"), "Manage Users"),
    ("AuthSession", ("revoke_sessions",), "Manage Users"),
    ("PermissionSetAssignment", ("lookup",), "View Setup and Configuration"),
    ("LoginHistory", ("activity",), "Monitor Login History"),
    ("OauthToken", ("revoke_grants",), "Customize Application"),
    ("TwoFactorInfo", ("reset_factor",), "Manage Multi-Factor Authentication in API"),
)


class SalesforceConnector(ConnectorBase):
    """Connector for one org.

    Args:
        now: milliseconds since 1970.
    """

    capabilities = Capabilities(
        lookup=Means.NATIVE,
        list=Means.NATIVE,
        set_password=Means.NATIVE,
        unlock=Means.NATIVE,
        revoke_sessions=Means.COMPOSED,
        revoke_grants=Means.COMPOSED,
        reset_factor=Means.NATIVE,
        activity=Means.NATIVE,
        status=Means.NATIVE,
        deep_link=Means.NATIVE,
    )

    def __init__(
        self,
        name: str,
        title: str,
        options: SalesforceOptions,
        client: httpx2.AsyncClient | None = None,
        *,
        now: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self.name, self.title, self._now = name, title, now
        self._rest = Rest(options, client, now=now)
        self._people = People(self._rest)
        self._before: OrderedDict[str, int] = OrderedDict()  # when the password had been set, by job
        self.breaker = self._rest.http.breaker
        self.url = options.url.rstrip("/") + "/"
        self.configured(options)

    options_model = SalesforceOptions

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        return await self._people.find(identifier)

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        async for page in self._people.pages():
            yield page

    async def mark(self) -> str | None:
        return mark_now()

    async def list_changed(self, since: str) -> AsyncIterator[Sequence[FoundAccount]]:
        async for page in self._people.pages(since if marked_instant(since) else ""):
            yield page

    async def diagnose(self, username: str, external_id: str | None = None) -> Sequence[Finding]:
        if external_id is None:
            found = await self.find(username)
            if len(found) != 1:
                return (Finding("ambiguous", str(len(found))),) if found else (await self._absent(username),)
            account = found[0]
        else:
            read = await self._people.account(external_id)
            if read is None:
                return (await self._absent(username),)
            account = read
        findings = list(account_findings(account))
        if account.state == "active" and not account.sso_only and await self._expired(account.external_id):
            findings.append(Finding("password_expired"))
        if account.state == "active" and not account.sso_only:
            fails = await self._people.second_step_fails(account.external_id, self._now())
            if fails >= REPEATED:
                findings.append(Finding("factor_lost", f"its code failed {fails} times"))
        return tuple(findings)

    async def _absent(self, username: str) -> Finding:
        """Why somebody isn't in this org: a sandbox's user name belongs elsewhere."""
        if await self._people.of_production(username):
            return Finding("wrong_host", "a sandbox's username; this org has the one it was made of")
        return Finding("not_found")

    async def activity(self, external_id: str) -> Activity | None:
        fields = "LoginTime, SourceIp, Status, LoginType, Browser, Platform, Application"
        who = f"UserId = {quoted(external_id)}"
        rows = await self._rest.query(fields, "LoginHistory", who, order="LoginTime DESC", limit=20)
        try:
            grants = tuple(map(_grant, await self._grants(external_id)))
        except OutboundRefusal:  # that needs a permission of its own; `check` says so
            grants = ()
        return Activity(tuple(map(_sign_in, rows)), grants)

    async def factors(self, external_id: str) -> Sequence[SystemFactor]:
        who = f"UserId = {quoted(external_id)}"
        apps = await self._rest.query("Id, Type", "TwoFactorInfo", who, limit=20)
        out = [SystemFactor(text_of(r, "Id"), "totp", "", True) for r in apps if r.get("Type") == "TOTP"]
        for row in await self._rest.query(", ".join(("Id", *OTHERS)), "TwoFactorMethodsInfo", who, limit=1):
            out += [SystemFactor(k, kind, title, False) for k, (kind, title) in OTHERS.items() if row.get(k)]
        return out

    # ── changing ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        done: list[Outcome] = []
        step = Step.GUARD
        try:
            account = await self._guard(plan.external_id, plan.allow_privileged)
            if isinstance(account, Outcome):
                return [account]
            done.append(Outcome(step, "done"))
            step = Step.UNLOCK
            done.append(await self._unlock(account))
            if plan.new_password is None:
                return done
            step = Step.SET
            done.append(await self._set(plan, account, plan.new_password))
            if done[-1].status != "done":
                return done
            if plan.must_change:
                done.append(Outcome(Step.MUST_CHANGE, "unsupported"))
            step = Step.REVOKE
            done.append(await self._end_sessions(plan.external_id))
            if plan.revoke_grants:
                step = Step.GRANTS
                done.append(await self.revoke_grants(plan.external_id))
        except OutboundRefusal as e:
            return [*done, Outcome(step, "refused", e.code, e.text)]
        except Unavailable as e:
            return [*done, fault(step, e)]
        return [*done, Outcome(Step.CONFIRM, "done" if await self._set_since(plan) else "uncertain")]

    async def revoke_grants(self, external_id: str, grants: Sequence[str] | None = None) -> Outcome:
        try:
            for row in await self._grants(external_id):
                if grants is None or text_of(row, "Id") in grants:
                    await self._rest.revoke(text_of(row, "DeleteToken"))
        except OutboundRefusal as e:
            return Outcome(Step.GRANTS, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.GRANTS, e)
        return Outcome(Step.GRANTS, "done")

    async def revoke_sessions(self, external_id: str) -> Outcome:
        try:
            return await self._end_sessions(external_id)
        except OutboundRefusal as e:
            return Outcome(Step.REVOKE, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.REVOKE, e)

    async def reset_factor(self, external_id: str, factor: str, *, allow_privileged: bool = False) -> Outcome:
        """Removes an authenticator app; one that is gone counts as removed. Other factors are an administrator's: no
        call of Salesforce removes them."""
        try:
            account = await self._guard(external_id, allow_privileged)
            if isinstance(account, Outcome):
                return Outcome(Step.FACTOR, account.status, account.code, account.vendor_text)
            if factor in OTHERS:
                return Outcome(Step.FACTOR, "pending", "desk")
            which = f"UserId = {quoted(external_id)} AND Id = {quoted(factor)}"
            for row in await self._rest.query("Id", "TwoFactorInfo", which, limit=1):
                await self._rest.call("DELETE", f"sobjects/TwoFactorInfo/{text_of(row, 'Id')}")
        except OutboundRefusal as e:
            return Outcome(Step.FACTOR, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.FACTOR, e)
        return Outcome(Step.FACTOR, "done")

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        try:
            versions = await self._rest.http.call("GET", "services/data", repeatable=True)
        except Unavailable as e:
            return (unreachable(e, SIGNS_IN),)
        lines = [_version_line(versions.any_json(), self._rest.version)]
        known = lines[0].status != "bad"
        ahead = versions.clock_ahead_ms(self._now())
        if ahead is not None and abs(ahead) > MINUTE:
            words = f"this machine's clock differs from Salesforce's by {abs(ahead) // 1000} s"
            lines.append(CheckLine("clock", "bad", words, advice="Set the clock; assertions are refused otherwise."))
        try:
            await self._rest.token.get()
        except Unavailable as e:
            return (*lines, unreachable(e, SIGNS_IN))
        lines.append(CheckLine("sign_in", "ok", "the External Client App signs in"))
        if not known:  # every call would be refused, and none for want of a permission
            return lines
        for what, costs, permission in NEEDS:
            lines.append(await self._may_read(what, costs, permission))
        lines.append(await self._quota())
        if sample:
            try:
                lines.append(sample_line(await self.find(sample)))
            except Unavailable as e:
                lines.append(CheckLine("read", "bad", f"{e.code}: {e}"))
        return lines

    async def close(self) -> None:
        await self._rest.http.close()

    # ── steps ──

    async def _guard(self, external_id: str, allow_privileged: bool) -> FoundAccount | Outcome:
        """The account as it is now, or why it must not be touched."""
        account = await self._people.account(external_id)
        if account is None:
            return Outcome(Step.GUARD, "refused", "not_found")
        if account.privileged and not allow_privileged:
            return Outcome(Step.GUARD, "refused", "privileged_target")
        if account.state == "disabled":
            return Outcome(Step.GUARD, "refused", "not_permitted", "inactive")
        if account.frozen:  # an administrator did that, often because the person left or the account was stolen
            return Outcome(Step.GUARD, "refused", "not_permitted", "frozen")
        if account.sso_only:
            return Outcome(Step.GUARD, "refused", "synced_elsewhere", "single sign-on")
        return account

    async def _unlock(self, account: FoundAccount) -> Outcome:
        if account.state != "locked":
            return Outcome(Step.UNLOCK, "done")
        row = (await self._people.logins([account.external_id])).get(account.external_id, {})
        await self._rest.call("PATCH", f"sobjects/UserLogin/{text_of(row, 'Id')}", json={"IsPasswordLocked": False})
        return Outcome(Step.UNLOCK, "done")

    async def _set(self, plan: Plan, account: FoundAccount, password: Secret) -> Outcome:
        """Sets it, unless an earlier attempt did. No call tells whether a password signs in, but it is dated."""
        at = account.password_changed_at or 0
        if plan.attempt >= 2:
            before = self._before.get(plan.job_id)
            if before is not None and at > before:
                return Outcome(Step.SET, "done")
            if before is None and self._now() - at < FRESH:
                # Of an attempt by another process, or of somebody else. Set twice, it would be refused as used before.
                return Outcome(Step.SET, "uncertain", "unavailable")
        self._before[plan.job_id] = at
        while len(self._before) > MAX_JOBS:
            self._before.popitem(last=False)
        path = f"sobjects/User/{account.external_id}/password"
        try:
            await self._rest.call("POST", path, json={"NewPassword": password.reveal()}, hide=password)
        except MaybeDone as e:
            return Outcome(Step.SET, "done") if await self._set_since(plan) else fault(Step.SET, e)
        return Outcome(Step.SET, "done")

    async def _set_since(self, plan: Plan) -> bool:
        """Whether Salesforce dates a change of the password after the job began."""
        try:
            account = await self._people.account(plan.external_id)
        except Unavailable:
            return False
        at = account.password_changed_at if account else None
        return at is not None and at > self._before.get(plan.job_id, at)

    async def _end_sessions(self, external_id: str) -> Outcome:
        """All of them; those that ended meanwhile count as ended. Parents first: they take their children along."""
        rows = await self._rest.query("Id, ParentId", "AuthSession", f"UsersId = {quoted(external_id)}")
        ids = [text_of(r, "Id") for r in sorted(rows, key=lambda r: bool(r.get("ParentId")))]
        for start in range(0, len(ids), BATCH):
            query = {"ids": ",".join(ids[start : start + BATCH]), "allOrNone": "false"}
            results = await self._rest.call("DELETE", "composite/sobjects", query=query)
            errors = [e for one in results for e in one.get("errors") or ()] if isinstance(results, list) else []
            for error in errors:
                code = CODES.get(str(error.get("statusCode")), "not_permitted")
                if code != "not_found":
                    return Outcome(Step.REVOKE, "refused", code, vendor_text(error.get("message")))
        return Outcome(Step.REVOKE, "done")

    async def _expired(self, external_id: str) -> bool:
        try:
            answer = await self._rest.call("GET", f"sobjects/User/{external_id}/password", repeatable=True)
        except OutboundRefusal:
            return False
        return isinstance(answer, dict) and answer.get("isExpired") is True

    async def _may_read(self, what: str, costs: tuple[str, ...], permission: str) -> CheckLine:
        try:
            await self._rest.query("Id", what, limit=1)
        except Unavailable as e:
            advice = f"Give the run-as user a permission set with “{permission}”."
            return CheckLine("permission", "warn", f"{what} can't be read ({e.code})", costs, advice)
        return CheckLine("permission", "ok", f"{what} can be read")

    async def _quota(self) -> CheckLine:
        try:
            limits = await self._rest.call("GET", "limits", repeatable=True)
            daily = limits["DailyApiRequests"]
            left, most = int(daily["Remaining"]), int(daily["Max"])
        except Unavailable as e:
            return CheckLine("quota", "warn", f"the limits can't be read ({e.code})")
        except (LookupError, TypeError, ValueError):
            return CheckLine("quota", "warn", "the limits are not as documented")
        low = left * 10 < most
        advice = "A recovery takes about ten calls. See what else uses up the org's API requests." if low else ""
        return CheckLine("quota", "warn" if low else "ok", f"{left} of {most} API requests left today", advice=advice)

    async def _grants(self, external_id: str) -> list[Row]:
        fields = "Id, AppName, CreatedDate, LastUsedDate, DeleteToken"
        return await self._rest.query(fields, "OauthToken", f"UserId = {quoted(external_id)}", order="CreatedDate DESC")


def _version_line(offered: object, version: str) -> CheckLine:
    known = [str(v.get("version")) for v in offered if isinstance(v, dict)] if isinstance(offered, list) else []
    if not known or version.removeprefix("v") in known:
        return CheckLine("reach", "ok", "answers")
    advice = f"Set api_version to one that the org has, such as v{known[-1]}."
    return CheckLine("reach", "bad", f"the org doesn't have API version {version}", advice=advice)


def _sign_in(row: Row) -> SignIn:
    def words(*keys: str) -> str:
        return vendor_text(" · ".join(str(row[k]) for k in keys if row.get(k)))

    return SignIn(
        instant(row.get("LoginTime")) or 0,
        row.get("Status") == "Success",
        words("SourceIp"),
        words("Browser", "Platform"),
        words("LoginType", "Application", "Status"),
    )


def _grant(row: Row) -> Grant:
    created, used = instant(row.get("CreatedDate")), instant(row.get("LastUsedDate"))
    return Grant(text_of(row, "Id"), vendor_text(row.get("AppName") or ""), created, used)
