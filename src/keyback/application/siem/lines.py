"""One audit row as one line of syslog: RFC 5424, with what happened as JSON.

The line holds what the catalogue of events names and looks as it says, so no name, address or secret is in it; rows
that are for the audit log alone go out with the few fields in `COMMON`. The hash is the row's link of the audit log's
chain: with it a copy elsewhere shows whether the log was rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from keyback.application.ports.siem import Format, LoggedRow
from keyback.application.siem.ocsf import as_ocsf
from keyback.application.webhooks import fields as f
from keyback.application.webhooks.catalogue import CATALOGUE
from keyback.application.webhooks.fields import Field
from keyback.application.webhooks.messages import instant, shown

FACILITY = 10  # security and authorization messages, RFC 5424 section 6.2.1
CRITICAL, ERROR, WARNING, NOTICE = 2, 3, 4, 5
MAX_MSGID = 32
MAX_SEQUENCE = 2**31 - 1  # RFC 5424 section 7.3.1
COMMON: Mapping[str, Field] = {
    "operator": Field(f.WHO),
    "by": Field(f.WHO),
    "system": Field(f.SYSTEM),
    "proof": Field(f.CODE),
    "kind": Field(f.CODE),
    "reason": Field(f.CODE),
    "count": Field(f.NUMBER),
}
# What somebody should be woken for, and what failed. Everything else is a notice.
ALARMING = frozenset(
    {
        "glass_broken", "unusual_pair", "locked_down", "proof_suspicious", "access_disowned", "request_stopped",
        "document_seen_before", "identity_seen_before", "caller_check_failed", "clock_repaired", "restored",
        "key_forgotten", "siem_skipped", "everybody_signed_out",
    }
)  # fmt: skip
FAILED = frozenset(
    {
        "proof_refused", "sign_in_failed", "second_step_refused", "failed", "rejected", "system_factor_refused",
        "access_not_ended", "account_not_stopped", "operator_sign_in_failed", "operator_step_up_failed",
        "operator_denied", "tries_told", "contact_bounced", "caller_number_wrong", "webhook_gone",
    }
)  # fmt: skip


def severity(kind: str) -> int:
    """Of RFC 5424 section 6.2.1: 2 critical, 4 warning, 5 notice."""
    return CRITICAL if kind in ALARMING else WARNING if kind in FAILED else NOTICE


def line(row: LoggedRow, host: str, form: Format) -> bytes:
    """The line without its frame.

    Args:
        host: the name under which people reach this Keyback.
    """
    e = row.event
    content = as_ocsf(row, content_of(row), severity(e.type)) if form == "ocsf" else as_event(row)
    return syslog(e.type, e.at, host, severity(e.type), e.seq, content)


def content_of(row: LoggedRow) -> dict[str, Any]:
    """What a row says, by the names of the catalogue."""
    e = row.event
    return shown(CATALOGUE[e.type].fields if e.type in CATALOGUE else COMMON, e.data)


def as_event(row: LoggedRow) -> dict[str, Any]:
    """In the form of the catalogue, as receivers of webhooks get it, with the row's hash."""
    e = row.event
    data: dict[str, Any] = {"seq": e.seq}
    if row.case_id:
        data["case"] = row.case_id
    if row.person_id:
        data["person"] = row.person_id
    return {"type": e.type, "timestamp": instant(e.at), "data": data | content_of(row), "hash": row.hash}


def syslog(kind: str, at: int, host: str, level: int, seq: int, content: Mapping[str, Any]) -> bytes:
    """RFC 5424 section 6: header, structured data and message. The message is ASCII, so it needs no mark."""
    number = (seq - 1) % MAX_SEQUENCE + 1 if seq > 0 else 1
    head = f"<{FACILITY * 8 + level}>1 {instant(at)} {host} keyback - {kind[:MAX_MSGID]}"
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return f'{head} [meta sequenceId="{number}"] {text}'.encode("ascii")


def framed(text: bytes) -> bytes:
    """By counting octets, RFC 5425 section 4.3."""
    return b"%d %b" % (len(text), text)
