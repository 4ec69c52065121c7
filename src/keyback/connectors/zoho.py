"""Zoho CRM: look-up and state by the CRM's API; the password by Zoho Mail's organization API where a company has that,
else the person is led through Zoho's own page.

Sources: zoho/crm-oas v8.0 (users), zoho.com/mail/help/api (reset user password), zoho.com/accounts/protocol/oauth. Zoho
CRM and Zoho Directory have no call that sets a password. Not verified: whether the Mail call takes a password as chosen
or as one-time (the documents disagree), and how `resetAuthtoken` is spelled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr, field_validator

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
from keyback.connectors.base import ConnectorBase, ConnectorOptions, sample_line, unreachable
from keyback.connectors.faults import fault
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, Reply, vendor_text
from keyback.outbound.oauth import AccessToken

DataCenter = Literal["com", "eu", "in", "com.au", "jp", "com.cn", "ca", "sa"]
PAGE = 200
LISTED_SECONDS = 120.0  # Zoho has no look-up by address, so the list is kept for so long; states are read afresh
MAX_JOBS = 1000
NOTHING = Secret("")
CODES = {
    "INVALID_TOKEN": "auth_expired",
    "OAUTH_SCOPE_MISMATCH": "not_permitted",
    "NO_PERMISSION": "not_permitted",
    "INVALID_DATA": "not_found",
}
STEPS = {
    "en": (
        "Open Zoho’s own page and enter your email.",
        "Enter the code that Zoho sends you.",
        "Set the password you just chose here, and sign out your other devices when Zoho asks.",
    ),
    "zh_CN": (
        "打开Zoho的找回页面，输入你的邮箱。",
        "输入Zoho发给你的验证码。",
        "将密码设置为刚才在这里选择的新密码；Zoho询问是否退出其他设备时，选择退出。",
    ),
}


class ZohoOptions(ConnectorOptions):
    """Keys of a Zoho section.

    Args:
        data_center: the end of the address people use, such as `com`, `eu`, `com.cn`.
        client_id: of the self client; `secret_file` holds its secret.
        refresh_token_file, refresh_token: made once in Zoho's API console.
        zoid: id of the organization in Zoho Mail; without it passwords are guided.
        url, accounts_url, mail_url: other addresses than the data center's own, for a proxy.
    """

    url: str = ""
    accounts_url: str = ""
    mail_url: str = ""
    data_center: DataCenter = "com"
    client_id: str
    refresh_token: SecretStr | None = None
    refresh_token_file: Path | None = None
    zoid: str | None = None

    @field_validator("zoid")
    @classmethod
    def _digits(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isdecimal()):
            raise ValueError("zoid has digits only")
        return value

    def read_refresh_token(self) -> Secret:
        """Raises `ValueError` when there is none, `OSError` when the file cannot be read."""
        text = self.refresh_token.get_secret_value() if self.refresh_token else ""
        if self.refresh_token_file:
            text = self.refresh_token_file.read_text(encoding="utf-8").strip()
        if not text:
            raise ValueError("it needs refresh_token_file or refresh_token, and that must not be empty")
        return Secret(text)

    def hosts(self) -> tuple[str, str, str]:
        """Addresses of accounts, CRM API and mail."""
        cloud = "zohocloud.ca" if self.data_center == "ca" else f"zoho.{self.data_center}"
        own = (f"https://accounts.{cloud}", f"https://www.zohoapis.{self.data_center}", f"https://mail.{cloud}")
        given = (self.accounts_url, self.url, self.mail_url)
        return tuple(g or o for g, o in zip(given, own, strict=True))  # type: ignore[return-value]


class ZohoConnector(ConnectorBase):
    """Connector for one organization.

    Args:
        clock: monotonic seconds.
    """

    capabilities = Capabilities(  # with Zoho Mail; without it the password is guided
        lookup=Means.COMPOSED,
        list=Means.NATIVE,
        set_password=Means.NATIVE,
        must_change=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        status=Means.NATIVE,
        deep_link=Means.NATIVE,
    )

    options_model = ZohoOptions

    def __init__(
        self,
        name: str,
        title: str,
        options: ZohoOptions,
        client: httpx2.AsyncClient | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        o = options
        self.name, self.title, self._clock = name, title, clock
        accounts, api, mail = o.hosts()
        self._accounts, self._crm, self._mail = (
            Endpoint(url, client, ca_file=o.ca_file, timeout=o.timeout_s) for url in (accounts, api, mail)
        )
        self.breaker = self._crm.breaker
        self._form = {"grant_type": "refresh_token", "client_id": o.client_id}
        self._secret, self._refresh = o.read_secret(), o.read_refresh_token()
        self._token = AccessToken(self._sign_in)
        self._zoid = o.zoid
        if o.zoid is None:
            less = {"must_change": Means.NONE, "revoke_sessions": Means.NONE, "set_password": Means.GUIDED}
            self.capabilities = replace(self.capabilities, **less)
        self.url = f"https://crm.{'zohocloud.ca' if o.data_center == 'ca' else f'zoho.{o.data_center}'}/"
        self._reset_page = f"{accounts}/password"
        self.configured(o)
        self._listed: dict[str, str] = {}
        self._listed_until = 0.0
        self._listing = asyncio.Lock()
        self._jobs: dict[str, Literal["sent", "done"]] = {}

    @classmethod
    def from_options(cls, name: str, title: str, options: Mapping[str, Any]) -> ZohoConnector:
        """From a section of `keyback.toml`. Raises `ValueError` for missing, unknown or unsafe values."""
        return cls(name, title, ZohoOptions.model_validate(options))

    def guide(self, locale: str) -> Guide:
        return Guide(STEPS.get(locale, STEPS["en"]), self._reset_page)

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        wanted = identifier.strip().casefold()
        if not wanted or len(wanted) > 320:
            return ()
        async with self._listing:
            if self._clock() >= self._listed_until:
                users = [u async for page in self._pages("AllUsers") for u in page]
                self._listed = {_fold(u.get("email")): str(u.get("id")) for u in users if u.get("email")}
                self._listed_until = self._clock() + LISTED_SECONDS
        known = self._listed.get(wanted)
        account = await self._account(known) if known else None
        return (account,) if account and _fold(account.mail) == wanted else ()

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        admins = await self._admins()
        async for page in self._pages("AllUsers"):
            yield [_found(u, admins) for u in page]

    # ── changing ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        try:
            user = await self._user(plan.external_id)
            if user is None:
                return [Outcome(Step.GUARD, "refused", "not_found")]
            account = _found(user, await self._admins())
        except OutboundRefusal as e:
            return [Outcome(Step.GUARD, "refused", e.code, e.text)]
        except Unavailable as e:
            return [fault(Step.GUARD, e)]
        if account.privileged and not plan.allow_privileged:
            return [Outcome(Step.GUARD, "refused", "privileged_target")]
        if account.state == "disabled":
            return [Outcome(Step.GUARD, "refused", "not_permitted", "inactive")]
        done = [Outcome(Step.GUARD, "done"), Outcome(Step.UNLOCK, "unsupported")]
        if plan.new_password is None:
            return done
        zuid = str(user.get("zuid") or "")
        # A personal account is its owner's: no administrator can set its password.
        if self._zoid is None or user.get("personal_account") or not zuid.isdecimal():
            return [*done, Outcome(Step.SET, "pending", "guided")]
        done.append(await self._set(plan, zuid, plan.new_password))
        if done[-1].status != "done":
            return done
        if plan.must_change:
            done.append(Outcome(Step.MUST_CHANGE, "done"))
        return [*done, Outcome(Step.REVOKE, "done"), Outcome(Step.CONFIRM, "unsupported")]

    async def _set(self, plan: Plan, zuid: str, password: Secret) -> Outcome:
        """Sets it and ends sessions in one call, unless an earlier attempt did; Zoho doesn't tell that afterwards."""
        earlier = self._jobs.get(plan.job_id)
        if earlier is not None:
            return Outcome(Step.SET, "done") if earlier == "done" else Outcome(Step.SET, "uncertain", "unavailable")
        body = {
            "mode": "resetPassword",
            "zuid": int(zuid),
            "password": password.reveal(),
            "oneTimePassword": plan.must_change,
            "resetAuthtoken": True,
        }
        if len(self._jobs) >= MAX_JOBS:
            self._jobs.pop(next(iter(self._jobs)))
        self._jobs[plan.job_id] = "sent"
        try:
            await self._call(
                self._mail, "PUT", f"api/organization/{self._zoid}/accounts/{zuid}", json=body, hide=password
            )
        except MaybeDone as e:
            return fault(Step.SET, e)
        except OutboundRefusal as e:
            del self._jobs[plan.job_id]
            if plan.attempt >= 2 and e.code == "policy_rejected":  # as used before: perhaps another process set it
                return Outcome(Step.SET, "uncertain", "unavailable", e.text)
            return Outcome(Step.SET, "refused", e.code, e.text)
        except Unavailable as e:
            del self._jobs[plan.job_id]
            return fault(Step.SET, e)
        self._jobs[plan.job_id] = "done"
        return Outcome(Step.SET, "done")

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        try:
            await self._token.get()
            page = await self._call(self._crm, "GET", "crm/v8/users", query={"type": "AdminUsers", "per_page": "1"})
        except Unavailable as e:
            return (unreachable(e, "client_id, secret_file or refresh_token_file", "url, accounts_url or mail_url"),)
        lines = [CheckLine("reach", "ok", "answers"), CheckLine("sign_in", "ok", "the client signs in")]
        if not page:
            lines.append(
                CheckLine("permission", "warn", "no administrator can be seen", ("lookup",), "See the scopes.")
            )
        if self._zoid is None:
            words = "zoid is not set, so people are led through Zoho's own page"
            lines.append(CheckLine("permission", "ok", words, ("set_password",)))
        else:
            lines.append(await self._mail_line())
        if sample:
            try:
                lines.append(sample_line(await self.find(sample)))
            except Unavailable as e:
                lines.append(CheckLine("read", "bad", f"{e.code}: {e}"))
        return lines

    async def _mail_line(self) -> CheckLine:
        path = f"api/organization/{self._zoid}/accounts"
        try:
            await self._call(self._mail, "GET", path, query={"start": "1", "limit": "1"})
        except Unavailable as e:
            advice = "See zoid, and that the refresh token has the scope ZohoMail.organization.accounts.ALL."
            return CheckLine("permission", "warn", f"Zoho Mail refuses ({e.code})", ("set_password",), advice)
        return CheckLine("permission", "ok", "Zoho Mail answers; only setting a password shows that it may be set")

    async def close(self) -> None:
        for endpoint in (self._accounts, self._crm, self._mail):
            await endpoint.close()

    # ── calls ──

    async def _account(self, external_id: str) -> FoundAccount | None:
        user = await self._user(external_id)
        return _found(user, await self._admins()) if user else None

    async def _user(self, external_id: str) -> Mapping[str, Any] | None:
        if not (external_id.isascii() and external_id.isdecimal()):
            return None
        try:
            users = _users(await self._call(self._crm, "GET", f"crm/v8/users/{external_id}"))
        except OutboundRefusal as e:
            if e.code == "not_found":
                return None
            raise
        return next((u for u in users if str(u.get("id")) == external_id), None)

    async def _admins(self) -> frozenset[str]:
        return frozenset([str(u.get("id")) async for page in self._pages("AdminUsers") for u in page])

    async def _pages(self, kind: str) -> AsyncIterator[list[Mapping[str, Any]]]:
        for page in range(1, 10_000):
            query = {"type": kind, "page": str(page), "per_page": str(PAGE)}
            answer = await self._call(self._crm, "GET", "crm/v8/users", query=query)
            users = _users(answer)
            if users:
                yield users
            if not isinstance(answer, dict) or not (answer.get("info") or {}).get("more_records"):
                return
            if not users:  # who is missing would look as if they had left
                raise NotDone("unavailable", "unexpected answer: an empty page, and more behind it")
        raise NotDone("unavailable", "unexpected answer: pages without end")

    async def _call(
        self,
        at: Endpoint,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        hide: Secret = NOTHING,
    ) -> Any:
        """An answer's JSON, None for no content. With a refused token once more, with a new one."""
        for last in (False, True):
            token = await self._token.get()
            headers = {"Authorization": Secret(f"Zoho-oauthtoken {token.reveal()}")}
            reply = await at.call(method, path, query=query, json=json, headers=headers, repeatable=method == "GET")
            body = reply.any_json() if reply.status == 401 else None
            if last or not isinstance(body, dict) or body.get("code") != "INVALID_TOKEN":
                break
            self._token.forget(token)
        return _value(reply, hide)

    async def _sign_in(self) -> tuple[Secret, float]:
        secrets = {"client_secret": self._secret.reveal(), "refresh_token": self._refresh.reveal()}
        reply = await self._accounts.call("POST", "oauth/v2/token", form={**self._form, **secrets}, repeatable=True)
        reply.refuse_throttled(30_000)
        answer = reply.json()
        token, domain = answer.get("access_token"), str(answer.get("api_domain") or "")
        if not isinstance(token, str) or not token:  # refused with status 200
            said = vendor_text(answer.get("error") or f"HTTP {reply.status}", self._secret, self._refresh)
            raise NotDone("auth_expired", f"sign-in of the client: {said}")
        if domain and urlsplit(domain).netloc != self._crm.host:
            said = f"the client is of another data center, {vendor_text(domain)}; set data_center"
            raise NotDone("not_permitted", said)
        lifetime = answer.get("expires_in")
        return Secret(token), float(lifetime) if isinstance(lifetime, int) and 0 < lifetime <= 86_400 else 3600.0


def _value(reply: Reply, hide: Secret) -> Any:
    """The JSON of an answer. Raises what its error means, also where it comes with status 200."""
    if reply.status == 204:
        return None
    body = reply.any_json()
    if not isinstance(body, dict):
        raise MaybeDone("unavailable", f"the answer is not a JSON object (HTTP {reply.status})")
    mail = body.get("status")
    if (
        reply.status < 300
        and body.get("status") != "error"
        and not (isinstance(mail, dict) and mail.get("code") != 200)
    ):
        return body
    if reply.status == 429 or body.get("code") == "TOO_MANY_REQUESTS":
        raise NotDone("unavailable", "too many calls", reply.retry_after_ms(30_000))
    if isinstance(mail, dict):
        found = body.get("data")
        data = found if isinstance(found, dict) else {}
        said = " ".join(str(x) for x in (data.get("errorCode"), data.get("moreInfo"), mail.get("description")) if x)
        code = "policy_rejected" if "password" in said.lower() and reply.status == 400 else "not_permitted"
        raise OutboundRefusal("not_found" if reply.status == 404 else code, vendor_text(said, hide))
    raise OutboundRefusal(CODES.get(str(body.get("code")), "not_permitted"), vendor_text(body.get("message", ""), hide))


def _users(answer: Any) -> list[Mapping[str, Any]]:
    users = answer.get("users", []) if isinstance(answer, dict) else []
    if not isinstance(users, list) or not all(isinstance(u, dict) for u in users):
        raise NotDone("unavailable", "unexpected answer")
    return users


def _found(user: Mapping[str, Any], admins: frozenset[str]) -> FoundAccount:
    mail = user.get("email")
    active = user.get("status") == "active" and user.get("confirm") is not False
    return FoundAccount(
        str(user.get("id")),
        mail if isinstance(mail, str) else "",
        mail if isinstance(mail, str) else None,
        user.get("full_name"),
        state="active" if active else "disabled",
        privileged=str(user.get("id")) in admins,
    )


def _fold(value: object) -> str:
    return value.strip().casefold() if isinstance(value, str) else ""
