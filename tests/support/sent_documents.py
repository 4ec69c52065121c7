"""A recovery that comes to an identity document, and what operators do with it; needs the extra `evidence`."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from keyback.application.recovery.start import Started
from keyback.domain.operators.documents import CHECKS
from tests.support.browser import Browser
from tests.support.console import URL, Console, Staff, staffed
from tests.support.enrolled import add_contact, add_totp
from tests.support.kit import Kit
from tests.support.steps import HERE, accept, ask, drain, secrets_of

Image = pytest.importorskip("PIL.Image", reason="the extra evidence")
Make = Callable[..., Kit]
ALL = [("checks", c) for c in CHECKS]


def desk(make_kit: Make, url: str | None = None, **over: Any) -> Staff:
    """Omar signs in with an app that he has lost, and has a second address on record."""
    staff = staffed(make_kit(url=url, public_url=URL, documents={"assessment": "a file of the company"}, **over))
    add_totp(staff.kit, "omar")
    add_contact(staff.kit, "mail", "omar@home.example", "backup", "omar")
    staff.kit.clock.forward(hours=73)
    return staff


def photo(shade: int = 200, **more: Any) -> bytes:
    image = Image.new("RGB", (640, 400), (shade, 200, 210))
    image.paste((20, 90, 80), (40, 40, 200, 200))
    out = io.BytesIO()
    image.save(out, "JPEG", **more)
    return out.getvalue()


def upload(browser: Browser, at: str, data: bytes, name: str = "picture") -> httpx2.Response:
    head = (
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"; filename="../../etc/x.svg"\r\nContent-Type: text/html'
    )
    body = head.encode() + b"\r\n\r\n" + data + b"\r\n--xyz--\r\n"

    async def go() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=browser.app, client=(HERE.source, 40000))
        headers = {
            "cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items()),
            "origin": URL,
            "content-type": "multipart/form-data; boundary=xyz",
        }
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as http:
            return await http.post(f"{at}/image", headers=headers, content=body)

    return browser.kit.run(go())  # type: ignore[no-any-return]


def begun(staff: Staff) -> tuple[Started, Browser, str]:
    """Omar has opened the link in his mail, which is not enough."""
    kit = staff.kit
    started = ask(kit, "omar")
    drain(kit)
    assert accept(kit, secrets_of(staff.tray.to("omar@example.com")[-1])[0]) is None
    return started, Browser(kit, started), f"/r/{started.handle}/document"


def sent(staff: Staff, data: bytes | None = None) -> tuple[Started, Browser, str, str]:
    """The same with a document on its way; its id."""
    started, browser, at = begun(staff)
    assert browser("POST", at, urlencode({"kind": "id_card", "agree": "yes"})).headers["location"] == at
    assert upload(browser, at, data or photo()).headers["location"] == at
    assert browser("POST", f"{at}/send", "act=send").headers["location"] == at
    found = staff.kit.read(lambda tx: tx.documents.of_page(started.handle))
    return started, browser, at, found.id


def looks(console: Console, document: str) -> str:
    """An operator takes it and sees the page."""
    at = f"/console/documents/{document}"
    console.confirm()
    assert console.post(f"{at}/take").headers["location"] == at
    return console.get(at).text


def says(console: Console, document: str, verdict: str) -> httpx2.Response:
    console.confirm()
    return console("POST", f"/console/documents/{document}/answer", urlencode([("verdict", verdict), *ALL]))
