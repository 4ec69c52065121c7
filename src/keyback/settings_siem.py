"""The section `[siem]` of `keyback.toml`: where every event of the audit log is sent as syslog."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from keyback.application.ports.siem import SiemRules
from keyback.outbound.syslog import SyslogServer
from keyback.settings_sections import Part
from keyback.settings_values import plain_relay


class Siem(Part):
    """The company's SIEM. See the SIEM page."""

    host: str = Field("", description="Where it takes syslog over TLS (RFC 5425). Empty: nothing is sent.")
    port: int = Field(6514, ge=1, le=65535, description="Its port.")
    security: Literal["tls", "plain"] = Field("tls", description="`plain` is for loopback only.")
    ca_file: Path | None = Field(
        None, description="PEM file of certificate authorities to trust instead of the system's."
    )
    certificate_file: Path | None = Field(
        None, description="PEM file with a certificate of Keyback's own, where the SIEM asks for one."
    )
    key_file: Path | None = Field(None, description="Its private key, where `certificate_file` does not hold it.")
    format: Literal["json", "ocsf"] = Field(
        "json", description="`json`: events as in the catalogue. `ocsf`: in the Open Cybersecurity Schema Framework."
    )
    timeout_s: float = Field(
        10.0, gt=0, le=60, description="Seconds to connect, and to have what was sent acknowledged."
    )
    max_behind: int = Field(
        1_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Events that may wait while the SIEM is away. Older ones are left out, and it is told how many.",
    )

    @field_validator("host")
    @classmethod
    def _host_alone(cls, value: str) -> str:
        return plain_relay(value)

    @model_validator(mode="after")
    def _encrypted_or_near(self) -> Self:
        if self.host:
            self.server()
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file is given without certificate_file")
        return self

    def server(self) -> SyslogServer:
        """Raises ValueError: unencrypted, and not on this machine."""
        return SyslogServer(
            self.host,
            self.port,
            self.security == "tls",
            self.ca_file,
            self.certificate_file,
            self.key_file,
            self.timeout_s,
        )

    def rules(self, name: str) -> SiemRules:
        """What the stream goes by; `name` is the one under which people reach Keyback."""
        return SiemRules(name, self.format, self.max_behind)
