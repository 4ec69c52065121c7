"""Hands a picture to the process that decodes it, and takes at most one small picture and a few words back."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import re
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from keyback.application.ports.images import BadImage, CleanImage
from keyback.domain.operators.picture_looks import SIZE

CHILD = Path(__file__).with_name("child.py")
WALL_S = 15.0
MAX_OUT = 6 << 20
AT_ONCE = 2  # processes; others wait
CODES = frozenset({"not_image", "too_large", "too_small", "unreadable"})
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
LOOK = re.compile(rf"[0-9a-f]{{{2 * SIZE}}}\Z")


class Decoder:
    """Cleans pictures (`application.ports.images.Images`).

    Args:
        child: the program, and `wall_s` how long it may take; for tests.
    """

    def __init__(self, child: Path = CHILD, wall_s: float = WALL_S) -> None:
        self._child = child
        self._wall_s = wall_s
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def clean(self, data: bytes, watermark: str = "", cells: Sequence[int] = (), side: int = 0) -> CleanImage:
        """As the port says; whatever the process does, nothing but a JPEG of bounded size comes of it."""
        head = json.dumps({"watermark": watermark, "cells": list(cells), "side": side}).encode()
        async with self._turn:
            answer = await self._ask(struct.pack(">I", len(head)) + head + data)
        return _read(answer)

    async def _ask(self, sent: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-B", str(self._child), cwd="/", env={}, start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        into = asyncio.create_task(_feed(process.stdin, sent))
        out = bytearray()
        try:
            async with asyncio.timeout(self._wall_s):
                while part := await process.stdout.read(1 << 16):
                    out += part
                    if len(out) > MAX_OUT:
                        raise BadImage("unreadable")
                await process.wait()
        except TimeoutError:
            raise BadImage("unreadable") from None
        finally:
            into.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return bytes(out)


async def _feed(pipe: asyncio.StreamWriter, sent: bytes) -> None:
    with contextlib.suppress(OSError):
        pipe.write(sent)
        await pipe.drain()
        pipe.close()


def _read(answer: bytes) -> CleanImage:
    """What the process said, believed as little as the picture itself."""
    try:
        (n,) = struct.unpack(">I", answer[:4])
        told = json.loads(answer[4 : 4 + n])
        code, jpeg = str(told["code"]), answer[4 + n :]
        digest, look = str(told.get("digest")), str(told.get("look"))
        if not code and jpeg.startswith(b"\xff\xd8\xff") and DIGEST.match(digest) and LOOK.match(look):
            size = int(told["width"]), int(told["height"])
            return CleanImage(jpeg, bytes.fromhex(digest), *size, bytes.fromhex(look))
    except (struct.error, ValueError, LookupError, TypeError, AttributeError):
        code = ""
    raise BadImage(code if code in CODES else "unreadable")


def decoder() -> Decoder | None:
    """What decodes pictures here; None where Pillow (the extra `evidence`) is not installed."""
    return Decoder() if importlib.util.find_spec("PIL") else None
