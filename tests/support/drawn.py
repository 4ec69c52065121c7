"""Pages as they are drawn, read back."""

from __future__ import annotations

from html.parser import HTMLParser

from keyback.registry import own_abouts
from keyback.web.ui.page import Page, Shell
from keyback.web.ui.rendering import Renderer

VOID = {"meta", "link", "input", "br", "hr", "img", "path", "circle"}
RENDERER = Renderer(time_zone="Asia/Shanghai", abouts=own_abouts())


class Tree(HTMLParser):
    """Reads a page into a list of (tag, attributes) and checks that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.forms: list[list[tuple[str, dict[str, str]]]] = []
        self.texts: list[str] = []
        self.wrapped: list[bool] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in {tag}: {names}"
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        self.wrapped.append("label" in self.open)
        if tag == "form":
            assert "form" not in self.open
            self.forms.append([("form", values)])
        elif "form" in self.open:
            self.forms[-1].append((tag, values))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def draw(page: Page, shell: Shell) -> str:
    return RENDERER.page(page, shell).decode()
