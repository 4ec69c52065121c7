"""Presets of the guided kind: both languages, a page to begin at, and what was never verified is said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from keyback.application.ports.connectors import Means
from keyback.connectors.guided import GuidedConnector
from keyback.connectors.presets import Preset, presets
from tests.support.house import ROOT

STEPS = {"en": ["Go."], "zh_CN": ["去。"]}


def made(**options: Any) -> GuidedConnector:
    return GuidedConnector.from_options("crm", "CRM", options)


def test_every_preset_leads_people_in_both_languages_and_says_what_is_not_verified() -> None:
    assert {"hubspot", "neocrm", "pipedrive", "freshsales", "monday"} <= set(presets())
    for name, preset in presets().items():
        own = {} if preset.url else {"url": "https://crm.example.com/login"}
        connector = made(preset=name, **own)
        assert connector.capabilities.set_password is Means.GUIDED
        for locale in ("en", "zh_CN"):
            guide = connector.guide(locale)
            assert guide.steps == preset.steps[locale]
            assert guide.url == (preset.url or "https://crm.example.com/login")
            assert len(guide.steps) >= 3
        assert len(preset.steps["en"]) == len(preset.steps["zh_CN"])
        lines = asyncio.run(connector.check())
        assert {x.status for x in lines} == {"ok"}
        said = "\n".join(x.text for x in lines)
        assert all(fact in said for fact in preset.unverified)
        assert preset.administrator["en"] in said


def test_a_section_may_replace_what_its_preset_says() -> None:
    connector = made(preset="hubspot", steps=STEPS, url="https://eu.example.com", sign_in_url="https://in.example.com")
    assert (connector.guide("en").steps, connector.guide("en").url) == (("Go.",), "https://eu.example.com")
    assert connector.url == "https://in.example.com"
    assert made(preset="hubspot").url == presets()["hubspot"].url


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "hubspott"}, "preset must be one of hubspot"),
        ({"preset": "neocrm"}, "differs by customer: set url"),
        ({"steps": STEPS}, "is missing: set url, or a preset"),
        ({"url": "https://crm.example.com"}, "steps are missing"),
    ],
)
def test_bad_settings_say_which_key_is_wrong(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made(**options)


@pytest.mark.parametrize("wrong", [{"steps": {"en": ["Go."]}}, {"unverified": []}, {"url": "http://crm.example.com"}])
def test_a_preset_that_is_not_whole_is_refused(wrong: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"title": "CRM", "steps": STEPS, "administrator": {"en": "a", "zh_CN": "a"}}
    whole |= {"sources": [], "unverified": ["all"]}
    assert Preset.model_validate(whole)
    with pytest.raises(ValueError):
        Preset.model_validate(whole | wrong)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_lists_every_preset(language: str) -> None:
    page = (ROOT / "docs" / language / "connectors" / "guided.md").read_text("utf-8")
    for name, preset in presets().items():
        assert f"`{name}`" in page
        assert preset.title in page
        assert all(source in page for source in preset.sources)
