"""Sign in with the CRM: the code flow of OpenID Connect, as an answer to a question.

State, nonce and PKCE verifier are derived from the question's nonce, which a page has whoever it is about: nothing has
to be kept, nothing tells whether anybody is meant, and with the question all three are over. What a provider says
becomes an answer that only this installation can make (`answer`), so that it is counted and weighed like any other.
Sources: OpenID Connect Core 1.0, RFC 7636, RFC 9700 sections 4.5 and 4.7.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path

from keyback.application.ports.proofs import N_, About, Enrolments, Given, PendingChallenge, Target, Verdict
from keyback.application.ports.sign_in import Returned, SignedIn, SignInProvider
from keyback.domain import digests
from keyback.domain.challenges.challenge import SHORT_LIFE
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import channel_of, one_domain
from keyback.domain.policy.rules import PROVIDER_SIGN_IN, ProofClass
from keyback.proofs import question
from keyback.proofs.question import Carrier

FACTOR = "provider"  # the kind of what is bound
MAX_ANSWER = 256
_NOBODY = bytes(32)


class ProviderSignIn:
    """One question for each provider that a person bound; the one they signed in with decides which was meant.

    Args:
        providers: by name, in the order of the settings.
    """

    name = PROVIDER_SIGN_IN
    about = About(
        Path(__file__).parent,
        title=N_("Sign in with another system"),
        note=N_("One that you connected in the security center"),
        noun=N_("a sign-in with a connected system"),
        by=N_("by sign-in with another system"),
        lede=N_("Sign in there. This works if you connected it in the security center before."),
        wrong=N_("That sign-in isn’t connected with this account. Try again, or use another method."),
        one_try=True,
        needs_browser=True,
    )
    kind: ProofClass = "issued"
    carrier: Carrier = ""
    life_ms = SHORT_LIFE

    def __init__(self, providers: Mapping[str, SignInProvider]) -> None:
        self.providers = providers

    @classmethod
    def make(cls, given: Given) -> ProviderSignIn | None:
        return cls(given.providers) if given.providers else None

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        mine = [f for f in question.factors(holder, FACTOR) if self._of(f) is not None]
        channels = {f.id: self._channels(f, holder) for f in mine}
        return [Target(f.id, channels[f.id][0], f.label, channels[f.id][1:]) for f in mine]

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        """`providers`: (name, title) of all there are, whoever is meant."""
        return {"providers": [(p.name, p.title) for p in self.providers.values()]}

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        """Compares with each live question; an answer says of which it is one (`answer`)."""
        payload, dot, mac = answer.rpartition(".")
        parts = payload.split(".")
        if len(answer) > MAX_ANSWER or not answer.isascii() or not dot or len(parts) != 3:
            return Verdict(code="not_a_code")
        provider, digest, factors = parts
        right: tuple[PendingChallenge, str] | None = None
        for a in question.live(self.name, asked, now):
            made_here = hmac.compare_digest(_mac(a.key, a.challenge.nonce, payload), mac)
            factor = question.meant(a, a.holder.factors, now)
            if made_here and factor is not None and self._is_subject(factor, provider, digest) and right is None:
                right = a, provider
        if not asked:
            hmac.compare_digest(_mac(_NOBODY, _NOBODY, payload), mac)
        if right is None:
            return Verdict()
        return Verdict(
            right[0],
            "ok",
            two_factors=factors == "2",
            counts_as="bound" if factors == "2" else None,
            system=self.providers[provider].system,
        )

    def _of(self, factor: Factor) -> SignInProvider | None:
        """The provider of a bound subject, while the settings have it and it is the same one."""
        found = self.providers.get(str(factor.data.get("provider")))
        return found if found is not None and found.issuer == factor.data.get("issuer") else None

    def _is_subject(self, factor: Factor, provider: str, digest: str) -> bool:
        of, kept = self._of(factor), str(factor.data.get("subject", ""))
        return of is not None and of.name == provider and hmac.compare_digest(kept, digest)

    def _channels(self, factor: Factor, holder: Enrolments) -> tuple[str, ...]:
        """Those of every mailbox whose reader may get into the provider's account too: each counts once with it."""
        own = list(question.contacts(holder, lambda c: c.channel == "mail" and c.role != "recovery"))
        of = self._of(factor)
        domains = of.mail_domains if of is not None else None
        near = [c for c in own if domains is None or any(one_domain(c.address, f"@{d}") for d in domains)]
        near.sort(key=lambda c: (c.role != "primary", c.added_at, c.id))
        return tuple(dict.fromkeys(channel_of(c, own) for c in near)) or (f"{FACTOR}:{factor.id}",)

    # ── the flow ────────────────────────────────────────────────────────────

    def state(self, asked: PendingChallenge, provider: str, kind: str, ref: str) -> str:
        """`kind.ref.mac`: which page or challenge the browser comes back to, and that this is its own sign-in."""
        return f"{kind}.{ref}.{_derived(asked, 'state', f'{kind}/{ref}/{provider}')}"

    async def start(self, asked: PendingChallenge, provider: str, state: str, redirect_uri: str) -> str:
        nonce, verifier = _derived(asked, "nonce", provider), _derived(asked, "verifier", provider)
        return await self.providers[provider].authorization_url(redirect_uri, state, nonce, verifier)

    async def finish(self, asked: PendingChallenge, provider: str, returned: Returned, redirect_uri: str) -> SignedIn:
        nonce, verifier = _derived(asked, "nonce", provider), _derived(asked, "verifier", provider)
        since = asked.challenge.created_at / 1000
        return await self.providers[provider].redeem(returned, redirect_uri, nonce, verifier, since)

    def answer(self, asked: PendingChallenge, provider: str, found: SignedIn) -> str:
        """`provider.subject.factors.mac`; the subject as `subject_digest` gives it."""
        digest = self.subject_digest(provider, found.subject).hex()
        payload = f"{provider}.{digest}.{2 if found.second_factor else 1}"
        return f"{payload}.{_mac(asked.key, asked.challenge.nonce, payload)}"

    def subject_digest(self, provider: str, subject: str) -> bytes:
        """The digest of issuer and subject; another issuer's subject of the same text is somebody else."""
        return digests.digest(f"{self.providers[provider].issuer}\0{subject}".encode())


def _derived(asked: PendingChallenge, what: str, of: str) -> str:
    """A secret of 256 bits for one sign-in, in 43 letters that need no escaping."""
    seed = what.encode() + b"\0" + asked.challenge.nonce + b"\0" + of.encode()
    return base64.urlsafe_b64encode(digests.mac(asked.key, seed)).rstrip(b"=").decode()


def _mac(key: bytes, nonce: bytes, payload: str) -> str:
    return digests.mac(key, b"answer\0" + nonce + b"\0" + payload.encode()).hex()
