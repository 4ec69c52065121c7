"""A system that lets nobody set a password from outside: the person is led to its own page, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Outcome, Plan, Step
from keyback.domain.secret import Secret


class GuidedOptions(BaseModel):
    """Keys of a guided section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    steps: dict[str, list[str]]


class GuidedConnector:
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
        self.name, self.title, self.url = name, title, url
        self._steps = {locale: tuple(texts) for locale, texts in steps.items()}

    @classmethod
    def from_options(cls, name: str, title: str, options: Mapping[str, Any]) -> GuidedConnector:
        """From a section of `keyback.toml`: `url` and `steps`. Raises `ValueError` for anything else."""
        o = GuidedOptions.model_validate(options)
        return cls(name, title, o.steps, o.url)

    def steps(self, locale: str) -> Sequence[str]:
        """The steps in this language, else in English, else in any."""
        return self._steps.get(locale) or self._steps.get("en") or next(iter(self._steps.values()))

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        return ()

    async def verify(self, username: str, password: Secret) -> bool | None:
        return None

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        """Nothing is sent anywhere: the set step waits for the person."""
        return [Outcome(Step.GUARD, "done"), Outcome(Step.SET, "pending", "guided")]

    async def close(self) -> None:
        return None
