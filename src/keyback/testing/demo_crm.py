"""The demo CRM: a small stateful system with a password of its own, for `keyback demo` and for tests.

It can be made slow, broken or strict while it runs, so that people and tests can see what Keyback does then. It is an
ASGI app: mount it, or run it alone. It keeps no real secret and must not be used as a real system.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from keyback.locale import Locale, choose, gettext, language
from keyback.testing.serving import Cut, until_gone

Broken = Literal["", "refuse", "hang", "drop_reply_after_apply", "policy"]
MODES: tuple[Broken, ...] = ("", "refuse", "hang", "drop_reply_after_apply", "policy")
BAD_TRIES = 5
WEAK = "Password must have at least 8 characters."
HISTORY = "Password was used before, or breaks the rules of your organization."


@dataclass(slots=True)
class DemoUser:
    """One account; `changes` counts password sets, `last_job` is the job that made the last one."""

    id: str
    username: str
    mail: str | None
    name: str
    hash: str
    state: str = "active"
    privileged: bool = False
    sessions: int = 0
    changes: int = 0
    bad_tries: int = 0
    last_job: str = ""


class DemoCrm:
    """The app and its state.

    Args:
        state_file: JSON file that keeps the state over restarts, written atomically; None keeps it in memory.
        token: what the API asks for as Bearer.

    `help_link` gives, for a locale, a link below the sign-in form and the source that its script needs in `script-src`,
    as a company would put Keyback's into its own page.

    `slow` (seconds before every answer) and `broken` may be set at any time, or by `POST /toggle`: `refuse` answers
    503, `hang` never answers, `drop_reply_after_apply` sets the password and cuts the connection, `policy` refuses all
    passwords.
    """

    def __init__(self, state_file: Path | None, token: str) -> None:
        self.slow: float = 0.0
        self.broken: Broken = ""
        self.help_link: Callable[[Locale], tuple[str, str]] = lambda _: ("", "")
        self._file, self._token = state_file, token
        self._users: dict[str, DemoUser] = {}
        if state_file and state_file.exists():
            self._users = {u["id"]: DemoUser(**u) for u in json.loads(state_file.read_text(encoding="utf-8"))}
        api: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            ("/api/find", self._find),
            ("/api/verify", self._verify),
            ("/api/users/{id}/read", self._read),
            ("/api/users/{id}/password", self._set),
            ("/api/users/{id}/unlock", self._unlock),
            ("/api/users/{id}/revoke", self._revoke),
        ]
        self._app = Starlette(
            routes=[
                *(Route(path, self._guarded(act), methods=["POST"]) for path, act in api),
                Route("/toggle", self._toggle, methods=["POST"]),
                Route("/sign-in", self._sign_in, methods=["GET", "POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    # ── state, from Python ──

    @property
    def users(self) -> Iterable[DemoUser]:
        return self._users.values()

    def user(self, external_id: str) -> DemoUser:
        return self._users[external_id]

    def add_user(
        self,
        username: str,
        mail: str | None,
        name: str,
        password: str,
        *,
        state: Literal["active", "disabled", "locked"] = "active",
        privileged: bool = False,
    ) -> str:
        """Add an account and give its id. Raises `ValueError` for a user name that is taken."""
        return self.add_users([(username, mail, name, password, state, privileged)])[0]

    def add_users(self, rows: Iterable[tuple[str, str | None, str, str, str, bool]]) -> list[str]:
        """As `add_user`, many at once and saved once; rows are its arguments in order."""
        ids = []
        taken = {u.username.casefold() for u in self.users}
        for username, mail, name, password, state, privileged in rows:
            if username.casefold() in taken:
                raise ValueError("this user name is taken")
            taken.add(username.casefold())
            key = str(len(self._users) + 1)
            self._users[key] = DemoUser(key, username, mail, name, _hash(password), state, privileged)
            ids.append(key)
        self._save()
        return ids

    def sign_in(self, username: str, password: str) -> bool:
        """As on the page: counts bad tries, locks after five of them, opens a session."""
        user = self._named(username)
        if not user or user.state != "active":
            return False
        if _same(user.hash, password):
            user.sessions, user.bad_tries = user.sessions + 1, 0
        else:
            user.bad_tries += 1
            if user.bad_tries >= BAD_TRIES:
                user.state = "locked"
        self._save()
        return user.bad_tries == 0

    # ── API ──

    def _guarded(self, act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            if not secrets.compare_digest(
                request.headers.get("authorization", "").encode(), f"Bearer {self._token}".encode()
            ):
                return _error(401, "bad_token", "The token is not valid.")
            if self.slow:
                await asyncio.sleep(self.slow)
            if self.broken == "refuse":
                return _error(503, "maintenance", "Down for maintenance.")
            if self.broken == "hang":
                await until_gone(request)
                return Response(status_code=504)
            try:
                request.state.body = dict(json.loads(body))
            except (ValueError, TypeError):
                return _error(400, "bad_request", "Not a JSON object.")
            return await act(request)

        return endpoint

    async def _find(self, request: Request) -> Response:
        wanted = str(request.state.body.get("identifier", "")).strip().casefold()
        found = [u for u in self.users if wanted and wanted in {u.username.casefold(), (u.mail or "").casefold()}]
        return JSONResponse({"users": [_public(u) for u in found]})

    async def _verify(self, request: Request) -> Response:
        user = self._named(str(request.state.body.get("username", "")))
        right = user is not None and _same(user.hash, str(request.state.body.get("password", "")))
        return JSONResponse({"ok": bool(right and user and user.state == "active")})

    async def _read(self, request: Request) -> Response:
        user = self._users.get(request.path_params["id"])
        return JSONResponse(_public(user)) if user else _no_user()

    async def _set(self, request: Request) -> Response:
        user = self._users.get(request.path_params["id"])
        password, job = str(request.state.body.get("password", "")), str(request.state.body.get("job_id", ""))
        if not user:
            return _no_user()
        if user.state == "disabled":
            return _error(403, "disabled", "This user is disabled.")
        if job and job == user.last_job:
            return JSONResponse({"ok": True})
        if self.broken == "policy" or len(password) < 8:
            return _error(422, "weak_password", HISTORY if self.broken == "policy" else WEAK)
        user.hash, user.changes, user.last_job = _hash(password), user.changes + 1, job
        self._save()
        return Cut() if self.broken == "drop_reply_after_apply" else JSONResponse({"ok": True})

    async def _unlock(self, request: Request) -> Response:
        user = self._users.get(request.path_params["id"])
        if not user:
            return _no_user()
        user.state = "active" if user.state == "locked" else user.state
        user.bad_tries = 0
        self._save()
        return JSONResponse({"ok": True})

    async def _revoke(self, request: Request) -> Response:
        user = self._users.get(request.path_params["id"])
        if not user:
            return _no_user()
        user.sessions = 0
        self._save()
        return JSONResponse({"ok": True})

    # ── pages ──

    async def _toggle(self, request: Request) -> Response:
        """`{"slow": seconds, "broken": mode}` as JSON or form; either may be left out."""
        if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return _error(403, "cross_site", "Not from another site.")
        try:
            if "json" in request.headers.get("content-type", ""):
                values = dict(await request.json())
            else:
                values = dict(await request.form())
            slow, broken = float(str(values.get("slow", self.slow))), str(values.get("broken", self.broken))
        except (ValueError, TypeError):
            return _error(400, "bad_request", "Not understood.")
        modes = {str(m): m for m in MODES}
        if broken not in modes or not 0 <= slow <= 60:
            return _error(400, "bad_request", "slow is 0 to 60 seconds; broken is one of: " + ", ".join(MODES[1:]))
        self.slow, self.broken = slow, modes[broken]
        return JSONResponse({"slow": self.slow, "broken": self.broken})

    async def _sign_in(self, request: Request) -> Response:
        locale = choose(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        if self.slow:
            await asyncio.sleep(self.slow)
        below = self.help_link(locale)
        if request.method == "GET":
            return _page(locale, "", "", 200, below)
        form = await request.form(max_files=0, max_fields=10)
        username, password = str(form.get("username", ""))[:320], str(form.get("password", ""))[:1024]
        if self.broken in {"refuse", "hang"}:
            return _page(locale, username, gettext(locale, "The demo CRM is down."), 503, below)
        user = self._named(username)
        if self.sign_in(username, password) and user:
            return _page(locale, "", gettext(locale, "Signed in as {name}.", name=user.name), 200)
        if user and user.state == "locked":
            return _page(
                locale, username, gettext(locale, "This account is locked after too many attempts."), 403, below
            )
        return _page(locale, username, gettext(locale, "The username or password isn’t right."), 403, below)

    def _named(self, username: str) -> DemoUser | None:
        wanted = username.strip().casefold()
        return next((u for u in self.users if u.username.casefold() == wanted), None)

    def _save(self) -> None:
        if self._file:
            new = self._file.with_name(self._file.name + ".new")
            with new.open("w", encoding="utf-8") as f:
                json.dump([asdict(u) for u in self.users], f, ensure_ascii=False, indent=1)
                f.flush()
                os.fsync(f.fileno())
            new.replace(self._file)


def _public(user: DemoUser) -> dict[str, Any]:
    hidden = {"hash", "last_job", "bad_tries"}
    return {k: v for k, v in asdict(user).items() if k not in hidden}


def _error(status: int, code: str, text: str) -> Response:
    return JSONResponse({"error": code, "text": text}, status)


def _no_user() -> Response:
    return _error(404, "no_such_user", "No such user.")


def _hash(password: str, salt: bytes | None = None) -> str:
    """scrypt with a small cost: a demo seeds many users at start."""
    salt = salt or secrets.token_bytes(16)
    key = hashlib.scrypt(password.encode(errors="surrogatepass"), salt=salt, n=1024, r=8, p=1, dklen=32)
    return f"{salt.hex()}:{key.hex()}"


def _same(held: str, password: str) -> bool:
    return secrets.compare_digest(held, _hash(password, bytes.fromhex(held.split(":")[0])))


_STYLE = """
:root { color-scheme: light dark; --sea: #1f4e79; --on: #fff; --back: #eaf0f6; --card: #fff; --ink: #15222e;
  --dim: #4d5e6d; --line: #8397a8; --bad: #9b2c1f; --good: #17613f; }
@media (prefers-color-scheme: dark) { :root { --sea: #8cc0ee; --on: #08233b; --back: #0c141b; --card: #15202a;
  --ink: #e6edf3; --dim: #a6b5c2; --line: #6d8192; --bad: #ff9f8f; --good: #7ed3a8; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px; background: var(--back);
  color: var(--ink); font: 17px/1.55 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "PingFang SC",
  "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { width: min(100%, 24rem); padding: 28px 24px; border-radius: 14px; background: var(--card);
  border-top: 6px solid var(--sea); }
h1 { display: flex; align-items: center; gap: 10px; margin: 0 0 20px; font-size: 24px; line-height: 1.25; }
h1 svg { flex: none; width: 32px; height: 32px; fill: none; stroke: var(--sea); stroke-width: 2.5; }
.note { margin: 0 0 16px; padding: 12px 14px; border-left: 4px solid var(--bad); font-weight: 600;
  color: var(--bad); }
.note.in { border-color: var(--good); color: var(--good); font-size: 20px; }
.help { margin: 0; text-align: center; } .help a { display: inline-block; padding: 10px; color: var(--sea); }
p { margin: 0 0 16px; } label { font-weight: 600; }
input { width: 100%; min-height: 48px; margin-top: 4px; padding: 8px 12px; border: 1.5px solid var(--line);
  border-radius: 8px; background: var(--card); color: inherit; font: inherit; }
button, .out { display: block; width: 100%; min-height: 48px; padding: 10px; border: 0; border-radius: 8px;
  background: var(--sea); color: var(--on); font: inherit; font-weight: 600; text-align: center;
  text-decoration: none; cursor: pointer; }
:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
"""
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SIGN = '<svg viewBox="0 0 32 32" aria-hidden="true"><path d="M3 22h26l-4 6H7zM15 4v14M15 5l11 13H15"/></svg>'


def _page(locale: Locale, username: str, message: str, status: int, below: tuple[str, str] = ("", "")) -> Response:
    def _(text: str) -> str:
        return html.escape(gettext(locale, text))

    link, script_source = below
    title, user, password, button = _("Demo CRM"), _("Username"), _("Password"), _("Sign in")
    lang = language(locale).tag
    inside = bool(message) and status == 200
    note = f'<p class="note{" in" * inside}" role="status">{html.escape(message)}</p>' if message else ""
    form = (
        '<form method="post" action="">'
        f'<p><label>{user}<br><input name="username" autocomplete="username" autocapitalize="none" required '
        f'value="{html.escape(username)}"></label></p>'
        f'<p><label>{password}<br><input name="password" type="password" autocomplete="current-password" required>'
        f"</label></p><p><button>{button}</button></p></form>" + (f'<p class="help">{link}</p>' if link else "")
    )
    return HTMLResponse(
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body class="demo-crm"><main><h1>{_SIGN}{title}</h1>{note}{form * (not inside)}</main></body></html>',
        status,
        {
            "cache-control": "no-store",
            "content-security-policy": _POLICY + (f"; script-src {script_source}" if script_source else ""),
        },
    )
