"""A hold and an approval are a step of their own, and are drawn; at the end no step is still on."""

from __future__ import annotations

import re

import pytest

from keyback.registry import own_abouts
from keyback.web.portal.pages_methods import Held, InReview
from keyback.web.ui.rendering import Renderer
from tests.support import gallery
from tests.support.each import each

HOUR = 3_600_000
RENDERER = Renderer(time_zone="Asia/Shanghai", abouts=own_abouts())
STEP = re.compile(r'<li class="step(?: is-(\w+))?"[^>]*><span>([^<]+)')


def drawn(name: str, locale: gallery.Lang = "en") -> str:
    return next(RENDERER.page(p, s).decode() for n, p, s in gallery.samples(locale) if n == name)


@pytest.mark.covers("X-8")
@each(
    ("name", "steps"),
    [
        ("held", ["done Identity", "now On hold", " New password", " Done"]),
        ("in-review", ["done Identity", "now Approval", " New password", " Done"]),
        ("password", ["done Identity", "now New password", " Done"]),
        ("results-done", ["done Identity", "done New password", "done Done"]),
        ("results-working", ["done Identity", "done New password", "now Done"]),
    ],
)
def test_steps_say_where_one_stands(name: str, steps: list[str]) -> None:
    page = drawn(name)
    assert [f"{state} {words}" for state, words in STEP.findall(page)] == steps
    assert ('class="relief"' in page) is (name == "results-done")


@each(
    ("hours", "left", "cells"),
    [(24, 24, (24, 0)), (24, 18.5, (24, 5)), (24, 0, (24, 23)), (0.25, 0.125, (12, 6)), (0, 0, (12, 11))],
)
def test_squares_of_a_hold(hours: float, left: float, cells: tuple[int, int]) -> None:
    until = gallery.AT
    page = Held("h", until, "mailbox", "u", seconds_left=int(left * 3600), since=until - int(hours * HOUR))
    assert page.cells == cells
    assert '<i class="now"></i>' in RENDERER.page(page, gallery.shell("en")).decode()


def test_an_approval_says_by_when_or_that_it_is_late() -> None:
    shell = gallery.shell("en")
    assert "Usually that’s done by" in RENDERER.page(InReview("h", "u", due=gallery.AT), shell).decode()
    assert "longer than usual" in RENDERER.page(InReview("h", "u"), shell).decode()
