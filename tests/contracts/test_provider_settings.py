"""Sections of `[providers]`: one issuer for one company."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from keyback.settings_providers import Provider, config_of

SECTION: dict[str, Any] = {"title": "CRM", "client_id": "keyback", "system": ""}


@pytest.mark.parametrize(
    ("kind", "issuer"),
    [
        ("salesforce", "https://login.salesforce.com"),
        ("salesforce", "https://test.salesforce.com/"),
        ("oidc", "https://login.salesforce.com"),
        ("entra", "https://login.microsoftonline.com/common/v2.0"),
        ("entra", "https://login.microsoftonline.com/organizations/v2.0"),
        ("entra", "https://login.microsoftonline.com/{tenantid}/v2.0"),  # as the metadata of `common` has it
    ],
)
def test_an_issuer_of_every_company_is_refused(kind: str, issuer: str) -> None:
    with pytest.raises(ValidationError, match="one tenant"):
        Provider(kind=kind, issuer=issuer, **SECTION)


def test_an_issuer_is_taken_to_the_letter_and_left_out_only_where_there_is_one() -> None:
    mine = "https://acme.my.salesforce.com"
    assert config_of("crm", Provider(kind="salesforce", issuer=mine, **SECTION)).issuer == mine
    assert config_of("crm", Provider(kind="zoho", **SECTION)).issuer == "https://accounts.zoho.com"
    for kind in ("salesforce", "entra", "oidc"):
        with pytest.raises(ValueError, match="issuer is missing"):
            config_of("crm", Provider(kind=kind, **SECTION))
