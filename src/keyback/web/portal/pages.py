"""What each page shows: one frozen dataclass a page. Routes build them, `rendering.Renderer.page` draws them.

Instants are ms since the epoch, spans are seconds. Texts that a route hands over are untrusted and escaped in the
template. Errors are codes; the words for them live in the templates, so that one fact has one wording in each language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.application.ports.tasks import TaskState, Watch
from keyback.application.recovery.mailed_link import CodeAnswer
from keyback.domain.policy.rules import Journey
from keyback.web.ui.findings import FindingShown
from keyback.web.ui.page import Page, PasswordForm

FORGOT = ("password", "locked", "second_factor", "mailbox", "still_locked_out")
"""Journeys that begin on `/forgot`; `username` begins on `/find`."""

IDENTIFIER_EMPTY = "Enter your email or username."
IDENTIFIER_LONG = "That’s too long for an email or username. Check what you entered."
IDENTIFIER_MALFORMED = "That doesn’t look like an email or username. Check it for typos."
IDENTIFIER_SEVERAL = "There’s more than one address here. Type the one that’s registered."
IDENTIFIER_SPACES = "There’s something beside the address. Type the address alone."
MAIL_MALFORMED = "That doesn’t look like an email address. It needs an @ and a domain."
CALENDAR_SUMMARY = "Continue your {company} account recovery"
CALENDAR_WORDS = (
    "The hold is over. Open this page in the browser that you started in, and continue within 24 hours. "
    "Wasn’t you? Cancel it with the link in our email."
)
"""Message ids for the end of a hold in a calendar (`calendar`)."""
IDENTIFIER_WRONG = {
    "empty": IDENTIFIER_EMPTY,
    "too_long": IDENTIFIER_LONG,
    "not_text": IDENTIFIER_MALFORMED,
    "missing": IDENTIFIER_EMPTY,
    "several": IDENTIFIER_SEVERAL,
    "spaces": IDENTIFIER_SPACES,
}
"""Message ids for `Forgot.error` and `Find.error`. They judge the form of what was typed, never whether it is known."""


@dataclass(frozen=True, slots=True)
class Triage(Page):
    """`/`: pick what sounds most like you."""

    template: ClassVar[str] = "portal/triage.html"


@dataclass(frozen=True, slots=True)
class Forgot(Page):
    """`/forgot`: form posting `identifier`, `system`, `journey` to `/forgot`.

    Args:
        systems: (name, title) of the systems that may be picked.
        journey: one of `FORGOT`.
        error: one of the message ids above, or None.
        identifier: echoed only after input that was malformed.
        system: the choice to keep after an error.
    """

    template: ClassVar[str] = "portal/forgot.html"
    systems: tuple[tuple[str, str], ...] = ()
    journey: Journey = "password"
    error: str | None = None
    identifier: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class Find(Page):
    """`/find`: form posting `identifier` (a mail address) to `/find`."""

    template: ClassVar[str] = "portal/find.html"
    error: str | None = None
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Waiting(Page):
    """`/r/{handle}` until it is proven. The same for known and unknown identifiers, word for word.

    Args:
        kind: `password` or `username`; the latter only mails logins: no code, no number.
        number: two digits for the number match; None for `username`.
        code_seconds_left: 0 when the code is over.
        code_total_seconds: a code's whole life, for the bar.
        resend_in_seconds: 0 enables the button.
        error: what `mailed_link.try_code` says, `wrong_code` with `tries_left`; None where nothing was typed.
        version: what `/r/{handle}/status` answers now; a later difference makes the script load the page anew.
        resent: a new mail was just asked for: says so.
        webmail: (name, address) of where mail of the domain that was typed is read; None where nobody knows.
    """

    template: ClassVar[str] = "portal/waiting.html"
    handle: str
    number: int | None
    code_seconds_left: int
    code_total_seconds: int
    resend_in_seconds: int
    kind: Literal["password", "username"] = "password"
    error: CodeAnswer | None = None
    tries_left: int = 0
    version: str = ""
    resent: bool = False
    other_ways: bool = False
    journey: str = "password"
    webmail: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class StopPage(Page):
    """GET `/stop` or `/link/stop`: shows what a POST there would cancel.

    Args:
        by_link: reached from the page of a mailed link (`/link/stop`), so the way back leads there.
    """

    template: ClassVar[str] = "portal/stop.html"
    username: str
    asked_at: int
    source: str
    device: str
    by_link: bool = False


@dataclass(frozen=True, slots=True)
class Cancel(Page):
    """GET `/r/{handle}/cancel`: asks before a POST there cancels. The same for known and unknown identifiers."""

    template: ClassVar[str] = "portal/cancel.html"
    handle: str
    journey: Journey = "password"


@dataclass(frozen=True, slots=True)
class Stopped(Page):
    """After stopping.

    Args:
        by_mail: from a mailed link (the owner); else from the page where it was started.
        proven: what was stopped had been proven and waited.
    """

    template: ClassVar[str] = "portal/stopped.html"
    by_mail: bool = True
    proven: bool = False


@dataclass(frozen=True, slots=True)
class NotYours(Page):
    """`/r/{handle}` in a browser that does not hold it, known handle or not."""

    template: ClassVar[str] = "portal/not_yours.html"


@dataclass(frozen=True, slots=True)
class AccountChoice:
    """One system in "Use it for"."""

    id: str
    title: str
    username: str
    hint_code: Literal["at_once", "desk", "guided"] = "at_once"
    checked: bool = True
    findings: tuple[FindingShown, ...] = ()


@dataclass(frozen=True, slots=True)
class Aside:
    """An account where a new password would be refused or would open nothing, and what to do instead."""

    title: str
    username: str
    finding: FindingShown


@dataclass(frozen=True, slots=True, kw_only=True)
class Password(PasswordForm):
    """`/r/{handle}`, step 2. Form to `/r/{handle}/password`.

    Args:
        minutes_left: for this step.
        strength: 0 to 4 of the last try, or None.
        accounts: shown as boxes when there is more than one; one alone is sent hidden.
        aside: where a new password won't be set, and why; with no `accounts` there is no form.
        none_chosen: the last try had no box ticked.
        in_vain: one that was ticked is `aside` by now.
        submission: opaque, makes a repeated press harmless.
        again: these systems were away too long for the password that was chosen before.
        own: (system, user name) of accounts that want another proof, since what was shown is a sign-in to them.
    """

    template: ClassVar[str] = "portal/password.html"
    handle: str
    display_name: str
    minutes_left: int
    accounts: tuple[AccountChoice, ...]
    submission: str
    none_chosen: bool = False
    aside: tuple[Aside, ...] = ()
    in_vain: bool = False
    strength: int | None = None
    again: bool = False
    own: tuple[tuple[str, str], ...] = ()

    @property
    def titles(self) -> tuple[str, ...]:
        """What people call the systems that it is for."""
        return tuple(a.title for a in self.accounts)


SystemState = Literal["waiting", "working", "done", "yours", "desk", "unsure", "refused"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an administrator's task and the watch over a system are.

    Args:
        id: of the task, for the forms.
        state, watch: as `application.ports.tasks` has them.
        asked: administrators were told of it.
        may_ask: the person may have them told (again).
        seen_at: ms; of the sign-in that was seen.
        reason: an administrator's words, after `declined`.
    """

    id: str
    state: TaskState
    watch: Watch
    asked: bool = False
    may_ask: bool = False
    seen_at: int = 0
    reason: str = ""

    @property
    def is_in(self) -> bool:
        """Whether the person got in, as was seen or as they said."""
        return bool(self.seen_at) or self.watch == "said"


@dataclass(frozen=True, slots=True)
class SystemResult:
    """One system's result.

    Args:
        at: ms when it was confirmed, for `done`.
        vendor_text: the system's own words, shown as a quotation.
        steps: for `yours`, in the page's language.
        url: https address to go on at, from configuration, never from a request.
        reason_code: a code of `connectors.Outcome` for `refused`; `choose_again` where the system was away too long.
        username: the login there, shown after `done`.
        signed_out: whether it was confirmed that all other devices were signed out.
        sessions_open: the password was set, and what ends sessions was refused: other devices may be signed in.
        open_url: where people sign in there, once the new password works; empty where the settings name no address.
        task: what an administrator was asked for, and whether the person was seen to get in.
    """

    title: str
    state: SystemState
    at: int | None = None
    vendor_text: str = ""
    steps: tuple[str, ...] = ()
    url: str = ""
    reason_code: str = ""
    username: str = ""
    signed_out: bool = False
    sessions_open: bool = False
    open_url: str = ""
    task: Progress | None = None

    @property
    def said(self) -> bool:
        """Whether the person said that they got in, where Keyback couldn't set the password."""
        return self.task is not None and self.task.watch == "said" and not self.task.seen_at

    @property
    def seen_at(self) -> int:
        """When the person was seen to sign in, where Keyback couldn't set the password (ms); 0: not."""
        return self.task.seen_at if self.task else 0


@dataclass(frozen=True, slots=True)
class Results(Page):
    """`/r/{handle}`, step 3.

    Args:
        all_settled: nothing is going on any more.
        ignored_second: a password had been chosen from another page; the one just typed was not used.
        can_retry: a system refused the password itself, or was away too long for it: link to `/r/{handle}?again=1`,
            which shows step 2 for those.
        version: as in `Waiting`.
        built_in: whether signing in at `/sign-in` is possible with one of the accounts.
        passkey: whether this person, who has none, may create one after signing in.
        added: (id, kind, label, ms) of second steps that signing in asks for and that were too new to count here.
    """

    template: ClassVar[str] = "portal/results.html"
    handle: str
    systems: tuple[SystemResult, ...]
    all_settled: bool
    ignored_second: bool = False
    can_retry: bool = False
    version: str = ""
    built_in: bool = True
    passkey: bool = False
    added: tuple[tuple[str, str, str, int], ...] = ()

    @property
    def opens(self) -> tuple[SystemResult, ...]:
        """The systems that can be opened now; the CRM before Keyback's own pages, for there they work."""
        found = [s for s in self.systems if s.state == "done" and s.open_url]
        return tuple(sorted(found, key=lambda s: s.open_url == "/sign-in"))

    @property
    def watching(self) -> bool:
        """Whether the page may change by what others do, so that it asks for news."""
        waits = (s.task is not None and s.state != "done" for s in self.systems)
        return not self.all_settled or (any(waits) and not self.ignored_second)

    @property
    def late(self) -> tuple[str, ...]:
        """Titles of the systems that were away too long."""
        return tuple(s.title for s in self.systems if s.reason_code == "choose_again")

    @property
    def done(self) -> int:
        """How many systems have confirmed the change."""
        return sum(s.state == "done" for s in self.systems)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to wait for, or to do."""
        return self.done == len(self.systems)


@dataclass(frozen=True, slots=True)
class Ended(Page):
    """A recovery that is over: why, and the way out."""

    template: ClassVar[str] = "portal/ended.html"
    reason: Literal["cancelled", "expired", "failed", "closed", "rejected", "changed"]


@dataclass(frozen=True, slots=True)
class Help(Page):
    """`/help`.

    Args:
        handle: of this browser's open recovery, for the way back.
        other_ways: whether there is any way but the mailed link.
        questions: whether the policy has security questions.
    """

    template: ClassVar[str] = "portal/help.html"
    handle: str | None = None
    other_ways: bool = True
    questions: bool = False


@dataclass(frozen=True, slots=True)
class Privacy(Page):
    """`/privacy`: what is stored, and for how long."""

    template: ClassVar[str] = "portal/privacy.html"
    request_days: int = 7
    audit_days: int = 180


@dataclass(frozen=True, slots=True)
class Accessibility(Page):
    """`/accessibility`."""

    template: ClassVar[str] = "portal/accessibility.html"
