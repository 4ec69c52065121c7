"""Generated pages are as their source is now; `python -m keyback.cli.docs` writes them."""

from __future__ import annotations

import pytest

from keyback.cli.docs import pages
from keyback.settings import Settings
from tests.docs.house import ROOT

PAGES = pages()


@pytest.mark.parametrize("path", PAGES)
def test_page_is_fresh(path: str) -> None:
    assert (ROOT / path).read_text("utf-8") == PAGES[path], "run: python -m keyback.cli.docs"


def test_every_setting_says_what_it_means() -> None:
    rows = [r.split(" | ") for r in PAGES["docs/settings.md"].replace("\\|", "/").splitlines() if r.startswith("| `")]
    assert len(rows) > 40
    assert [r[0] for r in rows if not r[-1].rstrip(" |")] == []
    parts = PAGES["docs/settings.md"].split("\n## ")[1:]
    assert [p.split("\n")[0] for p in parts if not p.split("\n")[2].strip()] == []


def test_every_setting_and_command_is_on_its_page() -> None:
    for name in Settings.model_fields:
        assert name in PAGES["docs/settings.md"]
    for command in ("init", "serve", "worker", "migrate", "check", "people import", "case cancel", "audit verify"):
        assert f"## keyback {command}\n" in PAGES["docs/cli.md"]
