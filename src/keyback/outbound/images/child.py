"""The process that decodes one picture. It imports nothing of ours, has no environment and no key, and before it looks
at a byte it gives up files, sockets, processes and memory (`lock_down`): a picture that takes it over gains arithmetic.

Run as `python -I child.py`. In: four bytes of length, that much JSON, then the picture. Out: the same, with a JPEG.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import json
import lzma
import os
import platform
import resource
import struct
import sys
from pathlib import Path
from typing import Any

MAX_PIXELS = 40_000_000
MIN_SIDE = 240
SIDE = 2000  # of what is kept
GRID = 6  # cells a side that can be covered
CELLS = 32  # a side of what says how a picture looks (`domain.operators.picture_looks`)
CLEARLY = 8  # of 256 shades
CUTS = (
    (0, 0, 0, 0),
    *((n, n, n, n) for n in (1.5, 3, 4.5, 6)),
    *(tuple(n if i == side else 0 for i in range(4)) for side in range(4) for n in (2.5, 5)),
)  # in hundredths of a side: left, above, right, below
CPU_S = 8
MEMORY = 768 << 20
NOBODY = 65534
Glyphs = dict[int, bytes]

# What computing needs, by processor: the number of clone, and of all else that is let through. What opens files and
# sockets, starts processes or asks about them is not among it.
CALLS = {
    "x86_64": (
        0xC000003E, 56,
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 39, 60, 96, 131, 186, 202, 204, 228, 230, 231, 273, 318,
         334),
    ),
    "aarch64": (
        0xC00000B7, 220,
        (57, 62, 63, 64, 80, 93, 94, 98, 99, 113, 115, 123, 124, 132, 134, 135, 139, 169, 172, 178, 214, 215, 216, 222,
         226, 233, 278, 293),
    ),
}  # fmt: skip
CLONE3, A_THREAD = 435, 0x10000
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
LOAD, EQUAL, HAS, RETURN = 0x20, 0x15, 0x45, 0x06


def lock_down() -> list[str]:
    """Gives up everything but reading what is open, writing to it, and computing; what held, in words."""
    held = []
    os.closerange(3, 65536)
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        held.append("nobody")
    limits = {
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 3,  # no number is left for a file or a socket
    }
    for what, most in limits.items():
        resource.setrlimit(what, (most, most))
    held.append("limits")
    if _filter_calls():
        held.append("seccomp")
    else:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # no threads either, which HEIC needs
    return held


def _filter_calls() -> bool:
    """A seccomp filter (Linux 3.5) that knows `CALLS` alone, and of clone only what makes a thread; False where there
    is none of this kind."""
    known = CALLS.get(platform.machine())
    if sys.platform != "linux" or known is None:
        return False
    arch, clone, numbers = known
    n = len(numbers)
    ops = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, arch), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    ops += [(EQUAL, n + 4, 0, clone), (EQUAL, n + 2, 0, CLONE3)]
    ops += [(EQUAL, n - i, 0, number) for i, number in enumerate(numbers)]
    ops += [(RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ENOSYS)]
    ops += [(LOAD, 0, 0, 16), (HAS, 0, 1, A_THREAD), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, EPERM)]
    code = b"".join(struct.pack("HBBI", *op) for op in ops)
    program = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    wanted = Program(len(ops), ctypes.cast(program, ctypes.c_void_p))
    no_new_rights = libc.prctl(38, 1, 0, 0, 0) == 0
    return bool(no_new_rights and libc.prctl(22, 2, ctypes.addressof(wanted), 0, 0) == 0)


def glyphs() -> Glyphs:
    """Letters of 16 by 16 dots, by code point: Latin ones and the ideographs of GBK. So a name in Chinese needs no font
    on the machine. Drawn from Noto Sans CJK (SIL Open Font License 1.1)."""
    raw = lzma.decompress(Path(__file__).with_name("glyphs.xz").read_bytes())
    (n,) = struct.unpack(">I", raw[:4])
    points = struct.unpack(f">{n}H", raw[4 : 4 + 2 * n])
    body = raw[4 + 2 * n :]
    return {p: body[32 * i : 32 * i + 32] for i, p in enumerate(points)}


def _stamp(Image: Any, font: Glyphs, text: str) -> Any:
    """The text as a mask of dots, twice as large as drawn."""
    letters = [font.get(ord(c), font[ord("?")]) for c in text]
    widths = [_width(g) if ord(c) < 0x2E80 else 17 for g, c in zip(letters, text, strict=True)]
    mask = Image.new("L", (max(1, sum(widths)), 18), 0)
    x = 0
    for g, w in zip(letters, widths, strict=True):
        mask.paste(255, (x, 1), Image.frombytes("1", (16, 16), g))
        x += w
    return mask.resize((mask.width * 2, mask.height * 2))


def _width(glyph: bytes) -> int:
    used = 0
    for i in range(0, 32, 2):
        used |= glyph[i] << 8 | glyph[i + 1]
    return 6 if not used else 18 - (used & -used).bit_length()


def clean(order: dict[str, Any], data: bytes, font: Glyphs) -> tuple[dict[str, Any], bytes]:
    """A picture drawn again from its pixels: turned upright, made small, marked, covered; nothing else of it is left.

    Args:
        order: `watermark`, a text; `cells`, numbers of the cells of a grid of `GRID` by `GRID` that are covered;
            `side`, how many pixels of the longer side are kept, if fewer than `SIDE`.
    """
    from PIL import Image, ImageOps

    try:
        image: Any = Image.open(io.BytesIO(data), formats=[f for f in ("JPEG", "PNG", "HEIF") if f in Image.OPEN])
    except Image.DecompressionBombError:
        return {"code": "too_large"}, b""
    except Exception as e:
        return {"code": "not_image", "why": repr(e)}, b""
    w, h = image.size
    if w * h > MAX_PIXELS:
        return {"code": "too_large"}, b""
    if min(w, h) < MIN_SIDE:
        return {"code": "too_small"}, b""
    side = min(int(order.get("side") or SIDE), SIDE)
    image.draft("RGB", (side, side))
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA", "P"):
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image.convert("RGBA"), mask=image.convert("RGBA").getchannel("A"))
        image = flat
    image = image.convert("RGB")
    image.thumbnail((side, side))
    w, h = image.size
    digest = hashlib.sha256(struct.pack(">II", w, h) + image.tobytes()).hexdigest()
    look = _look(Image, ImageOps, image)
    for cell in order.get("cells", ()):
        row, column = divmod(int(cell), GRID)
        box = (w * column // GRID, h * row // GRID, w * (column + 1) // GRID, h * (row + 1) // GRID)
        image.paste((20, 32, 28), box)
    if order.get("watermark"):
        _mark(Image, image, font, str(order["watermark"])[:200])
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return {"code": "", "digest": digest, "look": look.hex(), "width": w, "height": h}, out.getvalue()


def _look(Image: Any, ImageOps: Any, image: Any) -> bytes:
    """Which cells are clearly brighter, and which darker, than the one before them: of the whole, and of each cut."""
    grey = image.convert("L")
    grey.thumbnail((512, 512))
    grey = ImageOps.autocontrast(grey, cutoff=1)
    w, h = grey.size
    out = b""
    for left, above, right, below in CUTS:
        box = (w * left / 100, h * above / 100, w - w * right / 100, h - h * below / 100)
        dots = grey.resize((CELLS + 1, CELLS + 1), Image.Resampling.BOX, box=box).tobytes()
        brighter = darker = 0
        for y in range(CELLS):
            for at in range(y * (CELLS + 1), y * (CELLS + 1) + CELLS):
                for beside in (at + 1, at + CELLS + 1):
                    change = dots[beside] - dots[at]
                    brighter = brighter << 1 | (change > CLEARLY)
                    darker = darker << 1 | (change < -CLEARLY)
        size = 2 * CELLS * CELLS // 8
        out += brighter.to_bytes(size, "big") + darker.to_bytes(size, "big")
    return out


def _mark(Image: Any, image: Any, font: Glyphs, text: str) -> None:
    """Writes the text over the whole picture, slanted, light on dark and dark on light, so that no part is free."""
    w, h = image.size
    line = _stamp(Image, font, text + "     ")
    scale = max(1, min(w, h) // 700)
    line = line.resize((line.width * scale, line.height * scale))
    side = int((w * w + h * h) ** 0.5) + line.width
    sheet = Image.new("L", (side, side), 0)
    for n, y in enumerate(range(0, side, line.height * 4)):
        for x in range(-(n % 2) * line.width // 2, side, line.width):
            sheet.paste(line, (x, y))
    sheet = sheet.rotate(28, resample=Image.Resampling.NEAREST)
    left, top = (side - w) // 2, (side - h) // 2
    sheet = sheet.crop((left, top, left + w, top + h))
    for offset, colour, share in ((2, (255, 255, 255), 90), (0, (150, 20, 40), 110)):
        image.paste(colour, (offset, offset), sheet.point(lambda v, s=share: v * s // 255))


def main() -> None:
    """Reads one picture, answers, ends."""
    font = _warm_up()
    held = lock_down()
    data = sys.stdin.buffer.read()
    (n,) = struct.unpack(">I", data[:4])
    try:
        told, jpeg = clean(json.loads(data[4 : 4 + n]), data[4 + n :], font)
    except Exception as e:
        told, jpeg = {"code": "unreadable", "why": type(e).__name__}, b""
    head = json.dumps({**told, "held": held}).encode()
    sys.stdout.buffer.write(struct.pack(">I", len(head)) + head + jpeg)
    sys.stdout.buffer.flush()
    os._exit(0)


def _warm_up() -> Glyphs:
    """Loads everything that a picture may need, while files can still be read."""
    from PIL import Image, ImageOps, JpegImagePlugin, MpoImagePlugin, PngImagePlugin  # noqa: F401 - by their names

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    Image.init()
    try:
        import pi_heif
    except ImportError:
        pass
    else:
        # No threads: a process that may start none decodes by itself.
        pi_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
    font = glyphs()
    for kind in ("JPEG", "PNG"):
        out = io.BytesIO()
        Image.new("RGB", (MIN_SIDE, MIN_SIDE), "white").save(out, kind)
        clean({"watermark": "? 1", "cells": [0]}, out.getvalue(), font)
    return font


if __name__ == "__main__":
    main()
