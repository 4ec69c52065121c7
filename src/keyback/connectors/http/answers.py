"""What an answer means: done or not, and if not, which of our codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from keyback.connectors.http import pointers
from keyback.connectors.http.recipe import CHANGING, ErrorRule, Recipe, Request
from keyback.domain.secret import Secret
from keyback.outbound.http import MaybeDone, NotDone, OutboundRefusal, Reply, vendor_text

RETRY_MS: Final = 10_000
BY_STATUS: Final = {401: "auth_expired", 403: "not_permitted", 404: "not_found", 410: "not_found", 423: "locked"}


class WrongPassword(OutboundRefusal):
    """The recipe says that this answer to a sign-in means a wrong password."""


def body_of(recipe: Recipe, name: str, request: Request, reply: Reply, host: str, hide: Sequence[Secret]) -> Any:
    """The JSON of an answer that means done; None for one without a body that needs none.

    Args:
        name: of the request, such as `set`.
        host: of the system, with its port if that is an unusual one.
        hide: what must not show in the system's words.

    Raises:
        OutboundRefusal: the system said no; `WrongPassword` where it says just that.
        NotDone: it wants us to come later.
        MaybeDone: the answer is no answer: nobody knows.
    """
    body = reply.any_json()
    code = pointers.text_at(body, recipe.answers.code)
    words = [reply.headers.get(recipe.answers.text_header.lower(), "")]
    words.append(next(filter(None, (pointers.text_at(body, p) for p in recipe.answers.text)), ""))
    said = vendor_text(" ".join(filter(None, words)), *hide)
    rule = _rule(recipe, name, reply, host, code, said)
    if not _good(recipe, request, reply, host, code):
        if rule is None and reply.status in {408, 425, 429}:
            raise NotDone("unavailable", f"HTTP {reply.status}", reply.retry_after_ms(RETRY_MS))
        if rule is None and name == "sign_in" and request.location is not None and reply.status < 400:
            raise OutboundRefusal("auth_expired", _not_in(reply, request.location))
        if rule is None and (reply.status >= 500 or 300 <= reply.status < 400):
            raise _of_status(name, reply)
        if rule is None and body is None and reply.status not in BY_STATUS:
            raise _broken(name, f"the answer is not what the recipe expects (HTTP {reply.status})")
        _refuse(rule, name, reply, code, said)
    if request.of_pages:
        return None
    if body is None and (request.items or request.item or request.read or request.ok or reply.body.strip()):
        raise _broken(name, f"the answer is not JSON (HTTP {reply.status})")
    return body


def _good(recipe: Recipe, request: Request, reply: Reply, host: str, code: str | None) -> bool:
    status = reply.status
    if request.location is not None:
        return _leads_to(reply, host, request.location)
    if status not in request.status if request.status is not None else not 200 <= status < 300:
        return False
    if recipe.answers.code is None or request.of_pages:
        return True
    done = {pointers.as_text(d) for d in (recipe.answers.done if request.done is None else request.done)}
    return code in done if done else code in {None, "", "false"}


def _not_in(reply: Reply, wanted: str) -> str:
    """Where a sign-in by a form led in place of the page that the recipe names; a query may have anything in it."""
    to = reply.headers.get("location", "").partition("?")[0] if reply.status >= 300 else ""
    return vendor_text(f"it leads to {to}, not to {wanted}" if to else f"it shows a page (HTTP {reply.status})")


def _leads_to(reply: Reply, host: str, wanted: str) -> bool:
    """Whether a redirect leads to this path of the same host, or below it; to / where just that is wanted."""
    if not 300 <= reply.status < 400:
        return False
    try:
        to = urlsplit(reply.headers.get("location", ""))
    except ValueError:
        return False
    path = urljoin("/", to.path) or "/"
    if to.netloc and to.netloc.casefold() != host.casefold():
        return False
    return path == wanted or (wanted != "/" and path.startswith(wanted.rstrip("/") + "/"))


def _rule(recipe: Recipe, name: str, reply: Reply, host: str, code: str | None, said: str) -> ErrorRule | None:
    for rule in recipe.errors:
        if (
            (rule.on is None or name in rule.on)
            and (rule.status is None or reply.status in rule.status)
            and (rule.location is None or _leads_to(reply, host, rule.location))
            and (rule.code is None or code in {pointers.as_text(c) for c in rule.code})
            and (rule.text is None or any(t.casefold() in said.casefold() for t in rule.text))
        ):
            return rule
    return None


def _refuse(rule: ErrorRule | None, name: str, reply: Reply, code: str | None, said: str) -> None:
    means = rule.means if rule else BY_STATUS.get(reply.status, "not_permitted")
    said = vendor_text(rule.says) if rule and rule.says else said
    if not said and means != "policy_rejected":  # that is shown to people, who can do nothing with a number
        said = vendor_text(f"HTTP {reply.status}" + (f", code {code}" if code else ""))
    if means == "unavailable":
        raise NotDone("unavailable", said, reply.retry_after_ms(RETRY_MS))
    if means == "uncertain":
        raise _broken(name, said)
    if means == "wrong_password":
        raise WrongPassword("not_permitted", said)
    raise OutboundRefusal(means, said)


def _broken(name: str, text: str) -> NotDone | MaybeDone:
    """Nothing can have changed by a call that only reads."""
    return MaybeDone("unavailable", text) if name in CHANGING else NotDone("unavailable", text)


def _of_status(name: str, reply: Reply) -> NotDone | MaybeDone:
    """A redirect or a fault of the server's that no rule is about, taken as in every call of ours; but many answer with
    a redirect to a form that they took."""
    wait = reply.retry_after_ms(0)
    not_done = reply.status in {501, 503} or (reply.status < 400 and name not in CHANGING)
    if not_done or name not in CHANGING:
        return NotDone("unavailable", f"HTTP {reply.status}", wait, reply.status)
    return MaybeDone("unavailable", f"HTTP {reply.status}")


def items_of(request: Request, body: Any) -> list[Any]:
    """The list in an answer. Raises `NotDone` where there is none."""
    found = pointers.unwrapped(pointers.find_one(body, request.items or ""))
    if isinstance(found, list):
        return found
    if found is None and isinstance(body, dict | list):  # some leave an empty list out
        return []
    raise NotDone("unavailable", "unexpected answer: no list where the recipe points")
