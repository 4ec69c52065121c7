"""A proven recovery that is not about a password, in the API's words: what its page would show."""

from __future__ import annotations

from dataclasses import dataclass

from keyback.application.doctor.diagnosis import sees_to_factors
from keyback.application.origin import Origin
from keyback.application.ports.enrolment import EnrolsApp, EnrolsPasskey
from keyback.application.ports.storage import Intake, Tx
from keyback.application.recovery import remedy, replace_factor, replace_mailbox
from keyback.application.recovery import unlock as recovery_unlock
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.remedy import OpenRecovery
from keyback.application.services import Services
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Contact
from keyback.web.api import models_remedy as m
from keyback.web.api.auth import instant
from keyback.web.portal.remedy import masked_address
from keyback.web.ui import shown

NO_PASSWORD = ("second_factor", "mailbox")  # journeys that end without one


@dataclass(frozen=True, slots=True)
class Remedy:
    """What may be put right now, from one snapshot."""

    journey: str
    open: OpenRecovery
    system: str = ""
    replaces: tuple[Factor, ...] = ()
    system_factors: bool = False
    mailboxes: tuple[Contact, ...] = ()
    asked: Contact | None = None
    unlockable: tuple[str, ...] = ()


def look(tx: Tx, intake: Intake, s: Services) -> Remedy:
    """What the recovery's page could put right.

    Raises:
        Refusal: as `remedy.open_recovery`.
    """
    o = remedy.open_recovery(tx, intake.handle, Here(Origin("", ""), s.policy))
    if intake.journey == "second_factor":
        named = intake.system if intake.system not in ("", "builtin") else ""
        theirs = any(sees_to_factors(s.connectors.get(a.system)) for a in (*o.accounts, *o.elsewhere))
        old = replace_factor.bound_factors(tx, o.person.id)
        return Remedy(intake.journey, o, named, old, theirs)
    if intake.journey == "mailbox":
        others = replace_mailbox.other_mailboxes(tx, o.person.id)
        asked = replace_mailbox.waiting_mailbox(tx, intake.handle)
        return Remedy(intake.journey, o, mailboxes=others, asked=asked)
    can = recovery_unlock.unlockable(o, s.connectors) if intake.journey == "locked" else ()
    return Remedy(intake.journey, o, unlockable=tuple(a.id for a in can))


def app_of(s: Services) -> EnrolsApp | None:
    """What makes seeds for authenticator apps."""
    found = s.proofs.get("totp")
    return found if isinstance(found, EnrolsApp) else None


def passkeys_of(s: Services) -> EnrolsPasskey | None:
    """What makes passkeys; None where the address can have none, or the policy takes none."""
    found = s.proofs.get("passkey")
    return found if isinstance(found, EnrolsPasskey) and s.policy.takes("passkey") else None


def describe(s: Services, found: Remedy) -> m.SecondStepDue | m.MailboxDue:
    """What is to be done, for a journey that ends without a password."""
    o = found.open
    if found.journey == "mailbox":
        asked = found.asked
        return m.MailboxDue(
            expires_at=instant(o.case.expires_at),
            name=o.person.name,
            mailboxes=[m.OtherMailbox(id=c.id, hint=masked_address(c.address)) for c in found.mailboxes],
            asked=m.AskedMailbox(id=shown.mark_of(s.seals, asked.address), address=asked.address) if asked else None,
        )
    able = {"app": app_of(s), "passkey": passkeys_of(s)}
    return m.SecondStepDue(
        expires_at=instant(o.case.expires_at),
        name=o.person.name,
        replaces=[m.Replaced(kind=f.kind, label=f.label) for f in found.replaces],
        offers=[n for n, there in able.items() if there is not None],
        system=found.system or None,
        has_system_factors=found.system_factors,
    )
