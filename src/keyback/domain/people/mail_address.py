"""What a mail address is: one definition for people, senders and recipients alike. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keyback.domain.characters import INVISIBLE, NOT_TEXT, normalized
from keyback.domain.errors import BadInput
from keyback.domain.people.person import MAX_IDENTIFIER, a_label

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_MAX_LOCAL: Final = 64  # octets (RFC 5321 section 4.5.3.1.1)
_MAX_DOMAIN: Final = 253


@dataclass(frozen=True, slots=True)
class MailAddress:
    """An address as a mail server takes it.

    Args:
        local: the part before the @, in NFC.
        host: the domain as A-labels.
        utf8: the next hop must know SMTPUTF8 (RFC 6531).
    """

    local: str
    host: str
    utf8: bool = False

    @property
    def spec(self) -> str:
        return f"{self.local}@{self.host}"


def read_mail_address(text: str) -> MailAddress:
    """One plain address (RFC 5321 section 4.1.2, RFC 6531), without quoted strings, comments and address literals.

    Domains that only the company's own network knows, such as `firm.local`, are fine; a bare host name is not, since
    it is nearly always a domain that was cut off.

    Raises:
        BadInput: `not_mail`.
    """
    local, at, domain = text.rpartition("@")
    if not at or not domain or len(text) > MAX_IDENTIFIER or not _LOCAL.match(local):
        raise BadInput("not_mail")
    if not local.isascii():
        unseen = NOT_TEXT.search(local) or INVISIBLE.search(local)
        odd = unseen or any(c.isspace() or c in "\u200c\u200d" for c in local)
        local = normalized("NFC", local)
        if odd or len(local.encode()) > _MAX_LOCAL:
            raise BadInput("not_mail")
    host = a_label(domain)
    if len(local) > _MAX_LOCAL or host is None or len(host) > _MAX_DOMAIN or len(local) + len(host) >= MAX_IDENTIFIER:
        raise BadInput("not_mail")
    labels = host.split(".")
    if len(labels) < 2 or labels[-1].isdigit() or not all(map(_LABEL.match, labels)):
        raise BadInput("not_mail")
    return MailAddress(local, domain if domain.isascii() else host, utf8=not local.isascii())
