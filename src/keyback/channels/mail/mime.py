"""Mail as bytes: a skeleton encoded once, then only values are filled in (design section 13).

Every place for a value stands between soft line breaks of its own, so a value never moves the encoding around it and
no value, however long, can reach a header or a boundary (RFC 2045 section 6.7, RFC 2046 section 5.1.1).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import gmtime

from keyback.application.ports.messages import BadMessage
from keyback.domain.characters import is_shown
from keyback.domain.errors import BadInput
from keyback.domain.people.mail_address import read_mail_address

# Private-use characters mark the places; they go through Jinja's escaping untouched.
OPEN, CLOSE = "\ue000", "\ue001"
_PLACE = re.compile(f"{OPEN}([a-z_]+){CLOSE}")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ATOMS = re.compile(r"[A-Za-z0-9 _-]+\Z")
_AS_IT_IS = re.compile(r"(?:[!-<>-~ ]*[!-\-/-<>-~])?\Z")  # nothing to quote, no space or lone dot at the end
_ID = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """An address for the envelope: the domain as A-labels, and whether the next hop must know SMTPUTF8 (RFC 6531)."""

    spec: str
    utf8: bool = False

    @property
    def host(self) -> str:
        return self.spec.rpartition("@")[2]


def address(text: str) -> Address:
    """Check one plain addr-spec; what one is `keyback.domain.people.mail_address` says, for imports too.

    An ASCII address is kept byte for byte; an internationalised domain becomes its A-label.

    Raises:
        BadMessage: anything else, control characters and line ends included.
    """
    try:
        found = read_mail_address(text)
    except (BadInput, AttributeError):
        raise BadMessage("not a plain mail address") from None
    return Address(found.spec, found.utf8)


def words(text: str) -> str:
    """Text for an unstructured header or a display name; never holds a line end or another control character.

    Plain ASCII stays; everything else becomes encoded words of at most 75 characters, cut between characters
    (RFC 2047 sections 2 and 5), folded one to a line.
    """
    clean = "".join(c if is_shown(c) else " " for c in text).strip()
    # An ASCII text that looks like an encoded word must not be decoded into something else by the reader.
    if clean.isascii() and "=?" not in clean and len(clean) <= 64:
        return clean
    out: list[str] = []
    chunk = b""
    for char in clean:
        raw = char.encode("utf-8", "replace")
        if len(chunk) + len(raw) > 39:
            out.append(b64encode(chunk).decode())
            chunk = b""
        chunk += raw
    out.append(b64encode(chunk).decode())
    return "\r\n ".join(f"=?utf-8?b?{part}?=" for part in out)


def mailbox(name: str, spec: str) -> str:
    """`name <spec>` for From and To; without a name the bare address (RFC 5322 section 3.4)."""
    shown = words(name)
    if not shown:
        return spec
    if shown.isascii() and not shown.startswith("=?") and not _ATOMS.match(shown):
        shown = '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown}{chr(13)}{chr(10)} <{spec}>" if len(shown) + len(spec) > 60 else f"{shown} <{spec}>"


def date(ms: int) -> str:
    """A Date header's value in UTC from ms since the epoch (RFC 5322 section 3.3)."""
    t = gmtime(ms // 1000)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"
    )


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file that the HTML part shows, such as a logo, as `cid:` and its `id` (RFC 2392)."""

    id: str
    media_type: str
    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """The envelope's sender. `takes_tags`: whether a mail's token may stand behind a plus sign (RFC 5233)."""

    spec: str
    takes_tags: bool

    def tagged(self, token: str) -> str:
        local, _, host = self.spec.rpartition("@")
        return f"{local}+{token}@{host}" if token and self.takes_tags else self.spec


def message_id(identifier: str, host: str, token: str = "") -> str:
    """The same for every attempt at one message (RFC 5322 section 3.6.4); odd identifiers are hashed."""
    if not (0 < len(identifier) <= 64 and _ID.match(identifier)):
        identifier = hashlib.sha256(identifier.encode("utf-8", "replace")).hexdigest()[:40]
    return f"<{identifier}{'.' if token else ''}{token}@{host}>"


def boundary(identifier: str) -> str:
    """Derived from the message's id. `=_` cannot occur in quoted-printable, so no body can hold it."""
    return "=_" + hashlib.sha256(identifier.encode("utf-8", "replace")).hexdigest()[:24]


def quoted(text: str) -> bytes:
    """Quoted-printable with CRLF line ends, lines of at most 76 octets and room for a `=` after the last one."""
    if len(text) < 76 and _AS_IT_IS.match(text):
        return text.encode()
    raw = b2a_qp(text.encode("utf-8", "replace"), istext=True)
    if len(raw) - raw.rfind(b"\n") > 76:
        cut = raw.find(b"=", len(raw) - 3)  # never inside an =XX
        cut = cut if cut > 0 else len(raw) - 1
        raw = raw[:cut] + b"=\n" + raw[cut:]
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if b"\n" in raw else raw


class Skeleton:
    """A whole message with places, everything between them already encoded.

    Args:
        headers: the fixed headers, each `Name: value` with folding inside; the moving ones are added by `fill`.
        text: the plain part with places, made by `place`.
        html: the HTML part with places.
        enclosed: what the HTML part shows; the two become one part (RFC 2387).
    """

    __slots__ = ("_pieces",)

    def __init__(self, headers: Sequence[str], text: str, html: str, enclosed: Enclosed | None = None) -> None:
        part = "\r\n--{}\r\nContent-Type: text/{}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        mark = f"{OPEN}boundary{CLOSE}"
        # To, Date and Message-ID lead, so that the fixed rest follows in one piece.
        top = "".join(f"{n}: {OPEN}{p}{CLOSE}\r\n" for n, p in (("To", "to"), ("Date", "date"), ("Message-ID", "id")))
        top += "".join(h + "\r\n" for h in headers)
        top += f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{mark}"\r\n'
        pieces: list[bytes | tuple[str, str]] = []
        _raw(pieces, top + part.format(mark, "plain"))
        _encode(pieces, text, "t")
        inner = f"r{mark}"  # no line that begins with the outer one
        if enclosed:
            kind = f'multipart/related; type="text/html";\r\n boundary="{inner}"'
            _raw(pieces, f"\r\n--{mark}\r\nContent-Type: {kind}\r\n")
        _raw(pieces, part.format(inner if enclosed else mark, "html"))
        _encode(pieces, html, "h")
        if enclosed:
            _raw(pieces, _enclosed(enclosed, inner))
        _raw(pieces, f"\r\n--{mark}--\r\n")
        self._pieces = tuple(pieces)

    def fill(self, raw: Mapping[str, bytes], text: Mapping[str, str], html: Mapping[str, str]) -> bytes:
        """The message as bytes with CRLF line ends.

        Args:
            raw: header values and the boundary, already safe: `to date id boundary`.
            text: values of the plain part.
            html: values of the HTML part, already escaped.

        Raises:
            KeyError: a place has no value.
        """
        out: list[bytes] = []
        for piece in self._pieces:
            if isinstance(piece, bytes):
                out.append(piece)
            elif piece[0] == "t":
                out.append(quoted(text[piece[1]]))
            elif piece[0] == "h":
                out.append(quoted(html[piece[1]]))
            else:
                out.append(raw[piece[1]])
        return b"".join(out)


def _enclosed(file: Enclosed, mark: str) -> str:
    body = b64encode(file.body).decode()
    lines = "\r\n".join(body[at : at + 76] for at in range(0, len(body), 76))
    return (
        f"\r\n--{mark}\r\nContent-Type: {file.media_type}\r\nContent-ID: <{file.id}>\r\n"
        f'Content-Disposition: inline; filename="{file.name}"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{lines}\r\n--{mark}--\r\n"
    )


def place(name: str) -> str:
    """The mark of a place, to be given to a template as the value of `name`."""
    return f"{OPEN}{name}{CLOSE}"


def _raw(pieces: list[bytes | tuple[str, str]], text: str) -> None:
    for i, bit in enumerate(_PLACE.split(text)):
        pieces.append(("r", bit) if i % 2 else bit.encode())


def _encode(pieces: list[bytes | tuple[str, str]], text: str, kind: str) -> None:
    """Encode the fixed text; each value gets lines of its own by soft line breaks, where it has none by itself."""
    bits = _PLACE.split(text.replace("\r\n", "\n"))
    for i, bit in enumerate(bits):
        if i % 2:
            pieces.append((kind, bit))
            continue
        raw = quoted(bit)
        before = b"=\r\n" if i and not bit.startswith("\n") else b""
        # A line break in the text itself already ends the line; at the very start there is none to end.
        after = b"=\r\n" if i + 1 < len(bits) and bit and not bit.endswith("\n") else b""
        pieces.append(before + raw + after)
