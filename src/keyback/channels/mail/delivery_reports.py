"""Delivery reports as relays send them back: RFC 3464 in RFC 6522. Whoever knows the address may send one, so every
size is bounded, and what it says counts only for a token of ours (`domain.people.returned_mail`).

Only what is this person's own address's fault makes a mail returned: a block list that we are on, or a day without a
connection, says nothing about an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from keyback.application.ports.returned_mail import ReturnedMail
from keyback.channels.mail.smtp_replies import RCPT, fault_of
from keyback.domain.people.returned_mail import LENGTH

MAX_REPORT = 256 * 1024  # bytes that are looked at; relays put the report before what it is about
MAX_PARTS = 20
MAX_RECIPIENTS = 20
MAX_TOKENS = 8
NAMED = ("To", "Delivered-To", "X-Original-To")  # of a mailbox that takes what stands behind a plus sign
ABOUT = ("Message-ID", "X-Original-Message-ID", "Return-Path")
_TOKEN = re.compile(rf"(?<![a-z2-7])[a-z2-7]{{{LENGTH}}}(?![a-z2-7])", re.IGNORECASE)
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_GONE = re.compile(r"(host|domain)( or domain name)? (name )?(not found|does not exist)|no such domain|nxdomain", re.I)


def read_report(raw: bytes) -> ReturnedMail | None:
    """What a mail to the mailbox for returned ones says; None for one that is no report, or says nothing final."""
    try:
        mail = BytesParser(policy=compat32).parsebytes(raw[:MAX_REPORT])
        if mail.get_content_type() != "multipart/report":
            return None
        parts = list(_parts(mail))
        fates = [f for p in parts if p.get_content_type() == "message/delivery-status" for f in _fates(p)]
        tokens = _tokens(mail, parts)
    except (RecursionError, MessageError, ValueError, LookupError, TypeError, AttributeError):
        return None  # the parser stumbles over some of what hostile senders write
    if not fates or not tokens:
        return None
    returned = [status for fate, status in fates if fate == "returned"]
    if returned:
        return ReturnedMail(tokens, "returned", returned[0])
    return ReturnedMail(tokens, "arrived") if all(fate == "arrived" for fate, _ in fates) else None


def is_final(status: str, said: str) -> bool:
    """Whether a relay gave up because of the address or its domain."""
    words = f"{status} {said[:500]}"
    return bool(_GONE.search(words)) or fault_of(RCPT, 550, words) == "recipient"


def tokens_in(text: str) -> Iterator[str]:
    for found in _TOKEN.finditer(text[:2000]):
        yield found[0].lower()


def _parts(mail: Message) -> Iterator[Message]:
    inside = mail.get_payload()
    for part in inside[:MAX_PARTS] if isinstance(inside, list) else []:
        if isinstance(part, Message):
            yield part


def _fates(report: Message) -> Iterator[tuple[str, str]]:
    """The fate of each recipient, with its status; empty for one that is not final."""
    blocks = report.get_payload()
    for block in blocks[: MAX_RECIPIENTS + 1] if isinstance(blocks, list) else []:
        if not isinstance(block, Message):
            continue
        action = _said(block, "Action").lower()
        status = next(iter(_STATUS.findall(_said(block, "Status"))), "")
        if action == "failed":
            yield "returned" if is_final(status, _said(block, "Diagnostic-Code")) else "", status
        elif action:
            yield "arrived" if action == "delivered" else "", status


def _tokens(mail: Message, parts: list[Message]) -> tuple[str, ...]:
    texts = [_said(mail, name) for name in NAMED]
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/rfc822":
            inside = part.get_payload()
            about = inside[0] if isinstance(inside, list) and inside else None
        elif kind == "text/rfc822-headers":
            text = part.get_payload(decode=True)
            about = BytesParser(policy=compat32).parsebytes(text, headersonly=True) if isinstance(text, bytes) else None
        else:
            continue
        texts += [_said(about, name) for name in ABOUT] if isinstance(about, Message) else []
    return tuple(dict.fromkeys(t for text in texts for t in tokens_in(text)))[:MAX_TOKENS]


def _said(part: Message, name: str) -> str:
    return " ".join(str(part.get(name, ""))[:2000].split())
