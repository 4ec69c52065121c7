"""Salesforce, by its REST API and an External Client App: JWT bearer or client credentials, never a user's password.

Sources: developer.salesforce.com, REST API guide ("sObject User Password"), object reference (UserLogin, AuthSession,
LoginHistory, OauthToken, TwoFactorInfo, TwoFactorMethodsInfo, PermissionSetAssignment). Not verified against an org:
that "Reset User Passwords and Unlock Users" alone is enough to set a password, and that the revoke endpoint takes the
`DeleteToken` of an `OauthToken`.
"""

from keyback.connectors.salesforce.connector import SalesforceConnector
from keyback.connectors.salesforce.options import SalesforceOptions

__all__ = ["SalesforceConnector", "SalesforceOptions"]
