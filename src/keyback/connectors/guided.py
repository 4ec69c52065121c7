"""A system that lets nobody set a password from outside: the person is led to its own page, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from keyback.application.ports.connectors import Capabilities, Guide, Means, Outcome, Plan, Step
from keyback.connectors.base import CommonOptions, ConnectorBase


class GuidedOptions(CommonOptions):
    """Keys of a guided section; `url` is the system's own reset page."""

    url: str
    steps: dict[str, list[str]]


class GuidedConnector(ConnectorBase):
    """Connector without a connection.

    Args:
        name: key in `keyback.toml`; title: what people call the system.
        steps: by locale (`zh_CN`, `en`) what the person does there, one sentence each.
        url: the system's own reset page; http(s) only, it becomes a link.

    Raises `ValueError` for another kind of address or when a locale has no steps.
    """

    capabilities = Capabilities(set_password=Means.GUIDED, deep_link=Means.GUIDED)

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
        made = cls(name, title, o.steps, o.url)
        made.configured(o)
        return made

    def guide(self, locale: str) -> Guide:
        """The steps in this language, else in English, else in any, and the reset page."""
        steps = self._steps.get(locale) or self._steps.get("en") or next(iter(self._steps.values()))
        return Guide(steps, self._page)

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        """Nothing is sent anywhere: the set step waits for the person."""
        return [Outcome(Step.GUARD, "done"), Outcome(Step.SET, "pending", "guided")]
