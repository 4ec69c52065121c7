"""The process that decodes pictures: what it makes of them, and what it cannot do, whoever takes it over."""

from __future__ import annotations

import asyncio
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.ports.images import BadImage, CleanImage
from keyback.outbound.images.decoder import CHILD, Decoder

Image = pytest.importorskip("PIL.Image", reason="the extra evidence")
MARK = "仅供找回 Omar Haddad（青屿仪器）2026-11-28"

# A decoder that a picture has taken over: it is the real one, but for what it does with the picture.
TAKEN_OVER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("child", {child!r})
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
import ctypes, mmap, os, signal, socket, time
def attack():
{attack}
def clean(order, data, font):
    if not data.startswith(b"ATTACK"):
        return real(order, data, font)
    try:
        return {{"code": "", "got": str(attack())[:200]}}, b""
    except BaseException as e:
        return {{"code": "unreadable", "got": "denied " + type(e).__name__}}, b""
real, child.clean = child.clean, clean
child.main()
"""


def picture(kind: str = "JPEG", size: tuple[int, int] = (640, 400), **more: Any) -> bytes:
    image = Image.new("RGB", size, (180, 200, 210))
    image.paste((20, 90, 80), (40, 40, 200, 200))
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def clean(data: bytes, mark: str = "", cells: tuple[int, ...] = (), decoder: Decoder | None = None) -> CleanImage:
    return asyncio.run((decoder or Decoder()).clean(data, mark, cells))


def told(tmp_path: Path, attack: str, data: bytes = b"ATTACK") -> dict[str, Any]:
    """What a decoder answers that runs this."""
    program = tmp_path / "taken_over.py"
    body = "\n".join(f"    {line}" for line in attack.splitlines())
    program.write_text(TAKEN_OVER.format(child=str(CHILD), attack=body), "utf-8")
    tmp_path.chmod(0o755)
    program.chmod(0o644)
    head = b"{}"
    answer = asyncio.run(Decoder(program, wall_s=8)._ask(struct.pack(">I", len(head)) + head + data))
    if not answer:
        return {"got": "killed", "held": []}
    (n,) = struct.unpack(">I", answer[:4])
    return json.loads(answer[4 : 4 + n])  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.covers("H2", "A-14.2.8", "O-U1")
def test_what_is_kept_are_pixels_with_a_mark_and_nothing_of_the_file() -> None:
    secret = b"GPS-31.2304-121.4737"
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = secret.decode(), 6
    data = picture(exif=exif) + b"<?php tail ?>"
    assert secret in data
    made = clean(data, MARK)
    assert secret not in made.jpeg
    assert b"php" not in made.jpeg
    assert b"Exif" not in made.jpeg
    assert (made.width, made.height) == (400, 640), "turned upright"
    plain = clean(data)
    assert plain.digest == made.digest, "of the pixels before anything was written over them"
    assert plain.jpeg != made.jpeg
    shown, bare = (Image.open(io.BytesIO(x.jpeg)).convert("L") for x in (made, plain))
    for box in ((0, 0, 200, 320), (200, 0, 400, 320), (0, 320, 200, 640), (200, 320, 400, 640)):
        assert shown.crop(box).tobytes() != bare.crop(box).tobytes(), "no part is free of it"
    covered = Image.open(io.BytesIO(clean(data, "", (30, 31, 32, 33, 34, 35)).jpeg)).convert("L")
    assert max(covered.crop((0, 545, 400, 640)).tobytes()) < 40, "the last row of six is dark"
    assert clean(picture("PNG")).digest == clean(picture("PNG")).digest != plain.digest


@pytest.mark.slow
@pytest.mark.covers("H1")
def test_photos_of_phones_are_taken() -> None:
    pytest.importorskip("pi_heif", reason="the extra evidence")
    heic = clean((Path(__file__).parent / "photo.heic").read_bytes(), MARK)
    assert (heic.width, heic.height) == (320, 256)
    big = picture("JPEG", (4000, 3000), quality=70)
    made = clean(big, MARK)
    assert max(made.width, made.height) == 2000
    grey = io.BytesIO()
    Image.new("LA", (400, 300), (10, 0)).save(grey, "PNG")
    assert Image.open(io.BytesIO(clean(grey.getvalue()).jpeg)).convert("L").getpixel((5, 5)) > 240


def bomb() -> bytes:
    """A PNG of a few kilobytes that says it has 60,000 by 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 60_001 * 8))
        + chunk(b"IEND", b"")
    )


@pytest.mark.slow
@pytest.mark.covers("H1", "H3", "A-1.3.4", "A-5.2.2", "A-5.2.6")
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: b"", "not_image"),
        (lambda: b"%PDF-1.7 nothing here", "not_image"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "not_image"),
        (lambda: picture("GIF"), "not_image"),
        (bomb, "too_large"),
        (lambda: picture(size=(200, 900)), "too_small"),
        (lambda: picture()[:700], "unreadable"),
        (lambda: b"\xff\xd8\xff\xe0" + os.urandom(4000), "not_image"),
    ],
)
def test_what_is_no_picture_of_a_document_is_refused_with_a_word(make: Callable[[], bytes], code: str) -> None:
    with pytest.raises(BadImage) as refused:
        clean(make(), MARK)
    assert refused.value.code == code


DENIALS = {
    "a socket": 'return socket.socket().connect(("127.0.0.1", {port}))',
    "a pair of sockets": "return socket.socketpair()",
    "a file": "return open({keyring!r}).read()",
    "a file by the kernel's own call": (
        "fd = ctypes.CDLL(None).open({keyring!r}.encode(), 0)\nif fd < 0: raise OSError\nreturn fd"
    ),
    "another process": "return os.fork()",
    "a program": 'os.execv("/bin/sh", ["sh", "-c", "true"])',
    "a new file": 'return open({new!r}, "w").write("x")',
    "a signal to its parent": "return os.kill(os.getppid(), signal.SIGTERM)",
    "a gigabyte and more": "return len(bytearray(1500 << 20))",
    "the environment": "if len(os.environ) > 1: return dict(os.environ)\nraise LookupError",
}


@pytest.mark.slow
@pytest.mark.covers("H1", "A-5.3.1")
@pytest.mark.parametrize("what", DENIALS)
def test_a_decoder_that_was_taken_over_gets_nothing(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYBACK_SECRET", "hunter2")
    keyring = tmp_path / "keyring"
    keyring.write_text("k1:secret", "utf-8")
    keyring.chmod(0o644)
    new = tmp_path / "new"
    tmp_path.chmod(0o777)
    server = __import__("socket").create_server(("127.0.0.1", 0))
    with server:
        places = {"port": server.getsockname()[1], "keyring": str(keyring), "new": str(new)}
        got = told(tmp_path, DENIALS[what].format(**places))
    assert got["got"].startswith(("denied", "killed")), got
    assert "secret" not in str(got)
    assert not new.exists()
    if got["held"]:
        assert "limits" in got["held"]


def test_the_same_would_work_if_nothing_were_given_up(tmp_path: Path) -> None:
    """That the attacks above are attacks."""
    keyring = tmp_path / "keyring"
    keyring.write_text("k1:secret", "utf-8")
    keyring.chmod(0o644)
    free = "child.lock_down = lambda: []\n"
    program = tmp_path / "taken_over.py"
    body = f"    return open({str(keyring)!r}).read()"
    program.write_text(TAKEN_OVER.format(child=str(CHILD), attack=body).replace("child.main()", free + "child.main()"))
    sent = struct.pack(">I", 2) + b"{}ATTACK"
    assert b"k1:secret" in asyncio.run(Decoder(program)._ask(sent))


@pytest.mark.covers("H1")
def test_a_decoder_that_hangs_crashes_or_never_stops_talking_harms_nobody(tmp_path: Path) -> None:
    program = tmp_path / "bad.py"
    for source in (
        "import time\ntime.sleep(600)",
        "import os\nos.abort()",
        "import sys\nwhile True: sys.stdout.buffer.write(b'x' * 65536)",
        "import sys\nsys.stdout.buffer.write(b'\\0\\0\\0\\x02{}' + b'\\xff\\xd8\\xff')",
        "import sys\nsys.stdout.buffer.write(b'\\xff' * 9)",
    ):
        program.write_text(source, "utf-8")
        with pytest.raises(BadImage) as refused:
            clean(picture(), MARK, (), Decoder(program, wall_s=0.7))
        assert refused.value.code == "unreadable", source
    assert clean(picture()).width == 640, "and the next one is served"


@pytest.mark.covers("H1")
def test_work_without_end_is_ended_by_the_processor_s_clock(tmp_path: Path) -> None:
    got = told(tmp_path, "child.resource.setrlimit(child.resource.RLIMIT_CPU, (1, 8))\nwhile True: pass")
    assert got["got"].startswith(("killed", "denied"))
    limit = told(tmp_path, "return child.resource.getrlimit(child.resource.RLIMIT_NOFILE), child.CPU_S")
    assert "denied" in limit["got"] or "(3, 3)" in limit["got"]


@pytest.mark.skipif(not Path("/proc/sys/kernel/seccomp").is_dir(), reason="no seccomp in this kernel")
def test_where_the_kernel_filters_calls_it_does(tmp_path: Path) -> None:
    got = told(tmp_path, "return 1")
    assert "seccomp" in got["held"]
