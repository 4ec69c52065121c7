"""Salesforce's token endpoint: JWT bearer and client credentials of an External Client App, and revoking."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from keyback.demo.vendors.accounts import Account, Accounts
from keyback.demo.vendors.keys import public_key, unchecked_claims

BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIVES_MS = 2 * 3_600_000
LONGEST_S = 300  # that an assertion may be good for


class Denied(Exception):
    """`error` and `error_description` of a 400."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


@dataclass(slots=True)
class ClientApp:
    """An External Client App.

    Args:
        key: the consumer key (client id); `secret` goes with it.
        certificate: public key in PEM (or a certificate) that its assertions are signed for.
        approved: user names that it is authorized for beforehand.
        runs_as: user name that client credentials act as; empty switches them off.
    """

    key: str
    secret: str = ""
    certificate: str = ""
    approved: set[str] = field(default_factory=set)
    runs_as: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    user: str
    until: int


class Tokens:
    """Access tokens that were given out.

    Args:
        sandbox: assertions then have to be meant for test.salesforce.com.
    """

    def __init__(self, accounts: Accounts, apps: Mapping[str, ClientApp], sandbox: bool) -> None:
        self._accounts, self._apps = accounts, apps
        self.audiences = {"https://test.salesforce.com" if sandbox else "https://login.salesforce.com"}
        self._given: dict[str, Token] = {}

    def user_of(self, token: str, now: int) -> Account | None:
        given = self._given.get(token)
        return self._accounts.get(given.user) if given and now < given.until else None

    def expire(self) -> None:
        """Ends every access token at once."""
        self._given.clear()

    def revoke(self, token: str) -> bool:
        return self._given.pop(token, None) is not None

    def give(self, form: Mapping[str, str], now: int, *, my_domain: bool) -> tuple[str, Account]:
        """An access token for a request. Raises `Denied` with Salesforce's words."""
        match form.get("grant_type", ""):
            case "urn:ietf:params:oauth:grant-type:jwt-bearer":
                user = self._by_assertion(form.get("assertion", ""), now)
            case "client_credentials":
                user = self._by_credentials(form, my_domain)
            case _:
                raise Denied("unsupported_grant_type", "grant type not supported")
        token = f"00D5g0000000001!{secrets.token_urlsafe(48)}"
        self._given[token] = Token(user.id, now + LIVES_MS)
        return token, user

    def _by_credentials(self, form: Mapping[str, str], my_domain: bool) -> Account:
        if not my_domain:
            raise Denied("invalid_grant", "request not supported on this domain")
        app = self._apps.get(form.get("client_id", ""))
        if app is None:
            raise Denied("invalid_client_id", "client identifier invalid")
        if not app.secret or not secrets.compare_digest(app.secret.encode(), form.get("client_secret", "").encode()):
            raise Denied("invalid_client", "invalid client credentials")
        if not app.runs_as:
            raise Denied("invalid_grant", "no client credentials user enabled")
        return self._usable(app.runs_as)

    def _by_assertion(self, assertion: str, now: int) -> Account:
        claims = unchecked_claims(assertion)
        if not claims:
            raise Denied("invalid_grant", "invalid assertion")
        app = self._apps.get(str(claims.get("iss", "")))
        if app is None:
            raise Denied("invalid_client_id", "client identifier invalid")
        try:
            jwt.decode(assertion, RSAKey.import_key(public_key(app.certificate)), algorithms=["RS256"])
        except (JoseError, ValueError):
            raise Denied("invalid_grant", "invalid assertion") from None
        if claims.get("aud") not in self.audiences:
            raise Denied("invalid_grant", "audience is invalid")
        expires = claims.get("exp")
        if not isinstance(expires, int) or expires * 1000 <= now:
            raise Denied("invalid_grant", "expired authorization code")
        if expires * 1000 - now > LONGEST_S * 1000:
            raise Denied("invalid_grant", "invalid assertion")
        user = self._usable(str(claims.get("sub", "")))
        if user.username not in app.approved:
            raise Denied("invalid_grant", "user hasn't approved this consumer")
        return user

    def _usable(self, username: str) -> Account:
        user = self._accounts.named(username)
        if user is None:
            raise Denied("invalid_grant", "user hasn't approved this consumer")
        if not user.active:
            raise Denied("invalid_grant", "inactive user")
        if user.frozen:
            raise Denied("invalid_grant", "user is frozen")
        return user
