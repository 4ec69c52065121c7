"""The container example: what it names is there, nothing in it runs as root or writes where it should not."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
import yaml

from keyback.cli import main
from keyback.settings import Settings
from release.debian import HOME
from tests.support.house import ROOT

FOLDER = ROOT / "docs" / "examples" / "container"
LINES = re.sub(r"\\\n", " ", (FOLDER / "Containerfile").read_text("utf-8")).splitlines()
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yml").read_text("utf-8"))["services"]
OWN = ("migrate", "web", "worker")


def said(instruction: str) -> list[str]:
    return [line.split(" ", 1)[1] for line in LINES if line.startswith(f"{instruction} ")]


def test_the_image_runs_a_command_of_ours_and_not_as_root() -> None:
    assert said("USER") == ["10001:10001"]
    assert json.loads(said("ENTRYPOINT")[0]) == [f"/{HOME}/bin/keyback"]
    assert json.loads(said("CMD")[0])[0] in main.commands
    health = json.loads(said("HEALTHCHECK")[0].partition("CMD ")[2])
    assert health[0] == f"/{HOME}/bin/python3"
    compile(health[3], "HEALTHCHECK", "exec")
    variables = dict(pair.split("=", 1) for pair in shlex.split(said("ENV")[0]))
    assert {
        v for v in variables if v.removeprefix("KEYBACK_").lower() not in {*Settings.model_fields, "config"}
    } == set()


@pytest.mark.parametrize("name", OWN)
def test_each_service_of_ours_is_locked_in(name: str) -> None:
    service = SERVICES[name]
    assert service["command"][0] in main.commands
    assert (service["user"], service["read_only"], service["cap_drop"]) == ("10001:10001", True, ["ALL"])
    assert "no-new-privileges:true" in service["security_opt"]
    assert "./etc:/etc/keyback:ro" in service["volumes"]
    given = {k.removeprefix("KEYBACK_").lower() for k in service["environment"] if k.startswith("KEYBACK_")}
    assert given <= set(Settings.model_fields)
    assert "@database" in service["environment"]["KEYBACK_DATABASE_URL"]


def test_no_password_stands_in_the_file_and_everything_has_a_health_check() -> None:
    text = (FOLDER / "compose.yml").read_text("utf-8")
    assert re.findall(r"://[^/\s@]+:[^/\s@]+@", text) == []
    assert set(re.findall(r"(?i)\w*password\w*: (\S+)", text)) <= {"/run/secrets/database-password", "{file:"}
    assert "POSTGRES_PASSWORD_FILE" in SERVICES["database"]["environment"]
    assert all("healthcheck" in SERVICES[n] for n in ("database", "valkey"))
    assert all(s.get("read_only") for s in SERVICES.values())
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8080:8080"], "the proxy alone reaches it"
