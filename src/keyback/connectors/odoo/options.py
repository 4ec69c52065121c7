"""What a section for Odoo may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from keyback.connectors.base import ConnectorOptions

Protocol = Literal["auto", "json2", "jsonrpc"]


class OdooOptions(ConnectorOptions):
    """Keys of a section for Odoo.

    Args:
        database: its name; servers with several need it, and signing in does too.
        login: of the user whose API key is in `secret_file`.
        protocol: `json2` for 19 and later, `jsonrpc` for 18 and older; `auto` asks the server once.
        ldap_users: where the module `auth_ldap` is installed, whether `all` users sign in through the directory or
            `none` does. A directory password goes on working beside one that is set here, and Odoo does not tell whose
            is where, so they count as signing in elsewhere unless it says `none`.
    """

    database: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}$")
    login: str = Field(min_length=1, max_length=320)
    protocol: Protocol = "auto"
    ldap_users: Literal["all", "none"] = "all"
