"""What runs here: versions, and every package as a bill of materials (CycloneDX 1.6, ECMA-424)."""

from __future__ import annotations

import platform
import re
import ssl
import sys
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from typing import Any

from keyback import __version__

_LICENSE_LENGTH = 60  # longer is the text of a license, not its name


def versions(schema: str | None, database: str) -> dict[str, str]:
    """Versions of Keyback and of what is under it.

    Args:
        schema: revision of the database.
        database: what it is, with its version.
    """
    under = {"python": platform.python_version(), "implementation": platform.python_implementation()}
    under |= {"openssl": ssl.OPENSSL_VERSION, "system": platform.platform(), "machine": platform.machine()}
    under |= {"database": database}
    return {"keyback": __version__, "schema": schema or "", **under}


def bill_of_materials(now_ms: int) -> dict[str, Any]:
    """Every package of this environment, by name; Keyback itself is what the bill is about."""
    found = {_name(d): d for d in distributions() if d.metadata["Name"]}
    own = found.pop("keyback", None)
    when = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": when,
            "component": {
                "type": "application",
                "bom-ref": "keyback",
                "name": "keyback",
                "version": own.version if own else __version__,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
            "properties": [{"name": "python", "value": sys.version.split()[0]}],
        },
        "components": [_component(name, d) for name, d in sorted(found.items())],
    }


def _component(name: str, d: Distribution) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{d.version}"
    made = {"type": "library", "bom-ref": purl, "name": name, "version": d.version, "purl": purl}
    given = d.metadata.json
    said = str(given.get("license_expression") or given.get("license") or "")
    if said and len(said) <= _LICENSE_LENGTH and "\n" not in said:
        made["licenses"] = [{"license": {"name": said}}]  # type: ignore[assignment]
    return made


def _name(d: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", d.metadata["Name"] or "").lower()
