"""An audit row as an event of the Open Cybersecurity Schema Framework (schema.ocsf.io), in its identity category.

Sign-ins are Authentication (3002), what happens to an account is Account Change (3001), everything else Entity
Management (3004). What the framework has no attribute for stands in `unmapped`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from keyback.application.ports.siem import LoggedRow
from keyback.application.webhooks.catalogue import CATALOGUE

VERSION = "1.5.0"  # of the framework
IDENTITY = 3  # category
ACCOUNT_CHANGE, AUTHENTICATION, ENTITY_MANAGEMENT = 3001, 3002, 3004
OTHER = 99
USER, ADMIN = 1, 2
SUCCESS, FAILURE = 1, 2
SEVERITIES = {2: 5, 3: 4, 4: 3, 5: 1}  # of syslog to those of the framework: critical, high, medium, informational
FAILURES = ("_failed", "_refused", "_denied", "_wrong", "_bounced", "_declined", "_rejected")
LOGON, LOGOFF = 1, 2
AUTHENTICATIONS = {
    "signed_in": LOGON, "sign_in_failed": LOGON, "second_step_refused": LOGON, "operator_signed_in": LOGON,
    "operator_sign_in_failed": LOGON, "operator_step_up_failed": LOGON, "signed_out": LOGOFF, "sessions_ended": LOGOFF,
    "everybody_signed_out": LOGOFF, "operator_signed_out": LOGOFF, "desk_sessions_ended": LOGOFF,
}  # fmt: skip
DISABLE, DELETE, LOCK, FACTOR_ON, FACTOR_OFF, UNLOCK = 5, 6, 9, 10, 11, 12
PASSWORD_CHANGE, PASSWORD_RESET = 3, 4
ACCOUNT_CHANGES = {
    "password_changed": PASSWORD_CHANGE, "password_chosen": PASSWORD_RESET, "account_settled": PASSWORD_RESET,
    "recovered": PASSWORD_RESET, "account_off": DISABLE, "account_stopped": DISABLE, "person_removed": DELETE,
    "locked_down": LOCK, "desk_locked_down": LOCK, "unlocked": UNLOCK, "desk_unlocked": UNLOCK,
    "desk_unlocked_system": UNLOCK, "totp_added": FACTOR_ON, "passkey_added": FACTOR_ON, "codes_made": FACTOR_ON,
    "factor_replaced": FACTOR_ON, "totp_removed": FACTOR_OFF, "passkey_removed": FACTOR_OFF,
    "codes_removed": FACTOR_OFF, "system_factor_removed": FACTOR_OFF,
}  # fmt: skip
CREATE, READ, UPDATE, REMOVE = 1, 2, 3, 4
ENDINGS = {
    "added": CREATE, "asked": CREATE, "opened": CREATE, "viewed": READ, "sought": READ, "exported": READ,
    "changed": UPDATE, "rotated": UPDATE, "removed": REMOVE, "destroyed": REMOVE, "forgotten": REMOVE,
}  # fmt: skip
ABOUT_ACCOUNTS = ("recovery", "account", "sign_in")  # groups of the catalogue


def as_ocsf(row: LoggedRow, content: Mapping[str, Any], level: int) -> dict[str, Any]:
    """The event.

    Args:
        content: what the row says, by the names of the catalogue.
        level: its severity in syslog.
    """
    kind = row.event.type
    class_uid, activity = _classified(row)
    failed = kind == "failed" or kind.endswith(FAILURES)
    about = CATALOGUE[kind].about["en"] if kind in CATALOGUE else kind.replace("_", " ").capitalize() + "."
    event: dict[str, Any] = {
        "category_uid": IDENTITY,
        "class_uid": class_uid,
        "activity_id": activity,
        "type_uid": class_uid * 100 + activity,
        "severity_id": SEVERITIES[level],
        "status_id": FAILURE if failed else SUCCESS,
        "time": row.event.at,
        "message": about.replace("`", ""),
        "metadata": _metadata(row),
        "unmapped": {**content, "hash": row.hash},
    }
    operator = content.get("operator") or content.get("by")
    if isinstance(operator, str) and class_uid != AUTHENTICATION:
        event["actor"] = {"user": {"uid": operator, "type_id": ADMIN}}
    if class_uid == ENTITY_MANAGEMENT:
        event["entity"] = {"uid": row.person_id or row.case_id or row.event.stream, "type": _group(kind)}
    else:
        event["user"] = _user(row, content)
    return event


def _classified(row: LoggedRow) -> tuple[int, int]:
    """Class and activity."""
    kind = row.event.type
    if kind in AUTHENTICATIONS:
        return AUTHENTICATION, AUTHENTICATIONS[kind]
    if kind in ACCOUNT_CHANGES:
        return ACCOUNT_CHANGE, ACCOUNT_CHANGES[kind]
    if kind in CATALOGUE and CATALOGUE[kind].group in ABOUT_ACCOUNTS:
        return ACCOUNT_CHANGE, OTHER
    return ENTITY_MANAGEMENT, ENDINGS.get(kind.rpartition("_")[2], OTHER)


def _metadata(row: LoggedRow) -> dict[str, Any]:
    product = {"name": "Keyback", "vendor_name": "Keyback", "version": version("keyback")}
    made = {"version": VERSION, "product": product, "uid": str(row.event.seq), "event_code": row.event.type}
    return made | ({"correlation_uid": row.case_id} if row.case_id else {})


def _user(row: LoggedRow, content: Mapping[str, Any]) -> dict[str, Any]:
    """Whose account it is; a name that no one has stays unknown."""
    if row.event.type.startswith("operator_"):
        who = content.get("operator") or row.event.stream
        return {"uid": str(who), "type_id": ADMIN}
    uid = row.person_id or content.get("account")
    return {"uid": str(uid), "type_id": USER} if uid else {"name": "unknown", "type_id": 0}


def _group(kind: str) -> str:
    return CATALOGUE[kind].group if kind in CATALOGUE else "desk"
