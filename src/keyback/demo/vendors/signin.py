"""Sign-in pages of the fakes: user name, password, second factor, a new password if due, then "signed in"."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from keyback.demo.vendors.accounts import Account
from keyback.demo.vendors.brands import Brand
from keyback.demo.vendors.passwords import N_
from keyback.locale import choose, gettext, language

HERE = Path(__file__).parent
Outcome = Literal["ok", "wrong", "locked", "inactive", "frozen", "unlicensed", "elsewhere", "change", "unknown"]
Stage = Literal["user", "password", "both", "elsewhere", "factor", "change", "done", "forgot", "code"]
MAX_VISITS = 500
CODE_MIN = 10
SECOND = ("totp", "passkey", "authenticator")
NO_MATCH = N_("Please check your username and password. If you still can’t sign in, contact your administrator.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a try ended. `text` is what the vendor says, as a message id; `strong` that no second factor is asked for."""

    outcome: Outcome
    text: str = ""
    strong: bool = False


@dataclass(slots=True)
class Visit:
    """Where one browser stands."""

    stage: Stage = "user"
    typed: str = ""
    account: str = ""
    session: str = ""
    code: str = ""
    until: int = 0


class Cloud(Protocol):
    """What the pages ask of the vendor; see `vendor.Vendor`."""

    accounts: Any
    clock: Any

    def find_login(self, typed: str) -> Account | None: ...
    def attempt(self, account: Account, password: str, seen: Mapping[str, str]) -> Attempt: ...
    def weak(self, account: Account, password: str) -> str: ...
    def elsewhere(self, account: Account) -> str: ...
    def second_step(self, account: Account, passed: bool, seen: Mapping[str, str]) -> None: ...
    def open_session(self, account: Account, *, source: str = ...) -> str: ...
    def tell(self, to: str | None, subject: str, text: str) -> None: ...


def environment() -> Environment:
    return Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)


class SignInPages:
    """The pages of one vendor.

    Args:
        recovery_url: where "Can't get in?" leads.
    """

    def __init__(self, cloud: Cloud, brand: Brand, recovery_url: str) -> None:
        self._cloud, self._brand, self._recovery_url = cloud, brand, recovery_url
        self._visits: dict[str, Visit] = {}
        self._template = environment().get_template("sign_in.html")
        self._files = {
            "/look.css": (HERE / "static" / "vendor.css", "text/css; charset=utf-8"),
            "/mark.svg": (HERE / "static" / f"{brand.key}.svg", "image/svg+xml"),
            "/scene.svg": (HERE / "static" / f"{brand.key}-scene.svg", "image/svg+xml"),
        }
        self._paths = {brand.path, f"{brand.path}/out", *self._files}
        if brand.forgot:
            self._paths.add(f"{brand.path}/forgot")

    def has(self, path: str) -> bool:
        """Whether this path is a page's and not the API's."""
        return path in self._paths

    def routes(self) -> Sequence[Route]:
        path = self._brand.path
        out = [
            Route(path, self._sign_in, methods=["GET", "POST"]),
            Route(f"{path}/out", self._sign_out, methods=["POST"]),
            *(Route(p, self._file, methods=["GET"]) for p in self._files),
        ]
        if self._brand.forgot:
            out.append(Route(f"{path}/forgot", self._forgot, methods=["GET", "POST"]))
        return out

    # ── requests ──

    async def _file(self, request: Request) -> Response:
        path, media_type = self._files[request.url.path.removeprefix(request.scope.get("root_path", ""))]
        return Response(path.read_bytes(), media_type=media_type)

    async def _sign_in(self, request: Request) -> Response:
        key, visit = self._visit(request)
        error = ""
        if request.method == "POST":
            if not _own(request):
                return HTMLResponse("403", 403)
            error = self._step(visit, await request.form(max_files=0, max_fields=10), _seen(request))
            if not error:
                return self._again(request, key)
        elif visit.stage == "done" and not self._still_in(visit):
            visit.stage, visit.account, visit.session = self._first, "", ""
            error = N_("You have been signed out. Sign in again.")
        elif visit.stage in ("forgot", "code"):
            visit.stage = self._first
        return self._draw(request, key, visit, error)

    async def _sign_out(self, request: Request) -> Response:
        key, visit = self._visit(request)
        account = self._cloud.accounts.get(visit.account)
        if account and _own(request):
            account.sessions = [s for s in account.sessions if visit.session not in (s.id, s.parent)]
            self._cloud.accounts.save()
        self._visits.pop(key, None)
        return RedirectResponse(self._at(request), 303)

    async def _forgot(self, request: Request) -> Response:
        key, visit = self._visit(request)
        error, entered = "", False
        if visit.stage not in ("forgot", "code", "change"):
            visit.stage = "forgot"
        if request.method == "POST":
            if not _own(request):
                return HTMLResponse("403", 403)
            error = self._step(visit, await request.form(max_files=0, max_fields=10), _seen(request))
            entered = not error and self._still_in(visit)
        if entered:
            return self._again(request, key)
        return self._draw(request, key, visit, error)

    # ── steps ──

    @property
    def _first(self) -> Stage:
        return "user" if self._brand.two_steps else "both"

    def _step(self, visit: Visit, form: FormData, seen: Mapping[str, str]) -> str:
        """Goes one step on with what was typed; the text of what was wrong, or empty."""

        def typed(name: str) -> str:
            return str(form.get(name, ""))[:1024]

        if typed("back"):
            visit.stage, visit.account = self._first, ""
            return ""
        match visit.stage:
            case "user":
                visit.typed = typed("username").strip()
                account = self._cloud.find_login(visit.typed)
                visit.account = account.id if account else ""
                visit.stage = "elsewhere" if account and self._cloud.elsewhere(account) else "password"
                return ""
            case "both":
                visit.typed = typed("username").strip()
                account = self._cloud.find_login(visit.typed)
                visit.account = account.id if account else ""
                if account and self._cloud.elsewhere(account):
                    visit.stage = "elsewhere"
                    return ""
                return self._password(visit, account, typed("password"), seen)
            case "password":
                return self._password(visit, self._cloud.accounts.get(visit.account), typed("password"), seen)
            case "factor":
                return self._factor(visit, re.sub(r"\s", "", typed("code")), seen)
            case "change":
                return self._change(visit, typed("password"), typed("again"), seen)
            case "forgot":
                return self._send_code(visit, typed("username"))
            case "code":
                return self._mailed_code(visit, re.sub(r"\s", "", typed("code")))
        return ""

    def _password(self, visit: Visit, account: Account | None, password: str, seen: Mapping[str, str]) -> str:
        if account is None:
            return NO_MATCH
        attempt = self._cloud.attempt(account, password, seen)
        if attempt.outcome == "change":
            visit.stage = "change"
        elif attempt.outcome == "ok":
            if not attempt.strong and any(f.kind in SECOND for f in account.factors):
                visit.stage = "factor"
            else:
                self._enter(visit, account, seen)
        else:
            return attempt.text
        return ""

    def _factor(self, visit: Visit, code: str, seen: Mapping[str, str]) -> str:
        account = self._cloud.accounts.get(visit.account)
        passed = account is not None and account.takes_code(code, self._cloud.clock())
        if account is not None:
            self._cloud.second_step(account, passed, seen)
        if account is None or not passed:
            return N_("That code isn’t right. Enter the code that your authenticator app shows now.")
        self._enter(visit, account, seen)
        return ""

    def _change(self, visit: Visit, password: str, again: str, seen: Mapping[str, str]) -> str:
        account = self._cloud.accounts.get(visit.account)
        if account is None:
            visit.stage = self._first
            return ""
        if password != again:
            return N_("The passwords don’t match.")
        weak = self._cloud.weak(account, password)
        if weak:
            return weak
        account.set_password(password, self._cloud.clock())
        account.failures, account.locked, account.locked_until = 0, False, 0
        self._cloud.accounts.save()
        if any(f.kind in SECOND for f in account.factors):
            visit.stage = "factor"
        else:
            self._enter(visit, account, seen)
        return ""

    def _send_code(self, visit: Visit, name: str) -> str:
        """The vendor's own way back in: says the same for everybody."""
        account = self._cloud.find_login(name.strip())
        visit.typed, visit.account, visit.stage = name.strip(), "", "code"
        visit.code, visit.until = f"{secrets.randbelow(1_000_000):06}", self._cloud.clock() + CODE_MIN * 60_000
        if account and account.active and not self._cloud.elsewhere(account):
            visit.account = account.id
            text = gettext(
                account.locale,
                "Your {brand} verification code is {code}. It is valid for {minutes} minutes.",
                brand=self._brand.name,
                code=visit.code,
                minutes=CODE_MIN,
            )
            self._cloud.tell(account.mail or account.mobile, self._brand.name, text)
        return ""

    def _mailed_code(self, visit: Visit, code: str) -> str:
        good = (
            visit.account
            and self._cloud.clock() < visit.until
            and secrets.compare_digest(code.encode(), visit.code.encode())
        )
        if not good:
            return N_("That code isn’t right, or it has expired. Ask for a new one.")
        visit.stage, visit.code = "change", ""
        return ""

    def _enter(self, visit: Visit, account: Account, seen: Mapping[str, str]) -> None:
        visit.session = self._cloud.open_session(account, source=seen.get("source", "127.0.0.1"))
        visit.account, visit.stage = account.id, "done"

    def _still_in(self, visit: Visit) -> bool:
        account = self._cloud.accounts.get(visit.account)
        return account is not None and any(s.id == visit.session for s in account.sessions)

    # ── browsers and pages ──

    @property
    def _cookie(self) -> str:
        return f"visit_{self._brand.key}"

    def _at(self, request: Request) -> str:
        return f"{request.scope.get('root_path', '')}{self._brand.path}"

    def _visit(self, request: Request) -> tuple[str, Visit]:
        key = request.cookies.get(self._cookie, "")
        visit = self._visits.get(key)
        if visit is None:
            key, visit = secrets.token_urlsafe(24), Visit(self._first)
            self._visits[key] = visit
            while len(self._visits) > MAX_VISITS:
                self._visits.pop(next(iter(self._visits)))
        return key, visit

    def _again(self, request: Request, key: str) -> Response:
        lang = request.query_params.get("lang")
        response = RedirectResponse(self._at(request) + (f"?lang={choose(lang)}" if lang else ""), 303)
        self._set_cookie(request, response, key)
        return response

    def _set_cookie(self, request: Request, response: Response, key: str) -> None:
        path = request.scope.get("root_path", "") or "/"
        response.set_cookie(self._cookie, key, path=path, httponly=True, samesite="lax")

    def _draw(self, request: Request, key: str, visit: Visit, error: str) -> Response:
        locale = choose(request.query_params.get("lang"), request.headers.get("accept-language", ""))

        def translate(text: str, **values: object) -> str:
            return gettext(locale, text, **values)

        account = self._cloud.accounts.get(visit.account)
        here = request.scope.get("root_path", "")
        body = self._template.render(
            _=translate,
            lang=language(locale).tag,
            other="zh-CN" if locale == "en" else "en",
            brand=self._brand,
            base=here,
            at=self._at(request) + ("/forgot" if visit.stage in ("forgot", "code") else ""),
            sign_in=self._at(request),
            query=f"?lang={locale}" if request.query_params.get("lang") else "",
            stage=visit.stage,
            typed=visit.typed,
            account=account,
            provider=self._cloud.elsewhere(account) if account else "",
            has_code=account is not None and account.factor("totp") is not None,
            rows=_rows(account) if account and visit.stage == "done" else [],
            error=error,
            recovery_url=self._recovery_url,
        )
        response = HTMLResponse(body, 403 if error and request.method == "POST" else 200)
        response.headers["cache-control"] = "no-store"
        response.headers["content-language"] = language(locale).tag
        self._set_cookie(request, response, key)
        return response


def _rows(account: Account) -> list[tuple[str, str, str]]:
    """The newest sign-ins: when, how it went, with what."""
    return [
        (f"{datetime.fromtimestamp(s.at / 1000, UTC):%Y-%m-%d %H:%M}", s.status, f"{s.browser}, {s.platform}")
        for s in account.sign_ins[:-6:-1]
    ]


def _own(request: Request) -> bool:
    return request.headers.get("sec-fetch-site", "none") in {"none", "same-origin"}


def _seen(request: Request) -> dict[str, str]:
    """What a vendor writes down of a browser."""
    agent = request.headers.get("user-agent", "")
    browser = re.search(r"(Edg|Firefox|Chrome|Version)/(\d+)", agent)
    names = {"Edg": "Edge", "Version": "Safari"}
    platforms = {"Windows": "Windows 11", "Android": "Android", "iPhone": "iOS", "Mac": "macOS", "Linux": "Linux"}
    return {
        "source": request.client.host if request.client else "127.0.0.1",
        "browser": f"{names.get(browser[1], browser[1])} {browser[2]}" if browser else "Unknown",
        "platform": next((name for part, name in platforms.items() if part in agent), "Unknown"),
    }
