"""Tasks of administrators, and the watch over whether the person got in: what storage keeps of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

# `reset`: the system lets no program set a password. `stop`: somebody else may be in the account, which has to be
# stopped by hand. `turn_on`: it was stopped, and only an administrator turns it on again.
TaskKind = Literal["reset", "stop", "turn_on"]
TaskState = Literal["open", "done", "declined", "over"]
# `looking`: the system is asked now and then. `blind`: it doesn't say who signs in. `seen`: a sign-in was seen. `said`:
# the person says that they're in. `unseen`: nobody was seen until the end.
Watch = Literal["", "looking", "blind", "seen", "said", "unseen"]


@dataclass(frozen=True, slots=True)
class Task:
    """What an administrator of a system has to do for one account, with what the person was verified by.

    Args:
        case_id: the recovery; empty where there was none.
        verified: method and instant (ms) of everything that was shown for it. No secrets, no addresses.
        asked_at: when administrators were mailed last (ms); 0: not yet.
        asks: how often they were.
        closed_by: `administrator`, `person`, `watch`, or `overtaken`.
        note: an administrator's words; the person sees them with `declined`.
        watch_from: sign-ins from this instant (ms) count.
        look_at: when the system is asked next (ms); 0: never.
        seen_at: when the sign-in was that was seen (ms).
        operator_id: who closed it in the console; empty where nobody did there.
        first_by: the operator who said first that it is done, where two have to.
        version: counts changes.
    """

    id: str
    kind: TaskKind
    person_id: str
    account_id: str
    system: str
    opened_at: int
    state: TaskState = "open"
    case_id: str = ""
    verified: tuple[tuple[str, int], ...] = ()
    asked_at: int = 0
    asks: int = 0
    closed_at: int = 0
    closed_by: str = ""
    note: str = ""
    watch: Watch = ""
    watch_from: int = 0
    look_at: int = 0
    looks: int = 0
    reminded: bool = False
    seen_at: int = 0
    operator_id: str = ""
    first_by: str = ""
    first_at: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class TaskRules:
    """Who is asked, and when.

    Args:
        administrators: mail addresses.
        locale: in which language they are written to.
        at_once: they are asked as soon as a recovery needs them; else when the person asks for them, or was not seen
            to get in.
    """

    administrators: tuple[str, ...] = ()
    locale: str = "en"
    at_once: bool = True


class Tasks(Protocol):
    """The store of tasks; what a writing transaction reads by `get` stays locked until its end."""

    def add(self, task: Task) -> None: ...
    def get(self, task_id: str, *, lock: bool = True) -> Task | None: ...
    def of_case(self, case_id: str) -> Sequence[Task]: ...
    def open_of(self, account_id: str) -> Sequence[Task]: ...
    def listed(self, *, state: str | None, limit: int) -> Sequence[Task]:
        """The newest first."""
        ...

    def page(self, *, waiting: bool, after: tuple[int, str], limit: int) -> Sequence[Task]:
        """One page of a list: those that are open, the oldest first; or all, the newest first.

        Args:
            after: (opened_at, id) of the last one that was seen; (0, "") at the beginning.
        """
        ...

    def save(self, task: Task) -> Task:
        """Stores a changed task; as it is now. Raises Refusal `conflict` when it was changed since it was read."""
        ...

    def claim(self, limit: int, lease_ms: int) -> Sequence[Task]:
        """Those whose system is to be asked now; nobody else gets them for so long."""
        ...
