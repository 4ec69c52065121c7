"""An account as a system lists it, checked; and whom it may belong to (ADR 41). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from keyback.application.people.fields import MAX_NAME, BadField, canonical, mail_address, one_line, phone_numbers
from keyback.application.ports.connectors import FoundAccount
from keyback.application.ports.imports import ImportedAccount, ImportedPart
from keyback.application.ports.storage import Match
from keyback.domain.characters import are_shown
from keyback.domain.people.groups import tidy_groups
from keyback.domain.people.person import MAX_IDENTIFIER, PersonState, same_name

KEY = "sync:{}:{}"
SAYS = frozenset({"state", "tier", "username"})
GIVEN = frozenset({"state", "privileged", "provider"})


@dataclass(frozen=True, slots=True)
class Synced:
    """An account of the list, tidied. `mail` and `name` are empty where the system says none or none that can be used;
    `fault` is why it cannot be taken at all. `manager`: as in `FoundAccount`. `phones`, `groups`: None leaves
    those that are there alone."""

    account: ImportedAccount
    canonical: str
    mail: str
    mail_canonical: str
    name: str
    active: bool
    bad_mail: bool = False
    fault: str = ""
    manager: str | None = None
    phones: tuple[str, ...] | None = None
    bad_phone: bool = False
    groups: tuple[str, ...] | None = None
    bad_group: bool = False

    @property
    def external_id(self) -> str:
        return self.account.external_id


def read_account(system: str, a: FoundAccount, country: str | None = None) -> Synced:
    """Checks every field; what a system says of people is typed by people, too.

    Args:
        country: of phone numbers without a country code (`fields.phone_numbers`); None: no numbers are taken.
    """
    mail, folded, name, bad_mail = "", "", "", False
    try:
        mail, folded = mail_address(a.mail.strip()) if a.mail and a.mail.strip() else ("", "")
    except BadField:
        bad_mail = True
    try:
        name = one_line(a.name or "", MAX_NAME)
    except BadField:
        name = ""
    said = a.phones if country is not None else None
    phones = phone_numbers(said, country or "") if said is not None else None
    bad_phone = said is not None and phones is None
    fault, username = "", ""
    if not _is_id(a.external_id):
        fault = "bad_id"
    else:
        try:
            username = canonical(a.username)
        except BadField:
            fault = "bad_username"
    manager = a.manager if a.manager is None or (_is_id(a.manager) and a.manager != a.external_id) else ""
    made = ImportedAccount(
        system=system,
        external_id=a.external_id,
        username=a.username.strip(),
        state=a.state,
        privileged=a.privileged,
        provider=_provider(a),
        says=SAYS,
    )
    groups, left_out = tidy_groups(a.groups) if a.groups is not None else (None, 0)
    return Synced(
        made, username, mail, folded, name, a.state != "disabled", bad_mail, fault, manager, phones, bad_phone, groups,
        bool(left_out),
    )  # fmt: skip


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_IDENTIFIER and are_shown(text)


def _provider(a: FoundAccount) -> str:
    """Who holds the password; empty for the system itself."""
    try:
        elsewhere = one_line(a.synced_from or "", 80)
    except BadField:
        elsewhere = ""
    return elsewhere or ("SSO" if a.sso_only or a.federated or a.synced_from else "")


def key_of(system: str, external_id: str) -> str:
    """Under which key a person is known whom a system brought in."""
    key = KEY.format(system, external_id)
    return key if len(key) <= MAX_IDENTIFIER else KEY.format(system, hashlib.sha256(external_id.encode()).hexdigest())


def own_part(s: Synced, locale: str) -> ImportedPart:
    """A person whom this system brings in, as it has them now."""
    return ImportedPart(
        key=key_of(s.account.system, s.external_id),
        name=s.name or s.account.username[:MAX_NAME],
        locale=locale,
        tier="standard",
        state="active",
        mails=(s.mail,) if s.mail else (),
        accounts=(s.account,),
        given=GIVEN,
        phones=s.phones,
    )


def account_part(key: str, state: PersonState, accounts: Sequence[ImportedAccount]) -> ImportedPart:
    """Somebody else's accounts in this system: name, address and state of the person are not its business."""
    return ImportedPart(
        key=key, name="", locale="", tier="standard", state=state, mails=(), accounts=tuple(accounts), given=GIVEN
    )


def can_link(s: Synced, found: Match, now: int) -> bool:
    """Whether an account may be given to the one person with its address without anybody looking.

    Whoever edits their own address in a system must win nothing by it. So nothing here may be privileged, the names are
    the same, and the person has had the address since they came: one that somebody wrote into a record later is none to
    collect other people's accounts by, whatever became of it since.
    """
    own = [c for c in found.contacts if c.role == "primary" and c.state == "confirmed" and c.usable_from <= now]
    lasting = [c for c in own if not c.replaces and c.usable_from <= c.added_at]
    return (
        s.active
        and not s.account.privileged
        and found.person.state == "active"
        and found.person.tier != "privileged"
        and not any(a.privileged for a in found.accounts)
        and any(c.address.casefold() == s.mail.casefold() for c in lasting)
        and same_name(found.person.name, s.name)
    )
