"""The same client for asyncio; a test holds the two alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from keyback.client import calls
from keyback.client import models as m
from keyback.client.calls import Call
from keyback.client.problem import NoAnswer, Problem

T = TypeVar("T")
BUSY, UNSURE = (429, 503), "unconfirmed"  # the latter may have been done


class AsyncClient:
    """A Keyback.

    Args:
        url: where people reach it, such as `https://recover.example.com`.
        locale: of texts in answers and of mails: `en`, `zh-CN`, `zh-TW` or `ja`.
        timeout_s: for one call. Choosing a password is answered within about eight seconds.
        patience_s: how long calls that were turned away for now (429, 503) are sent again; 0: they raise `Problem`
            at once.
        transport: another one of httpx2's, for proxies, certificates of your own, or tests.

    Raises:
        ValueError: `url` is not https, and not this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        locale: str = "en",
        timeout_s: float = 20.0,
        patience_s: float = 0.0,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        calls.check_url(url)
        self._locale, self._patience = locale, patience_s
        self._http = httpx2.AsyncClient(
            base_url=url.rstrip("/") + "/api/v1", timeout=timeout_s, transport=transport, follow_redirects=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Sends one call.

        Raises:
            Problem: Keyback said no. `NoAnswer`: nobody knows what became of it.
        """
        end = time.monotonic() + self._patience
        while True:
            try:
                answer = await self._http.request(
                    call.method, call.path, json=call.body, params=call.query, headers=call.headers(self._locale)
                )
            except httpx2.HTTPError as e:
                raise NoAnswer(type(e).__name__) from None
            try:
                return call.answer(answer.status_code, answer.content, answer.headers.get("retry-after", ""))
            except Problem as e:
                wait = max(e.retry_after, 1)
                if e.status not in BUSY or e.code == UNSURE or time.monotonic() + wait > end:
                    raise
            await asyncio.sleep(wait)

    # ── recoveries ──────────────────────────────────────────────────────────

    async def start(
        self, identifier: str, *, journey: m.Journey | None = None, system: str | None = None, idempotency_key: str = ""
    ) -> AsyncRecovery:
        """Begins a recovery. The answer is the same whether anybody is known by `identifier` or not.

        Args:
            identifier: user name, email address or phone number, as typed.
            journey: what was lost; None: `password`.
            system: the one whose password is to be reset alone, by its name in the settings.
            idempotency_key: at random, where a retry after a crash has to find the same recovery.
        """
        made = await self.send(calls.start(identifier, journey, system, self._locale, idempotency_key))
        return AsyncRecovery(self, made.handle, made.secret)

    def resume(self, handle: str, secret: str) -> AsyncRecovery:
        """A recovery that was begun before."""
        return AsyncRecovery(self, handle, secret)

    async def check_password(self, password: str) -> m.Judged:
        """What is wrong with a password, while it is typed."""
        return await self.send(calls.check_password(password, "", ""))

    # ── the built-in system ─────────────────────────────────────────────────

    async def sign_in(self, identifier: str, password: str) -> m.SignedIn:
        """Signs in to the security center.

        Raises:
            Problem: with `second_step` where one is needed; answer it by `take_second_step`.
        """
        return await self.send(calls.sign_in(identifier, password))

    async def take_second_step(self, token: str, proof: str, answer: str) -> m.SignedIn:
        return await self.send(calls.take_second_step(token, proof, answer))

    async def session(self, token: str) -> m.SessionInfo:
        return await self.send(calls.session(token))

    async def accounts(self, token: str) -> m.AccountsNow:
        """Every account of the person, as its system knows it now."""
        return await self.send(calls.accounts(token))

    async def end_access(self, token: str, account_id: str, application: str = "all") -> m.AccessEnded:
        """Ends what an application may do in one system, and every other session there. Wants a fresh session."""
        return await self.send(calls.end_access(token, account_id, application))

    async def after_recovery(self, token: str) -> m.AfterRecovery:
        """What is left to look at after a recovery, and what was added lately."""
        return await self.send(calls.after_recovery(token))

    async def tick(self, token: str, step: str) -> None:
        """One step of `after_recovery` is done."""
        await self.send(calls.tick(token, step))

    async def own_factors(self, token: str) -> m.OwnFactors:
        """Second steps and recovery codes, and what could be set up."""
        return await self.send(calls.own_factors(token))

    async def add_app(self, token: str) -> m.NewApp:
        """A seed for an authenticator app. Wants a fresh session, as all that changes something does."""
        return await self.send(calls.add_app(token))

    async def confirm_app(self, token: str, of: str, code: str) -> m.FactorAdded:
        """Adds the app, with its first code."""
        return await self.send(calls.confirm_app(token, of, code))

    async def add_passkey(self, token: str) -> m.NewPasskey:
        """A challenge for a passkey."""
        return await self.send(calls.add_passkey(token))

    async def confirm_passkey(self, token: str, of: str, credential: str, label: str = "") -> m.FactorAdded:
        """Adds the passkey, with the JSON that the browser made."""
        return await self.send(calls.confirm_passkey(token, of, credential, label))

    async def make_recovery_codes(self, token: str) -> m.RecoveryCodes:
        """Ten recovery codes, in place of the old ones. Only this answer has them."""
        return await self.send(calls.make_recovery_codes(token))

    async def drop_factor(self, token: str, factor: str) -> None:
        """Removes a second step, or all recovery codes."""
        await self.send(calls.drop_factor(token, factor))

    async def ask_passkey(self) -> m.PasskeyAsked:
        """A challenge for any passkey, to sign in with it alone."""
        return await self.send(calls.ask_passkey())

    async def sign_in_by_passkey(self, ticket: str, credential: str) -> m.SignedIn:
        """Signs in with what a passkey answered, as JSON."""
        return await self.send(calls.sign_in_by_passkey(ticket, credential))

    async def sign_out(self, token: str) -> None:
        await self.send(calls.sign_out(token))


class AsyncRecovery:
    """One recovery. `secret` controls it: it belongs into neither addresses nor logs."""

    def __init__(self, client: AsyncClient, handle: str, secret: str) -> None:
        self._client, self.handle, self.secret = client, handle, secret

    def __repr__(self) -> str:
        return f"AsyncRecovery({self.handle})"

    async def status(self) -> m.AnyStatus:
        """Where it stands."""
        return await self._client.send(calls.status(self.handle, self.secret))

    async def ask(self, proof: str, *, target: str = "") -> m.Asked:
        """Puts a question, or has another email sent (`email_link`). Too early is no error: see `resend_at`.

        Args:
            proof: a method, such as `sms_code` or `totp`.
            target: which one of several, from `NeedMore.proofs`.
        """
        return await self._client.send(calls.ask(self.handle, self.secret, proof, target))

    async def verify(self, proof: str, code: str) -> m.Proven:
        """Answers a question. A right answer counts once, however often it is sent."""
        return await self._client.send(calls.verify(self.handle, self.secret, proof, code))

    async def check_password(self, password: str) -> m.Judged:
        """What is wrong with a password, names of the person included."""
        return await self._client.send(calls.check_password(password, self.handle, self.secret))

    async def choose_password(
        self, password: str, *, accounts: Sequence[str] | None = None, idempotency_key: str = ""
    ) -> m.Applying | m.Done | m.PasswordDue | m.Ended:
        """Sets a new password in all systems of the recovery, or in some of its `accounts`.

        Raises:
            Problem: `password_refused`, with `violations`.
        """
        call = calls.choose_password(self.handle, self.secret, password, accounts, idempotency_key)
        return await self._client.send(call)

    async def settled(self, *, timeout_s: float = 60.0, every_s: float = 1.0) -> m.Done | m.PasswordDue | m.Ended:
        """Waits until every system has a result.

        Raises:
            TimeoutError: some have none yet; ask again later.
        """
        end = time.monotonic() + timeout_s
        while True:
            found = await self.status()
            if isinstance(found, (m.Done, m.PasswordDue, m.Ended)):
                return found
            if time.monotonic() + every_s > end:
                raise TimeoutError(found.state)
            await asyncio.sleep(every_s)

    async def cancel(self) -> m.Ended:
        return await self._client.send(calls.cancel(self.handle, self.secret))

    async def diagnosis(self) -> m.Diagnosis:
        """Asks every system why the person can't get in. Changes nothing."""
        return await self._client.send(calls.diagnosis(self.handle, self.secret))

    async def replace_second_step(self, account_id: str) -> AsyncRecovery:
        """Begins a recovery of a second step in one system; what was verified counts there."""
        made = await self._client.send(calls.second_step(self.handle, self.secret, account_id))
        return AsyncRecovery(self._client, made.handle, made.secret)

    async def factors(self) -> m.SystemFactors:
        """Second steps in the systems."""
        return await self._client.send(calls.factors(self.handle, self.secret))

    async def remove_factor(self, account_id: str, factor: str) -> None:
        await self._client.send(calls.remove_factor(self.handle, self.secret, account_id, factor))

    async def temporary_pass(self, account_id: str) -> m.TemporaryPass:
        """A pass for one sign-in. Only this answer has it; after `NoAnswer` it may have been given."""
        return await self._client.send(calls.temporary_pass(self.handle, self.secret, account_id))

    async def unlock(self) -> m.Unlocking:
        """Opens the accounts in `unlockable` again, without a new password."""
        return await self._client.send(calls.unlock(self.handle, self.secret))

    async def start_app(self) -> m.NewApp:
        """A seed for a new authenticator app, in the state `second_step_due`. Nothing changes before its first code."""
        return await self._client.send(calls.start_app(self.handle, self.secret))

    async def finish_app(self, of: str, code: str) -> m.Done:
        """Puts the new app in place of every other second step.

        Args:
            of: the `id` of `start_app`.
        """
        return await self._client.send(calls.finish_app(self.handle, self.secret, of, code))

    async def start_passkey(self) -> m.NewPasskey:
        """A challenge for a new passkey, in the state `second_step_due`."""
        return await self._client.send(calls.start_passkey(self.handle, self.secret))

    async def finish_passkey(self, of: str, credential: str) -> m.Done:
        """Puts the new passkey in place of every other second step.

        Args:
            of: the `id` of `start_passkey`.
            credential: the JSON that the browser made.
        """
        return await self._client.send(calls.finish_passkey(self.handle, self.secret, of, credential))

    async def choose_mailbox(self, mailbox: str) -> m.Done:
        """Puts a mailbox that was confirmed before in place of the lost one."""
        return await self._client.send(calls.choose_mailbox(self.handle, self.secret, mailbox))

    async def start_mailbox(self, address: str) -> m.MailboxAsked:
        """Has a code mailed to a new address, in the state `mailbox_due`."""
        return await self._client.send(calls.start_mailbox(self.handle, self.secret, address))

    async def finish_mailbox(self, of: str, code: str) -> m.Done:
        """Puts the new mailbox in place of the lost one.

        Args:
            of: the `id` of `start_mailbox`.
        """
        return await self._client.send(calls.finish_mailbox(self.handle, self.secret, of, code))

    async def remove_recent_factors(self, factors: Sequence[str]) -> m.RecentRemoved:
        """Removes those of `Done.recent_factors` that the person does not know."""
        return await self._client.send(calls.remove_recent_factors(self.handle, self.secret, factors))

    async def act_on_task(self, task: str, act: str) -> None:
        """The person is `in`, or wants to `ask` an administrator: for a result with a `task`."""
        await self._client.send(calls.act_on_task(self.handle, self.secret, task, act))

    async def help_request(self) -> m.OwnHelpRequest:
        """What became of a request for help; `not_asked` where there is none."""
        return await self._client.send(calls.help_request(self.handle, self.secret))

    async def ask_for_help(self, reason: str, contact: str) -> m.OwnHelpRequest:
        """Asks the help desk, where nothing else works. A code goes to `contact`, an address that the person can read.

        Raises:
            Problem: `invalid`: a text looks like a password, a code, a link or a number of a document; see `errors`.
        """
        return await self._client.send(calls.ask_for_help(self.handle, self.secret, reason, contact))

    async def confirm_help_request(self, code: str) -> m.OwnHelpRequest:
        """Takes the code that went to the contact: from now on the request is in the queue."""
        return await self._client.send(calls.confirm_help_request(self.handle, self.secret, code))

    async def resend_help_code(self) -> m.OwnHelpRequest:
        """Has a new code sent, from `resend_at` on."""
        return await self._client.send(calls.resend_help_code(self.handle, self.secret))

    async def write_to_desk(self, text: str) -> m.OwnHelpRequest:
        """Writes to the help desk."""
        return await self._client.send(calls.write_to_desk(self.handle, self.secret, text))

    async def reopen_help_request(self, text: str) -> m.OwnHelpRequest:
        """Has a closed request looked at by somebody else, once, where `may_reopen` says so."""
        return await self._client.send(calls.reopen_help_request(self.handle, self.secret, text))
