"""What use cases ask of storage about identity documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from keyback.domain.operators.documents import Kind, Review

DocumentState = Literal["consented", "draft", "waiting", "third", "agreed", "refused", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Document:
    """One identity document of one case. Instants are ms; 0 for not yet.

    Args:
        handle: the page that sent it.
        consent: the version of the text that was agreed to, at `created_at`.
        digest: of its pixels, with a key.
        seen_before: another document had the same pixels.
        destroyed_at: from then on nobody can open the picture: its key is gone.
        appealed: the person has asked for another look, which they can once.
    """

    id: str
    case_id: str
    person_id: str
    handle: str
    kind: Kind
    consent: str
    state: DocumentState = "consented"
    created_at: int = 0
    sent_at: int = 0
    decided_at: int = 0
    destroyed_at: int = 0
    appealed: bool = False
    seen_before: bool = False
    digest: bytes | None = field(default=None, repr=False)
    reviews: tuple[Review, ...] = ()


class Documents(Protocol):
    def add(self, document: Document) -> None: ...
    def get(self, document_id: str, *, lock: bool = False) -> Document | None: ...
    def of_page(self, handle: str) -> Document | None:
        """The newest that this page began."""
        ...

    def save(self, document: Document) -> None:
        """Without its reviews. Callers have locked it."""
        ...

    def seal(self, document_id: str, jpeg: bytes) -> None:
        """Keeps a picture under a new key of its own, in place of any before."""
        ...

    def picture(self, document_id: str) -> bytes | None:
        """The picture; None where there is none any more."""
        ...

    def destroy(self, document_id: str) -> bool:
        """Forgets key and picture; False where they were gone."""
        ...

    def review(self, document_id: str, review: Review) -> None:
        """Adds or replaces what one operator found."""
        ...

    def open(self, limit: int, after: tuple[int, str] = (0, "")) -> Sequence[Document]:
        """Those that wait for reviewers in a recovery that goes on, oldest first, behind (sent_at, id)."""
        ...

    def of_case(self, case_id: str, limit: int) -> Sequence[Document]:
        """The newest first."""
        ...

    def put_look(self, document_id: str, look: bytes) -> None:
        """Keeps, sealed, by what copies of its picture are known; in place of any before."""
        ...

    def look(self, document_id: str) -> bytes:
        """Empty where it has none."""
        ...

    def looks(self, case_id: str, since: int, limit: int) -> Sequence[bytes]:
        """Those of documents of other cases that were sent at or after an instant, the newest first."""
        ...

    def same_pixels(self, digest: bytes, but: str) -> bool:
        """Whether another document had this digest."""
        ...

    def on_record_since(self, person_id: str) -> int:
        """When somebody became known here (ms)."""
        ...

    def due(self, *, drafts_before: int, waiting_before: int, decided_before: int, limit: int) -> Sequence[Document]:
        """Those whose picture has to go: its time is over, or the case has ended."""
        ...

    def purge(self, before: int) -> int: ...
