"""An OpenID provider beside a Keyback, and a browser that signs in there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from keyback.application.signin.sessions import SignedIn
from keyback.testing.openid_provider import LoopbackIssuer, Member, Registered
from keyback.testing.serving import served
from tests.support.browser import Browser
from tests.support.kit import Kit
from tests.support.steps import OLD, ask, drain, set_password, sign_in

CLIENT, SECRET = "keyback+1", "s3cret: of & client"
WAY = "provider_sign_in"
BACK = "http://127.0.0.1:8080/sign-in-with/{name}/back"


@dataclass
class Provider:
    """A provider that runs, and the settings section that names it."""

    issuer: LoopbackIssuer
    name: str

    def section(self, **over: Any) -> dict[str, dict[str, Any]]:
        keys = {"title": "Sales CRM", "issuer": self.issuer.issuer, "client_id": CLIENT, "client_secret": SECRET}
        return {self.name: {**keys, "system": "", "timeout_s": 20, **over}}


@contextmanager
def provider(name: str = "crm") -> Iterator[Provider]:
    issuer = LoopbackIssuer("Sales CRM")
    with served(issuer) as issuer.issuer:
        issuer.members |= {
            "maya": Member("0055g00000Maya1", "maya's"),
            "omar": Member("0055g00000Omar1", "omar's"),
            "rosa": Member("0055g00000Maya1", "maya's", amr=("pwd", "mfa")),  # maya, with a second factor
        }
        issuer.clients[CLIENT] = Registered(SECRET, frozenset({BACK.format(name=name)}))
        yield Provider(issuer, name)


def at_home(kit: Kit, who: str = "maya") -> Browser:
    """A browser that has just signed in to the security center."""
    set_password(kit, who)
    done = sign_in(kit, who, OLD)
    assert isinstance(done, SignedIn), done
    browser = Browser(kit)
    browser.cookies["keyback-session"] = done.token
    return browser


def returns(browser: Browser, there: Provider, leave: str, member: str) -> str:
    """Follows our link to the provider, signs in, and comes back; where that leads."""
    left = browser("GET", leave)
    assert left.status_code == 303, left.text
    return comes_back(browser, there.issuer.sign_in(left.headers["location"], member))


def comes_back(browser: Browser, address: str) -> str:
    parts = urlsplit(address)
    got = browser("GET", f"{parts.path}?{parts.query}")
    return got.headers.get("location", str(got.status_code))


def bind(browser: Browser, there: Provider, member: str = "maya") -> str:
    """Connects the provider in the security center; where that leads."""
    ready = browser("POST", "/account/providers", f"provider={there.name}").headers["location"]
    assert "Continue to Sales CRM" in browser("GET", ready).text
    return returns(browser, there, f"{ready}/go", member)


def bound(kit: Kit, there: Provider, member: str = "maya", who: str = "maya") -> None:
    """Connected, and long enough ago to recover."""
    assert bind(at_home(kit, who), there, member) == "/account/ways?done=provider_added"
    kit.clock.forward(hours=73)


def begun(kit: Kit, who: str = "maya") -> tuple[Browser, str]:
    """A recovery whose page waits for the sign-in."""
    started = ask(kit, who)
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    assert browser("POST", f"{at}/ways/{WAY}").headers["location"] == f"{at}/ways/{WAY}"
    drain(kit)
    return browser, at
