"""What a Salesforce section of `keyback.toml` may say."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import field_validator, model_validator

from keyback.connectors.base import ConnectorOptions, web_address

API_VERSION = "v67.0"


class SalesforceOptions(ConnectorOptions):
    """Keys of a Salesforce section.

    Args:
        url: the My Domain address, such as `https://acme.my.salesforce.com`.
        client_id: consumer key of the External Client App.
        username, private_key_file: for JWT bearer: the run-as user, and the key whose certificate the app has. Without
            them `secret_file` is the consumer secret, for client credentials.
        audience: whom the assertion is for; by default Salesforce's own sign-in host, or the sandboxes'.
        api_version: such as `v67.0`.
    """

    client_id: str
    username: str | None = None
    private_key_file: Path | None = None
    audience: str | None = None
    api_version: str = API_VERSION

    @field_validator("api_version")
    @classmethod
    def _version(cls, value: str) -> str:
        if not re.fullmatch(r"v[0-9]{2,3}\.0", value):
            raise ValueError("api_version is like v67.0")
        return value

    @field_validator("audience")
    @classmethod
    def _host(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @model_validator(mode="after")
    def _one_way(self) -> SalesforceOptions:
        if (self.username is None) != (self.private_key_file is None):
            raise ValueError("JWT bearer needs both username and private_key_file")
        if self.private_key_file is None and self.secret is None and self.secret_file is None:
            raise ValueError("it needs username and private_key_file, or secret_file for client credentials")
        if self.private_key_file is not None and (self.secret or self.secret_file):
            raise ValueError("set either private_key_file or secret_file, not both")
        return self
