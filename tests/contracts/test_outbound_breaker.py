"""A system that can't be reached is left alone for a while, and metrics say so."""

from __future__ import annotations

from typing import Any, cast

import pytest

from keyback.connectors.base import ConnectorBase
from keyback.outbound.breaker import BREAK_AFTER, BREAK_SECONDS, Breaker
from keyback.web.http.metrics import Metrics


class Still:
    """Counts nothing: gate and database as metrics read them."""

    permits = busy = waiting = commits = writes = errors = 0
    full = False

    class clock:
        behind_ms = jumps = 0


def test_one_call_is_the_trial_after_each_wait() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    for _ in range(BREAK_AFTER):
        assert breaker.wait_ms() == 0
        breaker.missed()
    assert (breaker.state, breaker.wait_ms()) == ("open", int(BREAK_SECONDS * 1000))
    now[0] += BREAK_SECONDS
    assert breaker.wait_ms() == 0, "the trial"
    assert breaker.wait_ms() > 0, "others wait for its result"
    breaker.reached()
    assert (breaker.state, breaker.wait_ms()) == ("closed", 0)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_metrics_name_the_system() -> None:
    connector = ConnectorBase()
    connector.name, connector.title, connector.breaker = "crm", "CRM", Breaker()
    metrics = Metrics(cast(Any, Still()), cast(Any, Still()), connectors={"crm": connector})
    assert b'keyback_connector_up{system="crm"} 1.0' in await metrics.text()
    for _ in range(BREAK_AFTER):
        connector.breaker.missed()
    text = await metrics.text()
    assert b'keyback_connector_up{system="crm"} 0.0' in text
    assert b'keyback_connector_failures{system="crm"} 5.0' in text
    connector.breaker.reached()
    text = await metrics.text()
    assert b'keyback_connector_up{system="crm"} 1.0' in text
    assert b'keyback_connector_failures{system="crm"} 0.0' in text
