"""The recipe: copy this file to write a connector for your own system, then read the numbered notes from top to bottom.

As it stands it speaks to the demo CRM (`keyback.testing.demo_crm`), whose small JSON API is like many real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Outcome, Plan, Step, Unavailable
from keyback.connectors.base import ConnectorBase, ConnectorOptions
from keyback.connectors.faults import fault
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, NotDone, OutboundRefusal, vendor_text

# 1. The system's own errors in our codes (see `Outcome`). One that is missing here becomes `not_permitted`.
CODES = {
    "weak_password": "policy_rejected",
    "no_such_user": "not_found",
    "disabled": "not_permitted",
    "bad_token": "auth_expired",
}


class DemoConnector(ConnectorBase):
    """Connector for the demo CRM at `base_url`; `token` goes along as Bearer, `timeout` is seconds for one call."""

    # 2. Claim only what the system really does. What it cannot do stays `none`, and Keyback leads the person round it.
    #    `ConnectorBase` answers for everything that you don't claim and don't write.
    capabilities = Capabilities(
        lookup=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.NATIVE,
        unlock=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        status=Means.NATIVE,
    )

    def __init__(
        self,
        name: str,
        title: str,
        base_url: str,
        token: Secret,
        client: httpx2.AsyncClient | None = None,
        *,
        ca_file: Path | None = None,
        timeout: float = 20.0,
    ) -> None:
        self.name, self.title = name, title
        # 3. `Endpoint` calls this one address only, without redirects, within time and size, behind a breaker.
        self._http = Endpoint(base_url, client, ca_file=ca_file, timeout=timeout)
        self.breaker = self._http.breaker
        # 4. Secrets stay wrapped until the moment they are sent, so no log, `repr` or traceback shows them.
        self._headers = {"Authorization": Secret(f"Bearer {token.reveal()}")}

    options_model = ConnectorOptions

    @classmethod
    def from_options(cls, name: str, title: str, options: Mapping[str, Any]) -> DemoConnector:
        # 5. The section of `keyback.toml`. For more keys than these make a subclass of `ConnectorOptions`.
        o = ConnectorOptions.model_validate(options)
        made = cls(name, title, o.url, o.read_secret(), ca_file=o.ca_file, timeout=o.timeout_s)
        made.configured(o)
        return made

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        # 6. Identifiers go in the body: addresses in URLs end up in access logs.
        found = await self._ask("api/find", {"identifier": identifier}, repeatable=True)
        return [self._account(u) for u in found.get("users", ())]

    async def verify(self, username: str, password: Secret) -> bool | None:
        # 7. Three answers: yes, no, and "could not find out". Never turn the third into the second.
        try:
            answer = await self._ask("api/verify", {"username": username, "password": password.reveal()})
        except Unavailable:
            return None
        return bool(answer.get("ok"))

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        # 8. One step after the other; `done` grows, and the step that fails closes the list.
        done: list[Outcome] = []
        step = Step.GUARD
        user = f"api/users/{int(plan.external_id)}" if plan.external_id.isdecimal() else "api/users/0"
        try:
            # 9. The guard reads the account afresh: it may have become an administrator since it was found.
            account = self._account(await self._ask(f"{user}/read", {}, repeatable=True))
            if account.privileged and not plan.allow_privileged:
                return [Outcome(step, "refused", "privileged_target")]
            if account.state == "disabled":
                return [Outcome(step, "refused", "not_permitted", "disabled")]
            done.append(Outcome(step, "done"))
            step = Step.UNLOCK
            await self._ask(f"{user}/unlock", {})
            done.append(Outcome(step, "done"))
            if plan.new_password is None:
                return done
            # 10. It remembers the job: sending it again is safe. If yours cannot, look first (see `tryton.py`).
            step = Step.SET
            await self._ask(f"{user}/password", {"password": plan.new_password.reveal(), "job_id": plan.job_id})
            done.append(Outcome(step, "done"))
            if plan.must_change:
                done.append(Outcome(Step.MUST_CHANGE, "unsupported"))
            # 11. End the sessions even where the system does it by itself, unless you have tried that it does.
            step = Step.REVOKE
            await self._ask(f"{user}/revoke", {})
            done.append(Outcome(step, "done"))
        except OutboundRefusal as e:
            return [*done, Outcome(step, "refused", e.code, e.text)]
        except Unavailable as e:
            # 12. `fault` tells "nothing was changed, try again" from "it was sent and no answer came".
            return [*done, fault(step, e)]
        # 13. Say `done` only for what was seen to work.
        works = await self.verify(account.username, plan.new_password)
        return [*done, Outcome(Step.CONFIRM, "done" if works else "uncertain")]

    async def revoke_sessions(self, external_id: str) -> Outcome:
        try:
            await self._ask(f"api/users/{int(external_id) if external_id.isdecimal() else 0}/revoke", {})
        except OutboundRefusal as e:
            return Outcome(Step.REVOKE, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.REVOKE, e)
        return Outcome(Step.REVOKE, "done")

    async def close(self) -> None:
        await self._http.close()

    async def _ask(self, path: str, body: dict[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        reply = await self._http.call("POST", path, json=body, headers=self._headers, repeatable=repeatable)
        reply.refuse_throttled()
        answer = reply.json()
        if reply.status >= 400:
            text = vendor_text(answer.get("text"), Secret(body.get("password", "")))
            raise OutboundRefusal(CODES.get(str(answer.get("error")), "not_permitted"), text)
        return answer

    @staticmethod
    def _account(u: dict[str, Any]) -> FoundAccount:
        try:
            return FoundAccount(str(u["id"]), u["username"], u["mail"], u["name"], u["state"], u["privileged"])
        except (KeyError, TypeError):
            raise NotDone("unavailable", "unexpected answer") from None
