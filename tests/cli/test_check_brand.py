"""What `keyback check` says of the company's face."""

from __future__ import annotations

import random
from pathlib import Path

from keyback.cli.check_brand import HEAVY, look
from keyback.settings import Settings
from tests.support.pictures import png

LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><path d="M0 0h120v40z"/></svg>'


def said(**brand: object) -> list[tuple[str, str, str]]:
    return [(f.status, f.detail, f.next) for f in look(Settings(brand=brand))]  # type: ignore[arg-type]


def test_nothing_is_said_of_a_face_that_is_ours() -> None:
    assert said() == []


def test_what_is_shown_is_said(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(LOGO)
    found = said(accent="#1a5fb4", logo=tmp_path / "logo.svg", helpdesk_tel="8100 ext. 7")
    assert [status for status, _, _ in found] == ["ok", "warn"]
    assert found[1][1].startswith("emails show our mark in place of the logo")
    assert found[0][1].startswith("accent #1a5fb4, #")
    assert found[0][1].endswith("on dark pages; logo SVG of 120 × 40; help desk at tel:8100;ext=7")


def test_a_picture_that_cannot_be_shown_is_named(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"GIF89a")
    path = tmp_path / "logo.png"
    assert said(logo=path) == [("bad", f"brand.logo: {path} is neither SVG nor PNG", "Save it as one of the two.")]


def test_red_and_half_translated_texts_are_warned_of() -> None:
    assert [d for s, d, _ in said(accent="#c01c28") if s == "warn"] == [
        "accent #c01c28 is close to the red of buttons that cancel or lock"
    ]
    (found,) = said(intro={"zh_CN": "仅限本公司员工。"})
    assert found[0] == "warn"
    assert found[1].startswith("brand.intro has no text in en")
    assert found[2] == "Add brand.intro.en."


def test_a_logo_that_makes_mails_heavy_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(LOGO)
    (tmp_path / "light.png").write_bytes(png(120, 40))
    assert [s for s, _, _ in said(logo=tmp_path / "logo.svg", mail_logo=tmp_path / "light.png")] == ["ok"]
    noise = random.Random(1).randbytes(3 * 80 * 80)
    (tmp_path / "heavy.png").write_bytes(png(80, 80, noise))
    assert (tmp_path / "heavy.png").stat().st_size > HEAVY
    found = said(logo=tmp_path / "heavy.png")
    assert [s for s, _, _ in found] == ["ok", "warn"]
    assert found[1][1] == "the logo makes every email 25 KiB larger"
