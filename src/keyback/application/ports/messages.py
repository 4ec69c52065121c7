"""What messages say: one dataclass a kind. Application code writes them down, channels make texts of them (ADR 37).

A row of the outbox holds the fields of one as JSON, under these very names, beside `letter` (the kind), `person`,
`contact` and `prompt`: a version before or after this one reads it too, so no name changes without a migration. Fields
that are `made` are in no row: links and codes are derived when the message is sent. Instants are ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from keyback.application.ports.message_base import MADE
from keyback.application.ports.message_base import AccountContent as AccountContent
from keyback.application.ports.message_base import BadMessage as BadMessage
from keyback.application.ports.message_base import By as By
from keyback.application.ports.message_base import Content as Content
from keyback.application.ports.message_base import LocatedContent as LocatedContent
from keyback.application.ports.message_base import MessageKind as MessageKind
from keyback.application.ports.message_base import NoticeContent as NoticeContent
from keyback.application.ports.message_base import Pairs as Pairs
from keyback.application.ports.message_base import RequestedContent as RequestedContent
from keyback.application.ports.message_base import Where as Where
from keyback.domain.secret import Secret

# ── asked for ───────────────────────────────────────────────────────────────


class RecoveryMessage(AccountContent, RequestedContent):
    """The way back by mail: a link, a code of eight digits, and a link that stops it."""

    kind = MessageKind.RECOVERY
    challenge: str
    case: str
    link: Secret | None = field(default=None, metadata=MADE)
    code: Secret | None = field(default=None, metadata=MADE)
    stop_link: Secret | None = field(default=None, metadata=MADE)
    link_expires_at: int = field(default=0, metadata=MADE)
    code_expires_at: int = field(default=0, metadata=MADE)


class LoginsMessage(RequestedContent):
    """The forgotten user names, each with its system. `unasked`: those of them that are only on record, for the system
    didn't answer."""

    kind = MessageKind.LOGINS
    logins: Pairs
    unasked: Pairs = ()


class ElsewhereMessage(AccountContent, RequestedContent):
    """The password lives with another sign-in provider."""

    kind = MessageKind.ELSEWHERE
    provider: str


class CodeMessage(AccountContent, RequestedContent):
    """A code of six digits for a contact, and what it is for."""

    code: Secret | None = field(default=None, metadata=MADE)
    expires_at: int = field(default=0, metadata=MADE)
    purpose: str = field(default="", metadata=MADE)


class MailCodeMessage(CodeMessage):
    """To an address that is not the primary one, or not confirmed yet."""

    kind = MessageKind.MAIL_CODE


class SmsCodeMessage(CodeMessage):
    kind = MessageKind.SMS_CODE


class ImCodeMessage(CodeMessage):
    """To an account with a message service."""

    kind = MessageKind.IM_CODE


class ConfirmationMessage(RequestedContent):
    """A recovery contact is asked to confirm that it is `person_name` who recovers."""

    kind = MessageKind.CONFIRMATION
    person_name: str
    link: Secret | None = field(default=None, metadata=MADE)
    expires_at: int = field(default=0, metadata=MADE)


class InvitationMessage(ConfirmationMessage):
    """Somebody is asked to become a recovery contact of `person_name`."""

    kind = MessageKind.INVITED


class HelpCodeMessage(RequestedContent):
    """A code of six digits to an address that somebody typed who asks the help desk for help."""

    kind = MessageKind.HELP_CODE
    code: Secret | None = field(default=None, metadata=MADE)
    expires_at: int = field(default=0, metadata=MADE)


# ── told ────────────────────────────────────────────────────────────────────


class ChangedMessage(AccountContent, NoticeContent):
    """After a recovery: what became of the password in each system. Without `stop_link` its reader locks nothing."""

    kind = MessageKind.CHANGED
    systems: Pairs  # system and result
    case: str
    opens: Pairs = field(default=(), metadata=MADE)  # title and address of the systems where the new password works
    stop_link: Secret | None = field(default=None, metadata=MADE)


class HoldMessage(AccountContent, NoticeContent):
    """A decided recovery waits until `until`, or its wait is over."""

    kind = MessageKind.HOLD
    until: int
    over: bool
    stop_link: Secret | None = field(default=None, metadata=MADE)


class AskedMessage(AccountContent, NoticeContent):
    """Somebody recovers the account by what no message to its owner was needed for; told at once."""

    kind = MessageKind.ASKED
    what: str
    stop_link: Secret | None = field(default=None, metadata=MADE)


class StoppedMessage(AccountContent):
    """A recovery was canceled."""

    kind = MessageKind.STOPPED
    at: int
    by: Literal["owner", "operator"]


class ErasedMessage(AccountContent):
    """Everything about a person was erased. It is sent after that, to addresses that nothing else has any more."""

    kind = MessageKind.ERASED
    at: int


class CallMessage(AccountContent):
    """An operator calls now; `number` is what their screen shows too, two digits that open nothing."""

    kind = MessageKind.CALL
    operator: str
    reason: str
    number: int
    at: int


class HelpNewsMessage(Content):
    """The help desk answered a request for help, or closed it; what it says is on the page at `path`."""

    kind = MessageKind.HELP_NEWS
    what: Literal["answered", "closed"]
    path: str
    at: int


class RotationMessage(AccountContent):
    """A password is due to be changed; `system` names another system that keeps it, empty for our own."""

    kind = MessageKind.ROTATION
    due_at: int
    system: str = ""


class CampaignMessage(AccountContent):
    """Many people are asked to renew their passwords. It has no link that opens anything: the reader begins a recovery
    themselves.

    Args:
        why: a word, so that no text of ours can be made up.
        must: until they have, their password is good only for choosing another one.
    """

    kind = MessageKind.CAMPAIGN
    why: str
    must: bool


class SecurityContent(AccountContent, NoticeContent):
    """Something about the account's security. Without `stop_link` its reader cannot undo anything."""

    what: str
    detail: str  # a label or masked address
    stop_link: Secret | None = field(default=None, metadata=MADE)


class AccountChangedMessage(SecurityContent):
    """How an account is protected was changed."""

    kind = MessageKind.ACCOUNT_CHANGED


class MovingMessage(SecurityContent):
    """An import brings another address, which counts from `until` on; told to those who may refuse it."""

    kind = MessageKind.MOVING
    until: int


class SignedInMessage(SecurityContent):
    """A sign-in that may not be the owner's. `sign_in`: one whose second step is waited for; it is not
    sent once that was taken."""

    kind = MessageKind.SIGNED_IN
    sign_in: str = ""


class TriesMessage(AccountContent, NoticeContent):
    """Wrong passwords pile up; `off`: browsers that are not known get in no more."""

    kind = MessageKind.TRIES
    off: bool
    path: str


class ChooseAgainMessage(AccountContent):
    """Systems were away too long for the new password: a link chooses another one for them."""

    kind = MessageKind.CHOOSE_AGAIN
    at: int
    systems: Pairs  # system and user name
    link: Secret | None = field(default=None, metadata=MADE)
    expires_at: int = field(default=0, metadata=MADE)


class ReminderMessage(AccountContent):
    """Something in the security center waits at `path`."""

    kind = MessageKind.REMINDER
    what: str
    path: str


class SystemMessage(AccountContent):
    """What became of one system after a recovery: an administrator's answer, or whether its person was seen there."""

    kind = MessageKind.SYSTEM
    system: str
    what: str
    at: int
    detail: str  # an administrator's words
    opens: Pairs = field(default=(), metadata=MADE)  # title and address of the system, once it can be opened


class TaskMessage(AccountContent):
    """To an administrator of a system: what to do there, for whom, and what they were verified by."""

    kind = MessageKind.TASK
    task: str
    what: str
    again: bool
    person_name: str
    system: str
    verified: Pairs  # method and instant, ms
    at: int


class DeskMessage(Content):
    """To somebody who works at the help desk: what operators did. `about`: the person's id, for the link;
    `counts`: of a digest, what was done and how often."""

    kind = MessageKind.DESK
    what: str
    case: str
    campaign: str = ""
    person_name: str
    operator: str
    at: int
    about: str = ""
    reason: str = ""
    counts: Pairs = ()


def _kinds(content: type[Content]) -> Iterator[type[Content]]:
    for c in content.__subclasses__():
        yield from _kinds(c)
        if "kind" in vars(c):
            yield c


CONTENTS: Mapping[MessageKind, type[Content]] = MappingProxyType({c.kind: c for c in _kinds(Content)})
