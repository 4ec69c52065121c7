"""A browser without the network between: links that were mailed, and pages that lie open."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2

from keyback.application.recovery import mailed_link
from keyback.application.recovery.start import Started
from keyback.web.app import make_app, make_context
from tests.support.kit import Kit
from tests.support.live import drawn_for
from tests.support.steps import (
    HERE,
    Tray,
    drain,
    secrets_of,
)

HIDDEN = re.compile(r'<input type="hidden" name="(of|own)" value="([^"]*)">')
NAMED = re.compile(r"[?&](of)=([\w-]+)")
OF_LINKS = ("/link/", "/stop", "/vouch", "/invited", "/wasnt-me", "/new-address")


class Browser:
    """A browser with cookies of its own, without the network between."""

    def __init__(self, kit: Kit, *held: Started) -> None:
        self.kit, self.app = kit, make_app(make_context(kit.settings, kit.services))
        self.cookies = {"keyback-recovery": "~".join(f"{s.handle}.{s.secret}" for s in held)} if held else {}
        self.hidden: dict[str, str] = {}  # of the link that was shown last

    def __call__(self, method: str, path: str, body: str = "") -> httpx2.Response:
        if method == "POST" and path.startswith(OF_LINKS):
            names = ("of", "own") if path == "/link/fetch" else ("of",)
            sent = [f"{n}={self.hidden[n]}" for n in names if n in self.hidden and f"{n}=" not in body]
            body = "&".join([*([body] if body else []), *sent])

        async def go() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app, client=(HERE.source, 40000))
            headers = {"cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
            sent = body
            if method == "POST":
                whose = drawn_for(path, headers["cookie"], None)
                sent = "&".join(filter(None, (body, urlencode(whose or {}))))
                headers["origin"] = self.kit.settings.public_url
                headers["content-type"] = "application/x-www-form-urlencoded"
            async with httpx2.AsyncClient(transport=transport, base_url=self.kit.settings.public_url) as http:
                return await http.request(method, path, headers=headers, content=sent.encode())

        got: httpx2.Response = self.kit.run(go())
        for line in got.headers.get_list("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        found = [*HIDDEN.findall(got.text), *NAMED.findall(got.headers.get("location", ""))]
        self.hidden |= dict(found)
        return got

    def open(self, token: str) -> httpx2.Response:
        return self("GET", self("GET", f"/l/{token}").headers["location"])


def mailed(kit: Kit, tray: Tray, handle: str) -> str:
    """The link's token of the last mail, which has to be of this request."""
    drain(kit)
    token = secrets_of(tray.messages[-1])[0]
    assert kit.read(lambda tx: mailed_link.look_at_link(tx, token)).handle == handle
    return token


def call(kit: Kit, app: Any, method: str, path: str, **more: Any) -> httpx2.Response:
    async def go() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app, client=(HERE.source, 40000))
        async with httpx2.AsyncClient(transport=transport, base_url=kit.settings.public_url) as http:
            if method == "POST" and "content" not in more:
                more["data"] = drawn_for(path, (more.get("headers") or {}).get("cookie", ""), more.get("data"))
            return await http.request(method, path, **more)

    return kit.run(go())  # type: ignore[no-any-return]


FORM = re.compile(r'<form [^>]*method="post" action="([^"]+)"[^>]*>(.*?)</form>', re.S)
INPUT = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@dataclass
class Tab:
    """A page as it lies open: its text and its forms, whatever happens in other tabs."""

    browser: Browser
    text: str
    at: str
    forms: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.forms = {a: {k: html.unescape(v) for k, v in INPUT.findall(f)} for a, f in FORM.findall(self.text)}

    def press(self, action: str, **typed: str) -> object:
        drawn = {k: v for k, v in self.forms[action].items() if k != "form_token"}  # which the browser puts in
        return self.browser("POST", action, urlencode({**drawn, **typed}))

    def follow(self, path: str) -> Tab:
        """The page behind a link of this one, in the same tab."""
        at = re.search(rf'<a [^>]*href="({re.escape(path)}\?[^"]*)"', self.text)
        assert at, path
        return Tab(self.browser, self.browser("GET", html.unescape(at[1])).text, at[1])


def opened(browser: Browser, token: str) -> Tab:
    at = browser("GET", f"/l/{token}").headers["location"]
    return Tab(browser, browser("GET", at).text, at)


def submit(browser: Browser, at: str, password: str) -> httpx2.Response:
    """Sends it by the form of the page."""
    page = browser("GET", f"{at}?again=1").text
    fields = re.findall(r'name="(submission|accounts)" value="([^"]+)"', page)
    assert fields, page
    sent = [*fields, ("new_password", password)]
    return browser("POST", f"{at}/password", urlencode(sent))


def choose(kit: Kit, browser: Browser, at: str, password: str) -> str:
    """Chooses it on the page, lets the worker work, and gives what the page says then."""
    submit(browser, at, password)
    drain(kit)
    return html.unescape(browser("GET", at).text)
