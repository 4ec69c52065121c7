"""What is planted in the demo's clouds is what connectors find, each by nothing but the vendor's own API."""

from __future__ import annotations

import pytest

from keyback.application.ports.connectors import Connector
from keyback.connectors.dynamics365 import Dynamics365Connector
from keyback.connectors.salesforce import SalesforceConnector
from keyback.demo.vendors import Dynamics365, Salesforce, serve
from keyback.demo.vendors.dynamics365 import seed as dynamics365
from keyback.demo.vendors.salesforce import seed as salesforce
from keyback.demo.vendors.vendor import Vendor

# What is planted to what is said of it; everybody else has nothing of these.
OF_SALESFORCE = {
    "sso": "sso_only", "frozen": "frozen", "inactive": "inactive", "locked": "locked", "lost_factor": "factor_lost",
    "privileged": "privileged",
}  # fmt: skip
OF_DYNAMICS = {
    "synced": "synced_elsewhere", "federated": "federated", "unlicensed": "no_license", "crm_disabled": "inactive",
    "inactive": "inactive", "lost_factor": "factor_lost", "other_environment": "wrong_host", "privileged": "privileged",
}  # fmt: skip


async def found(fake: Vendor, connector: Connector, planted: dict[str, str]) -> None:
    people = [a for a in fake.accounts if a.extra.get("planted") is not None]
    assert {a.extra["planted"] for a in people} >= set(planted)
    start = fake.clock()
    for n, a in enumerate(people):
        fake.clock = lambda n=n: start + n * 5_000  # vendors answer so many questions a minute
        codes = {f.code for f in await connector.diagnose(a.username, a.id)}
        what = a.extra["planted"]
        if what in planted:
            assert planted[what] in codes, a.username
        assert not codes & ({"factor_lost", "wrong_host"} - {planted.get(what)}), a.username
    await connector.close()


@pytest.mark.covers("N18")
@pytest.mark.anyio
async def test_cirrus_sales() -> None:
    fake = Salesforce()
    salesforce.seed(fake)
    with serve(fake) as url:
        app = salesforce.register(fake)
        options = {"url": url, "client_id": app.key, "secret": app.secret}
        await found(fake, SalesforceConnector.from_options("salesforce", "Cirrus Sales", options), OF_SALESFORCE)


@pytest.mark.covers("N18")
@pytest.mark.anyio
async def test_meridian_365() -> None:
    fake = Dynamics365()
    dynamics365.seed(fake)
    with serve(fake) as url:
        app = dynamics365.register(fake)
        options = {
            "url": url, "login_url": url, "graph_url": url, "tenant": app.tenant, "client_id": app.client_id,
            "secret": app.secret, "principal_id": app.principal,
        }  # fmt: skip
        await found(fake, Dynamics365Connector.from_options("dynamics365", "Meridian 365", options), OF_DYNAMICS)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
