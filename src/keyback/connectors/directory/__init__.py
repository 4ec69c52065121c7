"""Directories by LDAP: a narrow port to them, OpenLDAP and 389 Directory Server, Active Directory."""
