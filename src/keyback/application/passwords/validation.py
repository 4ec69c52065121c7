"""Judging a new password: the words that everybody around the account knows, and the id of one submitted form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from keyback.application.services import Services
from keyback.domain.passwords.rules import USED_BEFORE, Context, Violation, check
from keyback.domain.people.person import Account, Person
from keyback.domain.secret import Secret


def public_context(s: Services) -> Context:
    """Words that are no secret: the company, its systems, and those that the configuration adds."""
    return Context(companies=(*s.company.values(), *s.context_words), systems=("Keyback", "回钥", *s.titles.values()))


def context_of(s: Services, person: Person, accounts: Iterable[Account], mails: Iterable[str]) -> Context:
    """The same, with the person's own names and addresses."""
    base = public_context(s)
    return Context(
        companies=base.companies,
        systems=base.systems,
        usernames=tuple(a.username for a in accounts),
        names=(person.name,),
        mails=tuple(mails),
    )


def judge_alone(s: Services, candidate: str, context: Context, with_factor: bool) -> tuple[Violation, ...]:
    """What speaks against a password by itself; for live lists. Costs no hashing."""
    return check(candidate, s.rules, context, s.blocklist, with_factor, s.leaked)


async def judge(
    s: Services, candidate: Secret, context: Context, with_factor: bool, account_ids: Sequence[str]
) -> tuple[Violation, ...]:
    """The one validator: everything that speaks against a new password, through whichever door it comes (E8).

    Whether it was used before is looked at last and only when nothing else speaks against it: that costs one hash for
    each password remembered, and one that broke the rules was hardly ever taken.

    Args:
        account_ids: the accounts that are to get it; those of other systems have no history here.

    Raises:
        Busy: the hashing gate is full; answer 503.
        StorageDown: the history cannot be read.
    """
    broken = judge_alone(s, candidate.reveal(), context, with_factor)
    if broken or not s.rules.history:
        return broken
    for phc in await s.db.read(lambda tx: tx.people.hashes(account_ids, s.rules.history)):
        if (await s.gate.verify(phc, candidate)).ok:
            return (USED_BEFORE,)
    return ()
