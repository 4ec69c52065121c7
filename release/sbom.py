"""Bills of materials (CycloneDX 1.6, ECMA-424): of the wheel from the lock, of the Debian package from its files."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from release.source import Source
from release.wheels import EXTRAS, Wheel

NAMESPACE = uuid.UUID("2f9d6c1e-2b5c-5f0e-9d0b-6f3f2a0f6b5a")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[^\n]*((?:\n\s+--hash=sha256:[0-9a-f]{64}[^\n]*)+)", re.M)


def of_wheel(source: Source, own: Wheel) -> str:
    """What the lock lets be installed with the wheel. Each package has the digests of all its files in the lock."""
    text = (source.tree / "requirements" / "run.txt").read_text("utf-8")
    components = []
    for name, version, hashes in PINNED.findall(text):
        purl = f"pkg:pypi/{name.lower()}@{version}"
        digests = re.findall(r"sha256:([0-9a-f]{64})", hashes)
        components.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
                "properties": [{"name": "keyback:lock:sha256", "value": d} for d in digests],
            }
        )
    refs = sorted(c["bom-ref"] for c in components)
    return _bill(source, _own(own), components, [{"ref": own.purl, "dependsOn": refs}])


def of_package(source: Source, own: Wheel, used: list[Wheel], architecture: str, python: str) -> str:
    """What is in the Debian package: exactly these wheels."""
    purl = f"pkg:deb/keyback@{source.debian_version}?arch={architecture}"
    about = {"type": "application", "bom-ref": purl, "name": "keyback", "version": source.debian_version, "purl": purl}
    inside = [_own(own), *(_component(w) for w in used)]
    system = {"type": "platform", "bom-ref": "python3", "name": "python3", "version": python}
    by_name = {w.name: w.purl for w in used}
    graph = [{"ref": purl, "dependsOn": [own.purl, "python3"]}]
    for w in (own, *used):
        extras = EXTRAS if w is own else ("binary",)
        graph.append({"ref": w.purl, "dependsOn": sorted({by_name[n] for n in w.needs(extras) if n in by_name})})
    return _bill(source, about, [*inside, system], graph)


def _own(own: Wheel) -> dict[str, Any]:
    return {**_component(own), "type": "application"}


def _component(w: Wheel) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "library", "bom-ref": w.purl, "name": w.name, "version": w.version, "purl": w.purl}
    made["hashes"] = [{"alg": "SHA-256", "content": w.sha256}]
    if w.license:
        made["licenses"] = [{"license": {"name": w.license}}]
    return made


def _bill(source: Source, about: dict[str, Any], components: list[Any], graph: list[Any]) -> str:
    body = json.dumps([about, components, graph], sort_keys=True)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, body)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(source.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": about,
            "properties": [{"name": "keyback:commit", "value": source.commit}],
        },
        "components": components,
        "dependencies": graph,
    }
    return json.dumps(bill, ensure_ascii=False, indent=1) + "\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
