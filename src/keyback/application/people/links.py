"""Accounts that may be somebody's whom we know: an operator says so, or not (ADR 41).

Whoever is linked is told, with a link that locks their account. An account that is not somebody's becomes a person of
its own with the next sync.
"""

from __future__ import annotations

from keyback.application.notifications.account_changes import NOBODY, notify_account_change
from keyback.application.people.saving import save_people
from keyback.application.people.synced import SAYS, account_part
from keyback.application.ports.imports import ImportedAccount
from keyback.application.ports.storage import Tx
from keyback.application.ports.syncs import PersonLink
from keyback.domain.errors import Refusal
from keyback.domain.people.person import canonicalize
from keyback.domain.recovery.events import Note


def connect(
    tx: Tx, account: ImportedAccount, person_id: str, generation: int, title: str, by: dict[str, object]
) -> None:
    """Gives an account to somebody, and tells them. The account by that name which they have in the system, and which
    it does not list any more, becomes this one.

    Args:
        title: of the system, for the message.
        by: who decided, for the audit log.

    Raises:
        Refusal: `not_found`: nobody has this id; `conflict`: somebody else has the user name.
    """
    person = tx.people.person(person_id)
    if person is None:
        raise Refusal("not_found")
    name = canonicalize(account.username)
    for old in tx.syncs.of_people(account.system, [person_id]):
        if old.canonical == name and old.external_id != account.external_id:
            tx.syncs.renumber(old.id, account.external_id)
    part = account_part(tx.syncs.keys([person_id])[person_id], person.state, [account])
    saved, _ = save_people(tx, [part], adopt=False)
    if saved.results[0] == "username_taken":
        raise Refusal("conflict")
    tx.syncs.met(account.system, [account.external_id], generation)
    data: dict[str, object] = {"system": account.system, "external_id": account.external_id, **by}
    notify_account_change(tx, person_id, "account_linked", NOBODY, detail=f"{title}: {account.username}", data=data)


def accept(tx: Tx, link_id: str, person_id: str, title: str, reason: str) -> PersonLink:
    """An operator says whose an account is.

    Args:
        person_id: empty for the one whom the link names.

    Raises:
        Refusal: as `connect`; `not_found` also for no such open link, or one that names nobody.
    """
    link = tx.syncs.link(link_id)
    whose = person_id or (link.person_id if link else "")
    if link is None or link.state != "open" or not whose:
        raise Refusal("not_found")
    account = ImportedAccount(
        link.system, link.external_id, link.username, privileged=link.privileged, provider=link.provider, says=SAYS
    )
    connect(tx, account, whose, link.generation, title, {"by": "operator", "reason": reason})
    tx.syncs.drop_links(link.system, [link.external_id])
    return link


def reject(tx: Tx, link_id: str, reason: str) -> PersonLink:
    """An operator says that it is somebody else's. Raises `Refusal("not_found")` for no such open link."""
    link = tx.syncs.link(link_id)
    if link is None or link.state != "open":
        raise Refusal("not_found")
    tx.syncs.reject_link(link_id)
    facts = {"link": link.id, "system": link.system, "external_id": link.external_id, "by": "operator"}
    tx.audit.record(link.person_id or "import", [Note("link_rejected", {**facts, "reason": reason})])
    return link
