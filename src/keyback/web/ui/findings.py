"""What a person reads of what the login doctor found: one sentence and one next step each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from keyback.application.doctor.diagnosis import READS, Diagnosis
from keyback.application.ports.connectors import Connector, Finding
from keyback.domain.people.person import Account
from keyback.locale import N_, Locale, gettext

NO_TITLES: Mapping[str, str] = MappingProxyType({})

Action = Literal["password", "helpdesk", "elsewhere", "wait", "second_step", "sign_in"]


@dataclass(frozen=True, slots=True)
class FindingShown:
    """A finding in the reader's language.

    Args:
        code: as in `connectors.Finding`.
        action: what kind of thing the next step is.
        until: ms; when it ends by itself, None where it doesn't or nobody knows.
        account: id of the person's account whose password opens this one too; empty where nobody knows.
    """

    code: str
    text: str
    next_step: str
    action: Action
    until: int | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Something that no system can see; the person looks at it themselves."""

    code: str
    title: str
    next_step: str


WORDS: dict[str, tuple[str, str, Action]] = {
    "not_found": (
        N_("This account no longer exists there."),
        N_("Ask the help desk whether it was renamed or removed."),
        "helpdesk",
    ),
    "ambiguous": (
        N_("More than one account there could be yours."),
        N_("Ask the help desk which one you should use."),
        "helpdesk",
    ),
    "sso_only": (
        N_("This account signs in through your company’s single sign-on, not with a password of its own."),
        N_("On the sign-in page, choose single sign-on and use your company password."),
        "elsewhere",
    ),
    "federated": (
        N_("Another sign-in provider checks the password for this account."),
        N_("Reset the password at that provider, then sign in through it."),
        "elsewhere",
    ),
    "synced_elsewhere": (
        N_("The password for this account comes from your company’s directory, not from this system."),
        N_("Use the password you sign in to the company network with, or reset that one."),
        "elsewhere",
    ),
    "frozen": (
        N_("An administrator has frozen this account."),
        N_("Ask the help desk to unfreeze it. A new password won’t help."),
        "helpdesk",
    ),
    "inactive": (
        N_("This account is deactivated."),
        N_("Ask the help desk to reactivate it. A new password won’t help."),
        "helpdesk",
    ),
    "no_license": (
        N_("This account has no license for the system, so it can’t open it."),
        N_("Ask the help desk to assign a license."),
        "helpdesk",
    ),
    "locked": (
        N_("This account is locked, usually after several wrong passwords."),
        N_("Choose a new password. That also unlocks it."),
        "password",
    ),
    "locked_for_a_while": (
        N_("This account is locked for a while after several wrong passwords."),
        N_("Don’t try again for 15 minutes. It unlocks by itself."),
        "wait",
    ),
    "minimum_age": (
        N_("The password was changed a short while ago and can’t be changed again yet."),
        N_("Sign in with the password you chose last, typed by hand."),
        "wait",
    ),
    "must_change": (
        N_("The system wants you to change the password when you next sign in."),
        N_("Sign in on its own page and follow the steps there."),
        "sign_in",
    ),
    "password_expired": (
        N_("The password for this account has expired."),
        N_("Choose a new password."),
        "password",
    ),
    "factor_lost": (
        N_("The second step that this system asks you for doesn’t work any more."),
        N_("Replace it. A new password alone won’t let you in."),
        "second_step",
    ),
    "wrong_host": (
        N_("Your account isn’t at this address. It may be in a sandbox or in another region."),
        N_("Open the system where you have your account. A new password won’t help here."),
        "sign_in",
    ),
    "privileged": (
        N_("This is an administrator’s account, so it can’t be changed here."),
        N_("Ask the help desk: another administrator can do it."),
        "helpdesk",
    ),
    "stale_password": (
        N_("A device or app keeps trying an old password. That can lock the account again and again."),
        N_("Enter the current password on that device, or remove the account from it."),
        "sign_in",
    ),
}

HOME: dict[str, str] = {
    "synced_elsewhere": N_("Choose a new password for {system} ({username}). It works here too, within minutes."),
    "federated": N_("Choose a new password for {system} ({username}), then sign in here through it."),
    "sso_only": N_("Choose a new password for {system} ({username}), then sign in here by single sign-on."),
}

CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "saved_password",
        N_("An old password is saved"),
        N_("Delete the saved entry in your browser or password manager, then type the new password by hand."),
    ),
    (
        "autofill",
        N_("The browser fills in something else"),
        N_("Clear both fields and type your username and password yourself."),
    ),
    (
        "keyboard",
        N_("Caps Lock or the keyboard layout"),
        N_("Turn on “Show password” and check each character as you type."),
    ),
    (
        "cookies",
        N_("Old cookies"),
        N_("Sign in from a private window. If that works, delete the cookies for this address."),
    ),
    (
        "address",
        N_("The wrong address, or a sandbox"),
        N_("Open the system from this page, not from a bookmark. A sandbox has its own passwords."),
    ),
)


def shown(
    f: Finding,
    locale: Locale,
    connector: Connector | None = None,
    home: Account | None = None,
    titles: Mapping[str, str] = NO_TITLES,
) -> FindingShown:
    """A finding in words.

    Args:
        connector: of the system, which may not be able to unlock.
        home: as in `Diagnosis`; `titles` as in `Services`.
    """
    code: str = f.code
    if code == "locked" and connector is not None and connector.capabilities.unlock not in READS:
        code = "locked_for_a_while"
    text, step, action = WORDS[code]
    said = gettext(locale, step)
    if home is None or code not in HOME:
        return FindingShown(f.code, gettext(locale, text), said, action, f.until)
    said = gettext(locale, HOME[code]).format(system=titles.get(home.system, home.system), username=home.username)
    return FindingShown(f.code, gettext(locale, text), said, "elsewhere", f.until, home.id)


def finding_text(locale: str, code: str) -> str:
    """What was found in an account, in one sentence; empty for what is not known."""
    return gettext(locale, WORDS[code][0]) if code in WORDS else ""


def shown_of(
    d: Diagnosis, locale: Locale, connector: Connector | None, titles: Mapping[str, str] = NO_TITLES
) -> tuple[FindingShown, ...]:
    """All that its owner has to know of an account; that it is an administrator's keeps nobody out."""
    return tuple(shown(f, locale, connector, d.home, titles) for f in d.findings if f.code != "privileged")


def self_checks(locale: Locale) -> tuple[SelfCheck, ...]:
    """What no system can see, with one next step each."""
    return tuple(SelfCheck(code, gettext(locale, title), gettext(locale, step)) for code, title, step in CHECKS)
