"""A browser on the pages of a real LemonLDAP::NG."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx2

from keyback.testing.lemonldap_server import CODE

FORM, INPUT = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL), re.compile(r"<input\b[^>]*>")


class Portal:
    """A browser on LemonLDAP::NG's own pages, with cookies of its own."""

    def __init__(self) -> None:
        self.http = httpx2.Client(trust_env=False, timeout=30)
        self.pages: list[str] = []

    def sign_in(self, address: str, who: str, code: str = CODE) -> str:
        """Follows `address`, answers each form, and gives where the browser is sent back to: the first redirect to
        another host or port."""
        home = urlsplit(address).netloc
        answers = {"user": who, "password": who, "code": code}
        reply = self.http.get(address)
        for _ in range(10):
            to = reply.headers.get("location", "")
            if urlsplit(to).netloc not in ("", home):
                return to
            if to:
                reply = self.http.get(urljoin(str(reply.url), to))
                continue
            self.pages.append(reply.text)
            action, fields = _form(reply.text)
            if not fields:
                break
            at = str(reply.url) if action in ("", "#") else urljoin(str(reply.url), action)
            reply = self.http.post(at, data={**fields, **{k: v for k, v in answers.items() if k in fields}})
        raise AssertionError(f"the portal leads nowhere: {reply.status_code} {reply.url}")


def _form(page: str) -> tuple[str, dict[str, str]]:
    found = FORM.search(page)
    if found is None:
        return "", {}
    inputs = INPUT.findall(found[2])
    return _attribute(found[1], "action"), {_attribute(i, "name"): _attribute(i, "value") for i in inputs}


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""
