"""Accent colors: what text can be read in, and what is offered instead."""

from __future__ import annotations

import re

import pytest

from keyback.domain.brand.colors import (
    EASY,
    MARK,
    SURFACES,
    TEXT,
    Mode,
    Unreadable,
    contrast,
    hue_apart,
    nearest,
    palette,
    read_color,
)
from keyback.web.ui.rendering import load_static
from tests.support.each import each

MODES: tuple[Mode, ...] = ("light", "dark")
EVERY_HUE = [f"#{r:02x}{g:02x}{b:02x}" for r in (0, 90, 255) for g in (0, 90, 255) for b in (0, 90, 255)]


def test_ratios_are_those_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01), "the grey that everybody knows"
    assert contrast("#0d5a4b", "#ffffff") == pytest.approx(8.1, abs=0.05), "as tokens.css says"
    assert contrast("#4f9483", "#ecf0ee") == contrast("#ecf0ee", "#4f9483") == pytest.approx(3.1, abs=0.05)


def test_surfaces_are_those_of_the_style() -> None:
    style = load_static()["tokens.css"].body.decode()
    drawn = [re.findall(rf"--{name}:\s*(#[0-9a-f]{{6}})", style) for name in ("sheet", "paper", "sunken")]
    assert [(light, dark) for light, dark, _ in drawn] == list(zip(SURFACES["light"], SURFACES["dark"], strict=True))


@each("color", EVERY_HUE)
def test_what_follows_from_a_color_can_be_read(color: str) -> None:
    for mode in MODES:
        for least in (TEXT, EASY):
            p = palette(nearest(color, mode, least), mode)
            assert all(contrast(p.accent, s) >= least for s in (*SURFACES[mode], p.accent_wash)), (mode, p)
            assert contrast(p.on_accent, p.accent) >= TEXT
            assert contrast(p.on_accent, p.accent_deep) >= TEXT
            assert all(contrast(p.accent_mid, s) >= MARK for s in SURFACES[mode])


@each("color", EVERY_HUE)
def test_a_color_is_taken_or_one_of_its_hue_is_named(color: str) -> None:
    for mode in MODES:
        offered = nearest(color, mode)
        assert palette(offered, mode).accent == offered
        if offered != color:
            with pytest.raises(Unreadable) as e:
                palette(color, mode)
            assert e.value.nearest == offered
            assert e.value.ratio < TEXT
            assert hue_apart(color, offered) in (180.0, pytest.approx(0, abs=12))


def test_the_nearest_is_the_first_that_can_be_read() -> None:
    assert nearest("#3370ff", "light") == "#245fed"
    with pytest.raises(Unreadable):
        palette("#2863f1", "light")


def test_colors_are_read_as_people_write_them() -> None:
    assert read_color(" #1A5FB4 ") == "#1a5fb4"
    assert read_color("#fa0") == "#ffaa00"
    for wrong in ("1a5fb4", "blue", "#12345", "#1a5fb4ff", "rgb(1,2,3)", "#1a5fb4;}"):
        with pytest.raises(ValueError, match="#1a5fb4"):
            read_color(wrong)


def test_red_and_grey_are_told_from_red() -> None:
    assert hue_apart("#d7051b", "#9d2a1b") < 20
    assert hue_apart("#1a5fb4", "#9d2a1b") > 90
    assert hue_apart("#777777", "#9d2a1b") == 180
