"""An OpenID provider that lies, lags or floods: what it sends is refused, and nobody else is harmed."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.sign_in import Returned, SignedIn, SignInRefused
from keyback.domain.secret import Secret
from keyback.outbound.openid.config import ProviderConfig
from keyback.outbound.openid.provider import OpenIdProvider
from keyback.testing.openid_provider import LoopbackIssuer, Member, Registered
from keyback.testing.serving import served

BACK = "https://id.example.com/sign-in-with/crm/back"
NONCE, VERIFIER = "n" * 43, "v" * 43
Tamper = Callable[[LoopbackIssuer], None]


@pytest.fixture
def issuer() -> Iterator[LoopbackIssuer]:
    it = LoopbackIssuer()
    with served(it) as it.issuer:
        it.members["maya"] = Member("0055g00000Maya1", "pw", amr=("pwd", "mfa"))
        it.clients["keyback"] = Registered("secret", frozenset({BACK}))
        yield it


def client(issuer: LoopbackIssuer, **over: Any) -> OpenIdProvider:
    ticks = over.pop("ticks", time.monotonic)
    values: dict[str, Any] = {"secret": Secret("secret"), "timeout_s": 20.0, **over}
    return OpenIdProvider(ProviderConfig("crm", "CRM", issuer.issuer, "keyback", **values), ticks=ticks)


async def signs_in(ours: OpenIdProvider, issuer: LoopbackIssuer, nonce: str = NONCE, **over: str) -> SignedIn:
    """The whole flow, with what `over` says in place of what came back."""
    address = await ours.authorization_url(BACK, "state", nonce, VERIFIER)
    back = dict(parse_qsl(issuer.sign_in(address, "maya").partition("?")[2])) | over
    found = Returned(back.get("code", ""), back.get("error", ""), back.get("iss", ""))
    return await ours.redeem(found, BACK, nonce, VERIFIER, time.time())


def refused(issuer: LoopbackIssuer, **over: Any) -> str:
    async def go() -> str:
        ours = client(issuer, **over)
        try:
            await signs_in(ours, issuer)
        except (SignInRefused, Unavailable) as e:
            said = repr(e) + str(e)
            return "it names a person" if "Maya" in said else e.code
        finally:
            await ours.close()
        return "taken"

    return asyncio.run(go())


def claim(**over: Any) -> Tamper:
    def tamper(issuer: LoopbackIssuer) -> None:
        known = {k: v() if callable(v) else v for k, v in over.items()}
        issuer.claims = lambda said: {k: v for k, v in {**said, **known}.items() if v is not None}

    return tamper


def now(seconds: int) -> Callable[[], int]:
    """So far from when the token is made, which is minutes after these lines are read."""
    return lambda: int(time.time()) + seconds


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def remade(header: dict[str, Any], sign: Callable[[LoopbackIssuer, dict[str, Any]], str]) -> Tamper:
    """Tokens that somebody made themselves, with the right claims."""

    def tamper(issuer: LoopbackIssuer) -> None:
        def tokens(said: dict[str, Any]) -> dict[str, Any]:
            claims = json.loads(base64.urlsafe_b64decode(said["id_token"].split(".")[1] + "=="))
            return {**said, "id_token": sign(issuer, claims)}

        issuer.tokens = tokens

    return tamper


def unsigned(issuer: LoopbackIssuer, claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none'})}.{part(claims)}."


def with_our_secret(issuer: LoopbackIssuer, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("secret" * 6), algorithms=["HS256"])


def with_public_key(issuer: LoopbackIssuer, claims: dict[str, Any]) -> str:
    """The public key taken for a shared secret (RFC 8725 section 2.1)."""
    pem = issuer.keys[0].as_pem(private=False)
    signed = f"{part({'alg': 'HS256', 'kid': issuer.keys[0].kid})}.{part(claims)}"
    mac = base64.urlsafe_b64encode(hmac.digest(pem, signed.encode(), "sha256")).rstrip(b"=").decode()
    return f"{signed}.{mac}"


def with_another_key(issuer: LoopbackIssuer, claims: dict[str, Any]) -> str:
    return jwt.encode(
        {"alg": "ES256", "kid": issuer.keys[0].kid}, claims, ECKey.generate_key("P-256"), algorithms=["ES256"]
    )


def key_within(issuer: LoopbackIssuer, claims: dict[str, Any]) -> str:
    key = ECKey.generate_key("P-256")
    return jwt.encode({"alg": "ES256", "jwk": key.as_dict(private=False)}, claims, key, algorithms=["ES256"])


@pytest.mark.covers("A-9.1.1", "A-9.1.2", "A-9.2.1", "A-9.2.3", "A-9.2.4")
@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (claim(), "taken"),
        (claim(iss="https://evil.example.com"), "iss"),
        (claim(iss=None), "iss"),
        (claim(aud="somebody-else"), "aud"),
        (claim(aud=["keyback", "somebody-else"]), "azp"),
        (claim(aud=["keyback", "somebody-else"], azp="somebody-else"), "azp"),
        (claim(aud=["keyback", "somebody-else"], azp="keyback"), "taken"),
        (claim(azp="somebody-else"), "azp"),
        (claim(nonce="another"), "nonce"),
        (claim(nonce=None), "nonce"),
        (claim(exp=now(-300)), "exp"),
        (claim(exp=now(-60)), "taken"),  # clocks may be apart
        (claim(exp=None), "exp"),
        (claim(exp="soon"), "exp"),
        (claim(exp=True), "exp"),
        (claim(iat=now(600)), "iat"),
        (claim(iat=now(-7200)), "iat"),
        (claim(iat=None), "iat"),
        (claim(nbf=now(3600)), "nbf"),
        (claim(auth_time=now(0)), "taken"),
        (claim(auth_time=now(-60)), "taken"),
        (claim(auth_time=now(-300)), "not_fresh"),  # a session that was open
        (claim(auth_time=True), "not_fresh"),
        (claim(auth_time="today"), "not_fresh"),
        (claim(sub=None), "sub"),
        (claim(sub=""), "sub"),
        (claim(sub=["a"]), "sub"),
        (claim(sub="a" * 256), "sub"),
        (remade({}, unsigned), "alg"),
        (remade({}, with_our_secret), "alg"),
        (remade({}, with_public_key), "alg"),
        (remade({}, with_another_key), "signature"),
        (remade({}, key_within), "signature"),
        (remade({}, lambda *_: "a.b"), "token"),
        (remade({}, lambda *_: "é.b.c"), "token"),
        (remade({}, lambda *_: f"{part({'alg': ['ES256']})}.e30.x"), "alg"),
        (remade({}, lambda *_: "a" * 40_000 + ".b.c"), "token"),
    ],
)  # fmt: skip
def test_a_token_that_does_not_fit_is_refused(issuer: LoopbackIssuer, tamper: Tamper, code: str) -> None:
    tamper(issuer)
    assert refused(issuer) == code


def test_a_new_sign_in_is_asked_for_unless_the_settings_take_an_open_session(issuer: LoopbackIssuer) -> None:
    claim(auth_time=now(-86_400))(issuer)
    assert refused(issuer) == "not_fresh"
    assert (issuer.asked["prompt"], issuer.asked["max_age"]) == ("login", "0")
    assert refused(issuer, fresh=False) == "taken"
    assert not {"prompt", "max_age"} & set(issuer.asked)


def test_a_token_with_critical_members_is_refused(issuer: LoopbackIssuer) -> None:
    issuer.tokens = lambda said: {**said, "id_token": f"{part({'alg': 'ES256', 'crit': ['b64'], 'b64': False})}.e30.x"}
    assert refused(issuer) == "alg"


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"iss": "https://evil.example.com"}, "iss_mixed_up"),
        ({"iss": ""}, "iss_mixed_up"),  # it says that it always sends it
        ({"error": "access_denied"}, "denied"),
        ({"error": "server_error"}, "provider_error"),
        ({"code": "x" * 5000}, "code"),
        ({"code": "stolen"}, "code"),
    ],
)  # fmt: skip
def test_a_return_that_does_not_fit_is_refused(issuer: LoopbackIssuer, over: dict[str, str], code: str) -> None:
    async def go() -> None:
        ours = client(issuer)
        with pytest.raises(SignInRefused) as e:
            await signs_in(ours, issuer, **over)
        assert e.value.code == code
        await ours.close()

    asyncio.run(go())


@pytest.mark.covers("A-9.1.3")
@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"issuer": "https://evil.example.com"}, "issuer"),
        ({"token_endpoint": "http://169.254.169.254/latest/meta-data"}, "elsewhere"),
        ({"token_endpoint": "http://127.0.0.1:1/token"}, "elsewhere"),
        ({"jwks_uri": "https://10.0.0.1/keys"}, "elsewhere"),
        ({"jwks_uri": "file:///etc/passwd"}, "elsewhere"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "elsewhere"),
        ({"authorization_endpoint": "https://evil.example.com/authorize"}, "elsewhere"),
        ({"jwks_uri": None}, "elsewhere"),
        ({"token_endpoint": "http://127.0.0.1:99999/"}, "elsewhere"),
        ({"code_challenge_methods_supported": ["plain"]}, "pkce"),
        ({"id_token_signing_alg_values_supported": ["none", "HS256"]}, "alg"),
    ],
)  # fmt: skip
def test_metadata_leads_nowhere_that_the_settings_do_not_name(
    issuer: LoopbackIssuer, said: dict[str, Any], code: str
) -> None:
    issuer.metadata = lambda own: {**own, **said}
    assert refused(issuer) == code


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
def test_a_redirect_is_not_followed_and_a_slow_answer_is_cut(issuer: LoopbackIssuer, path: str) -> None:
    issuer.slow.add(path)
    assert refused(issuer, timeout_s=0.3) == "unavailable"
    issuer.slow.clear()
    issuer.moved.add(path)
    assert refused(issuer) == "unavailable"


def test_keys_that_changed_are_fetched_again_but_not_for_every_token(issuer: LoopbackIssuer) -> None:
    at = [1000.0]

    async def go() -> None:
        ours = client(issuer, ticks=lambda: at[0])
        assert (await signs_in(ours, issuer)).second_factor
        issuer.rotate()
        with pytest.raises(SignInRefused, match="key_unknown"):
            await signs_in(ours, issuer)  # the keys are a moment old
        at[0] += 61
        await signs_in(ours, issuer)
        assert issuer.calls["/keys"] == 2
        issuer.header = {"kid": "nobody's"}
        for _ in range(20):
            with pytest.raises(SignInRefused, match="key_unknown"):
                await signs_in(ours, issuer)
        assert issuer.calls["/keys"] == 2
        await ours.close()

    asyncio.run(go())


def test_a_flood_of_keys_and_keys_of_no_use_do_no_harm(issuer: LoopbackIssuer) -> None:
    many = [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": str(n)} for n in range(100)]
    odd = ["no key", {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "RSA"}, {"kty": "ML-KEM"}, {"kty": "EC", "crv": "P-256"}]
    issuer.jwks = lambda said: {"keys": [*odd, *said["keys"], *many]}
    assert refused(issuer) == "taken"
    issuer.jwks = lambda said: {"keys": [*many, *said["keys"]]}
    assert refused(issuer) == "key_unknown"
    issuer.jwks = lambda _: {"keys": "k" * (2 << 20)}
    assert refused(issuer) == "unavailable"


@pytest.mark.covers("N-R11")
@pytest.mark.parametrize(
    ("claims", "acr", "shown"),
    [
        ({"amr": ["pwd", "mfa"]}, (), True),
        ({"amr": ["pwd"]}, (), False),
        ({"amr": "mfa"}, (), False),
        ({"amr": ["pwd", "sms"]}, (), False),
        ({"amr": None, "acr": "loa-3"}, ("loa-3",), True),
        ({"amr": None, "acr": "loa-1"}, ("loa-3",), False),
        ({"amr": None, "acr": ["loa-3"]}, ("loa-3",), False),
    ],
)  # fmt: skip
def test_only_signed_claims_show_a_second_factor(
    issuer: LoopbackIssuer, claims: dict[str, Any], acr: tuple[str, ...], shown: bool
) -> None:
    claim(**claims)(issuer)

    async def go() -> bool:
        ours = client(issuer, acr=frozenset(acr))
        found = await signs_in(ours, issuer)
        await ours.close()
        assert found.subject == "0055g00000Maya1"
        assert "Maya" not in repr(found)
        return found.second_factor

    assert asyncio.run(go()) is shown


@pytest.mark.parametrize(
    "ways", [["client_secret_post"], ["client_secret_basic"], ["private_key_jwt", "client_secret_post"]]
)
def test_the_client_shows_itself_as_the_provider_wants(issuer: LoopbackIssuer, ways: list[str]) -> None:
    issuer.metadata = lambda own: {**own, "token_endpoint_auth_methods_supported": ways}
    assert refused(issuer) == "taken"
    assert refused(issuer, secret=Secret("wrong")) == "client"


def test_an_issuer_that_is_not_safe_is_none() -> None:
    for address in ("http://crm.example.com", "https://user@crm.example.com", "ftp://crm.example.com", "crm"):
        with pytest.raises(ValueError):
            OpenIdProvider(ProviderConfig("crm", "CRM", address, "keyback"))
