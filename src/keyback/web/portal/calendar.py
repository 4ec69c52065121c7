"""The end of a hold as a calendar file (RFC 5545), so that nobody has to remember it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.domain.units import HOUR
from keyback.locale import gettext
from keyback.web.portal.pages import CALENDAR_SUMMARY, CALENDAR_WORDS
from keyback.web.portal.view import RecoveryView, held
from keyback.web.ui.context import AppContext, redirect
from keyback.web.ui.routes import get

KEPT: Final = {"content-disposition": 'attachment; filename="keyback-recovery.ics"'}


@get(held)
async def calendar(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/hold.ics`; where nothing is on hold, the recovery's page."""
    until = view.case.hold_of(handle) if view and view.case else 0
    if view is None or not until or until <= view.now:
        return redirect(f"/r/{handle}")
    locale = desk.locale(request)
    summary = gettext(locale, CALENDAR_SUMMARY, company=desk.settings.company.of(locale))
    url = f"{desk.settings.public_url.rstrip('/')}/r/{handle}"
    text = event(handle, view.now, until, summary, gettext(locale, CALENDAR_WORDS), url)
    return Response(text, media_type="text/calendar; charset=utf-8", headers=KEPT)


def event(handle: str, now: int, at: int, summary: str, words: str, url: str) -> bytes:
    """A calendar of one half hour that rings when it begins. It tells no account and opens nothing by itself."""
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Keyback//Account recovery//EN",
        "METHOD:PUBLISH",
        "BEGIN:VEVENT",
        f"UID:{handle}@keyback",
        f"DTSTAMP:{_utc(now)}",
        f"DTSTART:{_utc(at)}",
        f"DTEND:{_utc(at + HOUR // 2)}",
        f"SUMMARY:{_text(summary)}",
        f"DESCRIPTION:{_text(words)}",
        f"URL:{url}",
        "TRANSP:TRANSPARENT",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"DESCRIPTION:{_text(summary)}",
        "TRIGGER:PT0S",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return b"".join(_folded(line) for line in lines)


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", value).replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """At most 75 octets a line, cut between characters (RFC 5545 section 3.1)."""
    out, room = [b""], 75
    for char in line:
        raw = char.encode()
        if len(out[-1]) + len(raw) > room:
            out.append(b" ")
        out[-1] += raw
    return b"\r\n".join(out) + b"\r\n"


ROUTES = [Route("/r/{handle:str}/hold.ics", calendar, methods=["GET"])]
