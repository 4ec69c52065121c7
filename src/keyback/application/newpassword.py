"""Judging a new password: the words that everybody around the account knows, and the id of one submitted form."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from keyback.application.reset import Choice
from keyback.application.services import Services
from keyback.application.store import Seals
from keyback.domain.password import Context


def public_context(s: Services) -> Context:
    """Words that are no secret: the company, its systems, and those that the configuration adds."""
    return Context(companies=(*s.company.values(), *s.context_words), systems=("Keyback", "回钥", *s.titles.values()))


def context_of(s: Services, choice: Choice) -> Context:
    """The same, with the person's own names and addresses."""
    base = public_context(s)
    return Context(
        companies=base.companies,
        systems=base.systems,
        usernames=tuple(a.username for a in choice.accounts),
        names=(choice.person.name,),
        mails=choice.mails,
    )


def submission_digest(seals: Seals, form_id: str) -> str:
    """A keyed digest of the id that a form or a client gave its submission; an empty id is like no other."""
    if not form_id:
        return secrets.token_hex(16)
    return hmac.digest(seals.derive("submission"), form_id[:200].encode(), hashlib.sha256).hex()[:32]
