"""Settings that are still the examples of `keyback init`: they harm nobody, and look odd in people's mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from keyback.settings import LOOPBACK, Settings
from keyback.settings_texts import InLanguages

NOBODYS = re.compile(r"(^|\.)(example\.(com|net|org)|example)$")  # RFC 2606


def left_over(s: Settings) -> Iterator[tuple[str, str, str]]:
    """What nobody has set yet: the setting's name, what is odd about it, and the next step. Nothing in the demo."""
    if s.demo:
        return
    for section, next_ in (
        ("company", "Set it to the company's name: pages and mails begin with it."),
        ("helpdesk", "Say whom people may turn to, and how, such as: the IT desk, extension 4357."),
    ):
        example: InLanguages = Settings.model_fields[section].default
        now: InLanguages = getattr(s, section)
        for code, text in example.given().items():
            if now.given().get(code) == text:
                yield f"{section}.{code}", f'is still "{text}"', next_
    host = urlsplit(s.public_url).hostname or ""
    if host in LOOPBACK:
        yield "public_url", f"is {s.public_url}: links in mails open on this machine only", "Set the https address."
    elif NOBODYS.search(host):
        yield "public_url", f"{host} is a name for examples", "Set the address where people reach Keyback."
    for name, domain in (("mail.host", s.mail.host), ("mail.sender", s.mail.sender.rpartition("@")[2])):
        if NOBODYS.search(domain.strip(".").lower()):
            yield name, f"{domain} is a name for examples", "Set the company's own."
