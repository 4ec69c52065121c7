"""What every route has at hand, and the small things that routes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.known_devices import LENGTH, within
from keyback.application.origin import Origin
from keyback.application.recovery.evidence import Here
from keyback.application.services import Services
from keyback.domain.tokens import token_digest
from keyback.locale import Locale, choose
from keyback.observability import Seldom
from keyback.settings import Settings
from keyback.web.http.access_log import REFUSED
from keyback.web.http.cookies import DEVICE, LANGUAGE, SHOWN, THEME, Cookies
from keyback.web.http.proxies import Proxies
from keyback.web.http.rate_limits import Limiter, What
from keyback.web.ui.page import Page, Shell
from keyback.web.ui.rendering import Renderer

THEMES: Final[Mapping[str, Literal["", "light", "dark"]]] = {"auto": "", "light": "light", "dark": "dark"}


@dataclass(frozen=True)
class AppContext:
    """The parts that routes work with.

    Args:
        extras: what the demo hangs in; empty otherwise.
    """

    services: Services
    settings: Settings
    renderer: Renderer
    limiter: Limiter
    proxies: Proxies
    cookies: Cookies
    seldom: Seldom = field(default_factory=Seldom)
    extras: dict[str, Any] = field(default_factory=dict)

    def locale(self, request: Request) -> Locale:
        """An explicit `?lang=`, else the kept choice, else what the browser asks for."""
        asked = request.query_params.get("lang") if request.scope["query_string"] else None
        wanted = asked or self.cookies.get(request, LANGUAGE)
        return chosen(wanted[:40], request.headers.get("accept-language", "")[:200], self.settings.default_locale)

    def theme(self, request: Request) -> Literal["", "light", "dark"]:
        """An explicit `?theme=`, else the kept choice; empty: as the device is."""
        asked = request.query_params.get("theme", "") if request.scope["query_string"] else ""
        return THEMES[asked] if asked in THEMES else THEMES.get(self.cookies.get(request, THEME), "")

    def origin(self, request: Request) -> Origin:
        source = self.proxies.source(request.scope)
        near = within(source, self.services.policy.known_networks)
        return Origin(source, request.headers.get("user-agent", ""), self.cookies.get(request, DEVICE), near)

    def here(self, request: Request) -> Here:
        """Where an answer comes from, and the rules it is weighed by."""
        return Here(self.origin(request), self.services.policy)

    async def allows(self, what: What, request: Request) -> bool:
        """Counts one request of this network, else of this browser.

        Raises:
            StorageDown: Valkey is away and a secret would be checked.
        """
        source = self.proxies.source(request.scope)
        return await self.limiter.allows(what, source) or await self.has_share(what, request)

    async def has_share(self, what: What, request: Request) -> bool:
        """Counts one request where a network has used up its minute: browsers that somebody signed in with have a share
        of their own, which strangers behind the same address cannot use up (D8).

        Raises:
            StorageDown: as `allows`.
        """
        device = self.cookies.get(request, DEVICE)
        if len(device) != LENGTH:
            return False
        digest = token_digest(device)
        known = await self.services.db.read(lambda tx: bool(tx.devices.owners(digest)))
        return known and await self.limiter.allows_browser(what, digest.hex()[:32])

    def shell(
        self,
        request: Request,
        *,
        step: Any = None,
        path: str = "",
        signed_in_as: str | None = None,
        form_token: str = "",
    ) -> Shell:
        locale = self.locale(request)
        return Shell(
            locale=locale,
            path=path or request.url.path,
            company=self.settings.company.of(locale),
            helpdesk=self.settings.helpdesk.of(locale),
            sender=self.settings.mail.sender,
            step=step,
            demo=self.settings.demo,
            signed_in_as=signed_in_as,
            form_token=form_token,
            of=request.scope.get(SHOWN, ""),
            phones=self.services.numbers.taken,
            theme=self.theme(request),
        )

    def page(
        self, request: Request, model: Page, status: int = 200, *, step: Any = None, path: str = "", **shell: Any
    ) -> Response:
        """The drawn page. A language picked by `?lang=`, and light or dark by `?theme=`, are kept in a
        cookie each."""
        drawn = self.shell(request, step=step, path=path, **shell)
        html = self.renderer.page(model, drawn)
        response = Response(html, status, media_type="text/html; charset=utf-8")
        response.headers["content-language"] = drawn.language.tag
        if "lang" in request.query_params:
            self.cookies.put(response, LANGUAGE, drawn.locale, max_age=365 * 86400)
        if request.query_params.get("theme") in THEMES:
            self.cookies.put(response, THEME, drawn.theme or "auto", max_age=365 * 86400)
        return response


chosen = lru_cache(maxsize=256)(choose)  # (wanted, Accept-Language, default): few of them make most requests


def context_of(request: Request) -> AppContext:
    return request.app.state.desk  # type: ignore[no-any-return]


def note_refusal(request: Request, why: str) -> None:
    """Has the log line of this request say why it was refused, where its status does not (A-16.3.2)."""
    request.scope[REFUSED] = why


def redirect(path: str) -> Response:
    """303 to a clean path of ours."""
    return Response(status_code=303, headers={"location": quote(path, safe="/?=&#~")})
