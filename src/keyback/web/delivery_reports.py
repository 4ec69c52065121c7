"""`POST /api/hooks/bounces`: an email service says what became of our mails, signed as Standard Webhooks have it
(https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp`, and `webhook-signature` over both and the body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, Literal

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.notifications import returned_mail
from keyback.application.ports.returned_mail import ReturnedMail
from keyback.application.ports.storage import Tx
from keyback.channels.mail.delivery_reports import is_final, tokens_in
from keyback.domain.units import MINUTE
from keyback.web.http.problems import problem
from keyback.web.ui.context import context_of, note_refusal

log = structlog.get_logger("keyback.web")
TOLERANCE = 5 * MINUTE
FATES: dict[str, Literal["returned", "arrived"]] = {"email.bounced": "returned", "email.delivered": "arrived"}
SIGNATURES = 10  # in one header, while keys are changed
IGNORED = "ignored"


async def take(request: Request) -> Response:
    """POST `/api/hooks/bounces`."""
    desk = context_of(request)
    key = desk.services.returns.hook_key
    if not key:
        return problem(404, "not_found")
    if not await desk.allows("admin", request):
        note_refusal(request, "too_often")
        return problem(429, "too_often", retry_after=60)
    body = await request.body()
    name, written = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    if not is_signed(key, name, written, body, request.headers.get("webhook-signature", "")):
        note_refusal(request, "bad_signature")
        return problem(401, "bad_signature")
    try:
        said = read(json.loads(body))
    except (ValueError, RecursionError):
        return problem(422, "not_a_report")

    def believe(tx: Tx) -> str:
        if abs(tx.now - int(written) * 1000) > TOLERANCE:
            return "stale"
        seen = f"hook/{hashlib.sha256(name.encode()).hexdigest()[:32]}"
        if tx.counters.add([seen])[seen].total > 1:
            return "seen"
        return "taken" if said is not None and returned_mail.take(tx, [said]) else IGNORED

    outcome = await desk.services.db.write(believe)
    if outcome == "stale":
        note_refusal(request, "stale")
        return problem(401, "stale")
    return JSONResponse({"outcome": outcome})


def is_signed(key: bytes, name: str, written: str, body: bytes, signatures: str) -> bool:
    """Whether one of the signatures is right for this id, instant and body."""
    if not (0 < len(name) <= 256 and name.isascii() and written.isascii() and written.isdigit() and len(written) < 12):
        return False
    right = hmac.digest(key, f"{name}.{written}.".encode() + body, hashlib.sha256)
    found = False
    for entry in signatures.split()[:SIGNATURES]:
        version, _, text = entry.partition(",")
        if version != "v1" or not text.isascii():
            continue
        try:
            found |= hmac.compare_digest(base64.b64decode(text, validate=True), right)
        except ValueError:
            continue
    return found


def read(event: Any) -> ReturnedMail | None:
    """What an event says of a mail; None for one of another kind, or that is not final.

    Raises:
        ValueError: it is no event.
    """
    data = event.get("data") if isinstance(event, dict) else None
    kind = event.get("type") if isinstance(event, dict) else None
    if not isinstance(data, dict) or not isinstance(kind, str):
        raise ValueError("no event")
    texts = {n: v for n in ("message_id", "return_path", "status", "reason") if isinstance(v := data.get(n), str)}
    fate = FATES.get(kind)
    tokens = tuple(dict.fromkeys(t for n in ("message_id", "return_path") for t in tokens_in(texts.get(n, ""))))
    if fate is None or not tokens:
        return None
    status = texts.get("status", "")[:20]
    if fate == "returned" and not is_final(status, texts.get("reason", "")):
        return None
    return ReturnedMail(tokens[:8], fate, status)


ROUTES = [Route("/api/hooks/bounces", take, methods=["POST"])]
