"""Carries out a recipe: looks up, verifies, and does a plan step by step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import httpx2

from keyback.application.ports.connectors import (
    Capabilities,
    CheckLine,
    FoundAccount,
    Means,
    Outcome,
    Plan,
    Step,
    Unavailable,
)
from keyback.connectors.base import ConnectorBase, sample_line
from keyback.connectors.faults import fault
from keyback.connectors.http.answers import WrongPassword, items_of
from keyback.connectors.http.caller import Caller
from keyback.connectors.http.checking import checked
from keyback.connectors.http.options import HttpConnectorOptions, read_recipe
from keyback.connectors.http.people import People, User
from keyback.connectors.http.pointers import text_at
from keyback.connectors.http.recipe import Recipe, Request
from keyback.connectors.http.templates import Context, names_used
from keyback.connectors.http.trace import Trace
from keyback.connectors.http.transforms import PasswordUnfit, Unfit
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal

MAX_JOBS: Final = 1000
MAX_SESSIONS: Final = 100
MAX_REVOKE_SECONDS: Final = 60.0  # a system that takes its time keeps no worker from others; it goes on at the next try


Sent = Literal["unsent", "sent", "done"]


class HttpConnector(ConnectorBase):
    """Connector for a system that a recipe describes.

    Args:
        clock: monotonic seconds.
    """

    # What a recipe may claim at most; an instance has what its recipe says.
    capabilities = Capabilities(
        lookup=Means.NATIVE,
        list=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.NATIVE,
        must_change=Means.NATIVE,
        unlock=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        status=Means.NATIVE,
    )

    options_model = HttpConnectorOptions

    def __init__(
        self,
        name: str,
        title: str,
        options: HttpConnectorOptions,
        recipe: Recipe,
        client: httpx2.AsyncClient | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        o = options
        self.name, self.title, self._recipe, self._clock = name, title, recipe, clock
        self._http = Endpoint(o.url, client, ca_file=o.ca_file, timeout=o.timeout_s)
        self.breaker = self._http.breaker
        given = {f"values.{k}": v for k, v in {**recipe.values, **o.values}.items()}
        self._caller = Caller(recipe, self._http, {**given, "login": o.login, "secret": o.secret_or_none()})
        self._people = People(self._caller, o.privileged, clock)
        self.capabilities = capabilities_of(recipe)
        if recipe.password_rules:
            self.rules = recipe.password_rules.rules()
        self.configured(o)
        self._jobs: dict[str, tuple[Sent, int]] = {}  # what an attempt, the how manieth, came to

    @classmethod
    def from_options(cls, name: str, title: str, options: Mapping[str, Any]) -> HttpConnector:
        """From a section of `keyback.toml`. Raises `ValueError` for missing, unknown or unsafe values."""
        o = HttpConnectorOptions.model_validate(options)
        return cls(name, title, o, checked(read_recipe(o.recipe), o))

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        return await self._people.find(identifier)

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        async for page in self._people.list_all():
            yield page

    async def verify(self, username: str, password: Secret) -> bool | None:
        """By signing in as the person, and out again where the recipe says how."""
        request = self._recipe.requests.verify
        if request is None:
            return None
        try:
            context = await self._with_key(self._caller.context(username=username, password=password))
            body, context = await self._caller.read("verify", request, context)
        except WrongPassword:
            return False
        except (Unavailable, Unfit):
            return None
        if not request.says_done(body):
            return False
        if self._recipe.requests.sign_out:  # a recovery never leaves a session behind
            with contextlib.suppress(Unavailable, Unfit):
                await self._caller.ask("sign_out", self._recipe.requests.sign_out, context)
        return True

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        """Also shows every call that it made, with secrets masked."""
        with self.tracing() as calls:
            lines = await self._checked(sample)
        return [*lines, *(CheckLine("call", "ok", line) for line in calls)]

    @contextlib.contextmanager
    def tracing(self) -> Iterator[list[str]]:
        """The calls made inside, each as a line, secrets masked."""
        trace = self._caller.trace = Trace()
        try:
            yield trace.lines
        finally:
            self._caller.trace = None

    async def _checked(self, sample: str | None) -> Sequence[CheckLine]:
        lines = list(await super().check(None))
        if sample and lines[0].status == "ok":
            try:
                found = await self.find(sample)
                lines.append(sample_line(found))
                if len(found) == 1:
                    user = await self._people.read(found[0].external_id, found[0].username)
                    words = "the account can be read again by its id" if user else "the account can't be read by its id"
                    lines.append(CheckLine("read", "ok" if user else "bad", words))
                    if user and (sessions := self._recipe.requests.sessions):
                        n = len(await self._sessions(user.account, self._people.context(user)))
                        lines.append(CheckLine("read", "ok", f"{n} sessions, by {sessions.path}"))
            except Unavailable as e:
                lines.append(CheckLine("read", "bad", f"{e.code}: {e}"))
        return lines

    async def close(self) -> None:
        await self._http.close()

    # ── changing ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        before = self._jobs.get(plan.job_id, ("unsent", 0))
        if before[0] == "unsent" and before[1] == plan.attempt - 1:
            self._noted(plan, "unsent")  # unless this attempt sends it
            return await self._applied(plan, known_unsent=True)
        return await self._applied(plan, known_unsent=False)

    async def _applied(self, plan: Plan, *, known_unsent: bool) -> Sequence[Outcome]:
        try:
            user = await self._people.read(plan.external_id, plan.username)
        except OutboundRefusal as e:
            return [Outcome(Step.GUARD, "refused", e.code, e.text)]
        except Unavailable as e:
            return [fault(Step.GUARD, e)]
        if user is None:
            return [Outcome(Step.GUARD, "refused", "not_found")]
        if user.account.privileged and not plan.allow_privileged:
            return [Outcome(Step.GUARD, "refused", "privileged_target")]
        if user.account.state == "disabled":
            return [Outcome(Step.GUARD, "refused", "not_permitted", "inactive")]
        context = self._people.context(user, job=plan.job_id, must_change=plan.must_change, password=plan.new_password)
        done = [Outcome(Step.GUARD, "done"), await self._unlock(user, context)]
        if plan.new_password is None or done[-1].status in {"refused", "retry", "uncertain"}:
            return done
        changed, works = await self._set(plan, user, context, plan.new_password, known_unsent=known_unsent)
        done.append(changed)
        if changed.status != "done":
            return done
        if plan.must_change:
            done.append(await self._must_change(context))
            if done[-1].status in {"refused", "retry", "uncertain"}:
                return done
        done.append(await self._revoke(user, context))
        if done[-1].status in {"refused", "retry", "uncertain"}:
            return done
        if works is None and self._recipe.requests.verify:
            works = await self.verify(user.account.username, plan.new_password)
        status: Literal["done", "uncertain", "unsupported"] = (
            "unsupported" if works is None else "done" if works else "uncertain"
        )
        return [*done, Outcome(Step.CONFIRM, status)]

    async def _unlock(self, user: User, context: Context) -> Outcome:
        requests = self._recipe.requests
        if requests.unlock is None:
            by_set = requests.change.unlocks
            return Outcome(Step.UNLOCK, "done" if by_set else "unsupported")
        if self._recipe.account.locked and user.account.state != "locked":
            return Outcome(Step.UNLOCK, "done")  # there is nothing to unlock
        outcome = await self._step(Step.UNLOCK, "unlock", requests.unlock, context)
        if outcome.status == "refused" and not self._recipe.account.locked:  # nobody knows that it is locked at all
            return replace(outcome, status="unsupported")
        return outcome

    async def _must_change(self, context: Context) -> Outcome:
        requests = self._recipe.requests
        if requests.must_change:
            return await self._step(Step.MUST_CHANGE, "must_change", requests.must_change, context)
        by_set = self.capabilities.must_change is not Means.NONE
        return Outcome(Step.MUST_CHANGE, "done" if by_set else "unsupported")

    async def _set(
        self, plan: Plan, user: User, context: Context, password: Secret, *, known_unsent: bool
    ) -> tuple[Outcome, bool | None]:
        """Sets it unless an earlier attempt did, and whether it was seen to work.

        Args:
            known_unsent: every attempt before was made here and sent nothing.

        Where neither the system nor a sign-in tells, an attempt that may have worked is not repeated.
        """
        request = self._recipe.requests.change
        earlier, _ = self._jobs.get(plan.job_id, ("", 0))
        if earlier == "done":
            return Outcome(Step.SET, "done"), None
        if not request.remembers_job and (earlier == "sent" or not known_unsent):
            if self._recipe.requests.verify:
                works = await self.verify(user.account.username, password)
                if works:
                    return self._noted(plan, "done"), True
                if works is None:
                    return Outcome(Step.SET, "uncertain", "unavailable"), None
            elif earlier == "sent":
                return Outcome(Step.SET, "uncertain", "unavailable"), None
        try:
            context = await self._with_key(context)
        except Unavailable as e:
            return fault(Step.SET, e), None
        self._noted(plan, "sent")
        outcome = await self._step(Step.SET, "set", request, context)
        if outcome.status == "uncertain":
            works = await self.verify(user.account.username, password)
            return (self._noted(plan, "done"), True) if works else (outcome, None)
        if outcome.status == "done":
            return self._noted(plan, "done"), None
        self._noted(plan, "unsent")
        if not known_unsent and outcome.code == "policy_rejected":  # as used before: perhaps by an earlier attempt
            return Outcome(Step.SET, "uncertain", "unavailable", outcome.vendor_text), None
        return outcome, None

    def _noted(self, plan: Plan, how: Sent) -> Outcome:
        if len(self._jobs) >= MAX_JOBS:
            self._jobs.pop(next(iter(self._jobs)))
        self._jobs[plan.job_id] = how, plan.attempt
        return Outcome(Step.SET, "done")

    async def _revoke(self, user: User, context: Context) -> Outcome:
        requests = self._recipe.requests
        if requests.revoke is None:
            by_set = requests.change.ends_sessions
            return Outcome(Step.REVOKE, "done" if by_set else "unsupported")
        if requests.sessions is None:
            return await self._step(Step.REVOKE, "revoke", requests.revoke, context)
        try:
            sessions = await self._sessions(user.account, context)
        except OutboundRefusal as e:
            return Outcome(Step.REVOKE, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.REVOKE, e)
        until = self._clock() + MAX_REVOKE_SECONDS
        for session in sessions:
            if self._clock() > until:
                return Outcome(Step.REVOKE, "retry", "unavailable", retry_after_ms=5_000)
            ended = await self._step(Step.REVOKE, "revoke", requests.revoke, context.with_(session=Secret(session)))
            if ended.status != "done" and ended.code != "not_found":  # one that has ended meanwhile
                return ended
        return Outcome(Step.REVOKE, "done")

    async def _sessions(self, account: FoundAccount, context: Context) -> list[str]:
        """The person's sessions; those of others, whom a search by a part of the name finds, are left out."""
        request = self._recipe.requests.sessions
        assert request is not None
        own = account.external_id if request.owner_is == "id" else account.username
        rows = items_of(request, await self._caller.ask("sessions", request, context))
        if request.owner is not None:
            rows = [r for r in rows if text_at(r, request.owner) == own]
        return list(filter(None, (text_at(r, request.id) for r in rows)))[:MAX_SESSIONS]

    async def _step(self, step: Step, name: str, request: Request, context: Context) -> Outcome:
        try:
            body = await self._caller.ask(name, request, context)
            if not request.says_done(body):
                raise MaybeDone("unavailable", "the answer does not say that it was done")
        except PasswordUnfit as e:
            return Outcome(step, "refused", "policy_rejected", str(e))
        except Unfit as e:
            return Outcome(step, "refused", "not_permitted", f"{name}: {e}")
        except OutboundRefusal as e:
            return Outcome(step, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(step, e)
        return Outcome(step, "done")

    async def _with_key(self, context: Context) -> Context:
        """The context with what the request `key` reads, such as a public key for the password."""
        request = self._recipe.requests.key
        if request is None:
            return context
        try:
            return (await self._caller.read("key", request, context))[1]
        except Unfit as e:
            raise NotDone("unavailable", f"key: {e}") from None


def capabilities_of(recipe: Recipe) -> Capabilities:
    """What a recipe claims."""
    r = recipe.requests
    found = Means.NATIVE if r.find and not recipe.read_found and not r.roles else Means.COMPOSED

    def native(there: object) -> Means:
        return Means.NATIVE if there else Means.NONE

    return Capabilities(
        lookup=found,
        list=native(r.everybody),
        verify=native(r.verify),
        set_password=native(r.change),
        must_change=native(r.must_change or ("must_change" in names_used(r.change))),
        unlock=native(r.unlock or (r.change.unlocks)),
        revoke_sessions=Means.COMPOSED if r.sessions else native(r.revoke or (r.change.ends_sessions)),
        status=native(recipe.account.disabled or recipe.account.locked),
    )
