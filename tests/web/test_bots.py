"""Bots in chat services: only what the service signed is heard, once; everybody gets the same address and no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from keyback.application.ports.bots import BadCall, BotAnswer, BotCall
from keyback.bootstrap_bots import make_bots
from keyback.channels.bots.wecom import WeComBot
from keyback.cli.check_bots import look
from keyback.domain.people.help_words import asks_for_help, is_greeting
from keyback.domain.secret import Secret
from keyback.settings import Unsafe
from keyback.testing.serving import served
from keyback.web.app import make_app, make_context
from keyback.web.bots import PER_SENDER
from keyback.web.http.edge import MAX_BODY
from tests.support.bots import DingTalk, Feishu, Sent, WeCom
from tests.support.each import each
from tests.support.kit import Kit, person

Make = Callable[..., Kit]
CANARY = "Kanarienvogel-4711"
ANSWER = "Begin here: http://127.0.0.1:8080/\n"


@dataclass
class Company:
    """A Keyback with all three bots, and the services that it answers."""

    kit: Kit
    wecom: WeCom
    dingtalk: DingTalk
    feishu: Feishu
    app: Any = None

    def send(self, name: str, sent: Sent, **over: Any) -> httpx2.Response:
        self.app = self.app or make_app(make_context(self.kit.settings, self.kit.services))

        async def go() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.7", 40000))
            async with httpx2.AsyncClient(transport=transport, base_url=self.kit.settings.public_url) as http:
                return await http.request(
                    sent.method, f"/api/hooks/bots/{name}", params=sent.query,
                    headers={**sent.headers, **over.get("headers", {})}, content=over.get("body", sent.body),
                )  # fmt: skip

        return self.kit.run(go())  # type: ignore[no-any-return]

    def now(self) -> int:
        return self.kit.clock()

    def says(self, name: str, text: str, id: str = "m1", **over: Any) -> httpx2.Response:
        """Sends a message as the service would."""
        side: Any = getattr(self, name)
        return self.send(name, side.message(text, over.pop("at", self.now()), id, **over))

    def heard(self, name: str, answer: httpx2.Response) -> str:
        """What the person reads; empty where nothing was said."""
        assert answer.status_code == 200, answer.text
        if name == "wecom":
            return self.wecom.read(answer.text) if answer.text else ""
        said: list[tuple[str, str]] = getattr(self, name).said
        return said.pop()[1] if said else ""


@pytest.fixture
def company(make_kit: Make) -> Iterator[Company]:
    wecom, dingtalk, feishu = WeCom(), DingTalk(), Feishu()
    with served(dingtalk.app()) as ding, served(feishu.app()) as lark:
        bots = {
            "wecom": {"corp_id": wecom.corp_id, "token": wecom.token, "aes_key": wecom.aes_key},
            "dingtalk": {"secret": dingtalk.secret, "url": ding},
            "feishu": {
                "app_id": feishu.app_id, "secret": feishu.secret, "token": feishu.token,
                "encrypt_key": feishu.encrypt_key, "url": lark,
            },
        }  # fmt: skip
        made = Company(make_kit(bots=bots), wecom, dingtalk, feishu)
        yield made
        for bot in made.kit.services.bots.values():
            made.kit.run(bot.close())


ALL = pytest.mark.parametrize("name", ["wecom", "dingtalk", "feishu"])


def test_the_example_of_wecoms_own_documents() -> None:
    """Its figures are those of the sample that WeCom gives out with its library."""
    bot = WeComBot("wx5823bf96d3bd56c7", Secret("QDG6eK"), Secret("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"))
    sealed = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
    query = {
        "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "timestamp": "1409659589", "nonce": "263014780",
        "echostr": sealed,
    }  # fmt: skip
    assert bot.read(BotCall("GET", query, {}, b""), 1409659589_000) == BotAnswer(b"1616140317555161061")
    with pytest.raises(BadCall, match="stale"):
        bot.read(BotCall("GET", query, {}, b""), 1409659589_000 + 301_000)


@ALL
@pytest.mark.covers("A1", "E7")
def test_whoever_cannot_get_in_is_told_where_to_begin(company: Company, name: str) -> None:
    company.kit.write(lambda tx: tx.people.save_imported([person("maya")]))
    first = company.heard(name, company.says(name, "I forgot my password!"))
    assert ANSWER in first
    assert "same for everyone" in first
    chinese = company.heard(name, company.says(name, "@小助手 忘记密码了怎么办", "m2"))
    assert "请从这里开始：http://127.0.0.1:8080/" in chinese
    japanese = company.heard(name, company.says(name, "パスワードを忘れました", "m5"))
    assert "こちらから始めてください：http://127.0.0.1:8080/" in japanese
    assert company.heard(name, company.says(name, "hello", "m3")).startswith("Can’t sign in? Write")
    assert company.heard(name, company.says(name, "Where is the coffee?", "m4")) == ""
    engine: Any = company.kit.services.db
    with engine.engine.connect() as db:
        begun = [db.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar() for t in ("intakes", "cases", "outbox")]
    assert begun == [0, 0, 0]


@ALL
@pytest.mark.covers("INV-I9")
def test_a_message_is_answered_once(company: Company, name: str) -> None:
    sent = getattr(company, name).message("forgot password", company.now(), "m1")
    assert ANSWER in company.heard(name, company.send(name, sent))
    assert company.heard(name, company.send(name, sent)) == "", "replayed as it was"
    assert company.heard(name, company.says(name, "forgot password", "m1")) == "", "or signed once more"
    company.kit.clock.forward(minutes=6)
    answer = company.send(name, sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "stale")


@ALL
def test_who_writes_too_much_is_answered_no_more(company: Company, name: str) -> None:
    heard = [company.heard(name, company.says(name, "locked out", f"m{n}")) for n in range(PER_SENDER + 2)]
    assert [bool(x) for x in heard] == [True] * PER_SENDER + [False] * 2


@ALL
@pytest.mark.covers("C9", "B1")
def test_what_the_service_did_not_sign_is_not_heard(company: Company, name: str, capsys: Any) -> None:
    right = getattr(company, name).message(f"forgot password {CANARY}", company.now())
    other: Any = {
        "wecom": WeCom(token="another"), "dingtalk": DingTalk("another secret of its own"),
        "feishu": Feishu(encrypt_key="another key of its own"),
    }[name]  # fmt: skip
    calls = [other.message("forgot password", company.now()), Sent("POST"), Sent("GET")]
    calls += [
        Sent("POST", right.query, {**right.headers, h: "0"}, right.body) for h in right.headers if "type" not in h
    ]
    calls += [Sent("POST", {**right.query, q: "0"}, right.headers, right.body) for q in right.query]
    if name != "dingtalk":  # whose signature is over the instant alone
        calls.append(Sent("POST", right.query, right.headers, right.body.replace(b"A", b"B")))
    for call in calls:
        answer = company.send(name, call)
        assert answer.status_code == 401, (call, answer.text)
        assert answer.json()["code"] == "bad_signature"
    assert company.send(name, right, body=b"x" * (MAX_BODY + 1)).status_code == 413
    assert company.heard(name, company.send(name, right)), "the right one, after all that"
    assert CANARY not in "".join(capsys.readouterr())


@pytest.mark.covers("B1")
def test_the_address_is_tried_as_the_services_do(company: Company) -> None:
    tried = company.send("wecom", company.wecom.trial("1616140317555161061", company.now()))
    assert (tried.status_code, tried.text) == (200, "1616140317555161061")
    lark = company.send("feishu", company.feishu.trial("ajls384kdjx98XX"))
    assert (lark.status_code, lark.json()) == (200, {"challenge": "ajls384kdjx98XX"})
    for wrong in (
        company.feishu.trial("x", token="another"),
        Feishu(encrypt_key="another key of its own").trial("x"),
        Sent("POST", {}, {"content-type": "application/json"}, json.dumps({"encrypt": "AAAA"}).encode()),
        Sent("POST", {}, {"content-type": "application/json"}, b'{"type": "url_verification", "challenge": "x"}'),
    ):
        assert company.send("feishu", wrong).json()["code"] == "bad_signature"


def test_messages_of_another_company_or_kind_are_passed_over(company: Company) -> None:
    foreign = company.send("wecom", company.wecom.message("forgot password", company.now(), corp_id="wx-another"))
    assert (foreign.status_code, foreign.json()["code"]) == (422, "malformed")
    assert company.says("wecom", "forgot password", "m2", kind="image").text == ""
    assert company.says("dingtalk", "forgot password", "m2", msgtype="picture").json() == {}
    assert company.says("feishu", "forgot password", "m2", message_type="image").json() == {}
    assert company.says("feishu", "forgot password", "m3", token="another").status_code == 401
    assert company.heard("feishu", company.says("feishu", "hello", "m4", chat_type="group")) == "", "not in a group"
    assert company.heard("dingtalk", company.says("dingtalk", "hello", "m4", conversationType="2")) == ""
    assert ANSWER in company.heard("feishu", company.says("feishu", "forgot password", "m5", chat_type="group"))


@pytest.mark.covers("K7")
def test_an_answer_goes_nowhere_but_to_the_service(company: Company) -> None:
    evil = "https://evil.example.com/robot/sendBySession?session=ses-2"
    assert company.says("dingtalk", "forgot password", sessionWebhook=evil).status_code == 200
    assert [s for s, _ in company.dingtalk.said] == ["ses-2"], "our own address, with their session"
    strange = "om_1/../../../open-apis/contact/v3/users"
    assert company.says("feishu", "forgot password", strange).json() == {}
    assert company.feishu.said == []


@pytest.mark.parametrize("name", ["dingtalk", "feishu"])
def test_a_service_that_takes_no_answer_is_no_fault_of_the_call(company: Company, name: str, capsys: Any) -> None:
    getattr(company, name).code = 310000
    answer = company.says(name, f"forgot password {CANARY}")
    assert (answer.status_code, answer.json()) == (200, {})
    said = "".join(capsys.readouterr())
    assert CANARY not in said


def test_a_bot_that_is_off_is_not_there(make_kit: Make) -> None:
    company = Company(make_kit(), WeCom(), DingTalk(), Feishu())
    for name in ("wecom", "dingtalk", "feishu", "slack", "x" * 300):
        assert company.send(name, company.wecom.message("forgot password", company.now())).status_code == 404


@each(
    ("text", "wants"),
    [
        ("忘记密码", True), ("我忘了CRM密码", True), ("怎么重置密码？", True), ("登录不上去了", True),
        ("账号被锁了", True), ("密码过期", True), ("无法登录系统", True), ("手机丢了，验证器换了", True),
        ("Forgot password", True),
        ("i've forgotten my crm password", True), ("Can’t log in", True), ("cannot sign in :(", True),
        ("LOCKED OUT", True), ("@bot reset my password please", True), ("unlock my account", True),
        ("ｆｏｒｇｏｔ　ｐａｓｓｗｏｒｄ", True), ("lost my phone", True),
        ("忘記密碼", True), ("帳號被鎖了", True), ("無法登入", True), ("今天天氣不錯", False),
        ("パスワードを忘れました", True), ("ログインできません", True), ("お昼は何ですか", False),
        ("中午吃什么", False), ("lunch?", False), ("password policy document", False), ("登录页的设计稿", False),
        ("", False), ("x" * 100_000, False),
    ],
)  # fmt: skip
def test_what_is_about_getting_in(text: str, wants: bool) -> None:
    assert asks_for_help(text) is wants
    assert not (wants and is_greeting(text))


def test_settings_that_would_not_do_say_why(make_kit: Make) -> None:
    wecom = WeCom()
    for bots, words in (
        ({"wecom": {"corp_id": "c", "token": "t", "aes_key": "short" * 9}}, "43 letters and digits"),
        ({"wecom": {"corp_id": "c", "token": "t", "aes_key": "short"}}, "too short"),
        ({"wecom": {"corp_id": "c", "token_file": "/nowhere", "aes_key": wecom.aes_key}}, "token_file cannot be read"),
        ({"dingtalk": {"secret": "short"}}, "too short"),
        ({"dingtalk": {"secret": "long enough, this is", "url": "http://evil.example.com"}}, "https"),
    ):
        with pytest.raises(Unsafe, match=words):
            make_kit(bots=bots)
    for half in ({"wecom": {"corp_id": "c", "token": "t"}}, {"feishu": {"app_id": "a", "secret": "s" * 20}}):
        with pytest.raises(ValueError, match="needs"):
            make_kit(bots=half)


def test_check_says_where_to_and_whether_credentials_do(company: Company) -> None:
    found = company.kit.run(look(company.kit.settings))
    assert [(f.name, f.status) for f in found] == [("bot wecom", "ok"), ("bot dingtalk", "ok"), ("bot feishu", "ok")]
    assert "http://127.0.0.1:8080/api/hooks/bots/feishu" in found[2].detail
    company.feishu.secret = "another one since"
    found = company.kit.run(look(company.kit.settings))
    assert (found[2].status, "10014" in found[2].detail) == ("bad", True)
    assert make_bots(company.kit.settings).keys() == {"wecom", "dingtalk", "feishu"}
