"""`keyback brand preview`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from keyback.cli import main
from tests.support.pictures import png

SETTINGS = """
public_url = "https://id.example.com"
company.en = "Qingyu Instruments"
company.zh_CN = "青屿仪器"
helpdesk.en = "extension 8100"
brand.logo = "logo.png"
brand.accent = "#1a5fb4"
brand.helpdesk_tel = "8100"
brand.intro.en = "For staff of **Qingyu**."
brand.footer.en = "8 Harbour Road"
"""
BROWSER = """#!/bin/sh
for a; do case "$a" in --screenshot=*) to=${a#--screenshot=};; esac; echo "$a" >> "$(dirname "$0")/asked"; done
case "$to" in *page-help*) exit 1;; *) echo picture > "$to";; esac
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "logo.png").write_bytes(png(60, 60))
    (tmp_path / "keyback.toml").write_text(SETTINGS.replace("logo.png", str(tmp_path / "logo.png")), "utf-8")
    (tmp_path / "keyback.toml").chmod(0o600)
    monkeypatch.setenv("KEYBACK_CONFIG", str(tmp_path / "keyback.toml"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def preview(place: Path, *more: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["brand", "preview", str(place / "out"), *more])
    assert done.exit_code == code, done.output
    return done.output


def test_pages_and_mails_stand_alone(place: Path) -> None:
    said = preview(place, "--lang", "en")
    assert "There are no pictures: install chromium for them." in said
    made = {f.name: f.read_text("utf-8") for f in (place / "out").iterdir()}
    pages = [n for n in made if n.startswith("page-")]
    mails = [n for n in made if n.startswith("mail-")]
    assert (len(pages), len(mails), len(made)) == (21, 9, 31)
    for name in (*pages, *mails):
        assert not re.search(r'(src|rel="stylesheet" href)="(?!data:)|<script|cid:', made[name]), name
        assert "data:image/png;base64," in made[name], name
        assert "8 Harbour Road" in made[name], name
        assert "#1a5fb4" in made[name], name
        assert f'href="{name}"' in made["index.html"]
    assert "For staff of <strong>Qingyu</strong>." in made["page-first-en-360-dark.html"]
    assert 'data-theme="dark"' in made["page-first-en-360-dark.html"]
    assert not (place / "data").exists(), "no database"


def test_pictures_are_made_by_the_browser_that_is_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "bin").mkdir()
    (place / "bin" / "chromium").write_text(BROWSER)
    (place / "bin" / "chromium").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place / 'bin'}:/usr/bin:/bin")
    said = preview(place, "--lang", "zh_CN", code=1)
    assert "Wrote 27 pictures." in said
    assert "made no picture of page-help-zh_CN-360-light" in said
    assert len(list((place / "out").glob("*.png"))) == 27
    asked = (place / "bin" / "asked").read_text().splitlines()
    assert {a for a in asked if a.startswith("--window-size")} == {"--window-size=360,1200", "--window-size=1280,900"}
    assert asked.count("--blink-settings=preferredColorScheme=0") == 10
    assert all(a.startswith(("-", f"file://{place}/out/")) for a in asked)


def test_a_brand_that_cannot_be_shown_says_why(place: Path) -> None:
    (place / "logo.png").write_bytes(b"GIF89a")
    assert "is neither SVG nor PNG" in preview(place, code=1)
    assert not list((place / "out").glob("page-*"))
