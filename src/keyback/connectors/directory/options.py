"""Sections of `keyback.toml` for directories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from keyback.connectors.base import CommonOptions
from keyback.connectors.directory.port import Address, Directory, checked_filter
from keyback.domain.secret import Secret
from keyback.outbound.http import is_loopback

PORTS = {"ldaps": 636, "ldap": 389}


class DirectoryOptions(CommonOptions):
    """Keys of every directory.

    Args:
        url: `ldaps://host`, or `ldap://host` with STARTTLS.
        allow_plain: no TLS at all over `ldap://`; on this machine that needs no allowance.
        tls_name: the name in the server's certificate, when `url` has another one or an address.
        bind_dn: what Keyback signs in as; its password is `secret_file` or `secret`.
        base: under which people are.
        privileged_groups: distinguished names of groups whose members are administrators of anything.
        privileged_filter: the same as a filter on people.
        mobile_attribute: where the directory keeps mobile numbers.
        group_attributes: where it keeps groups and departments.
    """

    url: str
    allow_plain: bool = False
    tls_name: str = ""
    bind_dn: str = Field(min_length=1)
    secret: SecretStr | None = None
    secret_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: float = Field(20.0, gt=0, le=120)
    base: str = Field(min_length=1)
    privileged_groups: tuple[str, ...] = ()
    privileged_filter: str = ""
    mobile_attribute: str = Field("mobile", pattern=r"^[A-Za-z][A-Za-z0-9-]*$")
    group_attributes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")], ...] = (
        "memberOf",
        "department",
        "departmentNumber",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        wrong = ValueError("must be like ldaps://directory.example.com, or ldap:// for STARTTLS, without a path")
        parts = urlsplit(value)
        try:
            parts.port  # noqa: B018 - raises for one that is none
        except ValueError:
            raise wrong from None
        if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
            raise wrong
        return value

    @field_validator("privileged_filter", check_fields=False)
    @classmethod
    def _filter(cls, value: str) -> str:
        return checked_filter(value) if value else ""

    @model_validator(mode="after")
    def _some_secret(self) -> Self:
        if not self.secret and not self.secret_file:
            raise ValueError("it needs secret_file or secret")
        return self

    def directory(self) -> Directory:
        """Raises `ValueError` when a secret is empty, `OSError` when a file cannot be read."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        security: Literal["tls", "starttls", "plain"] = "tls" if parts.scheme == "ldaps" else "starttls"
        if security == "starttls" and (self.allow_plain or (is_loopback(host) and not self.ca_file)):
            security = "plain"
        address = Address(
            host, parts.port or PORTS[parts.scheme], security, self.tls_name, self.ca_file, self.timeout_s
        )
        return Directory(address, self.bind_dn, self._read_secret())

    def _read_secret(self) -> Secret:
        text = self.secret.get_secret_value() if self.secret else ""
        if self.secret_file:
            text = self.secret_file.read_text(encoding="utf-8").strip("\r\n")
        if not text:
            raise ValueError("its secret must not be empty: without one a directory takes anybody for anybody")
        return Secret(text)


class LdapOptions(DirectoryOptions):
    """Keys of an `ldap` section.

    Args:
        server: `openldap`, or `389ds` for 389 Directory Server; empty: as the server says itself.
        user_filter: which entries are people.
        username_attribute, mail_attribute, name_attribute: where the directory keeps these.
        disabled_filter: whom the company has switched off, where it uses an attribute of its own for that.
        policy_dn: the password policy of people who have none of their own.
    """

    server: Literal["", "openldap", "389ds"] = ""
    user_filter: str = "(objectClass=inetOrgPerson)"
    username_attribute: str = Field("uid", pattern=r"^[A-Za-z][A-Za-z0-9-]*$")
    mail_attribute: str = Field("mail", pattern=r"^[A-Za-z][A-Za-z0-9-]*$")
    name_attribute: str = Field("cn", pattern=r"^[A-Za-z][A-Za-z0-9-]*$")
    disabled_filter: str = ""
    policy_dn: str = ""

    @field_validator("user_filter", "disabled_filter")
    @classmethod
    def _filters(cls, value: str) -> str:
        return checked_filter(value) if value else ""


class ActiveDirectoryOptions(DirectoryOptions):
    """Keys of an `active_directory` section. `bind_dn` may be a user principal name, too.

    Args:
        user_filter: which entries are people.
        username_attribute: which of both names people know.
    """

    user_filter: str = "(&(objectCategory=person)(objectClass=user))"
    username_attribute: Literal["sAMAccountName", "userPrincipalName"] = "sAMAccountName"

    @field_validator("user_filter")
    @classmethod
    def _user_filter(cls, value: str) -> str:
        return checked_filter(value)
