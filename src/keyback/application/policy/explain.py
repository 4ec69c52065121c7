"""A policy in plain words, as a person would tell it; in both languages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keyback.domain.people.ages import DAY
from keyback.domain.people.person import Tier
from keyback.domain.policy.presets import Preset, weaker
from keyback.domain.policy.rules import PROOFS, Policy
from keyback.domain.units import HOUR, MINUTE
from keyback.locale import gettext


def N_(text: str) -> str:
    """Marks a text that is looked up later."""
    return text


NAMES: Final[Mapping[str, str]] = {
    "email_link": N_("a mail to the primary address"),
    "backup_email": N_("a mail to a backup address"),
    "sms_code": N_("a code by SMS"),
    "im_message": N_("a code by chat message"),
    "recovery_code": N_("a saved recovery code"),
    "recovery_contact": N_("a colleague who vouches"),
    "totp": N_("a code of the authenticator app"),
    "passkey": N_("a passkey"),
    "id_document": N_("an identity document that two people look at"),
    "caller_check": N_("a call back by the help desk"),
    "security_questions": N_("answers to security questions"),
}
TIER_NAMES: Final[Mapping[Tier, str]] = {
    "standard": N_("People without a second step"),
    "mfa": N_("People with a second step"),
    "privileged": N_("CRM administrators"),
}
CLAIM_WORDS: Final[Mapping[str, str]] = {
    "mailbox_alone": N_("A mailbox alone never opens an account with a second step."),
    "one_channel": N_("What comes through one channel counts once, however often it is shown."),
    "two_issued_codes": N_(
        "Two codes that were sent are one method: mail and SMS do not open an account with a second step."
    ),
    "factor_alone": N_("An authenticator or passkey alone, without a recovery method, opens nothing."),
    "knowledge": N_("What somebody knows about a person never decides."),
    "desk_alone": N_("An identity check alone opens nothing; a code to a known contact goes with it."),
    "sms_for_privileged": N_("SMS counts for nothing where a CRM administrator is concerned."),
    "second_operator": N_("A second operator approves for CRM administrators, unless a passkey was shown."),
    "lost_second_step": N_("A lost second step is never replaced by mail alone."),
    "short_hold": N_("Nobody gets in faster than the preset allows while the owner can still object."),
    "more_is_more": N_("More evidence never counts for less and never waits longer."),
    "low_floor": N_("Nobody is below the tier that the preset asks of everybody, nor below that of their own factors."),
    "planted": N_("What was added less than 72 hours ago cannot recover."),
    "aged": N_("A contact that was not confirmed for long never opens an account alone, and never shortens a wait."),
    "lifetimes": N_("Links and codes end in time: by SMS after 10 minutes, by mail within 24 hours."),
    "alternatives": N_("For every tier there is a way besides SMS."),
    "phishing_resistant": N_("Passkeys are taken."),
}


_BETWEEN: Final = {"en": ((", ", " or "), (", ", " and ")), "zh_CN": (("、", "或"), ("、", "和"))}
_SEP: Final = {"en": "; ", "zh_CN": "；"}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its sentences, in one language."""

    id: str
    title: str
    lines: tuple[str, ...]


def proof_words(locale: str, proof: str) -> str:
    """What a proof is called; one that a package brought goes by its own name."""
    return gettext(locale, NAMES.get(proof, proof))


def listed(locale: str, proofs: Sequence[str], *, every: bool = False) -> str:
    """Proofs in a row, as a sentence lists them: one of them, or `every` one."""
    words = [proof_words(locale, p) for p in proofs]
    if len(words) < 2:
        return "".join(words)
    comma, last = _BETWEEN[locale][every]
    return comma.join(words[:-1]) + last + words[-1]


def span(locale: str, ms: int) -> str:
    """A time to wait, in the largest unit that it is whole in."""
    if ms % HOUR == 0 and ms:
        n, text = ms // HOUR, N_("{n} hours")
        one = N_("1 hour")
    else:
        n, text = ms // MINUTE, N_("{n} minutes")
        one = N_("1 minute")
    return gettext(locale, one) if n == 1 else gettext(locale, text, n=n)


def explain(policy: Policy, preset: Preset, locale: str, there: Collection[str] = PROOFS) -> list[Section]:
    """The policy as sentences: what is taken, what gets whom in, what a wait is, who is told, what falls short.

    Args:
        there: proofs that this installation can put at all (SMS needs somebody who carries it).
    """
    teller = _Teller(policy, locale, there)
    return [
        teller.beginning(preset),
        *([] if policy.floor != "standard" else [teller.standard()]),
        teller.mfa(),
        teller.privileged(),
        teller.waits(),
        teller.told(),
        *teller.short(preset),
    ]


class _Teller:
    def __init__(self, policy: Policy, locale: str, there: Collection[str]) -> None:
        self._policy, self._locale, self._there = policy, locale, there

    def _(self, text: str, **values: object) -> str:
        return gettext(self._locale, text, **values)

    def _section(self, name: str, title: str, *lines: str) -> Section:
        return Section(name, self._(title), tuple(line for line in lines if line))

    def _taken(self, tier: Tier, *kinds: str) -> list[str]:
        silent = "sms_code" if tier == "privileged" and "sms_for_privileged" not in self._policy.loose else ""
        return [
            p for p, k in PROOFS.items()
            if k in kinds and p in self._there and p != silent and self._policy.takes(p, tier)
        ]  # fmt: skip

    def _span(self, ms: int) -> str:
        return span(self._locale, ms)

    def _list(self, proofs: Sequence[str]) -> str:
        return listed(self._locale, proofs)

    def beginning(self, preset: Preset) -> Section:
        there = [p for p in PROOFS if p in self._there]
        taken, off = ([p for p in there if self._policy.takes(p) == on] for on in (True, False))
        return self._section(
            "beginning",
            N_("What is taken as proof"),
            self._(N_("The policy is measured by the preset {preset}."), preset=preset.name),
            self._(N_("Taken: {proofs}."), proofs=listed(self._locale, taken, every=True)),
            self._(N_("Not taken: {proofs}."), proofs=listed(self._locale, off, every=True)) if off else "",
            self._(N_("Answers to security questions open nothing; they are asked in addition, after another proof."))
            if self._policy.takes("security_questions")
            else "",
            self._(
                N_(
                    "Phones, backup addresses and colleagues have to be confirmed once in {remind} days. Those that "
                    "were not weigh less after {less} days, and nothing after {nothing}."
                ),
                remind=str(self._policy.ages.remind // DAY),
                less=str(self._policy.ages.less // DAY),
                nothing=str(self._policy.ages.nothing // DAY),
            ),
            self._(N_("One colleague confirms for {n} people at most."), n=str(self._policy.per_colleague))
            if self._policy.takes("recovery_contact")
            else "",
            self._(N_("Everybody needs a second step, so nobody gets in by one proof."))
            if self._policy.floor != "standard"
            else "",
        )

    def standard(self) -> Section:
        one = self._taken("standard", "issued", "saved", "contact")
        wait, only = self._policy.holds.stranger, self._policy.holds.only_address
        return self._section(
            "standard",
            TIER_NAMES["standard"],
            self._(N_("One of these gets them in: {proofs}."), proofs=self._list(one)),
            self._(
                N_(
                    "From a browser and a network that nobody knows, they wait {wait}. A second proof that comes "
                    "another way ends the wait."
                ),
                wait=self._span(wait),
            )
            if wait
            else "",
            self._(
                N_("Who can be told at no other address than the one that the proof came to waits {wait}."),
                wait=self._span(only),
            )
            if only > wait
            else "",
        )

    def mfa(self) -> Section:
        return self._section("mfa", TIER_NAMES["mfa"], *self._two("mfa"), *self._wait("mfa"))

    def _two(self, tier: Tier) -> list[str]:
        bound, desk = self._taken(tier, "bound"), self._taken(tier, "proofing")
        kinds = [self._list(self._taken(tier, k)) for k in ("issued", "saved", "contact")]
        kinds = [k for k in kinds if k]
        pair = "two_issued_codes" in self._policy.loose
        issued = self._list(self._taken(tier, "issued"))
        return [
            self._(N_("They show two proofs of different kinds: {kinds}."), kinds=_SEP[self._locale].join(kinds))
            if len(kinds) > 1
            else "",
            self._(N_("Two codes that were sent are enough if they come different ways, such as mail and SMS."))
            if pair
            else self._(N_("Two codes that were sent are one kind, so mail and SMS together are not enough.")),
            self._(N_("Or they show one of these and {factors}."), factors=self._list(bound)) if bound else "",
            self._(N_("Or they pass a check ({desk}) and show one code that was sent to them."), desk=self._list(desk))
            if desk and issued
            else "",
        ]  # fmt: skip

    def _wait(self, tier: Tier) -> list[str]:
        holds = self._policy.holds
        wait = holds.privileged if tier == "privileged" else holds.new_device
        if not wait:
            return [self._(N_("Nobody waits."))]
        return [
            self._(
                N_(
                    "Then they wait {wait}. Nobody waits who uses a browser that is known together with an "
                    "authenticator app or passkey, or who shows three proofs that come different ways."
                ),
                wait=self._span(wait),
            )
        ]

    def privileged(self) -> Section:
        sms = "sms_for_privileged" in self._policy.loose
        operator = {
            "always": N_("A second operator always has to approve."),
            "without_passkey": N_("A second operator has to approve, unless they show a passkey."),
            "never": N_("No second operator has to approve."),
        }
        return self._section(
            "privileged",
            TIER_NAMES["privileged"],
            *self._two("privileged"),
            self._(N_("SMS counts for them as for others.")) if sms else self._(N_("SMS counts for nothing here.")),
            self._(operator[self._policy.second_operator]),
            *self._wait("privileged"),
        )

    def waits(self) -> Section:
        h = self._policy.holds
        return self._section(
            "waits",
            N_("What a wait is"),
            self._(N_("While a recovery waits, its owner can cancel it with a link that goes to every contact.")),
            self._(N_("Who shows more in the meantime does not have to wait any longer.")),
            self._(
                N_("After an identity check it is {wait}, for CRM administrators {longer}."),
                wait=self._span(h.proofing),
                longer=self._span(2 * h.proofing),
            )
            if h.proofing
            else "",
            self._(
                N_(
                    "Whoever has a new address put in place of a lost mailbox waits {wait}, unless an authenticator "
                    "app or passkey was among the proofs."
                ),
                wait=self._span(h.mailbox),
            )
            if h.mailbox
            else "",
            self._(N_("A lost second step is never replaced by mail alone.")),
            self._(N_("What was added less than 72 hours ago cannot recover.")),
        )

    def told(self) -> Section:
        return self._section(
            "told",
            N_("Who is told"),
            self._(
                N_(
                    "All contacts of the person, whatever they were used for: when a wait begins, when it is over, and "
                    "when the password has changed. Each message says what to do if it was not you."
                )
            ),
        )

    def short(self, preset: Preset) -> list[Section]:
        reasons = dict(self._policy.accepted)
        lines = []
        for name in weaker(self._policy, preset):
            lines.append(self._(N_("This does not hold here: {claim}"), claim=self._(CLAIM_WORDS[name])))
            why = reasons.get(name)
            lines.append(self._(N_("The reason: {reason}"), reason=why) if why else self._(N_("No reason is given.")))
        return [self._section("short", N_("Where it falls short of the preset"), *lines)] if lines else []
