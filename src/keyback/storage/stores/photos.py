"""Photos of people from HR's records, sealed (`application.ports.photos`)."""

from __future__ import annotations

from sqlalchemy import delete, select

from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema_documents import person_photos

PURPOSE = "person_photo"
C = person_photos.c


class PhotoStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def put(self, person_id: str, jpeg: bytes, *, ago: int = 0) -> None:
        self.remove(person_id)
        sealed = self._tx.seals.seal(jpeg, PURPOSE, person_id)
        row = {"person_id": person_id, "added_at": self._tx.now - ago, "sealed": sealed}
        self._tx.conn.execute(person_photos.insert().values(**row))

    def since(self, person_id: str) -> int:
        return self._tx.conn.execute(select(C.added_at).where(C.person_id == person_id)).scalar() or 0

    def jpeg(self, person_id: str) -> bytes | None:
        sealed = self._tx.conn.execute(select(C.sealed).where(C.person_id == person_id)).scalar()
        return self._tx.seals.open(bytes(sealed), PURPOSE, person_id) if sealed else None

    def remove(self, person_id: str) -> bool:
        return bool(self._tx.conn.execute(delete(person_photos).where(C.person_id == person_id)).rowcount)
