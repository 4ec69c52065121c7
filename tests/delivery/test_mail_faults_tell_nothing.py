"""What the mail relay does is never seen from outside: not for known, not for unknown identifiers (A2, A4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from keyback.testing.mailbox import Mailbox
from keyback.web.app import make_app, make_context
from keyback.worker import Worker
from tests.support.kit import Kit, person

RANDOM = re.compile(rb"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{22,32}(?=[\"/<? ])|(?<=\">)\d\d(?=<)|\d\d:\d\d:\d\dZ")


async def seen(kit: Kit, identifier: str, worker: Worker) -> list[Any]:
    """All that a stranger can see of one recovery, before and after the relay was tried; random parts blanked."""
    app = make_app(make_context(kit.settings, kit.services))
    client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url=kit.settings.public_url,
        headers={"sec-fetch-site": "same-origin"},
    )
    answers = []
    async with client:
        first = await client.post("/forgot", data={"identifier": identifier})
        page = first.headers["location"]
        answers.append(first)
        for _ in range(2):
            answers += [await client.get(page), await client.get(f"{page}/status")]
            answers.append(await client.post(f"{page}/code", data={"code": "00000000"}))
            await worker.drain()
        api = await client.post("/api/v1/recoveries", json={"identifier": identifier})
        answers.append(api)
    return [(r.status_code, sorted(r.headers.keys()), RANDOM.sub(b"*", r.content)) for r in answers]


@pytest.mark.slow
@pytest.mark.covers("A4", "A2")
@pytest.mark.parametrize("fault", ["refuses everybody", "greylists", "is away"])
def test_a_relay_that_fails_looks_the_same_for_all(make_kit: Callable[..., Kit], fault: str) -> None:
    with Mailbox() as mailbox:
        if fault == "refuses everybody":
            mailbox.refuse("maya@example.com")
        elif fault == "greylists":
            mailbox.greylist(1000)
        kit = make_kit(mail={"port": 1 if fault == "is away" else mailbox.port})
        kit.write(lambda tx: tx.people.save_imported([person("maya")]))
        worker = Worker(kit.services)
        known, unknown = (kit.run(seen(kit, name, worker)) for name in ("maya", "nobody"))
        assert known == unknown
        assert {status for status, _, _ in known} <= {303, 200, 422, 202}
        assert kit.read(lambda tx: tx.outbox.depth()), "the letter was there, and the relay did not take it"
