"""The built-in system's accounts, one transaction a call, for its connector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from keyback.application.ports.connectors import FoundAccount, Unavailable
from keyback.application.ports.storage import StorageDown, Tx
from keyback.domain.errors import BadInput
from keyback.domain.people.person import canonicalize
from keyback.storage.database import SqlDatabase

T = TypeVar("T")


class CredentialRows:
    """Accounts of one system whose hashes Keyback itself holds; external ids are the accounts' own.

    Args:
        history: how many replaced hashes of an account to remember (`Rules.history`).
    """

    def __init__(self, db: SqlDatabase, system: str, history: int = 0) -> None:
        self._db = db
        self._system = system
        self._history = history

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        try:
            canonical = canonicalize(identifier)
        except BadInput:
            return ()
        rows = await self._read(lambda tx: tx.people.find_accounts(self._system, canonical))
        return [
            FoundAccount(a.external_id, a.username, state=a.state, privileged=a.privileged, sso_only=bool(a.provider))
            for a in rows
        ]

    async def credential(self, external_id: str) -> str | None:
        return await self._read(lambda tx: tx.people.credential_of(self._system, external_id))

    async def credential_by_username(self, username: str) -> tuple[str, str] | None:
        def fn(tx: Tx) -> tuple[str, str] | None:
            hit = tx.people.account_by_username(self._system, canonicalize(username))
            phc = tx.people.credential(hit[0].id) if hit else None
            return (hit[0].external_id, phc) if hit and phc else None

        return await self._read(fn)

    async def set_credential(self, external_id: str, phc: str, job_id: str) -> bool:
        def fn(tx: Tx) -> bool:
            account = tx.people.account_by_external_id(self._system, external_id)
            if account is None:
                raise Unavailable("not_found")
            fresh = tx.people.set_credential(account.id, phc, job_id, keep=self._history)
            tx.sessions.end_all(account.person_id)
            return fresh

        return await self._write(fn)

    async def unlock(self, external_id: str) -> None:
        def fn(tx: Tx) -> None:
            account = tx.people.account_by_external_id(self._system, external_id)
            if account and account.state == "locked":
                tx.people.set_account_state(account.id, "active")

        await self._write(fn)

    async def _read(self, fn: Callable[[Tx], T]) -> T:
        try:
            return await self._db.read(fn)
        except StorageDown as e:
            raise Unavailable("unavailable") from e

    async def _write(self, fn: Callable[[Tx], T]) -> T:
        try:
            return await self._db.write(fn)
        except StorageDown as e:
            raise Unavailable("unavailable") from e
