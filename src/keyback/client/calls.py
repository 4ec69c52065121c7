"""Every call of the API as data: what is sent and how the answer is read. Who sends it is `Client` or `AsyncClient`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import TypeAdapter, ValidationError

from keyback.client import models as m
from keyback.client.problem import NoAnswer, problem_of

T = TypeVar("T")
MAX_ANSWER = 1 << 20
STATUS: TypeAdapter[m.AnyStatus] = TypeAdapter(m.Status)
CHOSEN: TypeAdapter[m.Applying | m.Done | m.PasswordDue | m.Ended] = TypeAdapter(m.Chosen)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `reads`: how its answer is understood; None for those without a body."""

    method: str
    path: str
    reads: TypeAdapter[T] | None
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    bearer: str = field(default="", repr=False)
    once: str = field(default="", repr=False)
    query: Mapping[str, str] = field(default_factory=dict)

    def headers(self, locale: str) -> dict[str, str]:
        made = {"Accept": "application/json", "Accept-Language": locale, "User-Agent": "keyback-client"}
        if self.bearer:
            made["Authorization"] = f"Bearer {self.bearer}"
        if self.once:
            made["Idempotency-Key"] = self.once
        return made

    def answer(self, status: int, body: bytes, retry_after: str) -> T:
        """Reads an answer.

        Raises:
            Problem: the API said no. `NoAnswer`: it is no answer of Keyback's.
        """
        if len(body) > MAX_ANSWER:
            raise NoAnswer("an answer of over 1 MiB")
        if self.reads is None and 200 <= status < 300:
            return None  # type: ignore[return-value]
        try:
            said = json.loads(body)
        except ValueError:
            raise NoAnswer(f"HTTP {status} without JSON") from None
        if not 200 <= status < 300:
            raise problem_of(status, said, retry_after) or NoAnswer(f"HTTP {status}, which isn't Keyback's")
        assert self.reads is not None
        try:
            return self.reads.validate_python(said)
        except ValidationError:
            raise NoAnswer(f"HTTP {status} with members that this client doesn't understand") from None


def check_url(url: str) -> None:
    """Raises ValueError: not https, and not this machine; or with a path, a user name or a query."""
    parts = urlsplit(url)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise ValueError("the address has to begin with https://")
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("the address has to be like https://recover.example.com")


def new_key() -> str:
    """A key for `Idempotency-Key`: 256 random bits. As secret as what it brings about."""
    return secrets.token_urlsafe(32)


def start(identifier: str, journey: m.Journey | None, system: str | None, locale: str, once: str) -> Call[m.Started]:
    body = {"identifier": identifier, "locale": locale} | ({"journey": journey} if journey else {})
    body |= {"system": system} if system else {}
    return Call("POST", "/recoveries", TypeAdapter(m.Started), body, once=once or new_key())


def status(handle: str, secret: str) -> Call[m.AnyStatus]:
    return Call("GET", _of(handle), STATUS, bearer=secret)


def ask(handle: str, secret: str, proof: str, target: str) -> Call[m.Asked]:
    query = {"target": target} if target else {}
    path = f"{_of(handle)}/proofs/{_part(proof)}"
    return Call("POST", path, TypeAdapter(m.Asked), bearer=secret, query=query)


def verify(handle: str, secret: str, proof: str, code: str) -> Call[m.Proven]:
    path = f"{_of(handle)}/proofs/{_part(proof)}/verify"
    return Call("POST", path, TypeAdapter(m.Proven), {"code": code}, secret)


def choose_password(
    handle: str, secret: str, password: str, accounts: Sequence[str] | None, once: str
) -> Call[m.Applying | m.Done | m.PasswordDue | m.Ended]:
    body = {"new_password": password} | ({"accounts": list(accounts)} if accounts else {})
    return Call("POST", f"{_of(handle)}/password", CHOSEN, body, secret, once or new_key())


def cancel(handle: str, secret: str) -> Call[m.Ended]:
    return Call("POST", f"{_of(handle)}/cancel", TypeAdapter(m.Ended), bearer=secret)


def diagnosis(handle: str, secret: str) -> Call[m.Diagnosis]:
    return Call("GET", f"{_of(handle)}/diagnosis", TypeAdapter(m.Diagnosis), bearer=secret)


def second_step(handle: str, secret: str, account_id: str) -> Call[m.Started]:
    path = f"{_of(handle)}/accounts/{_part(account_id)}/second-step"
    return Call("POST", path, TypeAdapter(m.Started), bearer=secret)


def factors(handle: str, secret: str) -> Call[m.SystemFactors]:
    return Call("GET", f"{_of(handle)}/factors", TypeAdapter(m.SystemFactors), bearer=secret)


def remove_factor(handle: str, secret: str, account_id: str, factor: str) -> Call[None]:
    path = f"{_of(handle)}/accounts/{_part(account_id)}/factors/remove"
    return Call("POST", path, None, {"factor": factor}, secret)


def temporary_pass(handle: str, secret: str, account_id: str) -> Call[m.TemporaryPass]:
    path = f"{_of(handle)}/accounts/{_part(account_id)}/temporary-pass"
    return Call("POST", path, TypeAdapter(m.TemporaryPass), bearer=secret)


def unlock(handle: str, secret: str) -> Call[m.Unlocking]:
    return Call("POST", _of(handle) + "/unlock", TypeAdapter(m.Unlocking), bearer=secret)


def start_app(handle: str, secret: str) -> Call[m.NewApp]:
    return Call("POST", _of(handle) + "/second-step/app", TypeAdapter(m.NewApp), bearer=secret)


def finish_app(handle: str, secret: str, of: str, code: str) -> Call[m.Done]:
    return Call("POST", _of(handle) + "/second-step/app/verify", TypeAdapter(m.Done), {"id": of, "code": code}, secret)


def start_passkey(handle: str, secret: str) -> Call[m.NewPasskey]:
    return Call("POST", _of(handle) + "/second-step/passkey", TypeAdapter(m.NewPasskey), bearer=secret)


def finish_passkey(handle: str, secret: str, of: str, credential: str) -> Call[m.Done]:
    return Call(
        "POST",
        _of(handle) + "/second-step/passkey/verify",
        TypeAdapter(m.Done),
        {"id": of, "credential": credential},
        secret,
    )


def choose_mailbox(handle: str, secret: str, mailbox: str) -> Call[m.Done]:
    return Call("POST", _of(handle) + "/mailbox", TypeAdapter(m.Done), {"mailbox": mailbox}, secret)


def start_mailbox(handle: str, secret: str, address: str) -> Call[m.MailboxAsked]:
    return Call("POST", _of(handle) + "/mailbox/new", TypeAdapter(m.MailboxAsked), {"address": address}, secret)


def finish_mailbox(handle: str, secret: str, of: str, code: str) -> Call[m.Done]:
    return Call("POST", _of(handle) + "/mailbox/verify", TypeAdapter(m.Done), {"id": of, "code": code}, secret)


def remove_recent_factors(handle: str, secret: str, factors: Sequence[str]) -> Call[m.RecentRemoved]:
    return Call(
        "POST", _of(handle) + "/recent-factors/remove", TypeAdapter(m.RecentRemoved), {"factors": list(factors)}, secret
    )


def act_on_task(handle: str, secret: str, task: str, act: str) -> Call[None]:
    return Call("POST", f"{_of(handle)}/tasks/{_part(task)}", None, {"act": act}, secret)


def help_request(handle: str, secret: str) -> Call[m.OwnHelpRequest]:
    return Call("GET", _of(handle) + "/help", TypeAdapter(m.OwnHelpRequest), bearer=secret)


def ask_for_help(handle: str, secret: str, reason: str, contact: str) -> Call[m.OwnHelpRequest]:
    body = {"reason": reason, "contact": contact}
    return Call("POST", _of(handle) + "/help", TypeAdapter(m.OwnHelpRequest), body, secret)


def confirm_help_request(handle: str, secret: str, code: str) -> Call[m.OwnHelpRequest]:
    return Call("POST", _of(handle) + "/help/verify", TypeAdapter(m.OwnHelpRequest), {"code": code}, secret)


def resend_help_code(handle: str, secret: str) -> Call[m.OwnHelpRequest]:
    return Call("POST", _of(handle) + "/help/resend", TypeAdapter(m.OwnHelpRequest), bearer=secret)


def write_to_desk(handle: str, secret: str, text: str) -> Call[m.OwnHelpRequest]:
    return Call("POST", _of(handle) + "/help/messages", TypeAdapter(m.OwnHelpRequest), {"text": text}, secret)


def reopen_help_request(handle: str, secret: str, text: str) -> Call[m.OwnHelpRequest]:
    return Call("POST", _of(handle) + "/help/reopen", TypeAdapter(m.OwnHelpRequest), {"text": text}, secret)


def check_password(password: str, handle: str, secret: str) -> Call[m.Judged]:
    body = {"password": password} | ({"handle": handle} if handle else {})
    return Call("POST", "/passwords/check", TypeAdapter(m.Judged), body, secret)


def sign_in(identifier: str, password: str) -> Call[m.SignedIn]:
    return Call("POST", "/sign-in", TypeAdapter(m.SignedIn), {"identifier": identifier, "password": password})


def take_second_step(token: str, proof: str, answer: str) -> Call[m.SignedIn]:
    body = {"token": token, "proof": proof, "answer": answer}
    return Call("POST", "/sign-in/second-step", TypeAdapter(m.SignedIn), body)


def session(token: str) -> Call[m.SessionInfo]:
    return Call("GET", "/session", TypeAdapter(m.SessionInfo), bearer=token)


def accounts(token: str) -> Call[m.AccountsNow]:
    return Call("GET", "/account/systems", TypeAdapter(m.AccountsNow), bearer=token)


def end_access(token: str, account_id: str, application: str) -> Call[m.AccessEnded]:
    path = f"/account/systems/{_part(account_id)}/end"
    return Call("POST", path, TypeAdapter(m.AccessEnded), {"application": application}, token)


def after_recovery(token: str) -> Call[m.AfterRecovery]:
    return Call("GET", "/account/after", TypeAdapter(m.AfterRecovery), bearer=token)


def tick(token: str, step: str) -> Call[None]:
    return Call("POST", "/account/after", None, {"step": step}, token)


def own_factors(token: str) -> Call[m.OwnFactors]:
    return Call("GET", "/account/factors", TypeAdapter(m.OwnFactors), bearer=token)


def add_app(token: str) -> Call[m.NewApp]:
    return Call("POST", "/account/apps", TypeAdapter(m.NewApp), bearer=token)


def confirm_app(token: str, of: str, code: str) -> Call[m.FactorAdded]:
    return Call("POST", f"/account/apps/{_part(of)}", TypeAdapter(m.FactorAdded), {"code": code}, token)


def add_passkey(token: str) -> Call[m.NewPasskey]:
    return Call("POST", "/account/passkeys", TypeAdapter(m.NewPasskey), bearer=token)


def confirm_passkey(token: str, of: str, credential: str, label: str) -> Call[m.FactorAdded]:
    return Call(
        "POST",
        f"/account/passkeys/{_part(of)}",
        TypeAdapter(m.FactorAdded),
        {"credential": credential} | ({"label": label} if label else {}),
        token,
    )


def make_recovery_codes(token: str) -> Call[m.RecoveryCodes]:
    return Call("POST", "/account/recovery-codes", TypeAdapter(m.RecoveryCodes), bearer=token)


def drop_factor(token: str, factor: str) -> Call[None]:
    return Call("POST", f"/account/factors/{_part(factor)}/remove", None, bearer=token)


def ask_passkey() -> Call[m.PasskeyAsked]:
    return Call("POST", "/sign-in/passkey/challenge", TypeAdapter(m.PasskeyAsked))


def sign_in_by_passkey(ticket: str, credential: str) -> Call[m.SignedIn]:
    body = {"ticket": ticket, "credential": credential}
    return Call("POST", "/sign-in/passkey", TypeAdapter(m.SignedIn), body)


def sign_out(token: str) -> Call[None]:
    return Call("POST", "/sign-out", None, bearer=token)


def _part(name: str) -> str:
    """A name as one part of a path.

    Raises:
        ValueError: it would lead elsewhere.
    """
    if name.strip(".") == "":
        raise ValueError(f"{name!r} is no name")
    return quote(name, safe="")


def _of(handle: str) -> str:
    return f"/recoveries/{_part(handle)}"
