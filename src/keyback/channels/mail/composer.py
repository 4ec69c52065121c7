"""The mails of a recovery and of a password's age, in two languages.

Texts are prepared at start, values cleaned, the message made in one go.

What each kind is made of: `mail_kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape

from keyback.application.origin import device_words
from keyback.application.ports.channels import BadMessage, Message, MessageKind
from keyback.channels.mail import mime
from keyback.channels.mail.facts import instant, pairs, plain, secret
from keyback.channels.mail.kinds import PLACES, SUBJECTS, WORDS
from keyback.channels.mail.mime import Skeleton, place
from keyback.channels.sanitize import URL, isolate, safe_login, safe_name, safe_source
from keyback.locale import LOCALES, gettext
from keyback.locale.dates import moment, same_day, zone_name

TEMPLATES = Path(__file__).parent / "templates"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ComposedMail:
    """A message ready for SMTP. `data` has CRLF line ends and is not dot-stuffed; `utf8` asks for SMTPUTF8."""

    envelope_from: str
    envelope_to: str
    data: bytes
    utf8: bool = False

    def __repr__(self) -> str:
        return f"ComposedMail({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of one letter, once for the plain part and once, escaped, for the HTML part."""

    text: dict[str, str]
    html: dict[str, str]

    def fixed(self, name: str, value: str) -> None:
        """A value of our own making, such as a time."""
        self.text[name] = value
        self.html[name] = str(escape(value))

    def foreign(self, name: str, value: str) -> None:
        """A cleaned value that somebody else chose: kept apart from the text around it by direction (UAX 9)."""
        self.text[name] = isolate(value)
        self.html[name] = f"<bdi>{escape(value)}</bdi>"


class MailComposer:
    """Makes messages out of letters. Safe to use from several threads.

    Args:
        company: the company's name by locale.
        sender: the plain address in From and in the envelope.
        helpdesk: how to reach the help desk, by locale, such as a number.
        timezone: IANA name; all times in mails are shown in it.
        public_url: base of every link of ours; https, or http on loopback only.

    Raises:
        ValueError: a language without company or help desk, an unknown zone, a bad sender or address.
    """

    def __init__(
        self,
        company: Mapping[str, str],
        sender: str,
        helpdesk: Mapping[str, str],
        timezone: str,
        public_url: str,
    ) -> None:
        self._sender = mime.address(sender)
        if self._sender.utf8:
            raise ValueError("the sender's local part must be ASCII")
        self._base = public_url.rstrip("/")
        if not _safe_url(self._base):
            raise ValueError("public_url must be https, or http on loopback")
        try:
            self._zone = ZoneInfo(timezone)
        except (KeyError, OSError) as e:
            raise ValueError(f"unknown time zone {timezone[:64]!r}") from e
        self._tone: dict[str, tuple[str, dict[str, str]]] = {}
        self._skeletons: dict[tuple[str, str], Skeleton] = {}
        self._rows: dict[str, tuple[str, str, str]] = {}
        for locale in LOCALES:
            if not company.get(locale) or not helpdesk.get(locale):
                raise ValueError(f"company and help desk need a text for {locale}")
            self._prepare(locale, company[locale], helpdesk[locale])
        self._tell: dict[MessageKind, Callable[[Message, str, _Values], None]] = {
            MessageKind.RECOVERY: self._recovery,
            MessageKind.LOGINS: self._logins,
            MessageKind.ELSEWHERE: self._elsewhere,
            MessageKind.CHANGED: self._changed,
            MessageKind.HOLD: self._hold,
            MessageKind.ASKED: self._asked_for,
            MessageKind.STOPPED: self._stopped,
            MessageKind.ROTATION: self._rotation,
            MessageKind.MAIL_CODE: self._mail_code,
            MessageKind.VOUCH: self._vouch,
            MessageKind.ACCOUNT_CHANGED: self._account_changed,
            MessageKind.MOVING: self._moving,
            MessageKind.INVITED: self._vouch,
            MessageKind.SIGNED_IN: self._account_changed,
            MessageKind.TRIES: self._tries,
            MessageKind.REMINDER: self._reminder,
        }

    @property
    def sender(self) -> str:
        """The envelope's sender."""
        return self._sender.spec

    def compose(self, letter: Message) -> ComposedMail:
        """The message of a letter; the same letter gives the same bytes.

        Raises:
            BadLetter: the address, a fact or a link is missing or not what it must be.
        """
        locale = letter.locale if letter.locale in self._tone else "en"
        to = mime.address(letter.to)
        values = _Values({}, {})
        name = safe_name(letter.name)
        self._greet(locale, name, values)
        try:
            self._tell[letter.kind](letter, locale, values)
        except (KeyError, TypeError, AttributeError, OverflowError, OSError):
            raise BadMessage(f"a fact of the {letter.kind} mail is missing or of another type") from None
        raw = {
            "to": mime.mailbox(name, to.spec).encode(),
            "date": mime.date(letter.written_at).encode(),
            "id": mime.message_id(letter.id, self._sender.host).encode(),
            "boundary": mime.boundary(letter.id).encode(),
        }
        data = self._skeletons[letter.kind, locale].fill(raw, values.text, values.html)
        return ComposedMail(self._sender.spec, to.spec, data, to.utf8)

    # ── once, at start ──────────────────────────────────────────────────────

    def _prepare(self, locale: str, company: str, helpdesk: str) -> None:
        def _(message: str, **values: object) -> str:
            return gettext(locale, message, **values)

        def env(html: bool) -> Environment:
            e = Environment(
                loader=FileSystemLoader(TEMPLATES),
                autoescape=html,  # noqa: S701 - on for HTML; the plain part has nothing to escape
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                keep_trailing_newline=True,
            )
            e.globals.update(_=_, lang="zh-CN" if locale == "zh_CN" else "en", company=company, helpdesk=helpdesk)
            e.globals.update(base=self._base, chinese=locale == "zh_CN")
            # Labels in a column: Chinese ones are padded by characters as wide as they are.
            fill, width = ("\u3000", 3) if locale == "zh_CN" else (" ", 9)
            e.filters["pad"] = lambda label: label + fill * (width - len(label))
            return e

        pages, plain = env(True), env(False)
        for kind, places in PLACES.items():
            subject = _(SUBJECTS[kind], company=company)
            marks = {"hello": place("hello"), "subject": subject, **{p: place(p) for p in places}}
            self._skeletons[kind, locale] = Skeleton(
                headers=[
                    f"From: {mime.mailbox(_('{company} account recovery', company=company), self._sender.spec)}",
                    f"Subject: {mime.words(subject)}",
                    "Auto-Submitted: auto-generated",
                    "X-Auto-Response-Suppress: All",
                ],
                text=plain.get_template(f"{kind}.txt").render(marks),
                html=pages.get_template(f"{kind}.html").render(marks),
            )
        row = pages.get_template("row.html").render(label=place("label"), value=place("value"))
        head, rest = row.split(place("label"))
        self._rows[locale] = (head, *rest.split(place("value")))  # type: ignore[assignment]
        self._tone[locale] = (
            zone_name(locale, self._zone),
            {k: _(v) for k, v in WORDS.items()},
        )

    # ── for every letter ────────────────────────────────────────────────────

    def _greet(self, locale: str, name: str, values: _Values) -> None:
        shown, html = isolate(name), f"<bdi>{escape(name)}</bdi>"
        if locale == "zh_CN":
            values.text["hello"] = f"{shown}，你好。" if name else "你好。"
            values.html["hello"] = f"{html}，你好。" if name else "你好。"
        else:
            values.text["hello"] = f"Hello {shown}," if name else "Hello,"
            values.html["hello"] = f"Hello {html}." if name else "Hello."

    def _recovery(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        code = secret(f["code"])
        if not (len(code) == 8 and code.isascii() and code.isdigit()):
            raise BadMessage("the code is not eight digits")
        v.foreign("username", safe_login(f["username"]))
        v.fixed("link", self._own(secret(f["link"])))
        v.fixed("stop_link", self._own(secret(f["stop_link"])))
        v.text["code"], v.html["code"] = f"{code[:4]} {code[4:]}", f"{code[:4]}&nbsp;{code[4:]}"
        asked = self._asked(f, locale, v)
        v.fixed("link_until", self._time(instant(f["link_expires_at"]), locale, asked))
        v.fixed("code_until", self._time(instant(f["code_expires_at"]), locale, asked))

    def _logins(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        url = plain(f["sign_in_url"])
        if not _safe_url(url):
            raise BadMessage("the sign-in address is not https")
        v.fixed("sign_in_url", url)
        self._table(((t, safe_login(u)) for t, u in pairs(f["logins"])), locale, v)
        self._asked(f, locale, v)

    def _elsewhere(self, letter: Message, locale: str, v: _Values) -> None:
        v.foreign("username", safe_login(letter.facts["username"]))
        v.foreign("provider", safe_name(letter.facts["provider"]) or "?")
        self._asked(letter.facts, locale, v)

    def _changed(self, letter: Message, locale: str, v: _Values) -> None:
        f, tone = letter.facts, self._tone[locale][1]
        v.foreign("username", safe_login(f["username"]))
        v.fixed("stop", self._own(secret(f["stop_link"]) if "stop_link" in f else plain(f["help_url"])))
        self._table(((t, tone[s]) for t, s in pairs(f["systems"])), locale, v)
        self._asked(f, locale, v, "at")

    def _hold(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        v.foreign("username", safe_login(f["username"]))
        v.fixed("stop_link", self._own(secret(f["stop_link"])))
        v.fixed("how", self._tone[locale][1]["over" if f["over"] else "begun"])
        asked = self._asked(f, locale, v, "at")
        v.fixed("until", self._time(instant(f["until"]), locale, asked))

    def _asked_for(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        v.foreign("username", safe_login(f["username"]))
        v.fixed("how", self._tone[locale][1][str(f["what"])])
        v.fixed("stop_link", self._own(secret(f["stop_link"])))
        self._asked(f, locale, v, "at")

    def _stopped(self, letter: Message, locale: str, v: _Values) -> None:
        v.foreign("username", safe_login(letter.facts["username"]))
        v.fixed("how", self._tone[locale][1][str(letter.facts["by"])])
        v.fixed("when", self._when(instant(letter.facts["at"]), locale))

    def _rotation(self, letter: Message, locale: str, v: _Values) -> None:
        due_at = instant(letter.facts["due_at"])
        v.foreign("username", safe_login(letter.facts["username"]))
        v.fixed("when", self._when(due_at, locale))
        v.fixed("how", self._tone[locale][1]["ahead" if letter.written_at < due_at else "past"])

    def _mail_code(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        code = secret(f["code"])
        if not (len(code) == 6 and code.isascii() and code.isdigit()):
            raise BadMessage("the code is not six digits")
        v.text["code"], v.html["code"] = code, f"{code[:3]}&nbsp;{code[3:]}"
        v.foreign("username", safe_login(f["username"]))
        v.fixed("how", self._tone[locale][1][str(f["purpose"])])
        asked = self._asked(f, locale, v)
        v.fixed("until", self._time(instant(f["expires_at"]), locale, asked))

    def _vouch(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        v.foreign("person", safe_name(f["person_name"]) or "?")
        v.fixed("link", self._own(secret(f["link"])))
        asked = self._asked(f, locale, v)
        v.fixed("until", self._time(instant(f["expires_at"]), locale, asked))

    def _how_changed(self, f: Mapping[str, object], locale: str, v: _Values) -> None:
        v.foreign("username", safe_login(f["username"]))
        before, _, after = self._tone[locale][1][str(f["what"])].partition("{detail}")
        detail = _detail(f["detail"])
        v.text["how"] = before + isolate(detail) + after if after else before
        v.html["how"] = f"{escape(before)}<bdi>{escape(detail)}</bdi>{escape(after)}" if after else str(escape(before))

    def _moving(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        self._how_changed(f, locale, v)
        v.fixed("when", self._when(instant(f["at"]), locale))
        v.fixed("until", self._when(instant(f["until"]), locale))
        v.fixed("stop_link", self._own(secret(f["stop_link"])))

    def _account_changed(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        self._how_changed(f, locale, v)
        v.fixed("stop", self._own(secret(f["stop_link"]) if "stop_link" in f else plain(f["account_url"])))
        self._asked(f, locale, v, "at")

    def _tries(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        v.foreign("username", safe_login(f["username"]))
        v.fixed("how", self._tone[locale][1]["tries_off" if f["off"] else "tries"])
        v.fixed("account_url", self._own(plain(f["account_url"])))
        self._asked(f, locale, v, "at")

    def _reminder(self, letter: Message, locale: str, v: _Values) -> None:
        f = letter.facts
        v.foreign("username", safe_login(f["username"]))
        v.fixed("how", self._tone[locale][1][str(f["what"])])
        v.fixed("account_url", self._own(plain(f["account_url"])))

    def _asked(self, facts: Mapping[str, object], locale: str, v: _Values, at: str = "asked_at") -> int:
        unknown = "未知" if locale == "zh_CN" else "Unknown"
        asked = instant(facts[at])
        v.fixed("when", self._when(asked, locale))
        v.foreign("source", safe_source(facts["source"]) or unknown)
        v.foreign("device", device_words(str(facts["device"])) or unknown)
        return asked

    def _table(self, rows: Iterable[tuple[str, str]], locale: str, v: _Values) -> None:
        head, middle, tail = self._rows[locale]
        text, html = [], []
        for title, value in rows:
            label = safe_name(title)
            text.append(f"    {isolate(label)}{'：' if locale == 'zh_CN' else ': '}{isolate(value)}")
            html.append(f"{head}<bdi>{escape(label)}</bdi>{middle}<bdi>{escape(value)}</bdi>{tail}")
        if not text:
            raise BadMessage("a list without entries")
        v.text["rows"], v.html["rows"] = "\n".join(text), "".join(html)

    def _own(self, url: str) -> str:
        """A link of ours; built from `public_url` or not sent at all."""
        if not url.startswith(self._base + "/") or not URL.match(url):
            raise BadMessage("a link does not start with public_url")
        return url

    def _when(self, ms: int, locale: str) -> str:
        zone = self._tone[locale][0]
        return f"{self._time(ms, locale)}（{zone}）" if locale == "zh_CN" else f"{self._time(ms, locale)} ({zone})"

    def _time(self, ms: int, locale: str, asked: int | None = None) -> str:
        """`24 November, 14:02`; the clock alone when it is the day of `asked`."""
        same = asked is not None and same_day(ms, asked, self._zone)
        return moment(locale, ms, self._zone, "clock" if same else "long")


def _detail(value: object) -> str:
    """A label, or an address of which only the first letter and the domain are told."""
    head, mark, domain = str(value).partition("•••@")
    plain = f"{head}@{domain}"
    return str(value) if mark and safe_login(plain) == plain else safe_name(value) or "?"


def _safe_url(url: str) -> bool:
    if not URL.match(url):
        return False
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or parts.hostname in LOOPBACK)
