"""Every page in every state, as the gallery draws them, in a browser, without a server: all of them are quick."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Route

from keyback.locale import languages
from keyback.registry import own_abouts
from keyback.web.ui.rendering import Renderer
from tests.support import gallery

HOST = "https://samples.example.com"
RENDERER = Renderer(time_zone="Asia/Shanghai", abouts=own_abouts())
STATIC = {f.url: f for f in RENDERER.static.values()}


@cache
def drawn(locale: str) -> dict[str, bytes]:
    return {name: RENDERER.page(page, shell) for name, page, shell in gallery.samples(locale)}  # type: ignore[arg-type]


def serve(context: BrowserContext) -> None:
    """Answers for `HOST`: `/en/NAME`, `/zh_TW/NAME` … and static files; whatever else a page asks for is not there."""

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        _, locale, name = path.split("/", 2) if path.count("/") > 1 else ("", "", "")
        if path in STATIC:
            route.fulfill(body=STATIC[path].body, content_type=STATIC[path].media_type)
        elif locale in languages.LANGUAGES and name in drawn(locale):
            route.fulfill(body=drawn(locale)[name], content_type="text/html; charset=utf-8")
        else:
            route.fulfill(status=404)

    context.route("**/*", answer)


def show(page: Page, name: str, locale: str = "en") -> None:
    page.goto(f"{HOST}/{locale}/{name}")


def walk(page: Page, locale: str, names: list[str] | None = None) -> Iterator[str]:
    """Goes to each sample in turn; its name."""
    for name in names or drawn(locale):
        show(page, name, locale)
        yield name
