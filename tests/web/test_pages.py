"""Every page, in every state, in both languages: well formed, labelled, translated, escaped, without inline code."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract
from markupsafe import Markup

from keyback.locale import HERE as LOCALES
from keyback.locale import catalog, catalog_of
from keyback.locale.dates import moment, zone_name
from keyback.registry import own_abouts
from keyback.web.console.pages import Me
from keyback.web.portal import pages
from keyback.web.portal.pages_methods import OneMethod
from keyback.web.ui.rendering import HERE, safe_url, span, translate
from tests.support import gallery
from tests.support.drawn import RENDERER, Tree, draw
from tests.support.each import each

SAMPLES = [
    pytest.param(locale, page, shell, id=f"{locale}-{name}")
    for locale in ("zh_CN", "en")
    for name, page, shell in gallery.samples(locale)
]
EVERY = [pytest.param(sample.values[0], index, id=sample.id) for index, sample in enumerate(SAMPLES)]
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus=alert(1) x='",
    "{{ 7*7 }}{username}{0.__class__}",
    "</textarea></title><svg/onload=alert(1)>",
    "javascript:alert(1)",
)
LATIN_WORDS = re.compile(r"[A-Za-z][A-Za-z’']+(?: [a-z’']+){2,}")


@cache
def drawn(index: int) -> tuple[str, Tree]:
    """The HTML of a sample and what is in it."""
    html = draw(*SAMPLES[index].values[1:])
    return html, Tree(html)


@pytest.mark.slow
@each("locale, index", EVERY)
def test_page_is_sound(locale: str, index: int) -> None:
    html, tree = drawn(index)
    assert html.startswith("<!DOCTYPE html>\n<html lang=")

    assert tree.all("html") == [{"lang": "zh-CN" if locale == "zh_CN" else "en"}]
    assert len(tree.all("h1")) == 1
    assert len(tree.all("main")) == 1
    assert len(tree.all("title")) == 1
    ids = Counter(a["id"] for _, a in tree.tags if "id" in a)
    assert [i for i, n in ids.items() if n > 1] == []
    for _, attributes in tree.tags:
        for name in ("for", "aria-describedby", "aria-labelledby", "aria-controls"):
            for wanted in attributes.get(name, "").split():
                assert wanted in ids, f"{name} points at {wanted}, which is not there"
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids

    labels = {a["for"] for a in tree.all("label") if "for" in a}
    for (tag, a), wrapped in zip(tree.tags, tree.wrapped, strict=True):
        if tag in ("input", "select", "textarea") and a.get("type") != "hidden":
            assert a.get("id") in labels or wrapped or a.get("aria-label"), a
        if tag == "button":
            assert a.get("type") in ("submit", "button")
        if tag == "a":
            assert a.get("href")


@pytest.mark.covers("I4", "A-1.2.3")
@each("locale, index", EVERY)
def test_nothing_is_inline(locale: str, index: int) -> None:
    _, tree = drawn(index)
    assert [t for t, a in tree.tags if t == "style" or (t == "script" and not a.get("src"))] == []
    for tag, attributes in tree.tags:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        if tag in ("script", "link", "img"):
            path = attributes.get("src", attributes.get("href", ""))
            assert path.startswith("/static/") or path.partition("?")[0] == f"/r/{gallery.HANDLE}/document/image"


@each("locale, index", EVERY)
def test_every_form_can_be_sent(locale: str, index: int) -> None:
    for form in drawn(index)[1].forms:
        head = form[0][1]
        assert head["method"] == "post"
        assert head["action"].startswith("/")
        assert [a for tag, a in form if tag == "button" and a["type"] == "submit"], head


@each("locale, index", [p for p in EVERY if p.values[0] == "zh_CN"])
def test_chinese_pages_hold_no_english_sentence(locale: str, index: int) -> None:
    text = "\n".join(drawn(index)[1].texts)
    allowed = {"copper lantern orchard", "keyback audit verify", "keyback policy check"}
    assert [m for m in LATIN_WORDS.findall(text) if m not in allowed] == []


def message_ids() -> set[str]:
    out = {value for name, value in vars(pages).items() if name.isupper() and isinstance(value, str)}
    for path in sorted(HERE.rglob("*.html")):
        with path.open("rb") as f:
            for _, _, message, _ in babel_extract(f, ("_",), [], {"silent": "false", "trim_blocks": "true"}):
                text = message[0] if isinstance(message, tuple) else message
                if text:  # `_(page.error)` has none: those are constants of `pages`
                    out.add(text)
    return out


@pytest.mark.slow
def test_every_text_is_written_in_chinese() -> None:
    known = {**catalog("zh_CN"), **{t: t for a in own_abouts().values() for t in catalog_of(a.folder, "zh_CN")}}
    assert sorted(m for m in message_ids() if m not in known) == []


@pytest.mark.slow
def test_no_chinese_text_is_left_over_and_places_agree() -> None:
    with (LOCALES / "zh_CN" / "portal.po").open("rb") as f:
        entries = {m.id: m.string for m in read_po(f) if m.id}
    assert sorted(set(entries) - message_ids()) == []
    for english, chinese in entries.items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), english


def test_voice() -> None:
    with (LOCALES / "zh_CN" / "portal.po").open("rb") as f:
        texts = [t for m in read_po(f) if m.id for t in (m.id, m.string)]
    for text in texts:
        assert not re.search(r"[!！]|您|温馨|抱歉|[Oo]ops|invalid|token|session|credential|MFA|OTP", text), text
        if not text.isascii() and re.search(r"[一-鿿]", text) and "Keyback" not in text:
            assert not re.search(r"[一-鿿] [A-Za-z0-9]|[A-Za-z0-9] [一-鿿]", text), text


def poisoned(value: Any, payload: str, keep: frozenset[str] = frozenset()) -> Any:
    """The same page with the payload in every free text."""
    if isinstance(value, tuple):
        return tuple(poisoned(v, payload) for v in value)
    if is_dataclass(value) and not isinstance(value, type):
        hints = type(value).__annotations__
        changes = {
            f.name: poisoned(getattr(value, f.name), payload)
            for f in fields(value)
            if not (type(value) is OneMethod and f.name == "proof")  # names a template: of what is registered alone
            and "Literal" not in hints.get(f.name, "")
            and not (type(value) is Me and f.name == "role")
            and hints.get(f.name) not in ("SystemState", "Journey", "Face", "CheckStatus", "RunState", "Means")
        }
        return replace(value, **changes)
    return payload if isinstance(value, str) else value


OUR_SCRIPTS = {RENDERER.static_url(name) for name in ("account.js", "app.js", "passkey.js", "console.js")}


@pytest.mark.slow
@pytest.mark.covers("I4", "A-1.2.1")
@each("payload", PAYLOADS)
def test_untrusted_text_never_becomes_markup(payload: str) -> None:
    for index, sample in enumerate(SAMPLES):
        name, page, shell = sample.id, *sample.values[1:]
        _, clean = drawn(index)
        dirty = Tree(draw(poisoned(page, payload), replace(shell, company=payload, helpdesk=payload, sender=payload)))
        for tag, attributes in dirty.tags:
            assert not [a for a in attributes if a.startswith("on")], (name, tag)
            assert not attributes.get("href", "").startswith("javascript:"), name
        assert {a.get("src", "") for t, a in dirty.tags if t == "script"} <= OUR_SCRIPTS, name
        assert "49" not in "".join(dirty.texts).replace(payload, "") or "49" in "".join(clean.texts), name


@pytest.mark.covers("I4", "A-1.2.2")
def test_only_web_addresses_become_links() -> None:
    assert [
        safe_url(u) for u in ("javascript:alert(1)", "data:text/html,x", "//evil.example", "/\\evil.example", "")
    ] == [""] * 5
    assert safe_url("https://partner.example.com/reset") == "https://partner.example.com/reset"
    assert safe_url("/forgot") == "/forgot"


def test_a_waiting_page_says_the_same_to_everybody() -> None:
    """Nothing on it comes from a record: no mask, no name, no system."""
    for locale in ("zh_CN", "en"):
        samples = {name: (page, shell) for name, page, shell in gallery.samples(locale)}
        html = draw(*samples["waiting"])
        assert not re.search("•|[*]{2}|chenyu|maya|Tryton|CRM", html)


def test_a_typed_password_is_never_sent_back() -> None:
    for index, sample in enumerate(SAMPLES):
        for a in drawn(index)[1].all("input"):
            if a.get("type") == "password":
                assert "value" not in a, sample.id


@pytest.mark.covers("N-P13", "A-6.2.7", "X-5")
def test_fields_are_named_for_password_managers() -> None:
    samples = {name: (page, shell) for name, page, shell in gallery.samples("en")}
    wanted = {
        "forgot": {"identifier": "username"},
        "waiting": {"code": "one-time-code"},
        "password": {"new_password": "new-password", "username": "username"},
        "sign-in": {"identifier": "username", "password": "current-password"},
    }
    for name, expected in wanted.items():
        found = {a["name"]: a.get("autocomplete") for a in Tree(draw(*samples[name])).all("input") if "name" in a}
        assert expected.items() <= found.items(), name


@pytest.mark.covers("X-6")
def test_errors_lead_to_their_field() -> None:
    samples = {name: (page, shell) for name, page, shell in gallery.samples("en")}
    for name in ("forgot-error-2", "find-error", "waiting-wrong", "sign-in-wrong"):
        marked = [a for a in Tree(draw(*samples[name])).all("input") if a.get("aria-invalid") == "true"]
        assert len(marked) == 1
        assert "autofocus" in marked[0]
        assert "-error" in marked[0]["aria-describedby"]


def test_times() -> None:
    assert moment("en", gallery.AT, RENDERER.zone) == "24 Nov, 14:02"
    assert moment("zh_CN", gallery.AT, RENDERER.zone) == "11月24日14:02"
    zones = [zone_name(locale, ZoneInfo(key)) for key in ("Asia/Shanghai", "UTC") for locale in ("en", "zh_CN")]
    assert zones == ["China time", "北京时间", "UTC", "UTC"], "as in mails"
    assert [span("en", s) for s in (552, 48, 60, 0, -5, 3720)] == [
        "9 min 12 s",
        "48 s",
        "1 min",
        "0 s",
        "0 s",
        "1 h 2 min",
    ]
    assert [span("zh_CN", s) for s in (552, 48, 60, 0)] == ["9分12秒", "48秒", "1分", "0秒"]


def test_translate_escapes_values_but_not_our_own_markup() -> None:
    assert translate("en", "Call {who}", who="<b>") == "Call &lt;b&gt;"
    assert translate("en", "Call {who}", who=Markup("<b>x</b>")) == "Call <b>x</b>"
    assert translate("en", "a <b> & {who}", who="c") == "a &lt;b&gt; &amp; c"


def test_static_files_are_named_by_their_contents() -> None:
    styles = {
        "account.css",
        "base.css",
        "charts.css",
        "console.css",
        "mirrored.css",
        "parts.css",
        "phone.css",
        "tokens.css",
    }
    assert set(RENDERER.static) == styles | {
        "account.js",
        "app.js",
        "console.js",
        "htmx.min.js",
        "passkey.js",
        "mark.svg",
    }
    for name, file in RENDERER.static.items():
        assert re.fullmatch(rf"/static/[0-9a-f]{{12}}/{re.escape(name)}", file.url)
        assert b"http://" not in file.body.replace(b"http://www.w3.org/", b"")
    with pytest.raises(KeyError):
        RENDERER.static_url("../pages.py")
