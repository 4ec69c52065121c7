"""Pages of the security center about contacts. Instants are ms, spans seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.application.desk.manager import Asked
from keyback.domain.people.person import Bounce
from keyback.locale.countries import Country
from keyback.web.portal.pages_methods import ForColleague
from keyback.web.ui.page import Page


@dataclass(frozen=True, slots=True)
class ContactLine:
    """A contact in a list. `ready_at`: when it may recover; 0 when it may. `own`: the person may remove it.
    `bounce`: messages there don't arrive, since `bounce_at`.
    `age`: how much it weighs, `due` where it is about to weigh less; empty where nothing has to be done."""

    id: str
    kind: str
    address: str
    name: str
    role: str
    state: str
    added_at: int
    ready_at: int = 0
    own: bool = False
    age: Literal["", "due", "aged", "over"] = ""
    bounce: Bounce = ""
    bounce_at: int = 0


@dataclass(frozen=True, slots=True)
class Callers(Page):
    """What a manager of record is asked. `fresh`: they have just shown that it is them; `error`: wrong, failed, own or
    over, for the one of `of`."""

    template: ClassVar[str] = "account/callers.html"
    asked: tuple[Asked, ...] = ()
    fresh: bool = False
    done: str = ""
    error: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True)
class Contacts(Page):
    """`/account/contacts`.

    Args:
        offered: kinds that can be added.
        done: what was just done.
        same_domain: a backup mailbox lies where the primary one does.
        link: the service in which a work chat is linked by a sign-in; empty where its ID is typed.
    """

    template: ClassVar[str] = "account/contacts.html"
    lines: tuple[ContactLine, ...]
    offered: tuple[str, ...]
    done: str = ""
    same_domain: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class AddContact(Page):
    """`/account/contacts/add/{kind}`.

    Args:
        error: a code of `contacts.read_address` or `contacts.start`, or `stale_form`.
        country: ISO 3166 code of the country that is picked for a phone number; empty: the number has to say it.
        countries: those that can be picked.
        link: the service in which a work chat is linked by a sign-in; empty where its ID is typed.
        stronger: for a phone, the factors that are offered before it: those that can be added and are not there yet.
    """

    template: ClassVar[str] = "account/add_contact.html"
    kind: str
    error: str = ""
    address: str = ""
    name: str = ""
    stronger: tuple[str, ...] = ()
    country: str = ""
    countries: tuple[Country, ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class ChatStart(Page):
    """`/account/chat/{id}`: before the browser leaves for the chat service."""

    template: ClassVar[str] = "account/chat_start.html"
    id: str
    title: str


@dataclass(frozen=True, slots=True)
class ConfirmContact(Page):
    """`/account/contacts/{id}`: the code that came to the new address. `resend_in`: 0 enables sending again."""

    template: ClassVar[str] = "account/confirm_contact.html"
    id: str
    kind: str
    address: str
    seconds_left: int
    resend_in: int
    error: Literal["", "wrong", "not_a_code", "no_tries", "too_often", "too_many"] = ""


@dataclass(frozen=True, slots=True)
class RemoveOne(Page):
    """`/account/remove/{id}`. `refused`: why it cannot go: `last_one` or `imported`."""

    template: ClassVar[str] = "account/remove.html"
    id: str
    kind: str
    label: str
    contact: bool = False
    refused: Literal["", "last_one", "imported"] = ""


@dataclass(frozen=True, slots=True)
class Invited(ForColleague):
    """`/invited`: somebody is asked to become a recovery contact."""

    template: ClassVar[str] = "account/invited.html"
    problem: Literal["", "accepted", "declined", "full"] = ""


@dataclass(frozen=True, slots=True)
class NewAddress(Page):
    """`/new-address`: an address from the company's records, which its owner may refuse.

    Args:
        done: after it.
        address, old: masked; `old` is what stays, empty where it replaces nothing.
        primary: whether it is to become the one that mail goes to.
        username: of the account that it is about.
        phone: it is a number.
    """

    template: ClassVar[str] = "account/new_address.html"
    done: bool = False
    address: str = ""
    old: str = ""
    primary: bool = False
    until: int = 0
    username: str = ""
    phone: bool = False
