"""What goes to a phone: short texts in every language, by SMS or as a message of a chat service.

No name and no user name is in them: a phone lies on the table. The last line of an SMS with a code binds it to our
address, so that phones fill it in there and nowhere else (WICG, "Origin-bound one-time codes delivered via SMS").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod

from keyback.application.ports.channels import Message
from keyback.application.ports.messages import (
    AccountChangedMessage,
    AskedMessage,
    BadMessage,
    CallMessage,
    ChangedMessage,
    Content,
    ErasedMessage,
    HoldMessage,
    ImCodeMessage,
    MessageKind,
    SmsCodeMessage,
    StoppedMessage,
)
from keyback.channels.composer import Composer, composing, digits, locale_of
from keyback.domain.people.phone import is_e164
from keyback.locale import N_, gettext
from keyback.locale.dates import moment

Told = tuple[str, dict[str, str]]  # a text, and what it is made of

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


STEP_UP = N_(
    "{code} is your {company} code to verify your identity. Valid for {minutes} minutes. Never "
    "share it, not even with us."
)
CODES = {
    "recovery": N_(
        "{code} is your {company} recovery code. Valid for {minutes} minutes. Never share it, not even with us."
    ),
    "enrol": N_(
        "{code} is your {company} code to confirm this contact. Valid for {minutes} minutes. Never "
        "share it, not even with us."
    ),
    "step_up": STEP_UP,
    "sign_in": STEP_UP,
}
NOTICES = {
    MessageKind.CHANGED: N_("{company}: your account was recovered on {when}. Not you? {link}"),
    MessageKind.STOPPED: N_("{company}: the recovery of your account was canceled on {when}. Nothing was changed."),
    MessageKind.HOLD: N_("{company}: a recovery of your account is on hold until {when}. Not you? Cancel: {link}"),
    MessageKind.ASKED: N_("{company}: someone started recovering your account on {when}. Not you? Cancel: {link}"),
    MessageKind.ACCOUNT_CHANGED: N_("{company}: security settings for your account changed on {when}. Not you? {link}"),
    MessageKind.ERASED: N_("{company}: your recovery data was erased on {when}. Not expected? Tell the help desk."),
}
CALL = N_(
    "{company}: our help desk is calling you. Their number is {number}; if the caller says another one, hang up. Never "
    "tell anyone a code."
)
OVER = N_("{company}: a recovery of your account can now continue. Not you? Cancel: {link}")
WITHOUT = {MessageKind.CHANGED: "/help#stop", MessageKind.ACCOUNT_CHANGED: "/account"}  # for whom no link is made


@dataclass(frozen=True, slots=True)
class _For:
    """Whom a text is made for, and when (ms)."""

    locale: str
    channel: str
    company: str
    now: int

    def say(self, text: str, **values: str) -> str:
        return gettext(self.locale, text, company=self.company, **values)


class PhoneTexts(Composer):
    """Makes short messages; the host of `public_url` stands in the last line of a code."""

    def compose(self, message: Message, now: int) -> ShortMessage:
        """The short text of a message.

        Args:
            now: ms; a code's text says how long it still works.

        Raises:
            BadMessage: the address or a field is missing or not what it must be, or phones are not told of this kind.
        """
        if not (is_e164(message.to) if message.channel == "sms" else _ID.match(message.to)):
            # Stored addresses are checked again: they end up in parameters of others (N-R6).
            raise BadMessage(f"the address is none for {message.channel}")
        locale, kind = locale_of(message.locale), message.kind
        with composing(kind):
            text, params = self._tell(message.content, _For(locale, message.channel, self.company[locale], now))
        return ShortMessage(message.id, message.channel, message.to, kind, locale, text, params, message.expires_at)

    @singledispatchmethod
    def _tell(self, content: Content, to: _For) -> Told:
        raise BadMessage(f"{to.channel} carries no {content.kind}")

    @_tell.register
    def _code(self, c: SmsCodeMessage | ImCodeMessage, to: _For) -> Told:
        if to.channel != ("sms" if isinstance(c, SmsCodeMessage) else "im"):
            raise BadMessage(f"{to.channel} carries no {c.kind}")
        code = digits(c.code, 6)
        # Rounded up: what is sent again within the same minute reads the same, and chat services drop equal repeats.
        shown = {"code": code, "minutes": str(max(1, -((to.now - c.expires_at) // 60_000)))}
        text = to.say(CODES[c.purpose], **shown)
        return (f"{text}\n@{self.host} #{code}" if to.channel == "sms" else text), shown

    @_tell.register
    def _ended(self, c: StoppedMessage | ErasedMessage, to: _For) -> Told:
        when = moment(to.locale, c.at, self.zone)
        return to.say(NOTICES[c.kind], when=when), {"when": when}

    @_tell.register
    def _call(self, c: CallMessage, to: _For) -> Told:
        return to.say(CALL, number=str(c.number)), {"number": str(c.number)}

    @_tell.register
    def _notice(self, c: ChangedMessage | HoldMessage | AskedMessage | AccountChangedMessage, to: _For) -> Told:
        hold = c if isinstance(c, HoldMessage) else None
        when = moment(to.locale, hold.until if hold else c.at, self.zone)
        link = self.own(c.stop_link or (self.base + WITHOUT[c.kind] if c.kind in WITHOUT else None))
        text = to.say(OVER if hold and hold.over else NOTICES[c.kind], when=when, link=link)
        # A registered text for `changed` has no place for a link of its own.
        return text, {"when": when} | ({"token": link.rpartition("/")[2]} if c.kind != MessageKind.CHANGED else {})
