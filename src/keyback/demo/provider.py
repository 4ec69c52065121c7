"""The demo's OpenID provider: everybody of the company can sign in to it, and connect it in the security center."""

from __future__ import annotations

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from keyback.demo.company import PROVIDER, STAFF
from keyback.demo.vendors import Mounted
from keyback.demo.vendors.brands import Brand
from keyback.demo.vendors.passwords import N_
from keyback.demo.vendors.signin import HERE, NO_MATCH, environment
from keyback.locale import choose, gettext, language
from keyback.settings_providers import Provider
from keyback.testing.openid_provider import LoopbackIssuer, Member, Registered
from keyback.web.http.edge import RequestGuard

NAME: Final = "harbour"  # of the section below `[providers]`
PREFIX: Final = f"/demo/{NAME}"
CLIENT: Final = "keyback"
BRAND = Brand(NAME, PROVIDER, "OpenID Connect", "", False, N_("Username"), N_("One sign-in for the whole company."))
FILES: Final = {
    "/look.css": HERE / "static" / "vendor.css",
    "/mark.svg": HERE / "static" / f"{NAME}.svg",
    "/scene.svg": HERE / "static" / f"{NAME}-scene.svg",
}


class HarbourId(LoopbackIssuer):
    """The provider in a look of its own, below the demo's address; its passwords are those that people begin with.

    Args:
        base: the demo's address.
    """

    def __init__(self, base: str) -> None:
        super().__init__(PROVIDER)
        self.issuer, self._secret = f"{base}{PREFIX}", secrets.token_urlsafe(24)
        self.members = {s.username: Member(f"{NAME}-{n:04}", s.password) for n, s in enumerate(STAFF, 1)}
        self.clients = {CLIENT: Registered(self._secret, frozenset({f"{base}/sign-in-with/{NAME}/back"}))}
        self._template = environment().get_template("sign_in.html")

    @property
    def sections(self) -> dict[str, Provider]:
        """What the settings say of it."""
        keys = {"title": PROVIDER, "issuer": self.issuer, "client_id": CLIENT, "client_secret": self._secret}
        return {NAME: Provider.model_validate({**keys, "system": ""})}

    def page(self, request: Request, action: str, wrong: bool) -> str:
        locale = choose(None, request.headers.get("accept-language", ""))
        return self._template.render(
            _=lambda text, **values: gettext(locale, text, **values),
            lang=language(locale).tag,
            other="",
            brand=BRAND,
            base=PREFIX,
            at=action,
            query="",
            stage="both",
            typed="",
            error=NO_MATCH if wrong else "",
            recovery_url="",
            may_cancel=True,
        )


class WithProvider:
    """Puts the provider beside the application. A guard of its own stands before what browsers open, and none before
    `/token`, which only a program calls."""

    def __init__(self, app: ASGIApp, provider: HarbourId, public_url: str) -> None:
        self._app, self._inner = app, Mounted(provider, PREFIX)
        self._guarded = RequestGuard(self._inner, public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(f"{PREFIX}/"):
            await self._app(scope, receive, send)
        elif (file := FILES.get(path.removeprefix(PREFIX))) is not None:
            await FileResponse(file)(scope, receive, send)
        elif path == f"{PREFIX}/token":
            await self._inner(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)
