"""What goes to a phone: short texts in two languages, by SMS or as a message of a chat service.

Facts by kind (`Secret` where named so, instants in ms):
    sms_code, im_code  code: Secret (6 digits), expires_at, purpose: recovery | enrol | step_up | sign_in
    changed            at, help_url, stop_link: Secret where the reader can lock the account
    stopped            at
    hold               until, stop_link: Secret, over: whether the wait is over
    asked              at, stop_link: Secret
    account_changed    at, account_url, stop_link: Secret where the reader can lock the account

No name and no user name is in them: a phone lies on the table. The last line of an SMS with a code binds it to our
address, so that phones fill it in there and nowhere else (WICG, "Origin-bound one-time codes delivered via SMS").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from keyback.application.ports.channels import BadMessage, Message, MessageKind
from keyback.channels.sanitize import URL
from keyback.domain.people.phone import is_e164
from keyback.domain.secret import Secret
from keyback.locale import LOCALES, gettext
from keyback.locale.dates import moment

# How chat services name their people. They read `@all`, `a|b` and `a,b` as more than one person.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """One message, ready for a gateway.

    Args:
        id: stable over retries; gateways that can drop repeats get it.
        channel: `sms` or `im`.
        to: E.164, or the id by which the chat service knows the person.
        params: what the text is made of, in order, for gateways that want registered templates.
        expires_at: ms; of no use after it.
    """

    id: str
    channel: str
    to: str = field(repr=False)
    kind: str
    locale: str
    text: str = field(repr=False)
    params: Mapping[str, str] = field(repr=False)
    expires_at: int


class PhoneTexts:
    """Makes short messages out of letters. Safe to use from several threads.

    Args:
        company: the company's name by locale.
        timezone: IANA name; times are shown in it.
        public_url: base of every link of ours; its host stands in the last line of a code.

    Raises:
        ValueError: a language without company.
    """

    def __init__(self, company: Mapping[str, str], timezone: str, public_url: str) -> None:
        if not all(company.get(locale) for locale in LOCALES):
            raise ValueError("the company needs a name in both languages")
        self._company, self._zone, self._base = company, ZoneInfo(timezone), public_url.rstrip("/")
        self._host = urlsplit(public_url).hostname or ""
        self._tell: dict[MessageKind, Callable[[Message, int, str], tuple[str, dict[str, str]]]] = {
            MessageKind.SMS_CODE: self._code,
            MessageKind.IM_CODE: self._code,
            MessageKind.CHANGED: self._changed,
            MessageKind.STOPPED: self._stopped,
            MessageKind.HOLD: self._hold,
            MessageKind.ASKED: self._asked_for,
            MessageKind.ACCOUNT_CHANGED: self._account_changed,
        }

    def compose(self, letter: Message, now: int) -> ShortMessage:
        """The message of a letter.

        Args:
            now: ms; a code's text says how long it still works.

        Raises:
            BadLetter: the address or a fact is missing or not what it must be, or phones are not told of this kind.
        """
        _address(letter)
        locale = letter.locale if letter.locale in LOCALES else "en"
        tell = self._tell.get(letter.kind)
        if tell is None or (letter.kind, letter.channel) in {
            (MessageKind.SMS_CODE, "im"),
            (MessageKind.IM_CODE, "sms"),
        }:
            raise BadMessage(f"{letter.channel} carries no {letter.kind}")
        try:
            text, params = tell(letter, now, locale)
        except (KeyError, TypeError, AttributeError, OverflowError, OSError):
            raise BadMessage(f"a fact of the {letter.kind} message is missing or of another type") from None
        return ShortMessage(letter.id, letter.channel, letter.to, letter.kind, locale, text, params, letter.expires_at)

    def _code(self, letter: Message, now: int, locale: str) -> tuple[str, dict[str, str]]:
        f, company = letter.facts, self._company[locale]
        code, until = _secret(f["code"]), f["expires_at"]
        if not (len(code) == 6 and code.isascii() and code.isdigit()):
            raise BadMessage("the code is not six digits")
        if not isinstance(until, int):
            raise TypeError
        # Rounded up: what is sent again within the same minute reads the same, and chat services drop equal repeats.
        shown: dict[str, str] = {"code": code, "minutes": str(max(1, -((now - until) // 60_000)))}

        def _(text: str) -> str:
            return gettext(locale, text, company=company, **shown)

        match f["purpose"]:
            case "recovery":
                text = _(
                    "{code} is your {company} recovery code. Valid for {minutes} minutes. Never share it, not "
                    "even with us."
                )
            case "enrol":
                text = _(
                    "{code} is your {company} code to confirm this contact. Valid for {minutes} minutes. Never "
                    "share it, not even with us."
                )
            case "step_up" | "sign_in":
                text = _(
                    "{code} is your {company} code to verify your identity. Valid for {minutes} minutes. Never "
                    "share it, not even with us."
                )
            case _other:
                raise BadMessage("the code has no known purpose")
        return (f"{text}\n@{self._host} #{code}" if letter.channel == "sms" else text), shown

    def _changed(self, letter: Message, now: int, locale: str) -> tuple[str, dict[str, str]]:
        f, company = letter.facts, self._company[locale]
        when = self._when(f["at"], locale)
        link = self._own(_secret(f["stop_link"]) if "stop_link" in f else f["help_url"])
        text = gettext(
            locale,
            "{company}: your account was recovered on {when}. Not you? {link}",
            company=company, when=when, link=link,
        )  # fmt: skip
        return text, {"when": when}

    def _stopped(self, letter: Message, now: int, locale: str) -> tuple[str, dict[str, str]]:
        when, company = self._when(letter.facts["at"], locale), self._company[locale]
        text = gettext(
            locale,
            "{company}: the recovery of your account was canceled on {when}. Nothing was changed.",
            company=company, when=when,
        )  # fmt: skip
        return text, {"when": when}

    def _hold(self, letter: Message, now: int, locale: str) -> tuple[str, dict[str, str]]:
        f, company = letter.facts, self._company[locale]
        when, link = self._when(f["until"], locale), self._own(_secret(f["stop_link"]))

        def _(text: str) -> str:
            return gettext(locale, text, company=company, when=when, link=link)

        if f["over"]:
            text = _("{company}: a recovery of your account can now continue. Not you? Cancel: {link}")
        else:
            text = _("{company}: a recovery of your account is on hold until {when}. Not you? Cancel: {link}")
        return text, {"when": when, "token": link.rpartition("/")[2]}

    def _asked_for(self, letter: Message, now: int, locale: str) -> tuple[str, dict[str, str]]:
        f = letter.facts
        when, link = self._when(f["at"], locale), self._own(_secret(f["stop_link"]))
        text = gettext(
            locale,
            "{company}: someone started recovering your account on {when}. Not you? Cancel: {link}",
            company=self._company[locale], when=when, link=link,
        )  # fmt: skip
        return text, {"when": when, "token": link.rpartition("/")[2]}

    def _account_changed(self, letter: Message, now: int, locale: str) -> tuple[str, dict[str, str]]:
        f = letter.facts
        when, company = self._when(f["at"], locale), self._company[locale]
        link = self._own(_secret(f["stop_link"]) if "stop_link" in f else f["account_url"])
        text = gettext(
            locale,
            "{company}: security settings for your account changed on {when}. Not you? {link}",
            company=company, when=when, link=link,
        )  # fmt: skip
        return text, {"when": when, "token": link.rpartition("/")[2]}

    def _when(self, ms: object, locale: str) -> str:
        if not isinstance(ms, int):
            raise TypeError
        return moment(locale, ms, self._zone)

    def _own(self, url: object) -> str:
        """A link of ours; built from `public_url` or not sent at all."""
        if not isinstance(url, str) or not url.startswith(self._base + "/") or not URL.match(url):
            raise BadMessage("a link does not start with public_url")
        return url


def _address(letter: Message) -> None:
    """Stored addresses are checked again: they end up in parameters of others (N-R6)."""
    if not (is_e164(letter.to) if letter.channel == "sms" else _ID.match(letter.to)):
        raise BadMessage(f"the address is none for {letter.channel}")


def _secret(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError("not a Secret")
