"""Photos that the demo's HR has of some people: drawn here, of nobody, so that a document has something beside it."""

from __future__ import annotations

import struct
import zlib

from keyback.application.desk import photos
from keyback.application.ports.storage import Tx
from keyback.application.services import Services
from keyback.demo.enrolled import ids
from keyback.domain.people.factor import COOLING_OFF

OF = {"oliver.brandt": ((214, 226, 235), (201, 154, 122), (58, 84, 120)),
      "hanxue": ((232, 226, 214), (222, 180, 150), (132, 70, 84))}  # fmt: skip
"""Who has one, and its colors: behind, face, clothes."""
WIDTH, HEIGHT = 300, 400
Color = tuple[int, int, int]


async def seed(services: Services) -> None:
    """Puts those on record that are missing, as if they had been there for long."""
    if services.images is None:
        return
    people = await services.db.read(lambda tx: {u: p for u, p in ids(tx).items() if u in OF and not tx.photos.since(p)})
    for username, person in people.items():
        made = await services.images.clean(portrait(*OF[username]), side=photos.SIDE)

        def write(tx: Tx, person: str = person, jpeg: bytes = made.jpeg) -> None:
            tx.photos.put(person, jpeg, ago=COOLING_OFF)

        await services.db.write(write)


def portrait(behind: Color, face: Color, clothes: Color) -> bytes:
    """Head and shoulders as plain shapes; a PNG."""
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)
        for x in range(WIDTH):
            dx, head, body = (x - WIDTH / 2) / 70, (y - 160) / 92, (y - HEIGHT) / 130
            in_head, in_body = dx * dx + head * head < 1, (dx / 2) ** 2 + body * body < 1
            hair = in_head and y < 112 + 14 * dx * dx
            rows += bytes((46, 36, 32) if hair else face if in_head else clothes if in_body else behind)
    size = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
