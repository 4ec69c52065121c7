"""What composers of mails and of short messages share: whose company, which zone, and which links are ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from keyback.application.ports.messages import BadMessage, MessageKind
from keyback.channels.sanitize import URL
from keyback.domain.secret import Secret
from keyback.locale import LOCALES, language, with_all
from keyback.locale.languages import SOURCE

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Composer:
    """Makes texts out of messages. Safe to use from several threads.

    Args:
        company: the company's name by locale.
        timezone: IANA name; all times are shown in it.
        public_url: base of every link of ours; https, or http on loopback only.

    Raises:
        ValueError: no company, an unknown zone, a bad address.
    """

    def __init__(self, company: Mapping[str, str], timezone: str, public_url: str) -> None:
        if not company.get(SOURCE):
            raise ValueError("the company needs a name in English, which stands in for other languages")
        try:
            self.zone = ZoneInfo(timezone)
        except (KeyError, OSError) as e:
            raise ValueError(f"unknown time zone {timezone[:64]!r}") from e
        self.base = public_url.rstrip("/")
        self.host = urlsplit(self.base).hostname or "" if URL.match(self.base) else ""
        if not self.host or not (self.base.startswith("https:") or self.host in LOOPBACK):
            raise ValueError("public_url must be https, or http on loopback")
        self.company = with_all(company)

    def own(self, url: Secret | str | None) -> str:
        """A link of ours; built from `public_url` or not sent at all.

        Raises:
            BadMessage: it is missing, or leads elsewhere.
        """
        url = url.reveal() if isinstance(url, Secret) else url
        if not url or not url.startswith(self.base + "/") or not URL.match(url):
            raise BadMessage("a link is missing, or does not start with public_url")
        return url


def locale_of(wanted: str) -> str:
    """A language that there are texts in."""
    return next(code for code in language(wanted).chain if code in LOCALES)


def digits(code: Secret | None, length: int) -> str:
    """A code of so many digits.

    Raises:
        BadMessage: it is missing, or none.
    """
    found = code.reveal() if code else ""
    if not (len(found) == length and found.isascii() and found.isdigit()):
        raise BadMessage(f"the code is not {length} digits")
    return found


@contextmanager
def composing(kind: MessageKind) -> Iterator[None]:
    """Whatever a message is not made for ends as `BadMessage`, which names no value: one never holds up the others."""
    try:
        yield
    except BadMessage:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, OSError):
        raise BadMessage(f"a field of the {kind} message is missing or of another type") from None
