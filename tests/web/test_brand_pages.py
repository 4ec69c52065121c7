"""The company's face on pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from keyback.settings import Settings
from keyback.settings_brand import Brand
from keyback.settings_faults import faults_of
from keyback.settings_file import Unsafe
from tests.support.live import live

LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><path d="M0 0h120v40z"/></svg>'
MARK = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M0 0h32v32z"/></svg>'


def test_pages_carry_logo_color_and_number(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(LOGO)
    brand = {"logo": str(tmp_path / "logo.svg"), "accent": "#1a5fb4", "helpdesk_tel": "+86 755 8888 0000"}
    with live(sqlite_url, tmp_path, brand=brand) as at, at.client() as browser:
        page = browser.get("/").text
        src = re.search(r'<img class="brand-logo" src="(\S+/logo\.svg)" width="120" height="40" alt="">', page)
        assert src
        logo = browser.get(src[1])
        assert (logo.content, logo.headers["content-type"]) == (LOGO, "image/svg+xml")
        assert logo.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert logo.headers["x-content-type-options"] == "nosniff"
        policy = logo.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert "script-src" not in policy
        style = re.search(r'href="(/static/[0-9a-f]{12}/brand\.css)"', page)
        assert style
        assert page.index("tokens.css") < page.index("brand.css")
        rules = browser.get(style[1]).text
        assert rules.startswith(":root{--accent:#1a5fb4;")
        assert ':root[data-theme="dark"]{--accent:#' in rules
        assert '<meta name="theme-color" content="#1a5fb4" media="(prefers-color-scheme: light)">' in page
        assert '<a class="go" href="tel:+8675588880000">Call +86 755 8888 0000</a>' in page
        assert browser.get("/console/sign-in").text.count("brand-logo") == 1


def test_without_a_brand_pages_carry_ours(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path) as at, at.client() as browser:
        page = browser.get("/").text
        assert "brand-mark" in page
        assert "brand-logo" not in page
        assert "brand.css" not in page
        assert "tel:" not in page
        assert re.search(r'<link rel="icon" href="/static/[0-9a-f]{12}/mark\.svg" type="image/svg\+xml">', page)


def test_the_icon_is_the_given_one_the_mark_or_ours(tmp_path: Path) -> None:
    logo, mark = tmp_path / "logo.svg", tmp_path / "mark.svg"
    logo.write_bytes(LOGO)
    mark.write_bytes(MARK)
    assert Brand(logo=logo).face().icon is None, "a word across would be unreadable on a tab"
    own = Brand(logo=mark).face()
    assert own.icon is not None
    assert own.icon.body == MARK
    given = Brand(logo=logo, favicon=mark).face()
    assert given.icon is not None
    assert given.icon.body == MARK
    with pytest.raises(Unsafe, match=r"brand.favicon: .*logo.svg is not square"):
        Brand(favicon=logo).face()


def test_a_color_that_cannot_be_read_is_refused_with_one_that_can() -> None:
    with pytest.raises(ValidationError) as e:
        Settings(brand={"accent": "#3370ff"})
    assert faults_of(e.value, Settings) == [
        "brand: accent: #3370ff has a contrast of 3.6 on light pages, and text needs 4.5. "
        "The nearest that can be read is #245fed"
    ]
    assert Settings(brand={"accent": "#245fed"}).brand.accent == "#245fed"
    with pytest.raises(ValidationError, match=r"accent_dark: #245fed has a contrast of .* on dark pages"):
        Settings(brand={"accent": "#245fed", "accent_dark": "#245fed"})
    with pytest.raises(ValidationError, match="set accent, too"):
        Settings(brand={"accent_dark": "#8ab4f8"})


def test_a_picture_that_cannot_be_served_stops_the_start(make_kit: object, tmp_path: Path) -> None:
    bad = tmp_path / "logo.svg"
    bad.write_bytes(LOGO.replace(b"<path", b"<script/><path"))
    with pytest.raises(Unsafe, match=r"brand.logo: .*logo.svg holds <script>. Save it as a plain SVG, or as a PNG."):
        make_kit(brand={"logo": str(bad)})  # type: ignore[operator]
    with pytest.raises(Unsafe, match=r"brand.logo: .*nothing.png cannot be read: No such file"):
        make_kit(brand={"logo": str(tmp_path / "nothing.png")})  # type: ignore[operator]


def test_own_texts_stand_where_people_begin_where_they_get_help_and_at_the_end(sqlite_url: str, tmp_path: Path) -> None:
    own = {
        "intro": {"en": "For staff of **Qingyu**.", "zh_CN": "仅限青屿员工。"},
        "help": {"en": "[House rules](https://example.com/rules)"},
        "footer": {"en": "Qingyu & Sons <b>"},
    }
    with live(sqlite_url, tmp_path, brand=own) as at, at.client() as browser:
        first = browser.get("/").text
        assert '<div class="own"><p>For staff of <strong>Qingyu</strong>.</p></div>' in first
        assert first.index("<h1>") < first.index("For staff") < first.index('class="choices"')
        assert "<p>Qingyu &amp; Sons &lt;b&gt;</p>" in first[first.index("<footer") :]
        assert "For staff" not in browser.get("/forgot").text
        assert 'href="https://example.com/rules" rel="noreferrer">House rules</a>' in browser.get("/help").text
        assert "仅限青屿员工。" in browser.get("/?lang=zh-CN").text
        assert "Qingyu &amp; Sons" in browser.get("/?lang=ja").text, "a language without one shows another's"


def test_light_or_dark_is_chosen_by_a_link_and_kept(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path) as at, at.client() as browser:
        assert "data-theme" not in browser.get("/").text
        dark = browser.get("/sign-in?theme=dark")
        assert re.search(r"keyback-theme=dark; HttpOnly; Max-Age=31536000", dark.headers["set-cookie"])
        page = browser.get("/").text
        assert '<html lang="en" data-theme="dark">' in page
        assert '<meta name="color-scheme" content="dark">' in page
        assert page.count('name="theme-color"') == 1
        assert '<b aria-current="true">Dark</b>' in page
        assert 'data-theme="dark"' in browser.get("/console/sign-in").text
        assert 'data-theme="light"' in browser.get("/?theme=light").text
        assert 'data-theme="light"' in browser.get("/?theme=%22%3E").text, "what is no choice changes nothing"
        assert "data-theme" not in browser.get("/?theme=auto").text
        assert "data-theme" not in browser.get("/").text
