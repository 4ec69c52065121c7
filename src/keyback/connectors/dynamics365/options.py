"""What a Dynamics 365 section of `keyback.toml` may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, SecretStr, field_validator, model_validator

from keyback.connectors.base import ConnectorOptions, web_address
from keyback.domain.secret import Secret
from keyback.settings_values import Checked

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Cloud:
    """Hosts of one of Microsoft's clouds. `methods`: it has temporary passes and removes authentication methods."""

    login: str
    graph: str
    methods: bool = True


CLOUDS: Mapping[str, Cloud] = {
    "global": Cloud("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "china": Cloud("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn", False),
}


def guid(value: str) -> str:
    if not GUID.fullmatch(value):
        raise ValueError("must be an id like 11111111-2222-3333-4444-555555555555")
    return value.lower()


class ElevatorOptions(Checked):
    """`elevator`: a second app registration, which gives Keyback's own a directory role for one act and takes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    client_id: str
    private_key_file: Path | None = None
    certificate_file: Path | None = None
    secret: SecretStr | None = None
    secret_file: Path | None = None

    _guid = field_validator("client_id")(guid)

    @model_validator(mode="after")
    def _one_way(self) -> ElevatorOptions:
        one_way(self)
        return self

    def read_secret(self) -> Secret:
        """Raises `ValueError` when it is empty, `OSError` when the file cannot be read."""
        text = self.secret.get_secret_value() if self.secret else ""
        if self.secret_file:
            text = self.secret_file.read_text(encoding="utf-8").strip("\r\n")
        if not text:
            raise ValueError("elevator: its secret_file or secret is empty")
        return Secret(text)


class Dynamics365Options(ConnectorOptions):
    """Keys of a Dynamics 365 section.

    Args:
        url: of the environment in Dataverse, such as `https://acme.crm.dynamics.com`.
        tenant: of Entra, by its id or one of its domains.
        client_id: application id of Keyback's app registration.
        private_key_file, certificate_file: sign in by certificate. Without them `secret_file` is a client secret.
        principal_id: object id of that application under "Enterprise applications".
        cloud: `global`, or `china` for what 21Vianet operates.
        login_url, graph_url: hosts in place of the cloud's.
        synced_from: what people call the directory that synced accounts come from.
        federated_with: what people call the identity provider of federated domains.
        elevator: the second identity of the hardened set-up.
    """

    tenant: str
    client_id: str
    private_key_file: Path | None = None
    certificate_file: Path | None = None
    principal_id: str | None = None
    cloud: Literal["global", "china"] = "global"
    login_url: str | None = None
    graph_url: str | None = None
    synced_from: str = "Active Directory"
    federated_with: str = ""
    elevator: ElevatorOptions | None = None

    @field_validator("client_id", "principal_id")
    @classmethod
    def _guid(cls, value: str | None) -> str | None:
        return None if value is None else guid(value)

    @field_validator("tenant")
    @classmethod
    def _tenant(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{2,252}", value) or value in {"common", "organizations"}:
            raise ValueError("must be the tenant's id or one of its domains")
        return value

    @field_validator("login_url", "graph_url")
    @classmethod
    def _host(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @model_validator(mode="after")
    def _whole(self) -> Dynamics365Options:
        one_way(self)
        if self.elevator and not self.principal_id:
            raise ValueError("elevator needs principal_id, the object id of the application that gets the role")
        if self.elevator and self.elevator.client_id == self.client_id:
            raise ValueError("elevator.client_id must be another app: none can take a role from itself")
        return self

    @property
    def hosts(self) -> Cloud:
        usual = CLOUDS[self.cloud]
        return Cloud(
            (self.login_url or usual.login).rstrip("/"), (self.graph_url or usual.graph).rstrip("/"), usual.methods
        )


def one_way(o: ElevatorOptions | Dynamics365Options) -> None:
    """Either certificate or secret. Raises `ValueError`."""
    if (o.private_key_file is None) != (o.certificate_file is None):
        raise ValueError("signing in by certificate needs both private_key_file and certificate_file")
    if o.private_key_file is None and o.secret is None and o.secret_file is None:
        raise ValueError("it needs private_key_file and certificate_file, or secret_file for a client secret")
    if o.private_key_file is not None and (o.secret or o.secret_file):
        raise ValueError("set either private_key_file or secret_file, not both")
