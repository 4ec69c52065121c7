"""Pages that only show: triage, the two forms, help, privacy, accessibility, and the well-known addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from keyback.application.clock import wall_clock
from keyback.application.recovery import methods
from keyback.application.signin import sessions
from keyback.locale import LOCALES, language
from keyback.web.http.cookies import SESSION
from keyback.web.portal import pages
from keyback.web.ui.context import context_of


async def triage(request: Request) -> Response:
    return context_of(request).page(request, pages.Triage())


async def forgot(request: Request) -> Response:
    desk = context_of(request)
    asked = request.query_params.get("journey", "")
    journey: Any = asked if asked in pages.FORGOT else "password"
    system = request.query_params.get("system", "")
    titles = desk.services.titles
    model = pages.Forgot(tuple(titles.items()), journey, system=system if system in titles else "")
    return desk.page(request, model, step=1)


async def find(request: Request) -> Response:
    return context_of(request).page(request, pages.Find())


async def help_page(request: Request) -> Response:
    desk = context_of(request)
    held = desk.cookies.held(request)
    good = held and desk.cookies.holds(request, desk.services.seals, held[0][0])
    proofs, policy = desk.services.proofs, desk.services.policy
    other_ways = bool(methods.offered(proofs, policy, "mailbox"))
    questions = "security_questions" in proofs and policy.takes("security_questions")
    return desk.page(request, pages.Help(held[0][0] if good else None, other_ways, questions))


async def privacy(request: Request) -> Response:
    return context_of(request).page(request, pages.Privacy())


async def accessibility(request: Request) -> Response:
    return context_of(request).page(request, pages.Accessibility())


async def change_password(request: Request) -> Response:
    """W3C change-password-url: a temporary redirect to where a password is changed (K-1): by whoever is signed in on
    the security center's form, by everybody else with a mail."""
    desk = context_of(request)
    token = desk.cookies.get(request, SESSION)
    inside = bool(token) and await desk.services.db.read(lambda tx: sessions.session_of(tx, token) is not None)
    return RedirectResponse("/account/password" if inside else "/forgot", 302)


async def security_txt(request: Request) -> Response:
    """RFC 9116: whom to tell about a weakness."""
    desk = context_of(request)
    expires = datetime.fromtimestamp(wall_clock() / 1000, UTC).replace(microsecond=0) + timedelta(days=180)
    lines = (
        f"Contact: {desk.services.public_url}/help",
        f"Expires: {expires.isoformat().replace('+00:00', 'Z')}",
        f"Preferred-Languages: {', '.join(language(code).tag for code in LOCALES)}",
        f"Canonical: {desk.services.public_url}/.well-known/security.txt",
    )
    return PlainTextResponse("\n".join(lines) + "\n")


async def static(request: Request) -> Response:
    """A file of the look under its hashed name, to be kept forever."""
    files = context_of(request).renderer.static
    found = files.get(request.path_params["name"])
    if found is None or found.url != request.url.path:
        return Response(status_code=404)
    kept = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    if found.policy:
        kept["content-security-policy"] = found.policy
    return Response(found.body, headers=kept, media_type=found.media_type)


ROUTES = [
    Route("/", triage, methods=["GET"]),
    Route("/forgot", forgot, methods=["GET"]),
    Route("/find", find, methods=["GET"]),
    Route("/help", help_page, methods=["GET"]),
    Route("/privacy", privacy, methods=["GET"]),
    Route("/accessibility", accessibility, methods=["GET"]),
    Route("/.well-known/change-password", change_password, methods=["GET"]),
    Route("/.well-known/security.txt", security_txt, methods=["GET"]),
    Route("/static/{hash:str}/{name:str}", static, methods=["GET"]),
]
