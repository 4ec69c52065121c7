"""Pages of the console about identity documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from keyback.application.desk.document_review import OpenDocument
from keyback.domain.operators.documents import CHECKS
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class DocumentsPage(ConsolePage):
    """`/console/documents`: what this operator may look at."""

    template: ClassVar[str] = "console/documents.html"
    room: ClassVar[str] = "documents"
    found: Sequence[OpenDocument]


@dataclass(frozen=True, slots=True)
class DocumentPage(ConsolePage):
    """One document, or the answer of a service that verified an identity.

    Args:
        error: a refusal's code or that of bad input; `ticked`: what was ticked then.
        service: title of the service.
        same_name: whether a name that was just typed is the verified one; None where none was.
    """

    template: ClassVar[str] = "console/document.html"
    room: ClassVar[str] = "documents"
    opened: OpenDocument
    error: str = ""
    ticked: tuple[str, ...] = ()
    checks: tuple[str, ...] = CHECKS
    service: str = ""
    same_name: bool | None = None
