"""The section `[pkcs11]` of `keyback.toml`: the hardware token that the keyring is wrapped by."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from keyback.settings_sections import Part


class Pkcs11(Part):
    """A hardware token that wraps the keyring file. See Operations, Keys and peppers."""

    module: Path | None = Field(
        None, description="The vendor's PKCS#11 module, a shared library. Not set: no token wraps the keyring."
    )
    token: str = Field("", description="Label of the token.")
    key: str = Field("keyback", description="Label of the AES key in it. `keyback keys wrap` makes one if needed.")
    pin_file: Path | None = Field(None, description="File with the PIN of the token's user.")
    pin: SecretStr | None = Field(None, description="The PIN itself, in place of `pin_file`.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.module is None:
            return self
        if not self.token:
            raise ValueError("token is missing: the label of the token")
        if not self.key:
            raise ValueError("key is empty: the label of the AES key in the token")
        if (self.pin_file is None) == (self.pin is None):
            raise ValueError("give either pin_file or pin")
        return self
