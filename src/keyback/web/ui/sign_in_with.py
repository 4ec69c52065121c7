"""What both uses of signing in with a provider share: the one address that providers send browsers back to."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.ports.enrolment import SignsInElsewhere
from keyback.application.ports.proofs import PendingChallenge
from keyback.application.ports.sign_in import Returned, SignedIn
from keyback.application.services import Services
from keyback.domain import tokens
from keyback.domain.policy.rules import PROVIDER_SIGN_IN

MAX_PARAMETER = 4096
RECOVERY, ACCOUNT = "r", "a"  # what a state begins with


def proof_of(services: Services) -> SignsInElsewhere | None:
    """The proof, where a provider is set up and the policy takes it."""
    found = services.proofs.get(PROVIDER_SIGN_IN)
    return found if isinstance(found, SignsInElsewhere) and services.policy.takes(PROVIDER_SIGN_IN) else None


def redirect_uri(services: Services, provider: str) -> str:
    """Where a provider sends browsers back to: what has to be registered there, to the letter. Each has its own, so
    that what one sends cannot be taken for another's (RFC 9700 section 4.4.2)."""
    return f"{services.public_url}/sign-in-with/{provider}/back"


def leave(address: str) -> Response:
    """303 to a provider's page, whose address the flow made."""
    return Response(status_code=303, headers={"location": address})


def ref_of(request: Request) -> tuple[str, str]:
    """(kind, page or challenge) that a returning browser names; empty for anything that is no state of ours."""
    kind, _, rest = request.query_params.get("state", "")[:200].partition(".")
    ref, dot, _ = rest.partition(".")
    good = kind in (RECOVERY, ACCOUNT) and dot and len(ref) == 22 and ref.isascii() and ref.isprintable()
    return (kind, ref) if good else ("", "")


def is_ours(proof: SignsInElsewhere, asked: PendingChallenge, provider: str, request: Request) -> bool:
    """Whether the state that came back is that of this very question."""
    kind, ref = ref_of(request)
    given = request.query_params.get("state", "")
    return tokens.same(proof.state(asked, provider, kind, ref), given)


async def redeem(proof: SignsInElsewhere, asked: PendingChallenge, services: Services, request: Request) -> SignedIn:
    """Whom the provider vouches for. Raises as `SignInProvider.redeem`."""
    provider, query = request.path_params["provider"], request.query_params
    returned = Returned(
        code=query.get("code", "")[: MAX_PARAMETER + 1],
        error=query.get("error", "")[:100],
        iss=query.get("iss", "")[:2000],
    )
    return await proof.finish(asked, provider, returned, redirect_uri(services, provider))
