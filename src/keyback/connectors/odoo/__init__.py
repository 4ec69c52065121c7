"""Odoo, by JSON-2 from version 19 on and by JSON-RPC before that.

Sources: odoo/documentation (external_api.rst, external_rpc_api.rst), and odoo/odoo: `base/models/res_users.py`,
`rpc/controllers/json2.py` and `jsonrpc.py`, `web/controllers/session.py`, `auth_ldap`, `auth_oauth`,
`auth_password_policy`. The set and the sign-in were tried on 18.0; all else is held to documents and source.
"""

from keyback.connectors.odoo.connector import OdooConnector
from keyback.connectors.odoo.options import OdooOptions

__all__ = ["OdooConnector", "OdooOptions"]
