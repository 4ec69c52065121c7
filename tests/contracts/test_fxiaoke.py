"""The contract suite on the connector of 纷享销客, against the stand-in, and what is particular to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from keyback.application.ports.connectors import Means, Step, Unavailable
from keyback.connectors.fxiaoke import FxiaokeConnector, FxiaokeOptions
from keyback.demo.vendors import Fxiaoke, serve
from keyback.demo.vendors.accounts import Account, hashed
from keyback.demo.vendors.fxiaoke.app import personnel
from keyback.demo.vendors.fxiaoke.seed import Credentials, new_id, register
from keyback.testing.connectors import OLD, ConnectorContract, FaultyProxy, OverProxy, Traits, by_step, plan
from tests.support.held import Held

ADMINISTRATORS = ["boss@example.com", "chief@example.com", "chief2@example.com", "owner@example.com"]
SIGN_IN = "https://crm.example.com/login"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Traced:
    """Notes the trace of every call, and how many calls for a token are under way at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self.tokens, self.most = app, 0, 0
        self.traces: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"]:  # calls of the older kind have none
            self.traces.append(scope["query_string"].decode())
        token = scope["path"].endswith("/token")
        self.tokens += token
        self.most = max(self.most, self.tokens)
        try:
            await self._app(scope, receive, send)
        finally:
            self.tokens -= token


@dataclass
class Company:
    """A stand-in with an application, served and held to the contract."""

    fake: Fxiaoke
    traced: Traced
    address: str
    app: Credentials
    people: int = 0

    def add(self, username: str, mail: str | None, **more: Any) -> Account:
        self.people += 1
        more = {"mobile": f"1390013{8000 + self.people}", **more}
        account = Account(new_id("user", self.people), username, mail, username.title(), hashed(OLD), **more)
        self.fake.accounts.add([account])
        return account

    def options(self, url: str = "", **more: Any) -> dict[str, Any]:
        c = self.app
        keys = {"app_id": c.app_id, "secret": c.app_secret, "permanent_code": c.permanent_code, "user_id": c.user_id}
        more = {"privileged_accounts": ADMINISTRATORS, "sign_in_url": SIGN_IN, "timeout_s": 20, **more}
        return {"url": url or self.address, **keys, **more}

    def connector(self, url: str = "", **more: Any) -> FxiaokeConnector:
        return FxiaokeConnector("fxiaoke", "纷享销客", FxiaokeOptions.model_validate(self.options(url, **more)))

    @property
    def fetched(self) -> int:
        return len([c for c in self.fake.calls if c.path.endswith("/token")])


@pytest.fixture
def company() -> Iterator[Company]:
    fake = Fxiaoke()
    fake.admin = new_id("user", 1)
    held = Held(fake, "fxiaoke.yaml")
    traced = Traced(held)
    with serve(traced) as address:
        made = Company(fake, traced, address, register(fake))
        made.add("owner", "owner@example.com", privileged=True)
        yield made
    assert held.faults == [], "a call or an answer was not as the vendor documents it"
    assert len(set(traced.traces)) == len(traced.traces), "a trace was used twice"


def key_of(account: Account) -> str:
    return str(personnel(account)["_id"])


@dataclass
class FxiaokeHarness(OverProxy):
    company: Company
    proxy: FaultyProxy
    url: str
    connector: FxiaokeConnector
    traits = Traits(tokens=True)

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        self.connector._listed_until = 0.0  # a list from before doesn't know them
        return key_of(self.company.add(username, mail, privileged=privileged, active=not disabled))

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        account = self.company.fake.accounts.named(username)
        if account is None or self.company.fake.sign_in(username, password) != "ok":
            return None
        mine = {s.id for s in account.sessions}

        async def alive() -> bool:
            return bool({s.id for s in account.sessions} & mine)

        return alive

    async def lock(self, external_id: str) -> None:
        raise AssertionError("nobody is unlocked from outside")

    async def must_change(self, username: str, password: str) -> bool:
        raise AssertionError("no password is set from outside")

    async def grant(self, external_id: str, title: str) -> str:
        raise AssertionError("grants are not claimed")

    async def factor(self, external_id: str) -> str:
        raise AssertionError("factors are not claimed")

    async def changes(self, external_id: str) -> int:
        return sum(a.changes for a in self.company.fake.accounts if key_of(a) == external_id)

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = self.company.connector(self.url, **more)

    async def expire_tokens(self) -> None:
        self.company.fake.expire_tokens()


@pytest.mark.covers("N1", "N2", "N6")
class TestFxiaoke(ConnectorContract):
    @pytest.fixture
    async def harness(self, company: Company) -> AsyncIterator[FxiaokeHarness]:
        host, port = company.address.removeprefix("http://").split(":")
        proxy = FaultyProxy((host, int(port)), b"POST /cgi/crm/v2/data/query")
        async with proxy.running() as url:
            h = FxiaokeHarness(company, proxy, url, company.connector(url))
            yield h
            await proxy.set("")
            await h.connector.close()


# ── looking up ──


@pytest.mark.anyio
async def test_people_are_found_by_mobile_number_mail_and_account(company: Company) -> None:
    maya = company.add("maya", "maya@example.com", mobile="13900138222")
    connector = company.connector()
    typed = ("13900138222", "+86 139 0013 8222", "0086-139-0013-8222", "8613900138222", " Maya@example.com", "MAYA")
    for identifier in typed:
        (found,) = await connector.find(identifier)
        assert (found.external_id, found.username, found.mail) == (key_of(maya), "maya", "maya@example.com")
    for identifier in ("1390013822", "13900138223", "maya@example.co", "may", "+", "86"):
        assert list(await connector.find(identifier)) == []
    await connector.close()


@pytest.mark.anyio
async def test_somebody_without_mail_is_called_by_the_account_or_number(company: Company) -> None:
    company.add("field", None, mobile="13900138333")
    with_names, without = company.connector(), company.connector(read_accounts=False)
    (found,) = await with_names.find("field")
    assert (found.username, found.mail) == ("field", None)
    (found,) = await without.find("13900138333")
    assert found.username == "13900138333"
    assert list(await without.find("field")) == []
    for connector in (with_names, without):
        await connector.close()


@pytest.mark.anyio
async def test_an_address_that_is_stored_in_capitals_is_found(company: Company) -> None:
    maya = company.add("maya", "Maya.Okafor@Example.com")
    with_names, without = company.connector(), company.connector(read_accounts=False)
    for typed in ("maya.okafor@example.com", "MAYA.OKAFOR@EXAMPLE.COM", "Maya.Okafor@Example.com"):
        assert [a.external_id for a in await with_names.find(typed)] == [key_of(maya)]
    assert list(await without.find("maya.okafor@example.com")) == []
    for connector in (with_names, without):
        await connector.close()


@pytest.mark.anyio
async def test_accounts_that_share_mail_and_number_are_not_mixed_up(company: Company) -> None:
    for name in ("desk-a", "desk-b"):
        company.add(name, "desk@example.com", mobile="")
    connector = company.connector()
    found = await connector.find("desk-a")
    assert len({a.external_id for a in found}) == 2
    assert {a.username for a in found} == {"desk@example.com"}
    await connector.close()


@pytest.mark.anyio
async def test_all_pages_are_listed(company: Company) -> None:
    for n in range(230):
        company.add(f"p{n}", f"p{n}@example.com", mobile="")
    connector = company.connector()
    pages = [page async for page in connector.list_accounts()]
    assert [len(p) for p in pages] == [100, 100, 31]
    assert len({a.external_id for p in pages for a in p}) == 231
    await connector.close()


@pytest.mark.anyio
async def test_a_list_that_is_cut_short_says_so(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(230):
        company.add(f"p{n}", f"p{n}@example.com", mobile="")
    monkeypatch.setattr("keyback.connectors.fxiaoke.connector.LAST_OFFSET", 100)
    connector = company.connector()
    pages = connector.list_accounts()
    assert [len(await anext(pages)) for _ in range(2)] == [100, 100]
    with pytest.raises(Unavailable, match="more than 200 employees"):
        await anext(pages)
    await connector.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "kind, way", [("html", "mail"), ("huge", "mail"), ("cut", "mail"), ("huge", "account"), ("html", "account")]
)
async def test_without_the_address_book_people_are_found_by_their_address(
    company: Company, kind: Any, way: str
) -> None:
    company.add("maya", "maya@example.com")
    connector = company.connector()
    company.fake.faults.add(kind, "/user/list", times=9)
    if way == "mail":
        (found,) = await connector.find("maya@example.com")
        assert found.username == "maya@example.com"
    else:
        with pytest.raises(Unavailable):
            await connector.find("maya")
    lines = [line for line in await connector.check() if line.status == "warn"]
    assert ("lookup",) in {line.costs for line in lines}
    await connector.close()


@pytest.mark.anyio
@pytest.mark.parametrize("identifier", ['x" OR 1=1', "%", "*", "_", "x\r\ny", "名字", "0" * 300, "{}", "@", "a@b@c"])
async def test_nothing_typed_finds_somebody_else(company: Company, identifier: str) -> None:
    connector = company.connector()
    assert list(await connector.find(identifier)) == []
    await connector.close()


# ── what is left to the person ──


@pytest.mark.anyio
async def test_the_person_is_led_to_the_vendors_page(company: Company) -> None:
    account = company.add("maya", "maya@example.com")
    connector = company.connector()
    done = by_step(await connector.apply(plan(key_of(account), "maya")))
    assert (done[Step.SET].status, done[Step.SET].code) == ("pending", "guided")
    guides = [connector.guide(locale) for locale in ("zh_CN", "en", "fr")]
    assert {g.url for g in guides} == {SIGN_IN}
    assert "忘记密码" in guides[0].steps[0]
    assert guides[0] != guides[1] == guides[2]
    await connector.close()


@pytest.mark.anyio
async def test_with_single_sign_on_the_guide_leads_there(company: Company) -> None:
    account = company.add("maya", "maya@example.com")
    connector = company.connector(sso_url="https://sso.example.com/start")
    assert [f.code for f in await connector.diagnose("maya")] == ["sso_only"]
    assert by_step(await connector.apply(plan(key_of(account), "maya")))[Step.SET].code == "guided"
    for locale in ("zh_CN", "en"):
        assert connector.guide(locale).url == "https://sso.example.com/start"
        assert connector.guide(locale).steps != company.connector().guide(locale).steps
    await connector.close()


def test_the_usual_cloud_has_a_known_page(company: Company) -> None:
    options = company.options(url="https://open.fxiaoke.com", sign_in_url=None)
    connector = FxiaokeConnector.from_options("fxiaoke", "纷享销客", options)
    assert connector.guide("en").url == connector.url == "https://www.fxiaoke.com/pc-login/build/login.html"


@pytest.mark.anyio
@pytest.mark.parametrize("named", ["maya@example.com", "MAYA@example.com", "+86 13900138222", "id"])
async def test_administrators_are_those_who_are_named(company: Company, named: str) -> None:
    maya = company.add("maya", "maya@example.com", mobile="13900138222")
    connector = company.connector(privileged_accounts=[key_of(maya) if named == "id" else named])
    (only,) = await connector.apply(plan(key_of(maya), "maya"))
    assert only.code == "privileged_target"
    await connector.close()


# ── tokens, quotas, errors ──


@pytest.mark.anyio
async def test_one_token_serves_all_who_ask_at_once(company: Company) -> None:
    company.add("maya", "maya@example.com")
    connector = company.connector()
    found = await asyncio.gather(*(connector.find("maya@example.com") for _ in range(20)))
    assert [len(f) for f in found] == [1] * 20
    assert (company.fetched, company.traced.most) == (1, 1)
    company.fake.expire_tokens()
    assert await connector.find("maya@example.com")
    assert company.fetched == 2
    await connector.close()


@pytest.mark.anyio
async def test_tokens_that_are_refused_at_once_are_not_asked_for_without_end(company: Company) -> None:
    connector, codes = company.connector(), []
    for _ in range(12):
        company.fake.expire_tokens()
        try:
            await connector.find("maya@example.com")
        except Unavailable as e:
            codes.append(e.code)
    assert company.fetched == 8
    assert codes == ["unavailable"] * 4
    await connector.close()


@pytest.mark.anyio
@pytest.mark.parametrize("more, said", [({"secret": "wrong"}, "20006"), ({"permanent_code": "wrong"}, "20015")])
async def test_a_refused_application_is_told_in_the_vendors_words_and_not_asked_again_at_once(
    company: Company, more: dict[str, str], said: str
) -> None:
    connector = company.connector(**more)
    for _ in range(3):
        with pytest.raises(Unavailable, match=said) as raised:
            await connector.find("maya@example.com")
        assert raised.value.code == "auth_expired"
    assert company.fetched == 1
    assert [(line.what, line.status) for line in await connector.check()] == [("sign_in", "bad")]
    await connector.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "spoil, code, said",
    [({"quota": 0}, "quota_missing", "30002"), ({"bought": False}, "quota_missing", "30003"),
     ({"personnel": False}, "not_permitted", "20020")],
)  # fmt: skip
async def test_what_the_company_lacks_is_named(company: Company, spoil: dict[str, Any], code: str, said: str) -> None:
    account = company.add("maya", "maya@example.com")
    for name, value in spoil.items():
        setattr(company.fake, name, value)
    connector = company.connector()
    with pytest.raises(Unavailable, match=said) as raised:
        await connector.find("maya@example.com")
    assert raised.value.code == code
    (only,) = await connector.apply(plan(key_of(account), "maya"))
    assert (only.status, only.code) == ("refused", code)
    bad = [line for line in await connector.check("maya") if line.status == "bad"]
    assert said in bad[0].text
    assert bad[0].advice
    await connector.close()


@pytest.mark.anyio
async def test_too_many_calls_are_tried_again_later(company: Company) -> None:
    account = company.add("maya", "maya@example.com")
    connector = company.connector()
    company.fake.faults.add("throttle", "/query")
    (only,) = await connector.apply(plan(key_of(account), "maya"))
    assert (only.status, only.code, only.retry_after_ms) == ("retry", "unavailable", 20_000)
    assert by_step(await connector.apply(plan(key_of(account), "maya", attempt=2)))[Step.SET].code == "guided"
    await connector.close()


GARBAGE: list[Any] = [
    [], None, 7, {}, {"errorCode": "0"}, {"errorCode": True}, {"errorCode": 0}, {"errorCode": 0, "data": []},
    {"errorCode": 0, "data": {"dataList": {}}}, {"errorCode": 0, "data": {"dataList": [1]}},
    {"errorCode": 0, "data": {"dataList": [{"_id": 7, "status": "0", "email": "maya@example.com"}]}},
    {"errorCode": 0, "data": {"dataList": [{"_id": "7", "email": "maya@example.com"}]}},
    {"errorCode": 31, "errorMessage": {"x": "\u202e\r\nSet-Cookie: a=b"}},
]  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("answer", GARBAGE)
async def test_answers_of_another_shape_are_faults(answer: Any) -> None:
    """A server that signs in anybody and then answers like this."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        token = {"errorCode": 0, "accessToken": "T", "ea": "e", "expiresIn": 7200}
        given = token if scope["path"].endswith("/token") else answer
        await JSONResponse(given)(scope, receive, send)

    with serve(app) as address:
        options = {"url": address, "app_id": "a", "secret": "b", "permanent_code": "c", "user_id": "d"}
        connector = FxiaokeConnector.from_options("f", "F", {**options, "sign_in_url": SIGN_IN})
        with pytest.raises(Unavailable) as raised:
            await connector.find("maya@example.com")
        assert "\n" not in str(raised.value)
        assert "\u202e" not in str(raised.value)
        (only,) = await connector.apply(plan("7", "maya"))
        assert only.status in {"retry", "refused"}
        await connector.close()


@pytest.mark.anyio
async def test_somebody_else_in_an_answer_is_not_taken() -> None:
    """Some fields are compared in part, and another name of a field than the company's may not filter at all."""
    rows = [{"_id": "8", "status": "0", "email": "maya@example.com.example.net", "phone": "139001382220"}]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        token = {"accessToken": "T", "ea": "e", "expiresIn": 7200}
        more = {"/oauth2.0/token": token, "/cgi/user/list": {"userList": []}}
        answer = more.get(scope["path"], {"data": {"dataList": rows}})
        await JSONResponse({"errorCode": 0, **answer})(scope, receive, send)

    with serve(app) as address:
        options = {"url": address, "app_id": "a", "secret": "b", "permanent_code": "c", "user_id": "d"}
        connector = FxiaokeConnector.from_options("f", "F", {**options, "sign_in_url": SIGN_IN})
        for identifier in ("maya@example.com", "13900138222", "maya"):
            assert list(await connector.find(identifier)) == []
        (only,) = await connector.apply(plan("7", "maya"))
        assert only.code == "not_found"
        await connector.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "token",
    [{}, {"accessToken": ""}, {"accessToken": "a\r\nx: y"}, {"accessToken": 7}, {"ea": None}, {"ea": "公司"}],
)
async def test_a_token_that_is_none_is_never_sent(token: dict[str, Any]) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])
        whole = {"accessToken": "T", "ea": "e", "expiresIn": 7200, **token} if token else {}
        await JSONResponse({"errorCode": 0, **whole})(scope, receive, send)

    with serve(app) as address:
        options = {"url": address, "app_id": "a", "secret": "b", "permanent_code": "c", "user_id": "d"}
        connector = FxiaokeConnector.from_options("f", "F", {**options, "sign_in_url": SIGN_IN})
        with pytest.raises(Unavailable):
            await connector.find("maya@example.com")
        assert seen == ["/oauth2.0/token"]
        await connector.close()


@pytest.mark.covers("N10")
@pytest.mark.anyio
async def test_neither_secret_nor_code_nor_token_is_shown(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    company.add("maya", "maya@example.com")
    with caplog.at_level("DEBUG"):
        connector, wrong = company.connector(), company.connector(secret="canary-of-the-secret")
        seen: list[object] = [connector, vars(connector), *await connector.find("maya"), *await connector.check("maya")]
        seen += await wrong.check("maya")
    text = "\n".join(f"{s!r} {s}" for s in seen) + caplog.text
    secrets = {company.app.app_secret, company.app.permanent_code, "canary-of-the-secret", *company.fake._tokens}
    assert [s for s in secrets if s in text] == []
    for each in (connector, wrong):
        await each.close()


# ── settings and check ──


@pytest.mark.parametrize(
    "more, words",
    [
        ({"app_id": None}, "app_id"),
        ({"secret": None}, "secret_file"),
        ({"permanent_code": None}, "permanent_code_file"),
        ({"permanent_code": ""}, "permanent_code_file"),
        ({"user_id": "a b"}, "user_id"),
        ({"mail_field": "x.y"}, "mail_field"),
        ({"sso_url": "javascript:alert(1)"}, "sso_url"),
        ({"sign_in_url": None}, "sign_in_url is needed"),
        ({"url": "http://open.fxiaoke.com"}, "https://"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_bad_settings_say_which_key_is_wrong(company: Company, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        FxiaokeConnector.from_options("fxiaoke", "纷享销客", company.options(**more))
    assert company.app.app_secret not in str(raised.value)


def test_the_permanent_code_may_stand_in_a_file(company: Company, tmp_path: Path) -> None:
    file = tmp_path / "code"
    file.write_text("CODE-1\n")
    options = FxiaokeOptions.model_validate(company.options(permanent_code=None, permanent_code_file=str(file)))
    assert options.read_permanent_code().reveal() == "CODE-1"


@pytest.mark.anyio
async def test_check_says_that_administrators_must_be_named(company: Company) -> None:
    company.add("maya", "maya@example.com")
    for named, warned in (([], True), (ADMINISTRATORS, False)):
        connector = company.connector(privileged_accounts=named)
        lines = await connector.check("maya")
        assert any("privileged_accounts" in line.advice for line in lines if line.status == "warn") is warned
        await connector.close()


# ── the emergency stop ──────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_an_account_is_stopped_by_its_status_alone(company: Company) -> None:
    maya, boss = company.add("maya", "maya@example.com"), company.add("boss", "boss@example.com")
    connector = company.connector(emergency_stop=True)
    try:
        key = key_of(maya)
        assert connector.capabilities.stop is Means.COMPOSED
        assert (await connector.stop(key)).status == "done"
        assert not maya.active
        assert (await connector.stop(key)).status == "done", "as it was before"
        refused = await connector.stop(key_of(boss))
        assert (refused.status, refused.code, boss.active) == ("refused", "privileged_target", True)
        assert (await connector.stop("nobody")).code == "not_found"
    finally:
        await connector.close()


@pytest.mark.anyio
async def test_nobody_is_stopped_without_the_setting_or_when_two_look_alike(company: Company) -> None:
    twins = [company.add(name, "twins@example.com", mobile="13900139999") for name in ("one", "two")]
    for switched, status, code in ((False, "unsupported", ""), (True, "refused", "ambiguous")):
        connector = company.connector(emergency_stop=switched)
        try:
            outcome = await connector.stop(key_of(twins[0]))
            assert (outcome.status, outcome.code) == (status, code)
            assert all(t.active for t in twins)
        finally:
            await connector.close()


@pytest.mark.anyio
async def test_a_list_tells_mobile_numbers(company: Company) -> None:
    company.add("maya", "maya@example.com", mobile="13800138000")
    company.add("omar", "omar@example.com", mobile="")
    connector = company.connector()
    listed = {a.mail: a.phones async for page in connector.list_accounts() for a in page}
    await connector.close()
    assert (listed["maya@example.com"], listed["omar@example.com"]) == (("13800138000",), ())
