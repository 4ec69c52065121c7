"""The connector of 纷享销客: who somebody is there, and what is left to them."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import httpx2

from keyback.application.ports.connectors import (
    Capabilities,
    CheckLine,
    FoundAccount,
    Guide,
    Means,
    Outcome,
    Plan,
    Step,
    Unavailable,
)
from keyback.connectors.base import ConnectorBase, numbers_in, sample_line, unreachable
from keyback.connectors.faults import fault
from keyback.connectors.fxiaoke import book
from keyback.connectors.fxiaoke.book import Row
from keyback.connectors.fxiaoke.options import SSO_STEPS, STEPS, FxiaokeOptions
from keyback.domain.secret import Secret
from keyback.locale import all_told
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, Reply, vendor_text
from keyback.outbound.oauth import AccessToken

SIGNS_IN = "app_id, secret_file, permanent_code or user_id"
SIGN_IN = "https://www.fxiaoke.com/pc-login/build/login.html"
EVERYBODY = 999999  # the department that is the company
PAGE, LAST_OFFSET = 100, 10_000  # the most that one query gives, and how far it may begin
LISTED_SECONDS = 120.0  # only the list of employees has their account names, so those are kept for so long
TOKENS, TOKENS_SECONDS = 8, 60.0  # ten a minute are allowed
STOPPED = 1  # of setStatus
BURST_MS = 20_000  # a hundred calls in this are allowed
ENDED = {20005, 20016}
BURST = {14001, 30004}
BUSY = {-1, 50009}
QUOTA = {30002, 30003}
CODES = {20006: "auth_expired", 20015: "auth_expired", 20012: "not_found", 30027: "not_found"}


class FxiaokeConnector(ConnectorBase):
    """Connector for one company.

    Args:
        clock: monotonic seconds.
    """

    capabilities = Capabilities(
        lookup=Means.COMPOSED,
        list=Means.COMPOSED,
        set_password=Means.GUIDED,
        status=Means.NATIVE,
        deep_link=Means.GUIDED,
    )
    options_model = FxiaokeOptions

    def __init__(
        self,
        name: str,
        title: str,
        options: FxiaokeOptions,
        client: httpx2.AsyncClient | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        o = options
        self.name, self.title, self._options, self._clock = name, title, o, clock
        self._http = Endpoint(o.url, client, ca_file=o.ca_file, timeout=o.timeout_s)
        self.breaker = self._http.breaker
        self._secret, self._code = o.read_secret(), o.read_permanent_code()
        self._token = AccessToken(self._sign_in, clock)
        self._asked: deque[float] = deque(maxlen=TOKENS)
        self._company = ""
        self.url = SIGN_IN
        self.configured(o)
        if o.emergency_stop:
            self.capabilities = replace(self.capabilities, stop=Means.COMPOSED)
        self._privileged = frozenset(map(book.key, o.privileged_accounts))
        self._listed: dict[str, Row] = {}
        self._listed_until = 0.0
        self._listing = asyncio.Lock()

    def guide(self, locale: str) -> Guide:
        if self._options.sso_url:
            return Guide(all_told(SSO_STEPS, locale), self._options.sso_url)
        return Guide(all_told(STEPS, locale), self.url)

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        typed = identifier.strip()
        if not typed or len(typed) > 320 or not typed.isprintable():
            return ()
        o, key = self._options, book.key(typed)
        if "@" in typed:
            values = {typed, typed.lower()}
            found = await self._found(o.mail_field, values, lambda r: book.key(r["mail"]) == key)
            if found or not (values := await self._spellings(key)):
                return found
            return await self._found(o.mail_field, values, lambda r: book.key(r["mail"]) == key)
        if phones := book.phones(typed):
            found = await self._found(o.phone_field, phones, lambda r: book.key(r["phone"]) == key)
            if found:
                return found
        try:
            member = (await self._names()).get(key)
        except OutboundRefusal:  # `check` says what that costs
            return ()
        if member is None or not (member["mail"] or member["phone"]):
            return ()
        field, value = (o.mail_field, member["mail"]) if member["mail"] else (o.phone_field, member["phone"])
        return await self._found(field, {value}, lambda r: book.pair(r) == book.pair(member))

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        logins = book.by_pair(await self._names())
        for offset in range(0, LAST_OFFSET + 1, PAGE):
            rows = await self._query(offset=offset)
            if rows:
                yield [self._account(r, logins) for r in rows]
            if len(rows) < PAGE:
                return
        raise NotDone("not_permitted", f"more than {LAST_OFFSET + PAGE} employees can't be listed")

    # ── a plan ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        """Changes nothing there: whether the account is one to be recovered, and the rest waits for the person."""
        try:
            account = await self._one(plan.external_id)
        except OutboundRefusal as e:
            return [Outcome(Step.GUARD, "refused", e.code, e.text)]
        except Unavailable as e:
            return [fault(Step.GUARD, e)]
        if account is None:
            return [Outcome(Step.GUARD, "refused", "not_found")]
        if account.privileged and not plan.allow_privileged:
            return [Outcome(Step.GUARD, "refused", "privileged_target")]
        if account.state == "disabled":
            return [Outcome(Step.GUARD, "refused", "not_permitted", "stopped")]
        done = [Outcome(Step.GUARD, "done"), Outcome(Step.UNLOCK, "unsupported")]
        return done if plan.new_password is None else [*done, Outcome(Step.SET, "pending", "guided")]

    async def stop(self, external_id: str, *, allow_privileged: bool = False) -> Outcome:
        """By the older call `setStatus`, the only one that stops anybody. It wants a token and an id of its own; the
        id is that of the one employee of the address book who has this mail address and number."""
        if not self._options.emergency_stop:
            return Outcome(Step.STOP, "unsupported")
        try:
            return await self._stop(external_id, allow_privileged)
        except OutboundRefusal as e:
            return Outcome(Step.STOP, "refused", e.code, e.text)
        except Unavailable as e:
            return fault(Step.STOP, e)

    async def _stop(self, external_id: str, allow_privileged: bool) -> Outcome:
        rows = [r for r in await self._query("_id", {external_id}) if r["id"] == external_id]
        if len(rows) != 1:
            return Outcome(Step.STOP, "refused", "not_found")
        account = self._account(rows[0], {})
        if account.privileged and not allow_privileged:
            return Outcome(Step.STOP, "refused", "privileged_target")
        if account.state == "disabled":
            return Outcome(Step.STOP, "done")
        ids = [m["id"] for m in await self._members() if book.pair(m) == book.pair(rows[0])]
        if len(ids) != 1:
            return Outcome(Step.STOP, "refused", "ambiguous" if ids else "not_found")
        app = {"appId": self._options.app_id, "appSecret": self._secret.reveal(), "permanentCode": self._code.reveal()}
        given = _value(await self._older("cgi/corpAccessToken/get/V2", app), self._secret, self._code)
        token, corp = given.get("corpAccessToken"), given.get("corpId")
        if not (_sendable(token) and _sendable(corp)):
            raise NotDone("unavailable", "unexpected answer to the sign-in of the application")
        body = {"corpAccessToken": token, "corpId": corp, "openUserId": ids[0], "status": STOPPED}
        _value(await self._older("cgi/user/setStatus", body), self._secret, self._code, Secret(str(token)))
        stopped = await self._one(external_id)
        if stopped is not None and stopped.state == "disabled":
            return Outcome(Step.STOP, "done")
        return Outcome(Step.STOP, "uncertain", "unavailable")

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        try:
            await self._token.get()
        except Unavailable as e:
            return (unreachable(e, SIGNS_IN),)
        lines = [CheckLine("reach", "ok", "answers"), CheckLine("sign_in", "ok", "the application signs in")]
        try:
            rows = await self._query(limit=1)
        except OutboundRefusal as e:
            advice = "Share PersonnelObj with the application and user_id, and see mail_field and phone_field."
            return (*lines, CheckLine("permission", "bad", f"PersonnelObj: {e.text}", ("lookup", "list"), advice))
        except Unavailable as e:
            return (*lines, unreachable(e, SIGNS_IN))
        if not rows:
            advice = "Give the employee of user_id a data-sharing rule on PersonnelObj; administrators need one too."
            lines.append(CheckLine("permission", "warn", "no employee can be seen", ("lookup", "list"), advice))
        try:
            await self._names()
        except Unavailable as e:
            advice = "Allow the application to read the address book. People are found by email and mobile number."
            lines.append(CheckLine("permission", "warn", f"no account names ({e.code}): {e}", ("lookup",), advice))
        if not self._privileged:
            words = "nobody counts as an administrator, since no call of 纷享销客 names them"
            lines.append(CheckLine("permission", "warn", words, (), "Name them in privileged_accounts."))
        if sample:
            try:
                lines.append(sample_line(await self.find(sample)))
            except Unavailable as e:
                lines.append(CheckLine("read", "bad", f"{e.code}: {e}"))
        return lines

    async def close(self) -> None:
        await self._http.close()

    # ── people ──

    async def _one(self, external_id: str) -> FoundAccount | None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", external_id):
            return None
        rows = await self._query("_id", {external_id})
        return next((self._account(r, {}) for r in rows if r["id"] == external_id), None)

    async def _found(self, field: str, values: set[str], fits: Callable[[Row], bool]) -> list[FoundAccount]:
        """Whom the query finds, less those whom it shouldn't have: some fields are compared in part."""
        rows = [r for r in await self._query(field, values) if fits(r)]
        try:
            logins = book.by_pair(await self._names()) if rows else {}
        except (OutboundRefusal, MaybeDone):  # not allowed, or too many for one answer: their address will do
            logins = {}
        return [self._account(r, logins) for r in rows]

    async def _query(
        self, field: str = "", values: Iterable[str] = (), *, offset: int = 0, limit: int = PAGE
    ) -> list[Row]:
        o = self._options
        filters = [{"field_name": field, "operator": "IN", "field_values": sorted(values)}] if field else []
        info = {"limit": limit, "offset": offset, "filters": filters}
        body = {"data": {"dataObjectApiName": "PersonnelObj", "search_query_info": info}}
        answer = (await self._call("cgi/crm/v2/data/query", body)).get("data")
        names = {"id": "_id", "mail": o.mail_field, "phone": o.phone_field, "name": "name", "full_name": "full_name"}
        rows = book.rows(answer, "dataList")
        return [{"status": r.get("status"), **{k: book.text(r, f) for k, f in names.items()}} for r in rows]

    async def _names(self) -> Mapping[str, Row]:
        """Employees by account, as the address book has them: who has which address."""
        if not self._options.read_accounts:
            return {}
        async with self._listing:
            if self._clock() >= self._listed_until:
                members = await self._members()
                self._listed = {book.key(m["account"]): m for m in members if m["account"]}
                self._listed_until = self._clock() + LISTED_SECONDS
            return self._listed

    async def _members(self) -> list[Row]:
        """Everybody in the address book."""
        body = {"departmentId": EVERYBODY, "fetchChild": True, "showDepartmentIdsDetail": True}
        listed = book.rows(await self._call("cgi/user/list", body), "userList")
        return [{k: book.text(m, f) for k, f in book.MEMBER.items()} for m in listed]

    async def _spellings(self, key: str) -> set[str]:
        """How the address book writes a mail address: the query may tell capitals apart."""
        try:
            return {m["mail"] for m in (await self._names()).values() if book.key(m["mail"]) == key}
        except (OutboundRefusal, MaybeDone):
            return set()

    def _account(self, row: Row, logins: Mapping[tuple[str, str], str]) -> FoundAccount:
        if not row["id"] or row["status"] is None:
            raise NotDone("not_permitted", "PersonnelObj doesn't show the fields _id and status")
        login = logins.get(book.pair(row), "")
        known = {book.key(row[k]) for k in ("id", "mail", "phone") if row[k]}
        return FoundAccount(
            row["id"],
            login or row["mail"] or row["phone"],
            row["mail"] or None,
            row["full_name"] or row["name"] or None,
            state="active" if str(row["status"]) == "0" else "disabled",
            privileged=bool(known & self._privileged),
            sso_only=self._options.sso_url is not None,
            phones=numbers_in(row["phone"]),
        )

    # ── calls ──

    async def _call(self, path: str, body: Row) -> Row:
        """An answer without an error. With a token that has ended once more, with a new one."""
        for last in (False, True):
            token = await self._token.get()
            headers = {
                "authorization": Secret(f"Bearer {token.reveal()}"),
                "x-fs-ea": Secret(self._company),
                "x-fs-userid": Secret(self._options.user_id),
            }
            answer = await self._post(path, body, headers)
            if last or answer["errorCode"] not in ENDED:
                break
            self._token.forget(token)
        return _value(answer)

    async def _post(self, path: str, body: Row, headers: Mapping[str, Secret]) -> Row:
        """The answer to a call that only reads; one on a stale connection is sent again, with a trace of its own."""

        async def once() -> Row:
            trace = {"thirdTraceId": str(uuid.uuid4())}
            return _envelope(await self._http.call("POST", path, query=trace, json=body, headers=headers))

        try:
            return await once()
        except MaybeDone as e:
            if not e.cut:
                raise
        return await once()

    async def _older(self, path: str, body: Row) -> Row:
        """The answer to a call of the older kind, which has its token in the body."""
        return _envelope(await self._http.call("POST", path, json=body))

    async def _sign_in(self) -> tuple[Secret, float]:
        """A token; `AccessToken` never asks for two at once."""
        now = self._clock()
        if len(self._asked) == TOKENS and now - self._asked[0] < TOKENS_SECONDS:
            wait = int((TOKENS_SECONDS - (now - self._asked[0])) * 1000) + 1
            raise NotDone("unavailable", "tokens were refused too often, waiting before the next", wait)
        self._asked.append(now)
        body = {"appId": self._options.app_id, "appSecret": self._secret.reveal(), "permanentCode": self._code.reveal()}
        answer = await self._post("oauth2.0/token", {**body, "grantType": "app_secret"}, {})
        try:
            answer = _value(answer, self._secret, self._code)
        except OutboundRefusal as e:
            raise NotDone("auth_expired", f"sign-in of the application: {e.text or e.code}") from None
        token, company, lifetime = answer.get("accessToken"), answer.get("ea"), answer.get("expiresIn")
        if not (_sendable(token) and _sendable(company)):
            raise NotDone("unavailable", "unexpected answer to the sign-in of the application")
        self._company = str(company)
        known = isinstance(lifetime, int) and 0 < lifetime <= 86_400
        return Secret(str(token)), float(lifetime) if known else 7200.0  # type: ignore[arg-type]


def _envelope(reply: Reply) -> Row:
    """The answer, which has status 200 whatever came of the call; `errorCode` says that."""
    reply.refuse_throttled(BURST_MS)
    body = reply.any_json()
    if not isinstance(body, dict) or type(body.get("errorCode")) is not int:
        raise MaybeDone("unavailable", f"the answer is not of 纷享销客 (HTTP {reply.status})")
    return body


def _value(answer: Row, *hide: Secret) -> Row:
    """The answer if it has no error; raises what that means. Codes decide, since texts change."""
    code = answer["errorCode"]
    if code == 0:
        return answer
    said = vendor_text(f"{code} {answer.get('errorMessage', '')}", *hide)
    if code in BURST:
        raise NotDone("unavailable", said, BURST_MS)
    if code in BUSY:
        raise NotDone("unavailable", said)
    if code in ENDED or code in QUOTA:
        raise NotDone("auth_expired" if code in ENDED else "quota_missing", said)
    raise OutboundRefusal(CODES.get(code, "not_permitted"), said)


def _sendable(value: object) -> bool:
    """Whether this can go into a header."""
    return isinstance(value, str) and bool(re.fullmatch(r"[!-~]{1,4000}", value))
