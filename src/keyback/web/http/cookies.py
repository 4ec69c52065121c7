"""Our cookies: `__Host-`, HttpOnly, SameSite=Lax, without PII (N-S4, O8).

On plain http, which only loopback may use, browsers refuse the prefix; there the same names go without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.handles import holds
from keyback.application.ports.storage import Seals

HOLDS = "recovery"  # handle.secret of up to three recoveries that this browser holds
LINK = "link"  # tokens of up to five mailed links, moved out of the address bar (`links`)
SESSION = "session"
DEVICE = "device"  # by which a browser is known that somebody signed in with
WAITING = "second"  # finds the sign-in that waits for its second step
TICKET = "ticket"  # of the challenge on the sign-in page
NEXT = "next"  # which page of the security center follows the sign-in, by its name
LANGUAGE = "language"
THEME = "theme"  # light or dark, where somebody chose
CONSOLE = "console"  # of an operator's session
SETUP = "set-up"  # the token of an operator's set-up link, moved out of the address bar
ALL = (HOLDS, LINK, SESSION, DEVICE, WAITING, TICKET, NEXT, LANGUAGE, THEME, CONSOLE, SETUP)
READ = "keyback.cookies"  # in the scope: our cookies of this request, read once
SHOWN = "keyback.shown"  # in the scope: names the mailed link that a page is about
MAX_HELD = 3
MAX_LENGTH = 300
VALUE = re.compile(r"[A-Za-z0-9._~-]*\Z")  # of RFC 6265 section 4.1.1 what ours are made of; nothing needs quoting


@dataclass(frozen=True, slots=True)
class Cookies:
    """Reads and writes cookies; `secure` is whether people reach us by https."""

    secure: bool
    _ours: Mapping[str, str] = field(init=False, repr=False)  # what a browser calls one of ours: what we call it

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ours", {self.name(what): what for what in ALL})

    def name(self, what: str) -> str:
        return f"__Host-keyback-{what}" if self.secure else f"keyback-{what}"

    def put(self, response: Response, what: str, value: str, *, max_age: int | None = None) -> None:
        """Sets a cookie; for the session of the browser where `max_age` (seconds) is None.

        Raises:
            ValueError: the value holds more than letters, digits and `._~-`.
        """
        if not VALUE.match(value):
            raise ValueError("not a value for one of our cookies")
        age = "" if max_age is None else f" Max-Age={max_age};"
        secure = " Secure;" if self.secure else ""
        # By hand: http.cookies costs more than the rest of the intake's answer.
        line = f"{self.name(what)}={value}; HttpOnly;{age} Path=/;{secure} SameSite=lax"
        response.raw_headers.append((b"set-cookie", line.encode("ascii")))

    def drop(self, response: Response, what: str) -> None:
        response.delete_cookie(self.name(what), path="/", secure=self.secure, httponly=True, samesite="lax")

    def get(self, request: Request, what: str) -> str:
        """The value of one of our cookies; empty where there is none that could be ours."""
        given: dict[str, str] | None = request.scope.get(READ)
        if given is None:
            header = next((v for k, v in request.scope["headers"] if k == b"cookie"), b"")
            given = request.scope[READ] = self.read(header)
        return given.get(what, "")

    def read(self, header: bytes) -> dict[str, str]:
        """Our cookies in a Cookie header, by what we call them: those with exactly our names and values that could be
        ours (O8). Of two with one name the last counts."""
        out: dict[str, str] = {}
        for pair in header.split(b";"):
            name, sign, value = pair.partition(b"=")
            what = self._ours.get(name.strip(b" \t").decode("latin-1")) if sign else None
            if what is not None:
                text = value.strip(b" \t").decode("latin-1")
                out[what] = text if len(text) <= MAX_LENGTH and VALUE.match(text) else ""
        return out

    # ── held recoveries ─────────────────────────────────────────────────────

    def held(self, request: Request) -> list[tuple[str, str]]:
        """(handle, secret) pairs of this browser, newest first; not yet checked."""
        pairs = (p.partition(".") for p in self.get(request, HOLDS).split("~")[:MAX_HELD])
        return [(h, s) for h, dot, s in pairs if dot and len(h) == 22]

    def holds(self, request: Request, seals: Seals, handle: str) -> bool:
        """Whether this browser started (or was let into) the recovery `handle`."""
        return any(h == handle and holds(seals, h, s) for h, s in self.held(request))

    def hold(self, request: Request, response: Response, handle: str, secret: str) -> None:
        """Adds a recovery to those that this browser holds; the oldest falls out."""
        others = [(h, s) for h, s in self.held(request) if h != handle]
        value = "~".join(f"{h}.{s}" for h, s in [(handle, secret), *others][:MAX_HELD])
        self.put(response, HOLDS, value, max_age=7 * 86400)
