"""A policy in plain words, as a person would tell it, in every language."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keyback.application.ports.proofs import N_, About
from keyback.domain.people.ages import DAY
from keyback.domain.people.person import Tier
from keyback.domain.policy.presets import Preset, weaker
from keyback.domain.policy.rules import Policy
from keyback.domain.units import HOUR, MINUTE
from keyback.locale import gettext, language

AT_THE_DESK: Final[Mapping[str, str]] = {
    "id_document": N_("an identity document that two people check"),
    "identity_service": N_("an identity that a service verifies"),
    "caller_check": N_("a caller check by the help desk"),
}
"""What operators do, and no proof on the shelf does."""
TIER_NAMES: Final[Mapping[Tier, str]] = {
    "standard": N_("People without two-step verification"),
    "mfa": N_("People with two-step verification"),
    "privileged": N_("CRM administrators"),
}
CLAIM_WORDS: Final[Mapping[str, str]] = {
    "mailbox_alone": N_("A mailbox alone never opens an account with two-step verification."),
    "one_channel": N_("What arrives through one channel counts once, however often it is used."),
    "two_issued_codes": N_(
        "Two codes we send are one method: email and text message together don't open an account with "
        "two-step verification."
    ),
    "factor_alone": N_("An authenticator app or passkey alone, without a recovery method, opens nothing."),
    "knowledge": N_("Knowing things about a person is never enough."),
    "desk_alone": N_("An identity check alone opens nothing; it needs a code sent to a known contact."),
    "one_call": N_(
        "Neither one operator nor one phone call recovers anyone: after a callback, another operator approves."
    ),
    "one_thing": N_(
        "A call renews one thing: a password, a second step, or a contact. For each, all contacts have the full hold "
        "to cancel."
    ),
    "sms_for_privileged": N_("Text messages don't count for CRM administrators."),
    "second_operator": N_("A second operator approves for CRM administrators, unless a passkey was used."),
    "lost_second_step": N_("A lost second step is never replaced by email alone."),
    "short_hold": N_("While the owner can still object, no one gets in faster than the preset allows."),
    "more_is_more": N_("More evidence never counts for less and never makes anyone wait longer."),
    "low_floor": N_(
        "No one is below the tier that the preset asks of everyone, nor below the tier of their own factors."
    ),
    "planted": N_("Anything added less than 72 hours ago can't be used for recovery."),
    "aged": N_(
        "A contact that hasn't been confirmed for a long time never opens an account on its own and never "
        "shortens a hold."
    ),
    "lifetimes": N_("Links and codes expire: text messages after 10 minutes, emails within 24 hours."),
    "alternatives": N_("Every tier has a method other than text messages."),
    "phishing_resistant": N_("Passkeys are accepted."),
}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its sentences, in one language."""

    id: str
    title: str
    lines: tuple[str, ...]


def proof_words(locale: str, proof: str, abouts: Mapping[str, About]) -> str:
    """What a sentence calls a proof; one that nobody brings goes by its own name."""
    about = abouts.get(proof)
    return about.say(locale, about.noun) if about else gettext(locale, AT_THE_DESK.get(proof, proof))


def listed(locale: str, words: Sequence[str], *, every: bool = False) -> str:
    """Words in a row, as a sentence lists them: one of them, or `every` one."""
    if len(words) < 2:
        return "".join(words)
    x = language(locale)
    return x.comma.join(words[:-1]) + (x.every if every else x.either) + words[-1]


def span(locale: str, ms: int) -> str:
    """A time to wait, in the largest unit that it is whole in."""
    if ms % HOUR == 0 and ms:
        n, text = ms // HOUR, N_("{n} hours")
        one = N_("1 hour")
    else:
        n, text = ms // MINUTE, N_("{n} minutes")
        one = N_("1 minute")
    return gettext(locale, one) if n == 1 else gettext(locale, text, n=n)


def explain(
    policy: Policy, preset: Preset, locale: str, abouts: Mapping[str, About], there: Collection[str] | None = None
) -> list[Section]:
    """The policy as sentences: what is taken, what gets whom in, what a wait is, who is told, what falls short.

    Args:
        abouts: what proofs are called.
        there: proofs that this installation can put at all (SMS needs somebody who carries it); None: all of them.
    """
    teller = _Teller(policy, locale, abouts, policy.proofs if there is None else there)
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
    def __init__(self, policy: Policy, locale: str, abouts: Mapping[str, About], there: Collection[str]) -> None:
        self._policy, self._locale, self._abouts, self._there = policy, locale, abouts, there

    def _(self, text: str, **values: object) -> str:
        return gettext(self._locale, text, **values)

    def _section(self, name: str, title: str, *lines: str) -> Section:
        return Section(name, self._(title), tuple(line for line in lines if line))

    def _taken(self, tier: Tier, *kinds: str) -> list[str]:
        silent = "sms_code" if tier == "privileged" and "sms_for_privileged" not in self._policy.loose else ""
        return [
            p for p, k in self._policy.proofs.items()
            if k in kinds and p in self._there and p != silent and self._policy.takes(p, tier)
        ]  # fmt: skip

    def _span(self, ms: int) -> str:
        return span(self._locale, ms)

    def _list(self, proofs: Sequence[str], *, every: bool = False) -> str:
        return listed(self._locale, [proof_words(self._locale, p, self._abouts) for p in proofs], every=every)

    def beginning(self, preset: Preset) -> Section:
        there = [p for p in self._policy.proofs if p in self._there]
        taken, off = ([p for p in there if self._policy.takes(p) == on] for on in (True, False))
        return self._section(
            "beginning",
            N_("Accepted methods"),
            self._(N_("The policy is measured against the preset {preset}."), preset=preset.name),
            self._(N_("Accepted: {proofs}."), proofs=self._list(taken, every=True)),
            self._(N_("Not accepted: {proofs}."), proofs=self._list(off, every=True)) if off else "",
            self._(
                N_(
                    "Answers to security questions open nothing on their own; they are asked in addition to another "
                    "method."
                )
            )
            if self._policy.takes("security_questions")
            else "",
            self._(
                N_(
                    "Phones, backup addresses, and recovery contacts have to be confirmed every {remind} days. "
                    "Those that aren't count less after {less} days, and not at all after {nothing}."
                ),
                remind=str(self._policy.ages.remind // DAY),
                less=str(self._policy.ages.less // DAY),
                nothing=str(self._policy.ages.nothing // DAY),
            ),
            self._(N_("Each colleague confirms for at most {n} people."), n=str(self._policy.per_colleague))
            if self._policy.takes("recovery_contact")
            else "",
            self._(N_("Everyone needs two-step verification, so no one gets in with a single method."))
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
                    "From a browser and a network we don't know, they wait {wait}. A second method through "
                    "another channel ends the hold."
                ),
                wait=self._span(wait),
            )
            if wait
            else "",
            self._(
                N_("People who can be told only at the address the message went to wait {wait}."),
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
        between = language(self._locale).semicolon
        return [
            self._(N_("They need two methods of different kinds: {kinds}."), kinds=between.join(kinds))
            if len(kinds) > 1
            else "",
            self._(N_("Two codes we send are enough if they use different channels, such as email and text message."))
            if pair
            else self._(N_("Codes we send are all one kind, so email and text message together aren't enough.")),
            self._(N_("Or one of these together with {factors}."), factors=self._list(bound)) if bound else "",
            self._(
                N_("Or a check by the help desk ({desk}) together with one code sent to them."), desk=self._list(desk)
            )
            if desk and issued
            else "",
        ]  # fmt: skip

    def _wait(self, tier: Tier) -> list[str]:
        holds = self._policy.holds
        wait = holds.privileged if tier == "privileged" else holds.new_device
        if not wait:
            return [self._(N_("No hold."))]
        return [
            self._(
                N_(
                    "Then they wait {wait}. There's no hold for a trusted browser together with an authenticator "
                    "app or passkey, or for three methods through different channels."
                ),
                wait=self._span(wait),
            )
        ]

    def privileged(self) -> Section:
        sms = "sms_for_privileged" in self._policy.loose
        operator = {
            "always": N_("A second operator always has to approve."),
            "without_passkey": N_("A second operator has to approve, unless they use a passkey."),
            "never": N_("No second operator has to approve."),
        }
        return self._section(
            "privileged",
            TIER_NAMES["privileged"],
            *self._two("privileged"),
            self._(N_("Text messages count for them as for others."))
            if sms
            else self._(N_("Text messages don't count here.")),
            self._(operator[self._policy.second_operator]),
            *self._wait("privileged"),
        )

    def waits(self) -> Section:
        h = self._policy.holds
        return self._section(
            "waits",
            N_("What a hold is"),
            self._(N_("While a recovery waits, its owner can cancel it with a link that goes to every contact.")),
            self._(N_("Anyone who completes another method in the meantime no longer has to wait.")),
            self._(
                N_("After an identity check the hold is {wait}, for CRM administrators {longer}."),
                wait=self._span(h.proofing),
                longer=self._span(2 * h.proofing),
            )
            if h.proofing
            else "",
            self._(
                N_(
                    "Anyone who replaces a lost mailbox waits {wait}, unless an authenticator app or passkey was "
                    "among the methods."
                ),
                wait=self._span(h.mailbox),
            )
            if h.mailbox
            else "",
            self._(N_("A lost second step is never replaced by email alone.")),
            self._(N_("Anything added less than 72 hours ago can't be used for recovery.")),
        )

    def told(self) -> Section:
        return self._section(
            "told",
            N_("Who gets notified"),
            self._(
                N_(
                    "All contacts of the person, whatever they were used for: when a hold begins, when it ends, "
                    "and when the password has changed. Each message says what to do if it wasn't you."
                )
            ),
        )

    def short(self, preset: Preset) -> list[Section]:
        reasons = dict(self._policy.accepted)
        lines = []
        for name in weaker(self._policy, preset):
            lines.append(self._(N_("Not fulfilled here: {claim}"), claim=self._(CLAIM_WORDS[name])))
            why = reasons.get(name)
            lines.append(self._(N_("Reason: {reason}"), reason=why) if why else self._(N_("No reason given.")))
        return [self._section("short", N_("Where it falls short of the preset"), *lines)] if lines else []
