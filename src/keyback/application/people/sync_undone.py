"""What the batches of a dry run would have left behind for those after them: its database forgets each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from keyback.application.ports.syncs import KnownAccount


@dataclass(slots=True)
class Undone:
    """User names and accounts after the batches so far. Empty in a sync, whose database knows.

    Args:
        names: by the hash of a user name, the ID of who has it by now; `named`: the other way round, by hashes.
        met: hashes of the IDs of accounts that were met.
        parked: hashes of the IDs of those who gave up their name and got no other one yet: they are off until then.
    """

    names: dict[int, str] = field(default_factory=dict)
    named: dict[int, int] = field(default_factory=dict)
    met: set[int] = field(default_factory=set)
    parked: set[int] = field(default_factory=set)

    def note(self, claims: Sequence[tuple[str, str]], met: Sequence[str], released: Sequence[str]) -> None:
        """Takes in a batch.

        Args:
            claims: user names of those who were written, and their IDs.
        """
        self.parked |= set(map(hash, released))
        self.met |= set(map(hash, met))
        for name, external_id in claims:
            self.names[hash(name)], self.named[hash(external_id)] = external_id, hash(name)
            self.parked.discard(hash(external_id))

    def known(self, found: Mapping[str, KnownAccount]) -> Mapping[str, KnownAccount]:
        """Accounts as they would be by now."""
        if not self.parked:
            return found
        return {i: replace(k, state="disabled") if hash(i) in self.parked else k for i, k in found.items()}

    def owners(
        self, names: Sequence[str], found: Mapping[str, KnownAccount], generation: int
    ) -> tuple[Mapping[str, KnownAccount], Sequence[KnownAccount]]:
        """Who would have these user names by now, where those who were met carry the run's generation; and who has them
        in the database alone, so that they are in the way there."""
        if not self.met:
            return found, ()
        out, past = {}, []
        for name in names:
            k, claimed = found.get(name), self.names.get(hash(name))
            if claimed is not None:
                out[name] = KnownAccount("", claimed, "", name, "active", generation, "", "", "active")
            elif k is not None and self._still(k, name):
                out[name] = replace(k, generation=generation) if hash(k.external_id) in self.met else k
            elif k is not None:
                past.append(k)
        return out, past

    def _still(self, k: KnownAccount, name: str) -> bool:
        """Whether an account would still have the user name that the database has of it."""
        return hash(k.external_id) not in self.parked and self.named.get(hash(k.external_id), hash(name)) == hash(name)
