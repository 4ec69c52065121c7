"""The mails of a recovery and of an account, in every language.
Texts are prepared at their first message, values cleaned, the mail made in one go. What a kind has places for: `kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatchmethod
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape

from keyback.application.origin import device_words
from keyback.application.ports.channels import Message
from keyback.application.ports.messages import (
    AccountContent,
    AskedMessage,
    BadMessage,
    CallMessage,
    CampaignMessage,
    ChangedMessage,
    ChooseAgainMessage,
    CodeMessage,
    ConfirmationMessage,
    Content,
    DeskMessage,
    ElsewhereMessage,
    ErasedMessage,
    HelpCodeMessage,
    HelpNewsMessage,
    HoldMessage,
    LocatedContent,
    LoginsMessage,
    MessageKind,
    MovingMessage,
    RecoveryMessage,
    ReminderMessage,
    RotationMessage,
    SecurityContent,
    StoppedMessage,
    SystemMessage,
    TaskMessage,
    TriesMessage,
)
from keyback.channels.composer import Composer, composing, digits, locale_of
from keyback.channels.mail import face as faces
from keyback.channels.mail import mime
from keyback.channels.mail.kinds import PLACES, SUBJECTS, WORDS
from keyback.channels.mail.mime import Skeleton, place
from keyback.channels.mail.values import Values
from keyback.channels.sanitize import isolate, safe_login, safe_name, safe_source
from keyback.domain.brand.face import Face
from keyback.locale import LOCALES, N_, gettext, in_language, language, told
from keyback.locale.dates import moment, same_day, zone_name
from keyback.locale.languages import SOURCE

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class ComposedMail:
    """A message ready for SMTP. `data` has CRLF line ends and is not dot-stuffed; `utf8` asks for SMTPUTF8."""

    envelope_from: str
    envelope_to: str
    data: bytes
    utf8: bool = False

    def __repr__(self) -> str:
        return f"ComposedMail({len(self.data)} bytes)"


class MailComposer(Composer):
    """Makes mails.

    Args:
        company, timezone, public_url: see `Composer`.
        sender: the plain address in From; in the envelope, too, unless mail `returns_to` a mailbox with tags.
        helpdesk: how to reach the help desk, by locale, such as a number.
        face: the company's.

    Raises:
        ValueError: as `Composer`; no help desk, a bad sender.
    """

    def __init__(
        self,
        company: Mapping[str, str],
        sender: str,
        helpdesk: Mapping[str, str],
        timezone: str,
        public_url: str,
        returns_to: str = "",
        face: Face = faces.OURS,
    ) -> None:
        super().__init__(company, timezone, public_url)
        if not helpdesk.get(SOURCE):
            raise ValueError("the help desk needs a text in English, which stands in for other languages")
        self._sender = mime.address(sender)
        if self._sender.utf8:
            raise ValueError("the sender's local part must be ASCII")
        self._returns = mime.ReturnPath(mime.address(returns_to or sender).spec, bool(returns_to))
        self._footer, (self._face, self._logo) = face.footer, faces.shown(face, self._sender.host)
        self._words: dict[str, dict[str, str]] = {}
        self._zone_names: dict[str, str] = {}
        self._skeletons: dict[tuple[MessageKind, str], Skeleton] = {}
        self._rows: dict[str, tuple[str, str, str]] = {}
        self._opens: dict[str, tuple[str, str, str]] = {}
        self._pages: dict[str, tuple[Environment, Environment]] = {}
        self._said = {locale: (self.company[locale], told(helpdesk, locale)) for locale in LOCALES}

    @property
    def sender(self) -> str:
        """The envelope's sender."""
        return self._returns.spec

    def compose(self, message: Message) -> ComposedMail:
        """The mail of a message; the same message gives the same bytes.

        Raises:
            BadMessage: the address, a field or a link is missing or not what it must be, or no mail is of this kind.
        """
        locale = locale_of(message.locale)
        if locale not in self._pages:
            self._pages[locale] = self._prepare(locale)
        to = mime.address(message.to)
        name, content = safe_name(message.name), message.content
        v = Values(locale, self._words[locale], message.written_at)
        self._greet(name, v)
        with composing(content.kind):
            if isinstance(content, AccountContent):
                v.foreign(username=safe_login(content.username))
            if isinstance(content, LocatedContent):
                unknown = gettext(locale, N_("Unknown"))
                v.fixed(when=self._when(content.when, locale))
                v.foreign(source=safe_source(content.source) or unknown, device=device_words(content.device) or unknown)
            self._tell(content, v)
        raw = {
            "to": mime.mailbox(name, to.spec).encode(),
            "date": mime.date(message.written_at).encode(),
            "id": mime.message_id(message.id, self._sender.host, message.return_token).encode(),
            "boundary": mime.boundary(message.id).encode(),
        }
        which = content.kind, locale
        skeleton = self._skeletons.get(which) or self._skeletons.setdefault(which, self._skeleton(*which))
        data = skeleton.fill(raw, v.text, v.html)
        return ComposedMail(self._returns.tagged(message.return_token), to.spec, data, to.utf8)

    # ── once, at the first message ──────────────────────────────────────────

    def _prepare(self, locale: str) -> tuple[Environment, Environment]:
        """What all kinds share in a language; templates for the HTML and the plain part. All kinds in all languages
        would take seconds of a start."""

        def _(message: str, **values: object) -> str:
            return gettext(locale, message, **values)

        x, (company, helpdesk) = language(locale), self._said[locale]

        def env(html: bool) -> Environment:
            e = Environment(
                loader=FileSystemLoader(TEMPLATES),
                autoescape=html,  # noqa: S701 - on for HTML; the plain part has nothing to escape
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                keep_trailing_newline=True,
            )
            e.globals.update(_=_, lang=x.tag, dir=x.direction, gap=x.gap, company=company, helpdesk=helpdesk)
            e.globals.update(base=self.base, face=self._face, own_footer=in_language(self._footer, locale))
            e.globals["sign_in_url"] = f"{self.base}/sign-in"
            e.filters["pad"] = lambda label: label + x.fill * (x.width - len(label))
            return e

        pages, plain = env(True), env(False)
        row = pages.get_template("row.html").render(label=place("label"), value=place("value"))
        head, rest = row.split(place("label"))
        self._rows[locale] = (head, *rest.split(place("value")))  # type: ignore[assignment]
        opened = pages.get_template("open.html").render(url=place("url"), title=place("title"))
        before, rest = opened.split(place("url"))
        self._opens[locale] = (before, *rest.split(place("title")))  # type: ignore[assignment]
        self._zone_names[locale] = zone_name(locale, self.zone)
        self._words[locale] = {k: _(v) for k, v in WORDS.items()}
        return pages, plain

    def _skeleton(self, kind: MessageKind, locale: str) -> Skeleton:
        pages, plain = self._pages[locale]
        company = self._said[locale][0]
        subject = gettext(locale, SUBJECTS[kind], company=company)
        sender = gettext(locale, "{company} account recovery", company=company)
        marks = {"hello": place("hello"), "subject": subject, **{p: place(p) for p in PLACES[kind]}}
        return Skeleton(
            headers=[
                f"From: {mime.mailbox(sender, self._sender.spec)}",
                f"Subject: {mime.words(subject)}",
                "Auto-Submitted: auto-generated",
                "X-Auto-Response-Suppress: All",
            ],
            text=plain.get_template(f"{kind}.txt").render(marks),
            html=pages.get_template(f"{kind}.html").render(marks),
            enclosed=self._logo,
        )

    # ── for every message ───────────────────────────────────────────────────

    def _greet(self, name: str, v: Values) -> None:
        shown, html = isolate(name), f"<bdi>{escape(name)}</bdi>"
        if name:
            v.text["hello"] = gettext(v.locale, N_("Hello {name},"), name=shown)
            v.html["hello"] = gettext(v.locale, N_("Hello {name}."), name=html)
        else:
            v.text["hello"], v.html["hello"] = gettext(v.locale, N_("Hello,")), gettext(v.locale, N_("Hello."))

    @singledispatchmethod
    def _tell(self, content: Content, v: Values) -> None:
        raise BadMessage(f"mail carries no {content.kind}")

    @_tell.register
    def _recovery(self, c: RecoveryMessage, v: Values) -> None:
        code = digits(c.code, 8)
        v.text["code"], v.html["code"] = f"{code[:4]} {code[4:]}", f"{code[:4]}&nbsp;{code[4:]}"
        v.fixed(
            link=self.own(c.link),
            stop_link=self.own(c.stop_link),
            link_until=self._until(c.link_expires_at, c, v),
            code_until=self._until(c.code_expires_at, c, v),
        )

    @_tell.register
    def _logins(self, c: LoginsMessage, v: Values) -> None:
        late = v.words["on_record"]
        self._table([(t, safe_login(u) + (late if (t, u) in c.unasked else "")) for t, u in c.logins], v)

    @_tell.register
    def _elsewhere(self, c: ElsewhereMessage, v: Values) -> None:
        v.foreign(provider=safe_name(c.provider) or "?")

    @_tell.register
    def _changed(self, c: ChangedMessage, v: Values) -> None:
        self._table([(title, v.words[state]) for title, state in c.systems], v)
        v.fixed(stop=self.own(c.stop_link or f"{self.base}/help#stop"))
        self._open(c.opens, v)

    @_tell.register
    def _choose_again(self, c: ChooseAgainMessage, v: Values) -> None:
        self._table([(title, safe_login(name)) for title, name in c.systems], v)
        until = self._when(c.expires_at, v.locale)
        v.fixed(link=self.own(c.link), until=until, when=self._when(c.at, v.locale))

    @_tell.register
    def _hold(self, c: HoldMessage, v: Values) -> None:
        how = v.words["over" if c.over else "begun"]
        v.fixed(how=how, until=self._until(c.until, c, v), stop_link=self.own(c.stop_link))

    @_tell.register
    def _asked(self, c: AskedMessage, v: Values) -> None:
        v.fixed(how=v.words[c.what], stop_link=self.own(c.stop_link))

    @_tell.register
    def _stopped(self, c: StoppedMessage, v: Values) -> None:
        v.fixed(how=v.words[c.by], when=self._when(c.at, v.locale))

    @_tell.register
    def _erased(self, c: ErasedMessage, v: Values) -> None:
        v.fixed(when=self._when(c.at, v.locale))

    @_tell.register
    def _call(self, c: CallMessage, v: Values) -> None:
        w = v.words
        v.fixed(how=w[f"call_{c.reason}"])
        rows = [(w["label_number"], str(c.number)), (w["label_operator"], safe_name(c.operator) or "?")]
        rows += [(w["label_account"], safe_login(c.username)), (w["label_time"], self._when(c.at, v.locale))]
        self._table(rows, v)

    @_tell.register
    def _help_code(self, c: HelpCodeMessage, v: Values) -> None:
        code = digits(c.code, 6)
        v.text["code"], v.html["code"] = code, f"{code[:3]}&nbsp;{code[3:]}"
        v.fixed(until=self._until(c.expires_at, c, v))

    @_tell.register
    def _help_news(self, c: HelpNewsMessage, v: Values) -> None:
        v.fixed(
            how=v.words[f"help_{c.what}"], when=self._when(c.at, v.locale), account_url=self.own(self.base + c.path)
        )

    @_tell.register
    def _campaign(self, c: CampaignMessage, v: Values) -> None:
        v.fixed(how=v.words[f"campaign_{c.why}"], next=v.words["campaign_must" if c.must else "campaign_may"])

    @_tell.register
    def _rotation(self, c: RotationMessage, v: Values) -> None:
        past = "past_elsewhere" if c.system else "past"
        how = v.words["ahead" if v.written_at < c.due_at else past]
        if c.system:
            v.foreign(username=f"{safe_login(c.username)} ({safe_name(c.system)})")
        v.fixed(how=how, when=self._when(c.due_at, v.locale))

    @_tell.register
    def _code(self, c: CodeMessage, v: Values) -> None:
        code = digits(c.code, 6)
        v.text["code"], v.html["code"] = code, f"{code[:3]}&nbsp;{code[3:]}"
        v.fixed(how=v.words[c.purpose], until=self._until(c.expires_at, c, v))

    @_tell.register
    def _confirmation(self, c: ConfirmationMessage, v: Values) -> None:
        v.foreign(person=safe_name(c.person_name) or "?")
        v.fixed(link=self.own(c.link), until=self._until(c.expires_at, c, v))

    @_tell.register
    def _security(self, c: SecurityContent, v: Values) -> None:
        before, _, after = v.words[c.what].partition("{detail}")
        detail = _detail(c.detail)
        v.text["how"] = before + isolate(detail) + after if after else before
        v.html["how"] = f"{escape(before)}<bdi>{escape(detail)}</bdi>{escape(after)}" if after else str(escape(before))
        if isinstance(c, MovingMessage):
            v.fixed(until=self._when(c.until, v.locale), stop_link=self.own(c.stop_link))
        else:
            v.fixed(stop=self.own(c.stop_link or f"{self.base}/account"))

    @_tell.register
    def _tries(self, c: TriesMessage, v: Values) -> None:
        v.fixed(how=v.words["tries_off" if c.off else "tries"], account_url=self.own(self.base + c.path))

    @_tell.register
    def _reminder(self, c: ReminderMessage, v: Values) -> None:
        v.fixed(how=v.words[c.what], account_url=self.own(self.base + c.path))

    @_tell.register
    def _task(self, c: TaskMessage, v: Values) -> None:
        w = v.words
        v.fixed(how=w[f"task_{c.what}"], next=w[f"task_{c.what}_next"], command=f"keyback task done {c.task}")
        rows = [(w["label_person"], safe_name(c.person_name) or "?"), (w["label_system"], safe_name(c.system))]
        rows += [(w["label_account"], safe_login(c.username)), (w["label_opened"], self._when(c.at, v.locale))]
        shown = [(w.get(f"method_{m}", m), self._when(int(at), v.locale)) for m, at in c.verified]
        self._table(shown or [("–", "–")], v)
        v.text["evidence"], v.html["evidence"] = v.text["rows"], v.html["rows"]
        self._table(rows, v)

    @_tell.register
    def _desk(self, c: DeskMessage, v: Values) -> None:
        if c.counts:
            v.fixed(how=v.words["desk_digest"], account_url=self.own(f"{self.base}/console"))
            day = [(v.words["label_day"], self._when(c.at, v.locale))]
            self._table([*day, *((v.words.get(f"digest_{what}", what), n) for what, n in c.counts)], v)
            return
        found = (("cases", c.case), ("campaigns", c.campaign), ("people", c.about))
        w, at = v.words, next((f"{room}/{of}" for room, of in found if of), "operators")
        v.fixed(how=w[f"desk_{c.what}"], account_url=self.own(f"{self.base}/console/{at}"))
        about = w["label_campaign" if c.campaign else "label_person"]
        rows = [(about, safe_name(c.person_name) or "?"), (w["label_operator"], safe_name(c.operator) or "?")]
        rows += [(w["label_reason"], safe_name(c.reason, 500))] if c.reason else []
        self._table([*rows, (w["label_time"], self._when(c.at, v.locale))], v)

    @_tell.register
    def _system(self, c: SystemMessage, v: Values) -> None:
        w = v.words
        v.fixed(how=w[f"system_{c.what}"], next=w[f"system_{c.what}_next"])
        rows = [(w["label_system"], safe_name(c.system)), (w["label_account"], safe_login(c.username))]
        rows.append((w["label_time"], self._when(c.at, v.locale)))
        self._table([*rows, *([(w["label_reason"], safe_name(c.detail) or "?")] if c.detail else [])], v)
        self._open(c.opens, v)

    def _open(self, opens: Sequence[tuple[str, str]], v: Values) -> None:
        """One button: where the first of the systems is opened; nothing where none has an address."""
        v.text["opens"] = v.html["opens"] = ""
        for title, url in opens[:1]:
            before, middle, after = self._opens[v.locale]
            label = safe_name(title)
            v.text["opens"] = f"\n\n{gettext(v.locale, 'Open {system}', system=isolate(label))}\n\n{url}"
            v.html["opens"] = f"{before}{escape(url)}{middle}{escape(label)}{after}"

    def _table(self, rows: Sequence[tuple[str, str]], v: Values) -> None:
        head, middle, tail = self._rows[v.locale]
        text, html = [], []
        for title, value in rows:
            label = safe_name(title)
            text.append(f"    {isolate(label)}{language(v.locale).colon}{isolate(value)}")
            html.append(f"{head}<bdi>{escape(label)}</bdi>{middle}<bdi>{escape(value)}</bdi>{tail}")
        if not text:
            raise BadMessage("a list without entries")
        v.text["rows"], v.html["rows"] = "\n".join(text), "".join(html)

    def _when(self, ms: int, locale: str) -> str:
        said = moment(locale, ms, self.zone, "long")
        return said + language(locale).aside.format(self._zone_names[locale])

    def _until(self, ms: int, c: LocatedContent, v: Values) -> str:
        """`24 November, 14:02`; the clock alone when it is the day on which it was asked for."""
        return moment(v.locale, ms, self.zone, "clock" if same_day(ms, c.when, self.zone) else "long")


def _detail(value: str) -> str:
    """A label, or an address of which only the first letter and the domain are told."""
    head, mark, domain = value.partition("•••@")
    plain = f"{head}@{domain}"
    return value if mark and safe_login(plain) == plain else safe_name(value) or "?"
