"""What a driver's error means: the connection is gone, somebody else was in the way, there is no room."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from keyback.application.ports.storage import StorageDown, StorageFull

log = structlog.get_logger("keyback.storage")
UNDONE = frozenset({"40P01", "40001"})  # deadlock, serialization: the database undid all of it
TOO_LONG = frozenset({"55P03", "57014"})  # a lock or a statement took longer than we allow: the connection is fine


def undone(e: BaseException) -> bool:
    """Whether the database itself undid the transaction so that somebody else could go on."""
    return _state(e) in UNDONE


def broken(e: BaseException) -> bool:
    """Whether the transaction cannot go on, so that all that share it fail."""
    if not isinstance(e, DBAPIError) or _state(e) in TOO_LONG:
        return False
    return e.connection_invalidated or isinstance(e, OperationalError)


def lost(e: BaseException) -> bool:
    """Whether the connection is gone, and with it whatever had not been committed."""
    return isinstance(e, DBAPIError) and e.connection_invalidated


def refused(e: BaseException) -> bool:
    """Whether the database did not like what was to be stored, and would take something else."""
    return isinstance(e, DBAPIError) and not isinstance(e, OperationalError) and not e.connection_invalidated


def down(e: BaseException) -> StorageDown:
    """The error as use cases may hear it: a driver's own quotes rows (ASVS 5.0 16.2.5), so only its kind is told."""
    words = str(getattr(e, "orig", e)).lower()
    kind = type(getattr(e, "orig", e)).__name__.lower()
    if "disk is full" in words or "no space left" in words or "diskfull" in kind:
        return StorageFull("no room left")
    return StorageDown(type(e).__name__)


def drop(conn: Connection | None) -> None:
    """Lets go of a connection that is not to be used again."""
    if conn is not None:
        try:
            conn.invalidate()
            conn.close()
        except Exception:
            log.debug("connection_lost")


def _state(e: BaseException) -> str:
    return str(getattr(getattr(e, "orig", None), "sqlstate", None) or "")
