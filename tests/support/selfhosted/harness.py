"""The stand-ins of self-hosted systems as the suite of connectors wants them, each connected by its recipe."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from keyback.application.ports.connectors import Connector
from keyback.connectors.http import HttpConnector
from keyback.testing.connectors import OLD, Fault, FaultyProxy, OverProxy, Traits
from keyback.testing.serving import served
from tests.support.selfhosted import banyan, cedar, dolibarr, espocrm, frappe, kestrel, krayin, ruoyi, vtiger, yudao
from tests.support.selfhosted.base import Person, System


@dataclass(frozen=True)
class Kind:
    """One system and how the section that connects it looks.

    Args:
        path: what follows the address in the section's `url`.
    """

    make: Callable[[], System]
    section: dict[str, Any]
    path: str = ""
    traits: Traits = field(default_factory=Traits)


def _longer() -> yudao.Yudao:
    """A system built on yudao that takes longer passwords, as the suite's are."""
    made = yudao.Yudao()
    made.longest = 32
    return made


def _newer() -> frappe.Frappe:
    made = frappe.Frappe()
    made.newer = True
    return made


KINDS: dict[str, Kind] = {
    "ruoyi": Kind(
        ruoyi.RuoYi, {"login": ruoyi.LOGIN, "secret": ruoyi.SECRET}, traits=Traits(policy=False, shows_locks=False)
    ),
    "yudao": Kind(_longer, {"login": yudao.LOGIN, "secret": yudao.SECRET}, traits=Traits(policy=False)),
    "vtiger": Kind(vtiger.Vtiger, {"login": vtiger.LOGIN, "secret": vtiger.SECRET}, traits=Traits(policy=False)),
    "dolibarr": Kind(dolibarr.Dolibarr, {"secret": dolibarr.SECRET}, "/api/index.php"),
    "espocrm": Kind(espocrm.EspoCrm, {"login": espocrm.LOGIN, "secret": espocrm.SECRET}, "/api/v1"),
    "krayin": Kind(
        krayin.Krayin,
        {"login": krayin.LOGIN, "secret": krayin.SECRET, "values": {"groups_are_cleared": "yes"}},
        "/api/v1",
        Traits(policy=False, shared_mail=False, usernames=False),
    ),
    "frappe": Kind(
        frappe.Frappe,
        {"login": frappe.LOGIN, "secret": frappe.SECRET},
        traits=Traits(shared_mail=False, usernames=False),
    ),
    "frappe 16": Kind(
        _newer,
        {"login": frappe.LOGIN, "secret": frappe.SECRET, "recipe": "frappe"},
        traits=Traits(shared_mail=False, usernames=False),
    ),
}
# Connected with nothing but the documents at hand; their recipes are not Keyback's.
IN_HOUSE = {
    "banyan": Kind(banyan.Banyan, {"login": banyan.LOGIN, "secret": banyan.SECRET}, traits=Traits(policy=False)),
    "kestrel": Kind(kestrel.Kestrel, {"login": kestrel.LOGIN, "secret": kestrel.SECRET}),
    "cedar": Kind(cedar.Cedar, {"login": cedar.LOGIN, "secret": cedar.SECRET}),
}
RECIPES = {"banyan": banyan.RECIPE, "cedar": cedar.RECIPE, "kestrel": kestrel.RECIPE}


@dataclass
class SelfHostedHarness(OverProxy):
    name: str
    system: System
    proxy: FaultyProxy
    url: str
    connector: Connector
    traits: Traits

    recipe: Path | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def over(cls, name: str, system: System, recipe: Path | None = None) -> AsyncIterator[SelfHostedHarness]:
        """The system served behind a way that can break.

        Args:
            recipe: a file, for a system whose recipe does not come along.
        """
        traits = replace((KINDS | IN_HOUSE)[name].traits, tokens=True)
        with served(system) as at:
            proxy = FaultyProxy(("127.0.0.1", int(at.rpartition(":")[2])), b"\0")
            async with proxy.running() as url:
                harness = cls(name, system, proxy, url, connected(name, url, recipe), traits, recipe)
                yield harness
                await proxy.set("")
                await harness.connector.close()

    def _person(self, username: str) -> Person | None:
        return self.system.by_name(username)

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        return self.system.add(username, mail, OLD, privileged=privileged, disabled=disabled)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        known = self.system.digest(username, password) if isinstance(self.system, banyan.Banyan) else password
        session = self.system.signs_in(self._person(username), known)
        if not session:
            return None

        async def alive() -> bool:
            return self.system.owner(session) is not None

        return alive

    async def lock(self, external_id: str) -> None:
        one = self.system.by_id(external_id)
        for _ in range(self.system.locks_after):
            self.system.signs_in(one, "wrong")

    async def changes(self, external_id: str) -> int:
        one = self.system.by_id(external_id)
        return one.changes if one else 0

    async def fault(self, how: Fault) -> None:
        """The reply is lost by the system itself, where each sets passwords by a call of its own."""
        self.system.trouble = how if how == "drop_reply" else ""
        await super().fault("" if how == "drop_reply" else how)

    async def expire_tokens(self) -> None:
        self.system.tokens.clear()

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = connected(self.name, self.url, self.recipe, **more)


def connected(name: str, url: str, recipe: Path | None = None, **more: Any) -> HttpConnector:
    kind = (KINDS | IN_HOUSE)[name]
    section = {"url": url + kind.path, "recipe": str(recipe) if recipe else name, **kind.section, **more}
    return HttpConnector.from_options(name, name.title(), section)
