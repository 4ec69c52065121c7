"""What the pages of the demo show; see `pages` for the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keyback.web.ui.page import Page


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One invented person. The password is shown because nothing here is real."""

    name: str
    identifiers: tuple[str, ...]
    systems: tuple[str, ...]
    tier: str
    password: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DemoHome(Page):
    """`/demo`. Toggle form posts `slow` and `broken` (`1` when on) to `/demo/crm/toggle`, the others `minutes` to
    `/demo/clock`.

    Args:
        passkeys: the address is a name, as browsers want it for passkeys.
        now: the demo's time, in ms; `ahead` says that it was set ahead.
        clouds: stand-ins of vendors: (name, path of the sign-in page below `/demo/`).
    """

    template: ClassVar[str] = "demo/demo.html"
    people: tuple[DemoPerson, ...]
    slow: bool = False
    broken: bool = False
    passkeys: bool = True
    now: int = 0
    ahead: bool = False
    clouds: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """One mail in the viewer, newest first.

    Args:
        labels: (address, words) of the links, as the HTML part says them.
        framed: it has an HTML part, at `/demo/mailbox/{id}/view`.
    """

    id: str
    at: int
    to: str
    subject: str
    text: str
    links: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    framed: bool = False

    @property
    def buttons(self) -> tuple[tuple[str, str], ...]:
        """(address, words) of the links, the first one as what the mail is about."""
        said = dict(self.labels)
        return tuple((link, said.get(link, "")) for link in self.links)


@dataclass(frozen=True, slots=True)
class DemoMailbox(Page):
    """`/demo/mailbox`. `version` as in `/demo/mailbox/status`, e.g. the newest id; the script polls it."""

    template: ClassVar[str] = "demo/demo_mailbox.html"
    messages: tuple[DemoMessage, ...]
    version: str = ""


@dataclass(frozen=True, slots=True)
class DemoText:
    """One SMS or chat message in the viewer, newest first. `channel` is `sms` or `im`."""

    id: str
    at: int
    to: str
    channel: str
    text: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoPhone(Page):
    """`/demo/phone`. `version` as in `/demo/phone/status`."""

    template: ClassVar[str] = "demo/demo_phone.html"
    messages: tuple[DemoText, ...]
    version: str = ""


@dataclass(frozen=True, slots=True)
class DemoApp:
    """An authenticator app as it stands now.

    Args:
        code: the six digits.
        used: they were taken already; the next ones are needed.
        pending: it is being set up, and waits for its first code.
    """

    name: str
    username: str
    label: str
    code: str
    seconds_left: int
    used: bool = False
    pending: bool = False


@dataclass(frozen=True, slots=True)
class DemoCodes:
    """The recovery codes that somebody put away: (code, used)."""

    name: str
    username: str
    codes: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class DemoPasskey:
    """A passkey with its private key (PKCS #8), all in base64url: what WebDriver and DevTools take to add a credential
    to a virtual authenticator. It counts no signatures and cannot be copied elsewhere (not backup eligible)."""

    name: str
    username: str
    rp_id: str
    credential_id: str
    user_handle: str
    private_key: str


@dataclass(frozen=True, slots=True)
class DemoAuthenticator(Page):
    """`/demo/authenticator`. `version` as in `/demo/authenticator/status`."""

    template: ClassVar[str] = "demo/demo_authenticator.html"
    apps: tuple[DemoApp, ...]
    codes: tuple[DemoCodes, ...]
    version: str = ""
    passkeys: tuple[DemoPasskey, ...] = ()
