"""What an import may speak of, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from keyback.application.people.saving import Changes
from keyback.domain.people.groups import group_name
from keyback.domain.people.person import Tier


@dataclass(frozen=True)
class Systems:
    """What a file may speak of.

    Args:
        titles: name and title of the configured systems.
        ids: those whose accounts need the system's own number, the column `external_id`.
        tiers: the tier that the members of a group have at least, by its name (`policy.groups`).
        default_system: whose accounts a file without a column for the system brings; None for none.
        phone_country: of phone numbers without a country code; None: no numbers are taken.
    """

    titles: Mapping[str, str]
    ids: frozenset[str] = frozenset()
    default_locale: str = "en"
    tiers: Mapping[str, Tier] = field(default_factory=dict)
    default_system: str = "builtin"
    phone_country: str | None = None

    @cached_property
    def groups(self) -> Mapping[str, Tier]:
        return {group_name(name): tier for name, tier in self.tiers.items()}

    @property
    def known(self) -> tuple[str, ...]:
        """Each system's name and title, for an error."""
        return tuple(n if title == n else f"{n} ({title})" for n, title in self.titles.items())

    def named(self, text: str) -> str | None:
        """The name of the system that a cell means, by name or title."""
        wanted = text.casefold()
        hits = {n for n, title in self.titles.items() if wanted in (n.casefold(), title.casefold())}
        return text if text in self.titles else hits.pop() if len(hits) == 1 else None


@dataclass(slots=True)
class Report(Changes):
    """What an import came to. `rows` and `bad` count rows; `empty_groups` have a tier and no member in the file,
    perhaps because of a slip in their name. `sample` is the first name beyond ASCII, by which people see whether
    the encoding is right, in line `sample_line`. `languages` counts people whose language Keyback does not speak, by
    what stands there; `off` those without access, by the word that says so. `switched_off` people were there already
    and lost their access though their row was left out. `beyond_ascii` names people with an address
    that only a relay with SMTPUTF8 takes (RFC 6531), up to `MAX_LINES`. `bad_phones` counts mobile numbers that cannot
    be used, `bad_phone_lines` says where, up to `MAX_LINES`. `groups_left_out` counts groups of people that could not
    be kept. `warnings` are columns about access that were not understood, `notes` what was decided about others."""

    sha256: str = ""
    encoding: str = ""
    rows: int = 0
    bad: int = 0
    unused: tuple[str, ...] = ()
    dry_run: bool = False
    empty_groups: tuple[str, ...] = ()
    sample: str = ""
    sample_line: int = 0
    languages: dict[str, int] = field(default_factory=dict)
    off: dict[str, int] = field(default_factory=dict)
    switched_off: int = 0
    beyond_ascii: list[str] = field(default_factory=list)
    bad_phones: int = 0
    bad_phone_lines: list[int] = field(default_factory=list)
    groups_left_out: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
