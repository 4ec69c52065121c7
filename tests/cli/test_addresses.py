"""`keyback check` names the systems to which nobody can be led once their new password works."""

from __future__ import annotations

import pytest

from keyback.cli.check_result import Result
from keyback.cli.check_systems import _led
from keyback.connectors.base import ConnectorBase


class Crm(ConnectorBase):
    name, title = "crm", "Harbour CRM"

    def __init__(self, url: str | None) -> None:
        self.url = url


@pytest.mark.parametrize(
    ("name", "url", "status"),
    [("crm", None, "warn"), ("partner", "", "warn"), ("crm", "https://crm.example.com", "ok"), ("builtin", None, "ok")],
)
def test_a_system_without_an_address_is_named(name: str, url: str | None, status: str) -> None:
    found = _led(Result(f"system {name}", "ok", "answers"), name, Crm(url))  # type: ignore[arg-type]
    assert found.status == status
    assert (f"systems.{name}.sign_in_url" in found.next) == (status == "warn")


def test_what_is_broken_is_said_first() -> None:
    bad = Result("system crm", "bad", "does not answer", "See that this machine may reach it.")
    assert _led(bad, "crm", Crm(None)) == bad  # type: ignore[arg-type]
