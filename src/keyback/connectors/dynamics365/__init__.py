"""Dynamics 365: who is in the CRM by Dataverse, everything of signing in by Entra ID and Microsoft Graph v1.0.

Sources: learn.microsoft.com, Graph (user-update, user-revokesigninsessions, signin-list,
authentication-post-temporaryaccesspassmethods, rbacapplication-post-roleassignments), identity platform
(certificate-credentials), Dataverse Web API (systemuser). Not verified against a tenant: the least directory role for a
password, texts of errors, and what 21Vianet lacks beyond temporary passes and authentication methods.
"""

from keyback.connectors.dynamics365.connector import Dynamics365Connector
from keyback.connectors.dynamics365.options import Dynamics365Options

__all__ = ["Dynamics365Connector", "Dynamics365Options"]
