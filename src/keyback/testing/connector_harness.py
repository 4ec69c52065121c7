"""What the suite of `keyback.testing.connectors` needs from whoever runs it, and what both sides say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from keyback.application.ports.connectors import Connector, Outcome, Plan, Step
from keyback.domain.secret import Secret
from keyback.testing.faulty_proxy import Fault, FaultyProxy

OLD, NEW, CANARY = "Old-pass-123456", "Neu-und-lang-778899", "Kanarienvogel-4711-geheim"


@dataclass(frozen=True, slots=True)
class Traits:
    """What the system under test has.

    Args:
        policy: it refuses weak passwords itself.
        network: it can be unreachable, hang, or lose a reply.
        counts: `changes` knows how often a password was set.
        shared_mail: two users may have the same mail address.
        usernames: people have user names; without them the mail address is the only one.
        shows_locks: it says who is locked, and not only to those who sign in.
        tokens: Keyback signs in there with tokens that end, which `expire_tokens` lets happen.
    """

    policy: bool = True
    network: bool = True
    counts: bool = True
    shared_mail: bool = True
    usernames: bool = True
    shows_locks: bool = True
    tokens: bool = False

    def login(self, name: str) -> str:
        """What somebody whom `add_user` added as `name` is called by the system, with mail at example.com."""
        return name if self.usernames else f"{name}@example.com"


class Harness(Protocol):
    """What the suite needs besides the connector: the other side's own controls."""

    connector: Connector
    traits: Traits

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        """Add a user with password `OLD`; gives the external id."""
        ...

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        """Sign in as the person would, not through the connector: None when refused, else "is it still alive?"."""
        ...

    async def lock(self, external_id: str) -> None:
        """Lock the user; called only where the connector claims `unlock`."""
        ...

    async def must_change(self, username: str, password: str) -> bool:
        """Whether signing in with it ends in having to choose another one; only where `must_change` is claimed."""
        ...

    async def grant(self, external_id: str, title: str) -> str:
        """Let an application act in the user's name; gives its id. Only where `revoke_grants` is claimed."""
        ...

    async def factor(self, external_id: str) -> str:
        """Give the user a second factor that can be removed; gives its id. Only where `reset_factor` is claimed."""
        ...

    async def changes(self, external_id: str) -> int:
        """How often the system set this user's password; called only with `traits.counts`."""
        ...

    async def expire_tokens(self) -> None:
        """End the tokens that Keyback has; called only with `traits.tokens`."""
        ...

    @property
    def proxy(self) -> FaultyProxy:
        """The way to the system, which can break; asked for only with `traits.network`."""
        ...

    async def renew(self, **more: Any) -> None:
        """Close the connector and make another with these options more, `timeout_s` among them; with `network`."""
        ...

    async def fault(self, how: Fault) -> None:
        """Break the way to the system; the empty word mends it. See `OverProxy`."""
        ...


class OverProxy:
    """The part of a harness that breaks the way; subclass it, set `proxy`, and write `renew`."""

    proxy: FaultyProxy

    async def renew(self, **more: Any) -> None:
        """Close the connector and make another with these options more, `timeout_s` among them."""
        raise AssertionError("renew is missing")

    async def fault(self, how: Fault) -> None:
        """Waiting out a whole time-out would make the suite slow; a short one everywhere would make it shaky."""
        if how == "hang":  # nothing is answered in it, however long
            await self.renew(timeout_s=0.2)
        await self.proxy.set(how)


def plan(external_id: str, username: str, password: str = NEW, **more: Any) -> Plan:
    return Plan(more.pop("job_id", f"job-{username}"), external_id, username, Secret(password), **more)


def by_step(outcomes: Any) -> dict[Step, Outcome]:
    """Outcomes by step; a step never comes twice, and nothing follows one that stopped the plan."""
    found = {o.step: o for o in outcomes}
    assert len(found) == len(outcomes)
    assert list(found) == [s for s in Step if s in found], "steps are out of order"
    stopped = [i for i, o in enumerate(outcomes) if o.status in {"refused", "retry"}]
    assert stopped in ([], [len(outcomes) - 1]), "a plan goes on after the step that stopped it"
    return found
