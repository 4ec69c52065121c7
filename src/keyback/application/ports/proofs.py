"""What we ask of a proof: what it is called, whom it can be put to, questions and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from keyback.application.ports.hashing import PasswordHasher
from keyback.application.ports.sign_in import SignInProvider
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.factor import Factor, SavedCode
from keyback.domain.people.person import Contact, Person
from keyback.domain.policy.rules import ProofClass
from keyback.domain.secret import Secret
from keyback.locale import N_ as N_
from keyback.locale import gettext_of


class FreshCode(Protocol):
    """A saved code that was just made: `text` is shown once, `secret` is hashed, `slot` finds the row."""

    @property
    def text(self) -> str: ...
    @property
    def slot(self) -> str: ...
    @property
    def secret(self) -> Secret: ...


@runtime_checkable
class MakesCodes(Protocol):
    """A proof by saved codes: it makes new ones, at enrolment and in place of one that was used (N-R3)."""

    def new_codes(
        self, random: Callable[[int], bytes], count: int = ..., taken: Collection[str] = ...
    ) -> Sequence[FreshCode]: ...
    async def hashed(self, secret: Secret) -> str: ...


@dataclass(frozen=True, slots=True)
class Enrolments:
    """A person with what they have enrolled that may recover now: confirmed contacts, active factors, all cooled in."""

    person: Person
    contacts: tuple[Contact, ...] = ()
    factors: tuple[Factor, ...] = ()
    codes: tuple[SavedCode, ...] = ()  # of the factors; used ones too


@dataclass(frozen=True, slots=True)
class Target:
    """What one question is put to.

    Args:
        id: of the contact or factor.
        channel: identity under which evidence counts, such as `phone:+86…` or `totp:ID`; never twice on one case.
        hint: masked words that may be shown to somebody who has proven something already, such as `•••• 34`.
        also: further channels whose holder could answer, too; what came by one of them counts once with this.
    """

    id: str
    channel: str
    hint: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingChallenge:
    """A live question with all that its answer is judged by.

    Args:
        key: what its code and link are derived from (`key_purpose`).
    """

    challenge: Challenge
    holder: Enrolments
    target: Target
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a proof says of an answer.

    Args:
        right: the question that was answered rightly; None when none was.
        code: `ok`, `wrong`, `not_a_code`, `replayed`, `spent` … short and stable.
        counter: TOTP step or signature count to store; the answer counts only if it is higher than all before.
        spent: id of the saved code that this uses up.
        two_factors: the proof showed possession and knowledge at once (user verification).
        suspicious: worth an audit event, such as a signature count that went down (W-4).
        counts_as: more than the proof's own class, where the rules allow it (`rules.MAY_COUNT_AS`).
        system: the system whose own sign-in it was: no evidence for an account there.
    """

    right: PendingChallenge | None = None
    code: str = "wrong"
    counter: int | None = None
    spent: str = ""
    two_factors: bool = False
    suspicious: str = ""
    counts_as: ProofClass | None = None
    system: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What people read of a proof, and where its page lies. Texts are English; others are in `zh_CN.po` ….

    Args:
        folder: where the page and a `.po` for each language are, usually `Path(__file__).parent`.
        title: as a choice and as a heading: `Your authenticator app`.
        note: below it, what it takes: `The six digits it shows now`.
        noun: in a sentence about the policy: `a code of the authenticator app`.
        by: in the list of what happened: `by authenticator app`.
        lede: below the heading before anything was proven; empty for the usual sentence.
        wrong: after a wrong answer; empty for the usual sentence with the tries that are left.
        page: the part of the page that takes the answer, a Jinja template in `folder`. It sees `page.form`, and finds
            ready-made fields in `portal/answer.html`.
        contact: the kind of contact that it is put to; the security center offers to add one while the policy takes it.
        form_for_clients: an answer depends on what `form` gives, such as a WebAuthn challenge: API clients get it too.
        one_try: the first answer ends the question, right or wrong.
        needs_browser: only our own pages can put it, so API clients are not offered it.
    """

    folder: Path
    title: str
    note: str
    noun: str
    by: str
    lede: str = ""
    wrong: str = ""
    page: str = "page.html"
    contact: Literal["", "mail", "sms", "im", "helper"] = ""
    form_for_clients: bool = False
    one_try: bool = False
    needs_browser: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that people read but for the page."""
        return tuple(t for t in (self.title, self.note, self.noun, self.by, self.lede, self.wrong) if t)

    def say(self, locale: str, text: str) -> str:
        """One of the texts in `locale`."""
        return gettext_of(self.folder, locale, text)


@runtime_checkable
class SendsCode(Protocol):
    """A proof whose answer is a code that was sent."""

    @property
    def size(self) -> int:
        """Its digits."""
        ...

    def code(self, key: bytes, nonce: bytes) -> str:
        """What was sent for a challenge."""
        ...


class Proof(Protocol):
    """A way to prove who you are. Sees neither HTTP nor SQL; what it returns is applied in one transaction."""

    @property
    def name(self) -> str:
        """As in the policy, the API and the audit log, such as `totp`."""
        ...

    @property
    def about(self) -> About: ...

    @property
    def kind(self) -> ProofClass: ...
    @property
    def carrier(self) -> Literal["", "mail", "sms", "im"]:
        """What carries the question to the person; empty where nothing has to travel."""
        ...

    @property
    def life_ms(self) -> int:
        """How long a question waits for its answer."""
        ...

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        """What of this person's it can be put to; empty where nothing fitting is enrolled."""
        ...

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        """What the page needs beyond a field for the answer, such as a WebAuthn challenge or a question's text. With
        nothing asked it gives something of the same shape, so that a page tells nothing about who is meant."""
        ...

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        """Judges an answer to any of these questions; does the same work where nothing was asked."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What a proof may be made of.

    Args:
        gate: hashes and compares within the memory budget.
        public_url: where people reach Keyback.
        options: its table `proof_options.NAME` in `keyback.toml`.
        providers: those that people sign in with, by name.
    """

    gate: PasswordHasher
    public_url: str
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    providers: Mapping[str, SignInProvider] = field(default_factory=dict)


class ProofMaker(Protocol):
    """What an entry point of the group `keyback.proofs` names, usually the proof's class."""

    @property
    def about(self) -> About: ...

    def make(self, given: Given) -> Proof | None:
        """The proof; None where it cannot be, such as a passkey under an IP address.

        Raises:
            ValueError: keys of its settings are missing or wrong; the text says which, and never what they are.
        """
        ...
