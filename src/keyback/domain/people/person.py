"""People, their accounts and contacts, and the one way to compare identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import idna

from keyback.domain.characters import INVISIBLE, NOT_TEXT, compatible, normalized
from keyback.domain.errors import BadInput

Tier = Literal["standard", "mfa", "privileged"]
PersonState = Literal["active", "disabled"]
ContactChannel = Literal["mail", "sms", "im"]
ContactRole = Literal["primary", "backup", "recovery"]
ContactState = Literal["pending", "confirmed", "removed"]
Bounce = Literal["", "refused", "returned"]
AccountState = Literal["active", "disabled", "locked"]
MAX_IDENTIFIER = 254


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. `security_version` goes up with every change that must end pending links."""

    id: str
    name: str
    locale: str
    tier: Tier
    state: PersonState
    security_version: int = 0


@dataclass(frozen=True, slots=True)
class Manager:
    """Whom somebody reports to, as the systems say; `since` when a sync first heard so (ms): whoever writes records
    may have written this one, so a fresh one proves little."""

    person: Person
    since: int


@dataclass(frozen=True, slots=True)
class Contact:
    """An address of a person. `address` is kept as stored; mail goes to it byte for byte.

    Args:
        address: mail address, phone number as E.164, or the id by which a message service knows the person.
        role: `recovery` is another person, chosen to vouch for this one.
        state: only a confirmed one is ever used; a removed one is kept for a while, to be told (N-R7, N-R12).
        origin: an import keeps what it brought up to date; what the person added is theirs.
        name: of a recovery contact.
        usable_from: ms; a new one is told about everything at once but cannot recover before.
        ended_by: `import` where a file no longer names it; empty where its owner put it aside.
        replaces: id of the contact whose place it takes at `usable_from`; empty for none.
        confirmed_at: ms; when it was last shown to be theirs; 0: when it was added.
        reminded: how often its owner was asked whether it still is, since then.
        bounce: what became of the last message that says anything: `refused` by the next hop, or `returned` later.
        bounce_at: ms; since when; without a bounce, when its owner was last seen to be reached by it.
    """

    id: str
    person_id: str
    channel: ContactChannel
    address: str
    role: ContactRole
    state: ContactState = "confirmed"
    origin: Literal["import", "person"] = "import"
    name: str = ""
    added_at: int = 0
    usable_from: int = 0
    ended_at: int = 0
    ended_by: Literal["", "import"] = ""
    replaces: str = ""
    confirmed_at: int = 0
    reminded: int = 0
    bounce: Bounce = ""
    bounce_at: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """A person's login in one system. `external_id` is the system's own and never changes.

    `provider` names who holds the password when the account signs in by single sign-on; empty otherwise.
    """

    id: str
    person_id: str
    system: str
    external_id: str
    username: str
    state: AccountState = "active"
    privileged: bool = False
    provider: str = ""


def canonicalize(identifier: str) -> str:
    """The one form in which identifiers are compared: by sign-in, limits, recovery, import and audit alike.

    White space around it goes, NFKC and case folding are applied, a mail address's domain becomes its A-label
    (RFC 5891) before anything folds it: `straße.example` is not `strasse.example`. Accents are kept: `cürrent` is not
    `current`. The same in every version of Python.

    Args:
        identifier: mail address or user name as typed, at most 254 code points.

    Raises:
        BadInput: `empty`, `too_long`, or `not_text` for control and format characters, surrogates, what is no
            character, and domains that cannot be.
    """
    if len(identifier) > 4 * MAX_IDENTIFIER:
        raise BadInput("too_long")
    if identifier.isascii() and identifier.isprintable():  # all that follows comes to this; it runs on every request
        plain = identifier.strip().lower()
        if not plain:
            raise BadInput("empty")
        if len(plain) > MAX_IDENTIFIER:
            raise BadInput("too_long")
        return plain
    bare = identifier.strip(" \t\r\n\u3000\u00a0")
    if NOT_TEXT.search(bare) or INVISIBLE.search(bare):
        raise BadInput("not_text")
    text = normalized("NFKC", bare).strip()
    if not text:
        raise BadInput("empty")
    if len(text) > MAX_IDENTIFIER or len(identifier.strip()) > MAX_IDENTIFIER:
        raise BadInput("too_long")
    if any(c.isspace() and c != " " for c in text):
        raise BadInput("not_text")
    local, at, domain = text.rpartition("@")
    if not at:
        local, domain = text, ""
    if "\u200c" in local or "\u200d" in local:  # in a domain IDNA says where they may stand
        raise BadInput("not_text")
    label = a_label(domain) if domain else domain
    if label is None:
        raise BadInput("not_text")
    out = f"{compatible(local).strip()}{at}{label}"
    if len(out) > MAX_IDENTIFIER:  # an A-label is longer than what it stands for
        raise BadInput("too_long")
    return out


def needs_utf8(address: str) -> bool:
    """Whether only a relay with SMTPUTF8 takes mail to an address: its local part goes beyond ASCII (RFC 6531)."""
    return not address.rpartition("@")[0].isascii()


def same_name(one: str, other: str) -> bool:
    """Whether two names are one by their words, in whatever order and case: `Ann Lee`, `LEE, Ann`."""
    mine, theirs = (sorted(compatible(name).replace(",", " ").split()) for name in (one, other))
    return mine == theirs


def same_mailbox(one: str, other: str) -> bool:
    """Whether two addresses are one mailbox for certain: they differ by nothing but case, or by how the domain is
    written. What only looks alike after folding (`K`, the Kelvin sign) may be somebody else's, and so is a domain that
    may be registered beside the other (`straße.example` and `strasse.example`)."""
    if one == other:
        return True
    (mine, _, here), (yours, _, there) = one.rpartition("@"), other.rpartition("@")
    if mine != yours and not (mine.isascii() and yours.isascii() and mine.lower() == yours.lower()):
        return False
    label = a_label(here)
    return label is not None and label == a_label(there)


def a_label(domain: str) -> str | None:
    """A domain as mail to it looks it up (RFC 5891): letters that fold to others elsewhere, such as ß, are kept; None
    where there can be none such."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return None


def one_domain(one: str, other: str) -> bool:
    """Whether two mail addresses lie at the same domain, or at one below the other."""
    a, b = ((a_label(d) or d).rstrip(".") for d in (x.rpartition("@")[2] for x in (one, other)))
    return a == b or a.endswith(f".{b}") or b.endswith(f".{a}")


def only_address(contacts: Sequence[Contact], now: int) -> str:
    """The channel of the one contact that hears of a recovery in time to stop it; empty where there are more. What
    messages came back from warns nobody, so it does not count beside another."""
    told = [c for c in contacts if c.role != "recovery" and c.usable_from <= now]
    reached = [c for c in told if not c.bounce] or told[:1]
    return channel_of(reached[0], told) if len(reached) == 1 else ""


def channel_of(contact: Contact, own: Sequence[Contact]) -> str:
    """The identity under which a contact's evidence counts.

    Mailboxes at one mail domain, or at one below the other, fall together: whoever runs it, or takes it over, reads
    them all. They are one channel, so that they count once (F7): the primary one's where it is among them.
    """
    kind = {"mail": "mail", "sms": "phone", "im": "im"}[contact.channel]
    if contact.role == "recovery":
        return f"contact:{contact.id}"
    if contact.channel == "mail" and contact.role == "backup":
        mine = sorted(own, key=lambda c: (c.role != "primary", c.added_at, c.id))  # else the oldest of them
        mails = (c for c in mine if c.channel == "mail" and c.role != "recovery")
        found = (c.id for c in mails if one_domain(c.address, contact.address))
        return f"mail:{next(found, contact.id)}"
    return f"{kind}:{contact.id}"
