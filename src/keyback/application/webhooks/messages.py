"""An event as it is posted. Only what the catalogue names goes out, and only where it looks as the catalogue says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keyback.application.ports.webhooks import Delivery, EventMessage
from keyback.application.webhooks.catalogue import CATALOGUE, TEST
from keyback.application.webhooks.fields import Field


def message_of(receiver_id: str, delivery: Delivery) -> EventMessage:
    """The message of a delivery: made of the audit row alone, so that it is the same whenever it is sent."""
    e = delivery.event
    data: dict[str, Any] = {"seq": e.seq}
    if delivery.case_id:
        data["case"] = delivery.case_id
    if delivery.person_id:
        data["person"] = delivery.person_id
    data |= shown(CATALOGUE[e.type].fields, e.data)
    return _message(f"evt_{e.seq}_{receiver_id}", e.type, e.at, data)


def trial_message(message_id: str, now: int) -> EventMessage:
    """What `keyback webhook test` posts."""
    return _message(message_id, TEST, now, {"seq": 0})


def instant(ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(fields: Mapping[str, Field], data: Mapping[str, Any]) -> dict[str, Any]:
    """Of what an audit row holds, the fields that look as they should."""
    out = {}
    for name, field in fields.items():
        value: Any = data.get(field.source or name)
        if field.kind.takes(value):
            out[name] = instant(value) if field.kind.instant else value
    return out


def _message(message_id: str, kind: str, at: int, data: Mapping[str, Any]) -> EventMessage:
    whole = {"type": kind, "timestamp": instant(at), "data": dict(data)}
    return EventMessage(message_id, json.dumps(whole, ensure_ascii=True, separators=(",", ":")).encode("ascii"))
