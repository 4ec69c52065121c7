"""Generated pages are as their source is now; `python -m keyback.cli.docs` writes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from keyback.cli.docs import pages
from keyback.settings import Settings
from tests.support.house import ROOT

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


def test_what_the_page_calls_required_is_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGES["docs/settings.md"]
    required = set(re.findall(r"^\| `([\w.]+)` .* \| required \|", page, re.M))
    of_providers = {f"providers.NAME.{n}" for n in ("title", "client_id", "system")}
    texts = {f"{text}.{locale}" for text in ("title", "asks", "goes") for locale in ("en",)}
    of_services = {f"identity.NAME.{n}" for n in ("assessment", "issuer", "client_id", "levels", *texts)}
    assert required == {"systems.NAME.kind", "systems.NAME.title"} | of_providers | of_services
    whole = Settings()
    for section in ("company", "helpdesk"):
        for language in ("en", "zh_CN"):
            assert f"| text | `{getattr(getattr(whole, section), language)}` |" in page
        with pytest.raises(ValidationError, match="Field required"):  # set one, and English is needed
            Settings.model_validate({section: {"zh_CN": "x"}})
    assert page.count("If you set one, set `en`, too.") == 2


def test_every_setting_and_command_is_on_its_page() -> None:
    for name in Settings.model_fields:
        assert name in PAGES["docs/settings.md"]
    for command in ("init", "serve", "worker", "migrate", "check", "people import", "case cancel", "audit verify"):
        assert f"## keyback {command}\n" in PAGES["docs/cli.md"]
