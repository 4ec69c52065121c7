"""A stateful stand-in for Dynamics 365: Dataverse, Entra ID and Microsoft Graph; see `keyback.demo.vendors`."""
