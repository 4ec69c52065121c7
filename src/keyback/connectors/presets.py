"""Presets of guided systems: texts, page and facts of well-known vendors, from `guided_presets.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field, model_validator

from keyback.connectors.base import web_address

LANGUAGES = {"en", "zh_CN"}  # the rest have them in their catalogues


class Preset(BaseModel):
    """What is known of one vendor.

    Args:
        title: what people call the system.
        url: the page where the steps begin; empty where it differs by customer.
        steps: by locale, one sentence each.
        administrator: by locale, what an administrator can do there.
        sources: pages of the vendor, without scheme; unverified: what none of them says, or nobody tried.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    url: str = ""
    steps: dict[str, tuple[str, ...]]
    administrator: dict[str, str]
    sources: tuple[str, ...]
    unverified: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Preset:
        if set(self.steps) != LANGUAGES or set(self.administrator) != LANGUAGES or not all(self.steps.values()):
            raise ValueError("a preset has its texts in both languages")
        if self.url:
            web_address(self.url)
        return self


@cache
def presets() -> Mapping[str, Preset]:
    """All presets by name.

    Raises:
        ValueError: the file that came with Keyback is damaged.
    """
    raw = tomllib.loads(files("keyback.connectors").joinpath("guided_presets.toml").read_text("utf-8"))
    return {name: Preset.model_validate(values) for name, values in raw.items()}
