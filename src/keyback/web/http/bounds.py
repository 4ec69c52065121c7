"""How much of a request is read at all: its headers, address and fields, cut once, before anything looks at them (O5).

What stands here is all that anything behind the front ever sees. A header that is not listed is read by nobody, so it
goes no further; a longer one than its reader has use for is cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.types import Scope

from keyback.application.origin import MAX_AGENT

PATH = 512  # characters; ours are under 100
QUERY = 1024  # bytes; ours are under 100, but links collect what campaigns hang on them
RETURNED = 8192  # bytes of a query with which a provider sends a browser back: some put a whole token into a code
BACK = re.compile(r"/sign-in-with/[a-z0-9-]{1,20}/back\Z")
HOPS = 1000  # bytes of X-Forwarded-For, from its end: twenty IPv6 addresses
COOKIES = 8192  # bytes: what servers and browsers let cookies of one site come to
HEADERS = {
    b"host": 300,  # compared with ours, as a whole
    b"origin": 300,
    b"sec-fetch-site": 20,
    b"content-length": 20,
    b"content-encoding": 20,
    b"content-type": 200,
    b"accept-language": 200,
    b"user-agent": MAX_AGENT,
    b"authorization": 400,
    b"idempotency-key": 256,  # one more than it may have
    b"if-match": 20,
    b"cookie": COOKIES,
    b"webhook-id": 256,
    b"webhook-signature": 1024,
    b"webhook-timestamp": 20,
    b"x-forwarded-for": HOPS,
    b"timestamp": 20,
    b"sign": 100,
    b"x-lark-signature": 100,
    b"x-lark-request-timestamp": 20,
    b"x-lark-request-nonce": 128,
}
"""The headers that somebody reads, and how many bytes of each."""
REPEATS = 2  # of one header: some readers refuse a repeated one, and nobody wants a third

FIELD = 300
FIELDS = {
    "identifier": 1017,  # one more than `canonicalize` reads, so that it still says what is wrong
    "password": 1025,  # one more than is read of any password
    "current_password": 1025,
    "new_password": 1025,
    "new_password_again": 1025,
    "code": 2000,  # the answers to security questions come as one
    "assertion": 8192,  # a passkey's, with an attestation
    "codes": 1000,
    "reason": 2001,  # one more than any may have
    "note": 2001,
    "text": 2001,
    "people": 60_000,  # a list of them
}
"""Characters of a form's fields; `FIELD` of every other. Cut ones are too long for what reads them: never right."""


def cut(scope: Scope) -> int:
    """Bounds the address and the headers of a request, in place.

    Returns:
        The status to refuse it with: 404 for a path longer than any of ours, 414 for such a query; else 0. What is
        left of it may be read in any case, to draw the answer.
    """
    scope["headers"] = headers(scope["headers"])
    status = 0
    most = RETURNED if len(scope["query_string"]) > QUERY and BACK.match(scope["path"]) else QUERY
    if len(scope["query_string"]) > most:
        scope["query_string"], status = b"", 414
    if len(scope["path"]) > PATH:
        scope["path"], status = scope["path"][:PATH], 404
    return status


def headers(given: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers that somebody reads, each cut to its length and there twice at most; X-Forwarded-For is one."""
    kept: list[tuple[bytes, bytes]] = []
    hops: list[bytes] = []
    seen: dict[bytes, int] = {}
    for name, value in given:
        longest = HEADERS.get(name)
        if longest is None:
            continue
        if name == b"x-forwarded-for":
            hops.append(value)
            continue
        seen[name] = count = seen.get(name, 0) + 1
        if count <= REPEATS:
            kept.append((name, value if len(value) <= longest else value[:longest]))
    if hops:
        joined = b",".join(hops)
        # Its end is what the nearest proxy wrote; a first hop that was cut through is none.
        kept.append((b"x-forwarded-for", joined if len(joined) <= HOPS else joined[-HOPS:].partition(b",")[2]))
    return kept


def field(name: str, value: str) -> str:
    """A form's field, cut."""
    return value[: FIELDS.get(name, FIELD)]


def size(given: bytes, most: int) -> int | None:
    """A Content-Length as a number, `most + 1` for a larger one; None for what is no number (RFC 9110 section 8.6)."""
    if not given.isdigit():
        return None
    plain = given.lstrip(b"0")
    return min(int(plain or b"0"), most + 1) if len(plain) <= len(str(most)) + 1 else most + 1
