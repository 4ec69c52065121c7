"""The last resort: a system's own table of users, in its database (see ADR 44).

Nothing outside this folder speaks to databases that are not Keyback's own.
"""

from __future__ import annotations

from keyback.connectors.sql.connector import SqlConnector
from keyback.connectors.sql.creme import CremeConnector

__all__ = ["CremeConnector", "SqlConnector"]
