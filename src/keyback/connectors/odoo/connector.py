"""The connector for one Odoo database.

Sessions end by themselves with the password, since their tokens are made from its hash; they cannot be ended alone, for
Odoo asks for the person's own password before that. API keys of the person live on. A wrong password counts against
this machine's address and not against the user: after five, Odoo turns it away for a minute, so `verify` is used
sparingly.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx2

from keyback.application.ports.connectors import (
    Activity,
    Capabilities,
    CheckLine,
    FoundAccount,
    Means,
    Outcome,
    Plan,
    SignIn,
    Step,
    Unavailable,
)
from keyback.connectors.base import ConnectorBase, sample_line, unreachable
from keyback.connectors.faults import fault
from keyback.connectors.odoo.api import COOL_MS, NoSuchCall, OdooApi
from keyback.connectors.odoo.options import OdooOptions
from keyback.connectors.odoo.people import People
from keyback.domain.passwords.target_rules import TargetRules
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, OutboundRefusal

SIGNS_IN = "database, login or secret_file"
LDAP = (
    "the module auth_ldap is installed: everybody counts as signing in through the directory, "
    "whose password would go on working"
)


class OdooConnector(ConnectorBase):
    """Connector for one Odoo database.

    Args:
        name: key in `keyback.toml`; title: what people call the system.
        options: see `OdooOptions`.
        client: shared client of `outbound.http.new_client`; without one the connector makes its own.
    """

    capabilities = Capabilities(
        lookup=Means.NATIVE,
        list=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        activity=Means.NATIVE,
        status=Means.NATIVE,
    )
    options_model = OdooOptions

    def __init__(self, name: str, title: str, options: OdooOptions, client: httpx2.AsyncClient | None = None) -> None:
        self.name, self.title = name, title
        self._http = Endpoint(options.url, client, ca_file=options.ca_file, timeout=options.timeout_s)
        self.breaker = self._http.breaker
        self._api = OdooApi(self._http, options.database, options.login, options.read_secret(), options.protocol)
        self._people = People(self._api, options.ldap_users == "all")
        self.configured(options)

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        wanted = identifier.strip().casefold()
        if not wanted or len(wanted) > 320 or "\x00" in wanted:
            return ()
        return await self._people.named(wanted)

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        async for page in self._people.everybody():
            yield page

    async def verify(self, username: str, password: Secret) -> bool | None:
        """By signing in and out again. None while Odoo turns this machine away after wrong passwords."""
        return (await self._api.signs_in(username, password))[0]

    async def password_rules(self, external_id: str | None = None) -> TargetRules | None:
        """As the administrator wrote them down, or as the module `auth_password_policy` says."""
        if self.rules:
            return self.rules
        try:
            policy = await self._api.call("res.users", "get_password_policy")
        except NoSuchCall:
            return None
        least = policy.get("minlength") if isinstance(policy, dict) else None
        return TargetRules(min_length=max(0, least), known="read") if isinstance(least, int) else None

    async def activity(self, external_id: str) -> Activity | None:
        if await self._people.account(external_id) is None:
            return Activity()
        return Activity(tuple(SignIn(at, True) for at in await self._people.sign_ins(external_id)))

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        try:
            user = await self._guard(plan)
        except OutboundRefusal as e:
            return [Outcome(Step.GUARD, "refused", e.code, e.text)]
        except Unavailable as e:
            return [fault(Step.GUARD, e)]
        if isinstance(user, Outcome):
            return [user]
        done, password = [Outcome(Step.GUARD, "done"), Outcome(Step.UNLOCK, "unsupported")], plan.new_password
        if password is None:
            return done
        later = [Outcome(Step.MUST_CHANGE, "unsupported")] if plan.must_change else []
        if plan.attempt >= 2 and (await self._api.signs_in(user.username, password))[0]:
            # An earlier attempt worked and ended the sessions; or it is the old password, chosen again, and they live.
            revoked = Outcome(Step.REVOKE, "unsupported")
            return [*done, Outcome(Step.SET, "done"), *later, revoked, Outcome(Step.CONFIRM, "done")]
        changed = await self._set(plan, password)
        if changed.status not in {"done", "uncertain"}:
            return [*done, changed]
        works, why = await self._api.signs_in(user.username, password)
        if works:
            revoked = Outcome(Step.REVOKE, "done")  # by itself, with the set
            return [*done, Outcome(Step.SET, "done"), *later, revoked, Outcome(Step.CONFIRM, "done")]
        if changed.status == "uncertain":
            return [*done, changed]
        last = Outcome(Step.CONFIRM, "uncertain")
        if works is None:
            last = Outcome(Step.CONFIRM, "unsupported", why, retry_after_ms=COOL_MS if why == "locked" else 0)
        return [*done, changed, *later, Outcome(Step.REVOKE, "done"), last]

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        try:
            protocol = await self._api.protocol()
            shape = await self._people.shape()
            await self._people.account("2")  # reads the groups and rights too
        except Unavailable as e:
            return (unreachable(e, SIGNS_IN),)
        spoken = "JSON-2" if protocol == "json2" else "JSON-RPC, which Odoo 22 no longer has"
        lines = [CheckLine("reach", "ok", f"answers by {spoken}"), CheckLine("permission", "ok", "users can be read")]
        try:
            await self._people.sees_all_companies()
        except Unavailable as e:
            advice = "Add every company to Keyback's user, under Allowed Companies."
            lines.append(CheckLine("permission", "warn", str(e), ("list",), advice))
        if shape.ldap and self._people.directory:
            advice = 'Set ldap_users = "none" if the module is not used, or connect the directory itself.'
            lines.append(CheckLine("read", "warn", LDAP, ("set_password",), advice))
        if sample:
            try:
                lines.append(sample_line(await self.find(sample)))
            except Unavailable as e:
                lines.append(CheckLine("read", "bad", f"{e.code}: {e}"))
        return lines

    async def close(self) -> None:
        await self._http.close()

    # ── steps ──

    async def _guard(self, plan: Plan) -> FoundAccount | Outcome:
        """The account as it is now, or why it must not be touched."""
        account = await self._people.account(plan.external_id)
        if account is None:
            return Outcome(Step.GUARD, "refused", "not_found")
        if account.privileged and not plan.allow_privileged:
            return Outcome(Step.GUARD, "refused", "privileged_target")
        if account.state == "disabled":
            return Outcome(Step.GUARD, "refused", "not_permitted", "inactive")
        if account.sso_only:
            return Outcome(Step.GUARD, "refused", "synced_elsewhere", "single sign-on")
        return account

    async def _set(self, plan: Plan, password: Secret) -> Outcome:
        if not password.reveal():  # Odoo would take it, and then nobody could sign in
            return Outcome(Step.SET, "refused", "policy_rejected")
        vals = {"password": password.reveal()}
        try:
            answer = await self._api.call("res.users", "write", [int(plan.external_id)], vals=vals, hide=password)
            if answer is not True:
                raise MaybeDone("unavailable", "unexpected answer")
        except OutboundRefusal as e:
            return Outcome(Step.SET, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.SET, e)
        return Outcome(Step.SET, "done")
