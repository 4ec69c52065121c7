"""纷享销客 (Fxiaoke, ShareCRM): look-up and state by its open platform; the person is led through its own page.

Sources: developer.fxiaoke.com (openapi_v2: start, common/system), open.fxiaoke.com/cgi/crm/v2 (PersonnelObj). No
documented call sets a password, ends sessions, or says who administers. Not verified on a tenant: the names of the
fields of PersonnelObj, which differ, and that its e-mail field can be filtered.
"""

from keyback.connectors.fxiaoke.connector import FxiaokeConnector
from keyback.connectors.fxiaoke.options import FxiaokeOptions

__all__ = ["FxiaokeConnector", "FxiaokeOptions"]
