"""The section `[bounces]` of `keyback.toml`: how Keyback hears of mail that did not arrive."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, field_validator

from keyback.settings_sections import Part, plain_address

MAX_LOCAL: Final = 15  # of the 64 that a local part may have, 49 are for what stands behind it
MIN_HOOK_SECRET: Final = 24


class Bounces(Part):
    """Mail that came back. See the email page."""

    address: str = Field(
        "",
        description="Envelope sender of emails, such as `bounces@example.com`: a mailbox that also takes "
        "`bounces+anything@example.com`. Empty: `mail.sender`.",
    )
    host: str = Field("", description="IMAP server of the mailbox that emails return to. Empty: it isn't read.")
    port: int = Field(993, ge=1, le=65535, description="Its port, encrypted from the first byte.")
    username: str = Field("", description="Username of the mailbox.")
    password: SecretStr | None = Field(None, description="Its password. A file is safer.")
    password_file: Path | None = Field(None, description="File with the password; overrides `password`.")
    folder: str = Field("INBOX", min_length=1, max_length=200, description="The mailbox's folder.")
    delete: bool = Field(False, description="Delete what was read. `false`: it is marked as read and stays.")
    every_minutes: int = Field(5, ge=1, le=1440, description="Minutes between two looks into the mailbox.")
    ca_file: Path | None = Field(
        None, description="PEM file of certificate authorities to trust instead of the system's."
    )
    hook_secret: SecretStr | None = Field(
        None, description="Secret by which an email service signs its reports to `/api/hooks/bounces`."
    )
    hook_secret_file: Path | None = Field(None, description="File with it; overrides `hook_secret`.")

    @field_validator("address")
    @classmethod
    def _short_and_plain(cls, value: str) -> str:
        value = plain_address(value)
        if len(value.partition("@")[0]) > MAX_LOCAL:
            raise ValueError(f"may have {MAX_LOCAL} characters before the @ at most, such as bounces@example.com")
        return value

    def mailbox_password(self, read: Callable[[Path], str]) -> str:
        """Raises OSError, ValueError: the file cannot be read."""
        if self.password_file:
            return read(self.password_file)
        return self.password.get_secret_value() if self.password else ""

    def hook_key(self, read: Callable[[Path], str]) -> bytes:
        """The key of the signatures; empty where no reports are taken.

        Raises:
            OSError, ValueError: the file cannot be read; it is too short, or is no base64 after `whsec_`.
        """
        text = read(self.hook_secret_file) if self.hook_secret_file else ""
        text = text or (self.hook_secret.get_secret_value() if self.hook_secret else "")
        if not text:
            return b""
        try:
            key = base64.b64decode(text[6:], validate=True) if text.startswith("whsec_") else text.encode()
        except binascii.Error:
            raise ValueError("has to be base64 after whsec_") from None
        if len(key) < MIN_HOOK_SECRET:
            raise ValueError(f"has to be {MIN_HOOK_SECRET} bytes or longer. Make one with: openssl rand -base64 32")
        return key
