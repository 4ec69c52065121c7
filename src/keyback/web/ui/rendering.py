"""Draws pages: Jinja templates, every language, times in the company's zone, static files under hashed names.

Templates are autoescaped and strict: an unknown name is an error, never an empty place. `_('text', name=value)` gives
the text in the page's language; text and values are both escaped, unless a value is markup that the template itself
made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jinja2 import BaseLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from keyback.application.origin import device_words, plain_address
from keyback.application.ports.proofs import N_, About
from keyback.domain.brand.face import Face
from keyback.locale import gettext, in_language, language
from keyback.locale.dates import day, moment, zone_name
from keyback.web.ui.face import files, shown
from keyback.web.ui.findings import finding_text
from keyback.web.ui.page import Page, Shell
from keyback.web.ui.template_cache import TemplateCache

HERE = Path(__file__).parents[1]
SHELF = "proofs"  # before the name of a proof and its template
EMPTY = Markup("")
AT_THE_DESK = MappingProxyType(
    {
        "caller_check": (N_("A caller check by the help desk"), N_("through a caller check by the help desk")),
        "identity_service": (N_("An identity verified by a service"), N_("by verifying the identity with a service")),
    }
)
"""Title and words for what operators do, and no proof on the shelf does."""
OURS = Face()
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
MEDIA_TYPES = MappingProxyType(
    {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the look, read once. `url` holds twelve hex digits of its SHA-256, so it may be cached forever.

    Args:
        policy: a Content-Security-Policy of its own; pictures of a company's are opened in a sandbox.
    """

    name: str
    url: str
    media_type: str
    body: bytes
    policy: str = ""


def load_static(folder: Path = HERE / "static") -> Mapping[str, StaticFile]:
    """All static files by name."""
    out: dict[str, StaticFile] = {}
    for path in sorted(folder.iterdir()):
        media_type = MEDIA_TYPES.get(path.suffix)
        if media_type:
            out[path.name] = named(path.name, media_type, path.read_bytes())
    return MappingProxyType(out)


def named(name: str, media_type: str, body: bytes, policy: str = "") -> StaticFile:
    """A static file under its hashed name."""
    return StaticFile(name, f"/static/{hashlib.sha256(body).hexdigest()[:12]}/{name}", media_type, body, policy)


def translate(locale: str, message: str, **values: object) -> Markup:
    """The text in `locale`, escaped, with escaped values in its places; values that are markup already stay so."""
    return _filled(gettext(locale, message), values)


def _filled(text: str, values: Mapping[str, object]) -> Markup:
    return escape(text).format(**values) if values else escape(text)


def span(locale: str, seconds: int) -> str:
    """`9 min 12 s` or `9分12秒`; hours from 60 minutes on; never below zero."""
    minutes, s = divmod(max(0, seconds), 60)
    hours, m = divmod(minutes, 60)
    texts = ("{h} h", "{m} min", "{s} s")
    parts = [
        gettext(locale, text, **{text[1]: value})
        for text, value in zip(texts, (hours, m, s), strict=True)
        if value and not (hours and text == "{s} s")
    ]
    return language(locale).gap.join(parts) or gettext(locale, "{s} s", s=0)


def safe_url(url: str) -> str:
    """`url` if it is http or https or a path of ours, else nothing: no other scheme ever becomes a link (I4)."""
    if url.startswith("/") and not url.startswith(("//", "/\\")):
        return url
    return url if urlsplit(url).scheme in ("http", "https") else ""


@dataclass(frozen=True, slots=True)
class Words:
    """What a template reads of a proof, in the page's language; one that nobody brings any more goes by its own name.

    Args:
        page: the template that takes its answer.
    """

    title: Markup
    note: Markup = EMPTY
    by: Markup = EMPTY
    lede: Markup = EMPTY
    wrong: Markup = EMPTY
    page: str = ""


class _Rooms(PrefixLoader):
    """Templates keep the names that they were asked for by, with the room in front; a `PrefixLoader` cuts it off."""

    load = BaseLoader.load


def app_url(url: str) -> str:
    """`url` if it gives an authenticator app its key, else nothing."""
    return url if url.startswith("otpauth://totp/") else ""


class Renderer:
    """Draws pages; made once and shared, templates are compiled at their first use.

    Args:
        face: what the company shows of itself.
        abouts: what there is to read of each proof, by its name.
        time_zone: IANA name of the zone in which people read times. Raises `ZoneInfoNotFoundError` for an unknown one.
        cache: keeps compiled templates between starts.
    """

    def __init__(
        self,
        *,
        time_zone: str = "UTC",
        abouts: Mapping[str, About] = MappingProxyType({}),
        face: Face = OURS,
        cache: TemplateCache | None = None,
    ) -> None:
        self._cache = cache
        self.zone = ZoneInfo(time_zone)
        own = {name: named(name, kind, body, SANDBOX) for name, kind, body in files(face)}
        ours = load_static()
        if face.light:
            mark = ours["mark.svg"]
            own["mark.svg"] = named(
                mark.name, mark.media_type, mark.body.replace(b"#4f9483", face.light.accent_mid.encode())
            )
        self.static = MappingProxyType({**ours, **own})
        self._abouts = abouts
        rooms: dict[str, BaseLoader] = {p.parent.name: FileSystemLoader(p) for p in HERE.glob("*/templates")}
        rooms[SHELF] = PrefixLoader({name: FileSystemLoader(a.folder) for name, a in abouts.items()})
        self._env = env = Environment(
            loader=_Rooms(rooms),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
            bytecode_cache=cache,
        )
        env.globals["_"] = pass_context(lambda context, message, /, **values: self._translate(context, message, values))
        env.globals["finding"] = pass_context(lambda context, code: finding_text(_locale(context), code))
        env.globals["about"] = pass_context(lambda context, proof: self._about(_locale(context), proof))
        env.globals["form_token"] = pass_context(_form_token)
        env.globals["shown"] = pass_context(_shown)
        env.globals["static_url"] = self.static_url
        env.globals["face"] = shown(face)
        env.globals["own_text"] = pass_context(lambda context, name: _own_text(face, name, _locale(context)))
        env.globals["zone_name"] = pass_context(lambda context: zone_name(_locale(context), self.zone))
        env.filters["moment"] = pass_context(lambda context, at: moment(_locale(context), at, self.zone))
        env.filters["day"] = pass_context(lambda context, at: day(_locale(context), at, self.zone))
        env.filters["iso"] = lambda at: datetime.fromtimestamp(at / 1000, self.zone).isoformat(timespec="seconds")
        env.filters["span"] = pass_context(lambda context, seconds: span(_locale(context), seconds))
        env.filters["safe_url"] = safe_url
        env.filters["app_url"] = app_url
        env.filters["device"] = device_words  # what was stored before there was a list is held against it, too
        env.filters["address"] = plain_address

    def static_url(self, name: str) -> str:
        """`/static/<hash>/<name>`. Raises KeyError for a file that does not exist."""
        return self.static[name].url

    def page(self, model: Page, shell: Shell) -> bytes:
        """The whole page as UTF-8 HTML."""
        text = self._env.get_template(type(model).template).render(page=model, shell=shell)
        return text.encode()

    def _about(self, locale: str, proof: str) -> Words:
        a = self._abouts.get(proof)
        if a is None:
            title, by = (translate(locale, text) for text in AT_THE_DESK.get(proof, (proof, "")))
            return Words(title, by=by)
        title, note, by, lede, wrong = (escape(a.say(locale, t)) for t in (a.title, a.note, a.by, a.lede, a.wrong))
        return Words(title, note, by, lede, wrong, f"{SHELF}/{proof}/{a.page}")

    def _translate(self, context: Context, message: str, values: Mapping[str, object]) -> Markup:
        # The page of a proof has texts of its own, which lie beside it.
        room, _, rest = (context.name or "").partition("/")
        if room != SHELF:
            return _filled(gettext(_locale(context), message), values)
        return _filled(self._abouts[rest.partition("/")[0]].say(_locale(context), message), values)

    def warm(self) -> None:
        """Compile every template now, so that no first visitor waits for it."""
        for name in self._env.list_templates(extensions=["html"]):
            self._env.get_template(name)
        if self._cache is not None:
            self._cache.save()


def _locale(context: Context) -> str:
    shell = context["shell"]
    return str(shell.locale)


def _own_text(face: Face, name: str, locale: str) -> Markup:
    """A text of the company's own: `intro`, `help` or `footer`; empty where it has none."""
    prose = in_language(getattr(face, name), locale)
    return Markup(prose.html) if prose else EMPTY  # noqa: S704 - made of escaped text by `read_prose`


def _form_token(context: Context) -> Markup:
    """The field by which a form of the security centre shows that it was drawn for this session."""
    token = context["shell"].form_token
    return Markup('<input type="hidden" name="form_token" value="{}">').format(token) if token else Markup("")


def _shown(context: Context) -> Markup:
    """The field by which a form names what its page showed: which token, which question, or both (`shown`)."""
    mark = ".".join(filter(None, (context["shell"].of, getattr(context["page"], "of", ""))))
    return Markup('<input type="hidden" name="of" value="{}">').format(mark) if mark else Markup("")
