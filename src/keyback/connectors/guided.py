"""A system that lets nobody set a password from outside: the person is led to its own page, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from keyback.application.ports.connectors import Capabilities, CheckLine, Guide, Means, Outcome, Plan, Step
from keyback.connectors.base import CommonOptions, ConnectorBase
from keyback.connectors.presets import Preset, presets
from keyback.locale import all_told


class GuidedOptions(CommonOptions):
    """Keys of a guided section.

    Args:
        preset: hubspot, pipedrive, monday, freshsales, neocrm, or twenty: steps that come with Keyback.
        url: the system's own reset page; a preset may know it already.
        steps: by locale, one sentence each.
    """

    preset: str = ""
    url: str = ""
    steps: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> GuidedOptions:
        known = presets()
        if self.preset and self.preset not in known:
            raise ValueError(f"preset must be one of {', '.join(known)}")
        if not self.page:
            where = "differs by customer: set url" if self.preset else "is missing: set url, or a preset"
            raise ValueError(f"the page where people reset their password {where}")
        if not self.preset and not self.steps:
            raise ValueError("steps are missing: set steps.en and steps.zh_CN, or a preset")
        return self

    @property
    def page(self) -> str:
        return self.url or (presets()[self.preset].url if self.preset else "")


class GuidedConnector(ConnectorBase):
    """Connector without a connection.

    Args:
        name: key in `keyback.toml`; title: what people call the system.
        steps: by locale (`en`, `zh_CN` …) what the person does there, one sentence each.
        url: the system's own reset page; http(s) only, it becomes a link.

    Raises `ValueError` for another kind of address or when a locale has no steps.
    """

    capabilities = Capabilities(set_password=Means.GUIDED, deep_link=Means.GUIDED)
    options_model = GuidedOptions
    _preset: Preset | None = None

    def __init__(self, name: str, title: str, steps: Mapping[str, Sequence[str]], url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("the address of a guided system must begin with https:// or http://")
        if not steps or not all(steps.values()):
            raise ValueError("a guided system needs its steps in every language it names")
        self.name, self.title, self._page = name, title, url
        self._steps = {locale: tuple(texts) for locale, texts in steps.items()}

    @classmethod
    def from_options(cls, name: str, title: str, options: Mapping[str, Any]) -> GuidedConnector:
        """From a section of `keyback.toml`: `url` and `steps`. Raises `ValueError` for anything else."""
        o = GuidedOptions.model_validate(options)
        preset = presets()[o.preset] if o.preset else None
        made = cls(name, title, o.steps or (preset.steps if preset else {}), o.page)
        made.configured(o)
        made._preset = preset
        if preset and preset.url and not made.url:
            made.url = preset.url
        return made

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        """Where people are led, and what of a preset was never verified; nothing is called."""
        lines = [CheckLine("reach", "ok", f"people are led to {self._page}; there is nothing to reach")]
        if self._preset is not None:
            lines.append(CheckLine("read", "ok", f"an administrator there: {self._preset.administrator['en']}"))
            lines += [CheckLine("read", "ok", f"not verified: {fact}") for fact in self._preset.unverified]
        return lines

    def guide(self, locale: str) -> Guide:
        """The steps in this language, else in English, else in any, and the reset page."""
        return Guide(all_told(self._steps, locale), self._page)

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        """Nothing is sent anywhere: the set step waits for the person."""
        return [Outcome(Step.GUARD, "done"), Outcome(Step.SET, "pending", "guided")]
