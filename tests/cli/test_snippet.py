"""`keyback snippet`: what it prints is what the demo's CRM shows and Chromium tries."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from keyback.cli import main
from keyback.web.ui.sign_in_link import sign_in_link
from tests.support.house import ROOT

SETTINGS = 'public_url = "https://recover.example.com"\n[systems.builtin]\nkind = "builtin"\ntitle = "Keyback"\n'


def test_it_prints_the_link_in_both_languages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keyback.toml"
    file.write_text(SETTINGS)
    file.chmod(0o600)
    monkeypatch.setenv("KEYBACK_CONFIG", str(file))
    for locale, words in (("en", "Can’t sign in?"), ("zh_CN", "无法登录？")):
        done = CliRunner().invoke(main, ["snippet", "--locale", locale, "--system", "builtin"])
        assert done.exit_code == 0, done.output
        made = sign_in_link("https://recover.example.com", locale, "builtin")  # type: ignore[arg-type]
        assert done.stdout == made.whole
        assert words in made.link
        assert 'href="https://recover.example.com/forgot?system=builtin"' in made.link
        assert made.csp in done.stderr
        script = re.search(r"<script>(.*)</script>", made.whole, re.S)
        assert script
        assert base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode() in made.csp
    alone = CliRunner().invoke(main, ["snippet", "--script"]).stdout
    assert alone.startswith("(() =>")
    assert "<" not in alone
    wrong = CliRunner().invoke(main, ["snippet", "--system", "nope"])
    assert wrong.exit_code == 2
    assert "builtin" in wrong.output


def test_a_field_of_any_name_and_quotes_in_it() -> None:
    made = sign_in_link("https://recover.example.com/", "en", field="input[name='u\"x']")
    assert 'data-user="input[name=&#x27;u&quot;x&#x27;]"' in made.link
    assert 'href="https://recover.example.com/forgot"' in made.link


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_about_it_has_the_same(language: str) -> None:
    page = (ROOT / "docs" / language / "sign-in-link.md").read_text("utf-8")
    locale = "zh_CN" if language == "zh" else "en"
    assert sign_in_link("https://recover.example.com", locale).whole in page  # type: ignore[arg-type]
