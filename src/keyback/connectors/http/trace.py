"""What `keyback connector test` shows of each call: the request and the answer, with everything secret masked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from keyback.domain.secret import Secret
from keyback.outbound.http import Reply, vendor_text

MASK: Final = "•••"
SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|(?:^|[_-])key|api-?key|accesskey|cookie|session|auth|salt|hash|credential|captcha|verif"
    r"|uuid|sign",
    re.I,
)
MAX_LINES: Final = 200


class Trace:
    """Collects calls while somebody looks; empty otherwise."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, Secret],
        body: Any,
        answer: Reply | str,
        hide: Sequence[Secret],
    ) -> None:
        """Notes one call.

        Args:
            body: as it was sent, before encoding.
            answer: the reply, or in words why there is none.
            hide: secrets that are cut out wherever they stand.
        """
        if len(self.lines) >= MAX_LINES:
            return
        shown = "&".join(f"{k}={_value(k, v)}" for k, v in query.items())
        out = f"{method} /{path}" + (f"?{shown}" if shown else "")
        out += "".join(f" [{name}: {MASK}]" for name in headers)
        out += f" {_json(body)}" if body is not None else ""
        back = answer if isinstance(answer, str) else f"{answer.status} {_answer(answer)}"
        self.lines.append(f"{_clean(out, hide)} → {_clean(back, hide)}")


def _answer(reply: Reply) -> str:
    if 300 <= reply.status < 400 and "location" in reply.headers:  # a query may have tokens in it
        return f"to {reply.headers['location'].partition('?')[0]}"
    body = reply.any_json()
    return _json(body) if body is not None else f"({len(reply.body)} bytes, not JSON)" if reply.body else "(empty)"


def _json(value: Any) -> str:
    return json.dumps(_masked(value, ""), ensure_ascii=False)


def _masked(value: Any, name: str, depth: int = 0) -> Any:
    """A copy without what is named like a secret; long lists show their first two."""
    if depth > 12:
        return "…"
    if isinstance(value, dict):
        return {str(k): _masked(v, str(k), depth + 1) for k, v in list(value.items())[:60]}
    if isinstance(value, list):
        shown = [_masked(v, name, depth + 1) for v in value[:2]]
        return [*shown, f"… {len(value) - 2} more"] if len(value) > 2 else shown
    return _value(name, value)


def _value(name: str, value: Any) -> Any:
    return MASK if SECRET_NAME.search(name) and value not in (None, "", True, False) else value


def _clean(text: str, hide: Sequence[Secret]) -> str:
    for secret in sorted({s.reveal() for s in hide}, key=len, reverse=True):
        for form in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}:
            if len(form) >= 4 or (form and f'"{form}"' in text):
                text = text.replace(form, MASK)
    return _long(text)


def _long(text: str) -> str:
    """As `vendor_text`, but a call may be longer than an error."""
    parts = [vendor_text(text[i : i + 250]) for i in range(0, min(len(text), 1500), 250)]
    return "".join(parts) + ("…" if len(text) > 1500 else "")
