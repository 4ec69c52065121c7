"""The contract suite on the connector of recipes, with the demo's CRM connected by the recipe that the docs print."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from keyback.connectors.http import HttpConnector
from keyback.testing.connectors import ConnectorContract, served
from keyback.testing.demo_crm import DemoCrm
from tests.support.demo_harness import TOKEN, DemoHarness


def connected(url: str, **more: Any) -> HttpConnector:
    return HttpConnector.from_options("demo", "Demo CRM", {"url": url, "recipe": "demo", "secret": TOKEN, **more})


class RecipeHarness(DemoHarness):
    """The demo's CRM, by its recipe."""

    async def impatient(self) -> None:
        await self.connector.close()
        self.connector = connected(self.url, timeout_s=0.5)


class TestDemoByRecipe(ConnectorContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[RecipeHarness]:
        crm = DemoCrm(None, TOKEN)
        with served(crm) as url:
            harness = RecipeHarness(crm, connected(url), url)
            yield harness
            await harness.connector.close()
