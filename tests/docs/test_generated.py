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


def test_every_setting_and_command_is_on_its_page() -> None:
    for name in Settings.model_fields:
        assert name in PAGES["docs/settings.md"]
    for command in ("init", "serve", "worker", "migrate", "check", "people import", "case cancel", "audit verify"):
        assert f"## keyback {command}\n" in PAGES["docs/cli.md"]
