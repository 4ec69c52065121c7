"""Pages that exist in the demo only: its people, their mailbox, phones and authenticator apps, and the demo CRM
under the same address."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from keyback.domain.units import MINUTE
from keyback.locale import gettext
from keyback.testing.demo_crm import DemoCrm
from keyback.testing.mailbox import Mailbox
from keyback.testing.phone import Phone
from keyback.web.demo.pages import (
    DemoApp,
    DemoAuthenticator,
    DemoCodes,
    DemoHome,
    DemoMailbox,
    DemoMessage,
    DemoPasskey,
    DemoPerson,
    DemoPhone,
    DemoText,
)
from keyback.web.http.edge import CSP, RequestGuard
from keyback.web.ui.context import context_of, redirect
from keyback.web.ui.forms import read_form

CRM = "/demo/crm"
ANCHOR = re.compile(r'<a\b[^>]*?href="([^"]+)"[^>]*>(.*?)</a>', re.S)
TAG = re.compile(r"<[^>]+>")
SANDBOX = "allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
MAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    f"frame-ancestors 'self'; sandbox {SANDBOX}"
)
"""For a mail in its frame: it is drawn, and its links lead the whole window on. Nothing in it runs."""
SLOW_S = 4.0
FIELDS = ("id", "at", "to", "subject", "text", "links", "codes")
TEXT_FIELDS = ("id", "at", "to", "channel", "text", "codes")


@dataclass(frozen=True, slots=True)
class Shown:
    """One invented person, password and all. `hint` is a message id or empty."""

    name: str
    locale: str
    identifiers: Sequence[str]
    systems: Sequence[str]
    tier: str
    enrolled: Sequence[str]
    password: str
    hint: str = ""


class Time(Protocol):
    """The demo's time; see `demo.clock`."""

    ahead: int

    def __call__(self) -> int: ...

    def pass_by(self, ms: int) -> None: ...


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """What the demo's pages show and switch.

    Args:
        titles: system name to what people call it.
        enrolled: what authenticator apps show now, and the recovery codes that people put away.
        passkeys: with their private keys, for browsers that a program drives.
        clock: the demo's time, which its visitors may set ahead.
        catch_up: does at once what the worker does every few seconds when time has come.
        clouds: names of the stand-ins of vendors, with the path of their sign-in pages below `/demo/`.
    """

    people: Sequence[Shown]
    mailbox: Mailbox
    phone: Phone
    crm: DemoCrm
    titles: Mapping[str, str]
    enrolled: Callable[[], Awaitable[tuple[tuple[DemoApp, ...], tuple[DemoCodes, ...]]]]
    passkeys: tuple[DemoPasskey, ...]
    clock: Time
    catch_up: Callable[[], Awaitable[object]]
    clouds: Sequence[tuple[str, str]] = ()


class WithCrm:
    """Puts the demo CRM beside the application, behind a front of its own, since its API is called by a program.

    Args:
        app: the application.
        crm: answers below `/demo/crm/`, except for the toggle, which is a page of ours.
        public_url: as for the application.
    """

    def __init__(self, app: ASGIApp, crm: ASGIApp, public_url: str) -> None:
        self._app = app
        self._crm = RequestGuard(crm, public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(f"{CRM}/") and path != f"{CRM}/toggle":
            inner = path.removeprefix(CRM)
            await self._crm({**scope, "path": inner, "raw_path": inner.encode()}, receive, send)
        else:
            await self._app(scope, receive, send)


def demo_routes(world: DemoWorld) -> list[BaseRoute]:
    """Routes for `make_app(more=…)`."""

    async def home(request: Request) -> Response:
        desk = context_of(request)
        locale = desk.locale(request)
        people = tuple(
            DemoPerson(
                name=p.name,
                identifiers=tuple(p.identifiers),
                systems=tuple(world.titles.get(s, s) for s in p.systems),
                tier=p.tier,
                password=p.password,
                hint=gettext(locale, p.hint) if p.hint else "",
            )
            for p in world.people
        )
        named = not _is_address(urlsplit(desk.settings.public_url).hostname or "")
        now, ahead = world.clock(), world.clock.ahead > 0
        slow, broken, clouds = world.crm.slow > 0, bool(world.crm.broken), tuple(world.clouds)
        return desk.page(request, DemoHome(people, slow, broken, named, now, ahead, clouds))

    async def people_json(request: Request) -> Response:
        return JSONResponse([_person(p) for p in world.people])

    async def mailbox(request: Request) -> Response:
        newest_first = world.mailbox.messages()[::-1]
        messages = tuple(
            DemoMessage(**_message(m, tuple), labels=_labels(m["html"]), framed=bool(m["html"])) for m in newest_first
        )
        answer = context_of(request).page(request, DemoMailbox(messages, messages[0].id if messages else "0"))
        answer.headers["content-security-policy"] = f"{CSP}; frame-src 'self'"
        return answer

    async def mail_view(request: Request) -> Response:
        wanted = request.path_params["id"]
        found = next((m for m in world.mailbox.messages() if m["id"] == wanted and m["html"]), None)
        if found is None:
            raise HTTPException(404)
        headers = {"content-security-policy": MAIL_CSP, "x-frame-options": "SAMEORIGIN"}
        return HTMLResponse('<base target="_top">' + found["html"], headers=headers)

    async def mailbox_json(request: Request) -> Response:
        return JSONResponse([_message(m, list) for m in world.mailbox.messages()])

    async def mailbox_status(request: Request) -> Response:
        messages = world.mailbox.messages()
        return JSONResponse({"version": messages[-1]["id"] if messages else "0"})

    async def phone(request: Request) -> Response:
        newest_first = list(world.phone.messages)[::-1]
        messages = tuple(
            DemoText(**{f: m[f] for f in TEXT_FIELDS} | {"codes": tuple(m["codes"])}) for m in newest_first
        )
        return context_of(request).page(request, DemoPhone(messages, messages[0].id if messages else "0"))

    async def phone_json(request: Request) -> Response:
        return JSONResponse([{f: m[f] for f in TEXT_FIELDS} for m in list(world.phone.messages)])

    async def phone_status(request: Request) -> Response:
        messages = list(world.phone.messages)
        return JSONResponse({"version": messages[-1]["id"] if messages else "0"})

    async def authenticator(request: Request) -> Response:
        apps, codes = await world.enrolled()
        return context_of(request).page(request, DemoAuthenticator(apps, codes, _version(apps, codes), world.passkeys))

    async def authenticator_json(request: Request) -> Response:
        apps, codes = await world.enrolled()
        saved = [
            {"name": c.name, "username": c.username, "codes": [{"code": code, "used": used} for code, used in c.codes]}
            for c in codes
        ]
        passkeys = [asdict(p) for p in world.passkeys]
        return JSONResponse({"apps": [asdict(a) for a in apps], "recovery_codes": saved, "passkeys": passkeys})

    async def authenticator_status(request: Request) -> Response:
        return JSONResponse({"version": _version(*await world.enrolled())})

    async def toggle(request: Request) -> Response:
        values = await read_form(request, "slow", "broken")
        world.crm.slow = SLOW_S if values["slow"] == "1" else 0.0
        world.crm.broken = "refuse" if values["broken"] == "1" else ""
        return redirect("/demo")

    async def clock(request: Request) -> Response:
        minutes = (await read_form(request, "minutes"))["minutes"]
        if minutes.isascii() and minutes.isdecimal():
            world.clock.pass_by(int(minutes[:6]) * MINUTE)
            await world.catch_up()
        return redirect("/demo")

    return [
        Route("/demo", home, methods=["GET"]),
        Route("/demo/people.json", people_json, methods=["GET"]),
        Route("/demo/mailbox", mailbox, methods=["GET"]),
        Route("/demo/mailbox.json", mailbox_json, methods=["GET"]),
        Route("/demo/mailbox/status", mailbox_status, methods=["GET"]),
        Route("/demo/mailbox/{id}/view", mail_view, methods=["GET"]),
        Route("/demo/phone", phone, methods=["GET"]),
        Route("/demo/phone.json", phone_json, methods=["GET"]),
        Route("/demo/phone/status", phone_status, methods=["GET"]),
        Route("/demo/authenticator", authenticator, methods=["GET"]),
        Route("/demo/authenticator.json", authenticator_json, methods=["GET"]),
        Route("/demo/authenticator/status", authenticator_status, methods=["GET"]),
        Route(f"{CRM}/toggle", toggle, methods=["POST"]),
        Route("/demo/clock", clock, methods=["POST"]),
    ]


def _person(p: Shown) -> dict[str, Any]:
    return {
        "name": p.name,
        "locale": p.locale,
        "identifiers": list(p.identifiers),
        "systems": list(p.systems),
        "tier": p.tier,
        "enrolled": list(p.enrolled),
        "password": p.password,
    }


def _message(m: Mapping[str, Any], sequence: type[Iterable[str]]) -> dict[str, Any]:
    return {f: sequence(m[f]) if f in ("links", "codes") else m[f] for f in FIELDS}  # type: ignore[call-arg]


def _labels(page: str) -> tuple[tuple[str, str], ...]:
    """(address, words) of the links of a mail."""
    found = ((html.unescape(a), " ".join(html.unescape(TAG.sub("", b)).split())) for a, b in ANCHOR.findall(page))
    return tuple((a, b) for a, b in found if b and b != a)


def _version(apps: Sequence[DemoApp], codes: Sequence[DemoCodes]) -> str:
    """Another one whenever the page would look different."""
    seen = [(a.username, a.code, a.used, a.pending) for a in apps], [c.codes for c in codes]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
