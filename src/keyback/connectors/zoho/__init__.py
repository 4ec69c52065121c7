"""Zoho CRM: look-up and state by the CRM's API; the password by Zoho Mail's organization API where a company has that,
else the person is led through Zoho's own page.

Sources: zoho/crm-oas v8.0 (users), Zoho's own SDKs (the header `If-Modified-Since` of the user calls; 304),
zoho.com/mail/help/api (reset user password), zoho.com/accounts/protocol/oauth. Zoho CRM and Zoho Directory have no call
that sets a password. Not verified: whether the Mail call takes a password as chosen or as one-time (the documents
disagree), how `resetAuthtoken` is spelled, and that `If-Modified-Since` goes for type `DeletedUsers` as well.
"""

from keyback.connectors.zoho.connector import ZohoConnector
from keyback.connectors.zoho.options import ZohoOptions

__all__ = ["ZohoConnector", "ZohoOptions"]
