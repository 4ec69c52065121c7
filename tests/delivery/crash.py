"""A worker that dies at a named point, as by a power cut, or that goes on until somebody kills it: started by tests of
faults and of campaigns, told what by stdin."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from keyback.application.campaigns import run
from keyback.bootstrap import build
from keyback.settings import Settings
from keyback.worker import Worker


def die() -> None:
    os._exit(9)


async def main(plan: dict[str, Any]) -> None:
    settings = Settings(
        data_dir=Path(plan["data_dir"]),
        database_url=plan["url"],
        keyring=plan["keyring"],
        mail={"host": "127.0.0.1", "port": plan["port"], "security": "plain", "sender": "keyback@example.com"},
        password={"argon2_t": 2, "argon2_m_kib": 19456, "memory_budget_mib": 64},
        company={"en": "Qingyu Instruments", "zh_CN": "青屿仪器"},
    )
    services = build(settings, clock=lambda: int(plan["now"]))
    worker = Worker(services)
    channel: Any = services.channel
    send = channel.send
    connector: Any = services.connectors["builtin"]
    apply = connector.apply

    async def sending(letters: Any) -> Any:
        if plan["point"] == "claimed":
            die()
        receipts = await send(letters)
        if plan["point"] == "sent":
            die()
        return receipts

    async def applying(job: Any) -> Any:
        outcomes = await apply(job)
        if plan["point"] == "applied":
            die()
        return outcomes

    channel.send, connector.apply = sending, applying
    if plan["point"] == "never":
        run.ASK = int(plan["ask"])
        await worker.run()
    await worker.drain()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.read())))
