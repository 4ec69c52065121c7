"""The built-in system: Keyback itself holds the password hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Outcome, Plan, Step, Unavailable
from keyback.application.ports.hashing import PasswordHasher
from keyback.connectors.base import ConnectorBase
from keyback.domain.secret import Secret


class CredentialStore(Protocol):
    """Where the built-in system's accounts live. Every method is one transaction; faults raise `Unavailable`."""

    async def find(self, identifier: str) -> Sequence[FoundAccount]: ...

    async def credential(self, external_id: str) -> str | None:
        """The PHC string, None when the account has no password or does not exist."""
        ...

    async def credential_by_username(self, username: str) -> tuple[str, str] | None:
        """External id and PHC string of an account that may sign in."""
        ...

    async def set_credential(self, external_id: str, phc: str, job_id: str) -> bool:
        """Store it, note the job and end the sessions, all in one transaction; False when this job had been applied
        before."""
        ...

    async def unlock(self, external_id: str) -> None: ...


class BuiltinConnector(ConnectorBase):
    """Connector for Keyback's own accounts; no network.

    Args:
        name: key in `keyback.toml`; title: what people call the system.
        gate: hashes and compares.
        store: accounts, credentials and sessions.
    """

    capabilities = Capabilities(
        lookup=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.NATIVE,
        unlock=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        status=Means.NATIVE,
    )

    def __init__(self, name: str, title: str, gate: PasswordHasher, store: CredentialStore) -> None:
        self.name, self.title = name, title
        self._gate, self._store = gate, store

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        return await self._store.find(identifier)

    async def verify(self, username: str, password: Secret) -> bool | None:
        try:
            held = await self._store.credential_by_username(username)
            return (await self._gate.verify(held[1] if held else None, password)).ok
        except Unavailable:
            return None

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        """The store remembers the job, so any attempt is the same as the first; hashing costs once per attempt."""
        done: list[Outcome] = []
        step = Step.GUARD
        try:
            refused, locked = await self._guard(plan)
            if refused:
                return [Outcome(step, "refused", refused)]
            done.append(Outcome(step, "done"))

            step = Step.UNLOCK
            if locked:
                await self._store.unlock(plan.external_id)
            done.append(Outcome(step, "done"))
            if plan.new_password is None:
                return done

            step = Step.SET
            phc = await self._gate.hash(plan.new_password)
            fresh = await self._store.set_credential(plan.external_id, phc, plan.job_id)
            done.append(Outcome(step, "done"))
            if plan.must_change:
                done.append(Outcome(Step.MUST_CHANGE, "unsupported"))

            done.append(Outcome(Step.REVOKE, "done"))  # in the same transaction

            # Reading back what was stored is proof enough; comparing once more would halve the throughput of resets.
            step = Step.CONFIRM
            kept = not fresh or await self._store.credential(plan.external_id) == phc
            done.append(Outcome(step, "done" if kept else "uncertain"))
        except Unavailable as e:
            done.append(Outcome(step, "retry", e.code, retry_after_ms=2_000))
        return done

    async def _guard(self, plan: Plan) -> tuple[str, bool]:
        """What speaks against it, and whether the account is locked."""
        accounts = [a for a in await self._store.find(plan.username) if a.external_id == plan.external_id]
        if not accounts:
            return "not_found", False
        if accounts[0].privileged and not plan.allow_privileged:
            return "privileged_target", False
        return "not_permitted" if accounts[0].state == "disabled" else "", accounts[0].state == "locked"
