"""Answers by HTTP: what they say, how far they are read, and the faults that stand for those that are none."""

from __future__ import annotations

import contextlib
import json as jsonlib
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

from keyback.application.ports.connectors import Unavailable
from keyback.domain.secret import Secret

MAX_REPLY = 1 << 20
GZIP = b"\x1f\x8b"  # RFC 1952 section 2.3.1
OLD_CHARSETS = {
    "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030", "big5": "big5", "shift-jis": "shift_jis",
    "euc-jp": "euc_jp", "euc-kr": "euc_kr", "iso-8859-1": "cp1252", "windows-1252": "cp1252",
    "iso-8859-15": "iso8859-15",
}  # fmt: skip
MIN_HIDDEN = 8


class NotDone(Unavailable):
    """The call changed nothing: not connected, refused before it was worked on, or the breaker is open.

    `retry_after_ms` is 0 when the system said nothing about it; `status` is the answer's, 0 without one.
    """

    def __init__(self, code: str, text: str = "", retry_after_ms: int = 0, status: int = 0) -> None:
        super().__init__(code, text)
        self.retry_after_ms, self.status = retry_after_ms, status


class OutboundRefusal(NotDone):
    """The system said no. `code` is one of ours, `text` what it said, already cleaned."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.text = text


class MaybeDone(Unavailable):
    """The call was sent and no usable answer came: nobody knows whether it was carried out.

    `cut` is true when the connection broke, as idle ones do, and false when time ran out or the answer was no answer.
    """

    def __init__(self, code: str, text: str = "", *, cut: bool = False) -> None:
        super().__init__(code, text)
        self.cut = cut


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An answer of the system; its body may hold personal data, so `repr` shows the status only.

    Names of `headers` are in small letters.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"

    def json(self) -> dict[str, Any]:
        """The body, a JSON object. Raises `MaybeDone` for anything else: a proxy spoke, or something broke half-way."""
        value = self.any_json()
        if isinstance(value, dict):
            return value
        raise MaybeDone("unavailable", f"the answer is not a JSON object (HTTP {self.status})")

    def any_json(self) -> Any:
        """The body, JSON of any shape; None where it is none. It is UTF-8 (RFC 8259 section 8.1), or what older systems
        say that it is."""
        with contextlib.suppress(ValueError, RecursionError):
            return jsonlib.loads(self.body)
        charset = Message()
        charset["content-type"] = self.headers.get("content-type", "")
        if said := OLD_CHARSETS.get((charset.get_content_charset() or "").replace("_", "-")):
            with contextlib.suppress(ValueError, RecursionError):
                return jsonlib.loads(self.body.decode(said))
        return None

    def retry_after_ms(self, default: int, most: int = 300_000) -> int:
        """What `Retry-After` asks for (RFC 9110 section 10.2.3), within bounds; `default` without it or for what is
        over."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdecimal():
            return min(int(text) * 1000, most) if len(text) < 12 else most
        with contextlib.suppress(KeyError, ValueError, TypeError):  # a time, of the system's own clock
            wait = parsedate_to_datetime(text).timestamp() - parsedate_to_datetime(self.headers["date"]).timestamp()
            return min(int(wait * 1000), most) if wait > 0 else default
        return default

    def refuse_throttled(self, default_ms: int = 10_000) -> None:
        """Raises `NotDone` for 429, whoever on the way said so, with the wait that it asks for."""
        if self.status == 429:
            raise NotDone("unavailable", "too many calls", self.retry_after_ms(default_ms), self.status)

    def clock_ahead_ms(self, now_ms: int) -> int | None:
        """How far the system's clock is ahead of ours by its `Date`; None where it sends none."""
        try:
            at = parsedate_to_datetime(self.headers["date"])
        except (KeyError, ValueError):
            return None
        return int(at.timestamp() * 1000) - now_ms


def unpacked(body: bytearray, how: str) -> bytearray | None:
    """What some systems compress although nobody asked for it, to just over the longest answer that is taken: a small
    one may grow a thousandfold. None for what cannot be unpacked. Tryton 8.2 says so of lists that it did not."""
    if how not in {"gzip", "x-gzip", "deflate"}:
        return None
    if how != "deflate" and not body.startswith(GZIP):
        return body
    packed = zlib.decompressobj(zlib.MAX_WBITS | 32)
    with contextlib.suppress(zlib.error):
        plain = packed.decompress(bytes(body), MAX_REPLY + 1)
        return bytearray(plain) if packed.eof or len(plain) > MAX_REPLY else None  # None: it breaks off
    return None


def without_credentials(body: bytearray, credentials: Sequence[Secret]) -> bytearray:
    """An error's body without what the call signed in with: some systems repeat a whole request in their errors.
    Short values, such as a number of a tenant, are in every text by chance."""
    for credential in credentials:
        word = credential.reveal().rpartition(" ")[2].encode()
        if len(word) >= MIN_HIDDEN:
            body = body.replace(word, "…".encode())
    return body


def vendor_text(text: object, *secrets: Secret) -> str:
    """A system's own words, fit to keep and show: one line, at most 300 characters, no control or format characters,
    and none of the given secrets, which some systems repeat in their errors."""
    out = str(text)[:5000]
    for s in secrets:
        if s.reveal():
            out = out.replace(s.reveal(), "…")
    out = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in out)
    out = "".join(c for c in out if unicodedata.category(c) not in {"Cf", "Cs", "Co"})
    return " ".join(out.split())[:300]
