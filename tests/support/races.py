"""Acts that run side by side, each in its own transaction."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from keyback.domain.errors import BadInput, Refusal
from tests.support.kit import Kit


def all_at_once(kit: Kit, acts: list[Callable[[Any], Any]]) -> Counter[str]:
    """What became of acts that run side by side, each in its own transaction."""

    async def one(act: Callable[[Any], Any]) -> str:
        try:
            await kit.services.db.write(act)
        except (Refusal, BadInput) as e:
            return e.code
        return "done"

    async def go() -> list[str]:
        return await asyncio.gather(*map(one, acts))

    return Counter(kit.run(go()))
