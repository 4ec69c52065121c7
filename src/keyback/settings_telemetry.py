"""The section `[telemetry]` of `keyback.toml`."""

from __future__ import annotations

from pydantic import Field

from keyback.settings_sections import Part


class Telemetry(Part):
    """Following a request through several systems. See the operations page."""

    traces: bool = Field(
        False, description="Spans by the API of OpenTelemetry, and trace IDs in logs. Needs the extra `otel`."
    )
