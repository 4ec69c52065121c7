"""Pages of the login doctor: what keeps a person out, system by system, and what no system can see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from keyback.application.doctor.diagnosis import StaleSource
from keyback.web.ui.findings import FindingShown, SelfCheck
from keyback.web.ui.page import Page

TO_GO_ON = ("removed", "gone", "pass")  # what is said once a system's own page is where to go


@dataclass(frozen=True, slots=True)
class SystemCheck:
    """What one system said of one account.

    Args:
        state: `fine`, nothing was found; `slow`, it gave no answer; `silent`, it tells nobody.
        stale: what keeps trying an old password there.
        url: where people sign in to it; empty where the settings name no address.
        second_step: account id, where a lost second step can be seen to; else empty.
    """

    title: str
    username: str
    state: Literal["fine", "found", "slow", "silent"]
    findings: tuple[FindingShown, ...] = ()
    stale: tuple[StaleSource, ...] = ()
    url: str = ""
    second_step: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis(Page):
    """`/r/{handle}` of the journey `still_locked_out`, and `/r/{handle}/diagnosis` of any other.

    Args:
        can_choose: a new password may be chosen from this page, and would let the person in somewhere.
        choosable: ids of the accounts that it may be chosen for.
        over: the recovery has set its password already; a new one takes a new recovery.
        too_often: the systems were asked so often that they were not asked now.
    """

    template: ClassVar[str] = "portal/diagnosis.html"
    journey: ClassVar[str] = "still_locked_out"
    handle: str
    systems: tuple[SystemCheck, ...]
    checks: tuple[SelfCheck, ...]
    can_choose: bool = False
    over: bool = False
    too_often: bool = False
    choosable: tuple[str, ...] = ()

    @property
    def slow(self) -> tuple[str, ...]:
        """Titles of the systems that gave no answer."""
        return tuple(dict.fromkeys(s.title for s in self.systems if s.state == "slow"))

    @property
    def lost(self) -> frozenset[str]:
        """Accounts whose second step is known to be of no use."""
        return frozenset(s.second_step for s in self.systems if any(f.code == "factor_lost" for f in s.findings))

    @property
    def asked(self) -> int:
        return sum(s.state != "silent" for s in self.systems)

    @property
    def addresses(self) -> tuple[tuple[str, str], ...]:
        """(title, address) of every system that has one."""
        return tuple(dict.fromkeys((s.title, s.url) for s in self.systems if s.url))


@dataclass(frozen=True, slots=True)
class FactorRow:
    """A second step in a system. `kind` as in `connectors.SystemFactor`; `title` is the system's own word."""

    id: str
    kind: str
    title: str
    removable: bool


@dataclass(frozen=True, slots=True)
class SystemFactorsOf:
    """One account's second steps; None where the system did not say. `url`: where people sign in to it, if known."""

    account: str
    title: str
    username: str
    factors: tuple[FactorRow, ...] | None
    gives_pass: bool
    url: str = ""


@dataclass(frozen=True, slots=True)
class SystemFactors(Page):
    """`/r/{handle}/system-factors`: second steps of the systems themselves.

    Args:
        said: what came of the last form; `about` is the system's title.
        secret: a temporary pass, shown this once.
        until: ms; when it ends.
        once: it signs in once only.
    """

    template: ClassVar[str] = "portal/system_factors.html"
    journey: ClassVar[str] = "second_factor"
    handle: str
    username: str
    systems: tuple[SystemFactorsOf, ...]
    said: Literal["", "removed", "gone", "uncertain", "desk", "refused", "away", "too_many", "privileged", "pass"] = ""
    about: str = ""
    secret: str = field(default="", repr=False)
    until: int = 0
    once: bool = True

    @property
    def opens(self) -> str:
        """Where to go now that something was done."""
        return next((s.url for s in self.systems if s.title == self.about and self.said in TO_GO_ON), "")
