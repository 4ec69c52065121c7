"""Identity documents, each sealed under a key of its own that is destroyed with it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Row, delete, or_, select, update
from sqlalchemy import text as sql

from keyback.application.ports.documents import Document
from keyback.domain.operators.documents import Review
from keyback.domain.operators.identity import VERIFIED
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema import cases, people
from keyback.storage.sql.schema_documents import document_keys, document_looks, document_reviews, documents

PURPOSE = "document_key"
LOOK_PURPOSE = "document_look"
ENDED = ("closed", "rejected", "cancelled", "expired", "failed")
D, K, R = documents.c, document_keys.c, document_reviews.c
PLAIN = tuple(c for c in D if c.name != "image")


class DocumentStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def _load(self, r: Row[Any], reviews: Sequence[Review] | None = None) -> Document:
        values = {c.name: getattr(r, c.name) for c in PLAIN}
        values["digest"] = bytes(r.digest) if r.digest is not None else None
        return Document(**values, reviews=tuple(self._reviews(r.id) if reviews is None else reviews))

    def _reviews(self, document_id: str) -> list[Review]:
        rows = self._tx.conn.execute(
            select(document_reviews).where(R.document_id == document_id).order_by(R.taken_at, R.operator_id)
        )
        return [Review(r.operator_id, r.taken_at, r.verdict, tuple(json.loads(r.checks)), r.at, r.third) for r in rows]

    def _row(self, d: Document) -> dict[str, Any]:
        return {c.name: getattr(d, c.name) for c in PLAIN}

    def add(self, document: Document) -> None:
        self._tx.conn.execute(documents.insert().values(**self._row(document)))

    def get(self, document_id: str, *, lock: bool = False) -> Document | None:
        query = select(*PLAIN).where(D.id == document_id)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).first()
        return self._load(row) if row else None

    def of_page(self, handle: str) -> Document | None:
        query = (
            select(*PLAIN).where(D.handle == handle, D.kind != VERIFIED).order_by(D.created_at.desc(), D.id).limit(1)
        )
        row = self._tx.conn.execute(query).first()
        return self._load(row) if row else None

    def save(self, document: Document) -> None:
        values = {k: v for k, v in self._row(document).items() if k != "id"}
        self._tx.conn.execute(update(documents).where(D.id == document.id).values(**values))

    def seal(self, document_id: str, jpeg: bytes) -> None:
        self.destroy(document_id)
        key, nonce = os.urandom(32), os.urandom(12)
        sealed = nonce + AESGCM(key).encrypt(nonce, jpeg, document_id.encode())
        wrapped = self._tx.seals.seal(key, PURPOSE, document_id)
        self._tx.conn.execute(document_keys.insert().values(document_id=document_id, sealed=wrapped))
        self._tx.conn.execute(update(documents).where(D.id == document_id).values(image=sealed))

    def picture(self, document_id: str) -> bytes | None:
        query = select(D.image, K.sealed).join(document_keys, K.document_id == D.id).where(D.id == document_id)
        row = self._tx.conn.execute(query).first()
        if row is None or row.image is None:
            return None
        key, image = self._tx.seals.open(bytes(row.sealed), PURPOSE, document_id), bytes(row.image)
        return AESGCM(key).decrypt(image[:12], image[12:], document_id.encode())

    def destroy(self, document_id: str) -> bool:
        gone = self._tx.conn.execute(delete(document_keys).where(K.document_id == document_id)).rowcount
        self._tx.conn.execute(update(documents).where(D.id == document_id).values(image=None))
        return bool(gone)

    def review(self, document_id: str, review: Review) -> None:
        here = (R.document_id == document_id) & (R.operator_id == review.operator_id)
        values = {
            "taken_at": review.taken_at,
            "verdict": review.verdict,
            "checks": json.dumps(review.checks),
            "at": review.at,
            "third": review.third,
        }
        if not self._tx.conn.execute(update(document_reviews).where(here).values(**values)).rowcount:
            mine = {"document_id": document_id, "operator_id": review.operator_id}
            self._tx.conn.execute(document_reviews.insert().values(**mine, **values))

    def open(self, limit: int, after: tuple[int, str] = (0, "")) -> Sequence[Document]:
        mine, (at, last) = select(*PLAIN).join(cases, cases.c.id == D.case_id), after
        waits = sql("documents.state IN ('waiting', 'third')")
        query = mine.where(waits, cases.c.state.not_in(ENDED)).order_by(D.sent_at, D.id).limit(limit)
        query = query.where(D.sent_at >= at, or_(D.sent_at > at, D.id > last))
        return [self._load(r) for r in self._tx.conn.execute(query).all()]

    def of_case(self, case_id: str, limit: int) -> Sequence[Document]:
        query = select(*PLAIN).where(D.case_id == case_id).order_by(D.created_at.desc(), D.id).limit(limit)
        return [self._load(r) for r in self._tx.conn.execute(query).all()]

    def put_look(self, document_id: str, look: bytes) -> None:
        self._tx.conn.execute(delete(document_looks).where(document_looks.c.document_id == document_id))
        sealed = self._tx.seals.seal(look, LOOK_PURPOSE, document_id)
        self._tx.conn.execute(document_looks.insert().values(document_id=document_id, sealed=sealed))

    def look(self, document_id: str) -> bytes:
        query = select(document_looks.c.sealed).where(document_looks.c.document_id == document_id)
        sealed = self._tx.conn.execute(query).scalar()
        return self._tx.seals.open(bytes(sealed), LOOK_PURPOSE, document_id) if sealed else b""

    def looks(self, case_id: str, since: int, limit: int) -> Sequence[bytes]:
        mine = (D.sent_at >= max(since, 1)) & (D.case_id != case_id)
        query = select(D.id, document_looks.c.sealed).join(document_looks, document_looks.c.document_id == D.id)
        found = self._tx.conn.execute(query.where(mine).order_by(D.sent_at.desc(), D.id.desc()).limit(limit))
        return [self._tx.seals.open(bytes(r.sealed), LOOK_PURPOSE, r.id) for r in found]

    def same_pixels(self, digest: bytes, but: str) -> bool:
        query = select(D.id).where(D.digest == digest, D.id != but, D.sent_at > 0).limit(1)
        return self._tx.conn.execute(query).first() is not None

    def on_record_since(self, person_id: str) -> int:
        found = self._tx.conn.execute(select(people.c.created_at).where(people.c.id == person_id)).scalar()
        return int(found or 0)

    def due(self, *, drafts_before: int, waiting_before: int, decided_before: int, limit: int) -> Sequence[Document]:
        over = or_(
            D.state.in_(("consented", "draft")) & (D.created_at < drafts_before),
            D.state.in_(("waiting", "third")) & (D.sent_at < waiting_before),
            D.state.in_(("agreed", "refused", "withdrawn")) & (D.decided_at < decided_before),
            D.state.in_(("consented", "draft", "waiting", "third", "agreed")) & cases.c.state.in_(ENDED),
        )
        query = select(*PLAIN).join(cases, cases.c.id == D.case_id).where(sql("image IS NOT NULL"), over)
        return [self._load(r, ()) for r in self._tx.conn.execute(query.order_by(D.created_at).limit(limit)).all()]

    def purge(self, before: int) -> int:
        """Forgets what is left of documents, with the digest, long after the picture has gone."""
        old = select(D.id).where(D.created_at < before, sql("image IS NULL")).limit(500)
        ids = list(self._tx.conn.execute(old).scalars())
        if not ids:
            return 0
        self._tx.conn.execute(delete(document_reviews).where(R.document_id.in_(ids)))
        self._tx.conn.execute(delete(document_looks).where(document_looks.c.document_id.in_(ids)))
        return self._tx.conn.execute(delete(documents).where(D.id.in_(ids))).rowcount
