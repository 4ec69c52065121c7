"""What stands in the mails, read back by the standard library's parser: no header, link or mark that is not ours."""

from __future__ import annotations

import email
import email.policy
import html
import quopri
import re
from dataclasses import replace
from email.header import decode_header
from email.message import EmailMessage
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest

from keyback.application.ports.channels import Message
from keyback.application.ports.messages import CONTENTS, BadMessage, MessageKind
from keyback.channels.mail import mime
from keyback.channels.mail.composer import MailComposer
from keyback.channels.sanitize import isolate, safe_login, safe_name, safe_source
from keyback.domain.secret import Secret
from tests.support.each import each

BASE = "https://id.qingyu.example.com"
LINK, STOP = f"{BASE}/l/5pQxw2tEJm9RkA0cVb7dNs", f"{BASE}/l/9cTz7uWbKe4HqY1nXfs8Ld"
ASKED = 1_795_500_120_000  # 24 November 2026, 14:02 in Shanghai
LOCALES = ["en", "zh_CN"]
SECRETS = (LINK, STOP, "48271905", "4827 1905", "4827&nbsp;1905")
FIXED = {  # the links of each kind, whatever the values are
    MessageKind.RECOVERY: {LINK, STOP},
    MessageKind.LOGINS: {f"{BASE}/sign-in"},
    MessageKind.ELSEWHERE: set(),
    MessageKind.CHANGED: {STOP},
    MessageKind.HOLD: {STOP},
    MessageKind.STOPPED: {f"{BASE}/forgot"},
    MessageKind.ROTATION: {f"{BASE}/forgot"},
    MessageKind.ACCOUNT_CHANGED: {STOP},
    MessageKind.ASKED: {STOP},
    MessageKind.MOVING: {STOP},
    MessageKind.INVITED: {LINK},
    MessageKind.SIGNED_IN: {STOP},
    MessageKind.TRIES: {f"{BASE}/account"},
    MessageKind.REMINDER: {f"{BASE}/account/after"},
    MessageKind.CHOOSE_AGAIN: {LINK},
    MessageKind.SYSTEM: set(),
    MessageKind.TASK: set(),
    MessageKind.DESK: {f"{BASE}/console/cases/Tq3zF0vA9bC7dE5gH1jK2m"},
    MessageKind.ERASED: set(),
    MessageKind.CALL: set(),
    MessageKind.HELP_CODE: set(),
    MessageKind.HELP_NEWS: {f"{BASE}/r/Tq3zF0vA9bC7dE5gH1jK2m/help"},
    MessageKind.CAMPAIGN: {f"{BASE}/forgot"},
}
KINDS = list(FIXED)
# Every kind, and the other language once: its templates and its code are the same.
EACH = [*((k, "en") for k in KINDS), (MessageKind.RECOVERY, "zh_CN")]


def composer(**over: Any) -> MailComposer:
    values: dict[str, Any] = {
        "company": {"en": "Qingyu Instruments", "zh_CN": "青屿仪器"},
        "sender": "keyback@qingyu.example.com",
        "helpdesk": {"en": "extension 8100", "zh_CN": "分机8100"},
        "timezone": "Asia/Shanghai",
        "public_url": BASE,
    }
    return MailComposer(**values | over)


MAIL = composer()


def letter(kind: MessageKind = MessageKind.RECOVERY, locale: str = "en", evil: str = "", **over: Any) -> Message:
    """A letter of this kind; `evil` takes the place of every value that a stranger could choose."""
    who = {"username": evil or "maya.okafor"}
    seen = {"source": evil or "203.0.113.7", "device": evil or "Windows, Chrome"}
    fields: dict[MessageKind, dict[str, object]] = {
        MessageKind.RECOVERY: {
            **who,
            **seen,
            "asked_at": ASKED,
            "asker": "stranger",
            "challenge": "c",
            "case": "k",
            "link": Secret(LINK),
            "stop_link": Secret(STOP),
            "code": Secret("48271905"),
            "link_expires_at": ASKED + 3_600_000,
            "code_expires_at": ASKED + 600_000,
        },
        MessageKind.LOGINS: {
            **seen,
            "asked_at": ASKED,
            "asker": "stranger",
            "logins": ((evil or "Zoho CRM", evil or "maya.okafor"),),
        },
        MessageKind.ELSEWHERE: {**who, **seen, "asked_at": ASKED, "asker": "stranger", "provider": evil or "Entra ID"},
        MessageKind.CHANGED: {
            **who,
            **seen,
            "at": ASKED,
            "systems": ((evil or "Zoho CRM", "done"), ("Tryton", "unsure")),
            "stop_link": Secret(STOP),
            "case": "k",
        },
        MessageKind.STOPPED: {**who, "at": ASKED, "by": "owner"},
        MessageKind.ERASED: {**who, "at": ASKED},
        MessageKind.CALL: {**who, "operator": evil or "Maya", "reason": "request", "number": 42, "at": ASKED},
        MessageKind.CAMPAIGN: {**who, "why": "incident", "must": True},
        MessageKind.ROTATION: {**who, "due_at": ASKED},
        MessageKind.ACCOUNT_CHANGED: {
            **who,
            **seen,
            "at": ASKED,
            "what": "passkey_added",
            "detail": evil or "Tryton",
            "stop_link": Secret(STOP),
        },
        MessageKind.HOLD: {
            **who,
            **seen,
            "at": ASKED,
            "until": ASKED + 900_000,
            "stop_link": Secret(STOP),
            "over": False,
        },
        MessageKind.ASKED: {**who, **seen, "at": ASKED, "what": "helper_asked", "stop_link": Secret(STOP)},
        MessageKind.MOVING: {
            **who,
            "source": "",
            "device": "",
            "at": ASKED,
            "until": ASKED + 72 * 3_600_000,
            "what": "mail_moving",
            "detail": evil or "Tryton",
            "stop_link": Secret(STOP),
        },
        MessageKind.INVITED: {
            **seen,
            "asked_at": ASKED,
            "asker": "stranger",
            "person_name": evil or "Maya",
            "link": Secret(LINK),
            "expires_at": ASKED + 3_600_000,
        },
        MessageKind.SIGNED_IN: {
            **who,
            **seen,
            "at": ASKED,
            "what": "new_sign_in",
            "detail": "",
            "stop_link": Secret(STOP),
        },
        MessageKind.TRIES: {**who, **seen, "at": ASKED, "off": False, "path": "/account"},
        MessageKind.CHOOSE_AGAIN: {
            **who,
            "at": ASKED,
            "systems": ((evil or "Zoho CRM", evil or "maya.okafor"),),
            "link": Secret(LINK),
            "expires_at": ASKED + 24 * 3_600_000,
        },
        MessageKind.REMINDER: {**who, "what": "aftercare", "path": "/account/after"},
        MessageKind.SYSTEM: {**who, "system": evil or "Tryton", "what": "declined", "at": ASKED, "detail": evil},
        MessageKind.TASK: {
            **who,
            "person_name": evil or "Maya",
            "system": evil or "Tryton",
            "task": "Tq3zF0vA9bC7dE5gH1jK2m",
            "what": "reset",
            "again": False,
            "verified": (("email_link", str(ASKED)), ("totp", str(ASKED))),
            "at": ASKED,
        },
        MessageKind.HELP_CODE: {
            **seen,
            "asked_at": ASKED,
            "asker": "stranger",
            "code": Secret("482719"),
            "expires_at": ASKED + 600_000,
        },
        MessageKind.HELP_NEWS: {"what": "answered", "path": "/r/Tq3zF0vA9bC7dE5gH1jK2m/help", "at": ASKED},
        MessageKind.DESK: {
            "what": "approved",
            "case": "Tq3zF0vA9bC7dE5gH1jK2m",
            "person_name": evil or "Maya",
            "operator": evil or "Maya",
            "at": ASKED,
        },
    }
    values: dict[str, Any] = {
        "id": "01J9ZK7",
        "to": "maya@qingyu.example.com",
        "name": evil or "Maya Okafor",
        "locale": locale,
        "written_at": ASKED,
        "expires_at": ASKED + 3_600_000,
        "content": CONTENTS[kind](**fields[kind] | over.pop("fields", {})),
    }
    return Message(**values | over)


def parsed(one: Message, by: MailComposer = MAIL) -> EmailMessage:
    data = by.compose(one).data
    found = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    assert not part.defects
    return str(part.get_content()).replace("\r\n", "\n")


def shown_name(message: EmailMessage, header: str) -> str:
    """The display name by `decode_header`; `display_name` puts spaces between encoded words, against RFC 2047 6.2."""
    raw = re.sub(r"\r?\n", "", dict(message.raw_items())[header])
    found = "".join(b.decode(c or "ascii") if isinstance(b, bytes) else b for b, c in decode_header(raw))
    return found.rpartition(" <")[0].strip().strip('"').replace('\\"', '"')


@cache
def tags(kind: MessageKind, locale: str) -> set[str]:
    return set(Links(body(parsed(letter(kind, locale)), "html")).tags)


class Links(HTMLParser):
    """Every address that a reader could follow or fetch, every tag, and the text that shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: set[str] = set()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses |= {v or "" for n, v in attrs if n in ("href", "src", "action", "background", "srcset")}

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


# What mail readers turn into links by themselves: schemes, www, and host names under a domain that exists.
AUTOLINK = re.compile(
    r"(?i)\b(?:[a-z]+://|www\.)\S+|\b[\w-]+(?:[.．。｡][\w-]+)*[.．。｡](?:com|net|org|cn|中国)\b|mailto:\S+"
)
HEADERS = {
    "To",
    "Date",
    "Message-ID",
    "From",
    "Subject",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
}
INJECTIONS = [
    "A\r\nBcc: evil@example.org",
    "A\nBcc: evil@example.org",
    "A\rBcc: evil@example.org",
    "A\u2028Bcc: evil@example.org",
    "A\u2029To: evil@example.org",
    "A\x0bBcc: evil@example.org",
    "A\x0c\x85\x00Bcc: evil@example.org",
    "A\r\n\r\n<b>body</b>",
    'A" <evil@example.org>, "B',
    "A <evil@example.org>, B",
    "=?utf-8?q?A=0D=0ABcc:_evil=40example.org?=",
    "A\\\r\n--=_boundary--\r\n",
    "陈\r\nBcc: evil@example.org",
    "\ud800A\r\nBcc: evil@example.org",
    "A" * 5000 + "\r\nBcc: evil@example.org",
]
HOSTILE = [
    "<a href=https://evil.example.com/x>Click</a>",
    "Maya https://evil.example.com/login now",
    "HTTPS:\\\\evil.example.com",
    "hthttptp://evil.com/",
    "evil.com",
    "Call us at www.evil.com",
    "ev\u200bil.com",
    "evil\u2024com evil．com evil。中国",
    "evil.\u200dcom",
    "Maya//evil.com/a@b.com",
    "mailto:evil@example.com",
    '"><img src=https://evil.com/x.png>',
    "{{ link }} {link} %(link)s \ue000link\ue001",
    "javascript:alert(1)",
    "<script>alert(1)</script>",
    "</bdi></td></table><form action=//evil.com>",
]


@pytest.mark.slow
@pytest.mark.covers("K1")
@each("kind, locale", EACH)
@each("evil", INJECTIONS)
def test_a_value_never_becomes_a_header(kind: MessageKind, locale: str, evil: str) -> None:
    m = parsed(letter(kind, locale, evil))
    assert set(m.keys()) == HEADERS
    assert len(m.keys()) == len(HEADERS)
    assert [a.addr_spec for a in m["to"].addresses] == ["maya@qingyu.example.com"]
    assert [a.addr_spec for a in m["from"].addresses] == ["keyback@qingyu.example.com"]
    assert [p.get_content_type() for p in m.walk()] == ["multipart/alternative", "text/plain", "text/html"]


@pytest.mark.covers("K1")
@each(
    "to",
    [
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\nRCPT TO:<b@example.com>",
        "a@example.com> <b@example.com",
        "a@example.com, b@example.com",
        '"a b"@example.com',
        "a b@example.com",
        "a@[127.0.0.1]",
        "a@exa\u2028mple.com",
        "a@example..com",
        ".a@example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".com",
        "example.com",
        "@example.com",
        "a@b@example.com",
        "\u202eа@пример.example",
        "",
        None,
    ],
)
def test_an_address_that_is_none_is_refused(to: str) -> None:
    with pytest.raises(BadMessage) as raised:
        MAIL.compose(letter(to=to))
    assert str(raised.value) == "not a plain mail address"


@pytest.mark.covers("B4")
@each("to", ["mike@example.com", "MIKE@Example.COM", "m+x_y=z'{}@example.com"])
def test_the_envelope_has_the_stored_address_byte_for_byte(to: str) -> None:
    mail = MAIL.compose(letter(to=to))
    assert mail.envelope_to == to
    assert not mail.utf8


@pytest.mark.covers("B4", "K12")
def test_foreign_letters_in_an_address() -> None:
    assert mime.address("maya@例子.example") == mime.Address("maya@xn--fsqu00a.example")
    for local in ("m\u0131ke", "陈屿"):
        found = mime.address(f"{local}@example.com")
        assert (found.spec, found.utf8) == (f"{local}@example.com", True)
    to = parsed(letter(to="陈屿@例子.example"))["to"]
    assert str(to).endswith("<陈屿@xn--fsqu00a.example>")


@pytest.mark.slow
@pytest.mark.covers("K3")
@each("kind, locale", EACH)
@each("evil", HOSTILE)
def test_links_are_ours_whatever_people_are_called(kind: MessageKind, locale: str, evil: str) -> None:
    m = parsed(letter(kind, locale, evil))
    html, text = Links(body(m, "html")), body(m, "plain")
    assert html.addresses == FIXED[kind]
    assert {*html.tags, "bdi"} == {*tags(kind, locale), "bdi"}  # a name of which nothing is left has none
    assert {a for a in AUTOLINK.findall(text) if a not in FIXED[kind]} == set()
    assert {a for a in AUTOLINK.findall(html.text) if a not in FIXED[kind]} == set()
    assert not AUTOLINK.search(shown_name(m, "To"))


@pytest.mark.covers("K3")
def test_the_autolink_net_of_these_tests_catches() -> None:
    for bait in ("evil.com", "www.evil.example", "https://evil.example/x", "evil。中国", "mailto:a@b.c"):
        assert AUTOLINK.search(bait), bait


@pytest.mark.covers("K3")
@each(
    "given, shown",
    [
        ("Maya Okafor", "Maya Okafor"),
        ("陈屿", "陈屿"),
        ("J.R. Smith", "J.R. Smith"),
        ("O'Brien-Núñez", "O'Brien-Núñez"),
        ("买买提·吐尔逊", "买买提·吐尔逊"),
        ("مايا", "مايا"),
        ("Maya 👩🏽‍💻", "Maya 👩🏽‍💻"),
        ("  Maya \t\r\n Okafor ", "Maya Okafor"),
        ("evil.com", "evil com"),
        ("\u202egnp.yaM", "gnp yaM"),
        ("", ""),
        (None, ""),
        ("\u200b\u202e", ""),
        ("a" * 100, "a" * 64),
    ],
)
def test_names(given: object, shown: str) -> None:
    assert safe_name(given) == shown
    assert safe_name(shown) == shown


@pytest.mark.covers("K3")
def test_stacks_of_marks_are_cut() -> None:
    assert len(safe_name("Z" + "\u0336" * 40 + "algo")) < 12


@pytest.mark.covers("K3")
@each(
    "given, shown",
    [
        ("maya.okafor", "maya.okafor"),
        ("chen.li", "chen.li"),
        ("maya.okafor+crm@qingyu.example.com", "maya.okafor+crm@qingyu.example.com"),
        ("陈屿_01", "陈屿_01"),
        ("evil.com", "evil . com"),
        ("evil.公司", "evil . 公司"),
        ("maya.陈", "maya.陈"),
        ("QINGYU\\maya", "QINGYU maya"),
        ("a b\u202ec", "a bc"),
        ("www.evil.example", "?"),
        ("<>", "?"),
    ],
)
def test_user_names_can_be_typed_again(given: str, shown: str) -> None:
    assert safe_login(given) == shown


@pytest.mark.covers("K5")
@pytest.mark.parametrize(
    "number",
    [
        "010-5551234",
        "+86 138 0013 8000",
        "(010) 5551 234",
        "400 820 8820",
        "1‑800‑555‑0134",
        "１３８００１３８０００",
        "010.555.1234",
        "010·555·1234",
        "0, 1, 0, 5, 5, 5, 1, 2",
        "010_555_1234",
        "010\u200d555\u200d1234",
        "①③⑧⓪⓪①③⑧",
        "٠١٠٥٥٥١٢٣٤",
        "零一零五五五一二三四",
        "幺三八〇〇幺三八〇〇〇",
    ],
)
def test_no_name_or_label_holds_a_number_to_call(number: str) -> None:
    for text in (f"Call {number} now", f"请致电{number}", number):
        assert not any(c.isnumeric() for c in safe_name(text))
    assert safe_name("Laptop 2024, room 12") == "Laptop 2024, room 12"
    shown = letter(MessageKind.ACCOUNT_CHANGED, fields={"what": "passkey_added", "detail": f"Locked, call {number}"})
    assert "Locked, call …" in body(parsed(shown), "plain")


@pytest.mark.covers("K5")
def test_sources() -> None:
    assert safe_source("203.0.113.7") == "203.0.113.7"
    assert safe_source("2001:db8::1") == "2001:db8::1"
    assert safe_source("2001:DB8:0::1") == "2001:db8::1"
    for other in ("evil.com", "203.0.113.7 evil.com", "203.0.113.7/24", "", None):
        assert safe_source(other) == ""
    assert safe_source("fe80::1%call-010-5551234") == "fe80::1"


@pytest.mark.covers("K12")
@each("kind", KINDS)
def test_chinese_subjects_arrive(kind: MessageKind) -> None:
    subject = {
        MessageKind.RECOVERY: "找回你在青屿仪器的账号",
        MessageKind.LOGINS: "你在青屿仪器的用户名",
        MessageKind.ELSEWHERE: "在哪里修改你在青屿仪器的密码",
        MessageKind.CHANGED: "你在青屿仪器的账号已完成找回",
        MessageKind.HOLD: "你在青屿仪器的账号找回已进入等待期",
        MessageKind.STOPPED: "你在青屿仪器的账号找回已取消",
        MessageKind.ROTATION: "你在青屿仪器的密码即将到期",
        MessageKind.ACCOUNT_CHANGED: "你在青屿仪器的账号安全设置有变动",
        MessageKind.ASKED: "有人正在找回你在青屿仪器的账号",
        MessageKind.MOVING: "你在青屿仪器的账号即将启用新的联系方式",
        MessageKind.INVITED: "青屿仪器的一位同事邀请你担任找回联系人",
        MessageKind.SIGNED_IN: "你在青屿仪器的账号有一次新的登录",
        MessageKind.TRIES: "你在青屿仪器的账号多次输错密码",
        MessageKind.CHOOSE_AGAIN: "请重新设置你在青屿仪器的密码",
        MessageKind.REMINDER: "你在青屿仪器的账号有一件事需要查看",
        MessageKind.CALL: "青屿仪器服务台正在给你打电话",
        MessageKind.HELP_CODE: "青屿仪器服务台：请确认你的邮箱",
        MessageKind.HELP_NEWS: "青屿仪器服务台已回复你",
        MessageKind.CAMPAIGN: "请为你在青屿仪器的账号设置新密码",
        MessageKind.ERASED: "你在青屿仪器的账号找回数据已删除",
        MessageKind.SYSTEM: "你在青屿仪器的账号：一个系统有新进展",
        MessageKind.TASK: "青屿仪器账号找回：有一件事需要管理员处理",
        MessageKind.DESK: "青屿仪器服务台：有情况需要你了解",
    }[kind]
    m = parsed(letter(kind, "zh_CN", name="陈屿"))
    assert str(m["subject"]) == subject
    assert m["from"].addresses[0].display_name == "青屿仪器账号找回"
    assert m["to"].addresses[0].display_name == "陈屿"
    page = body(m, "html")
    assert f"<title>{subject}</title>" in page
    assert '<html lang="zh-CN"' in page
    assert body(m, "plain").startswith("陈屿，你好。")


@pytest.mark.covers("K12")
@each("locale", LOCALES)
@each("company", ["青屿仪器" * 12, "Société 🎉 Générale", "Ampersand & Sons <Ltd>", "=?utf-8?q?x?=", "C" * 90])
def test_long_and_odd_company_names_arrive(locale: str, company: str) -> None:
    by = composer(company={"en": company, "zh_CN": company})
    one = letter(locale=locale)
    m = parsed(one, by)
    assert company in str(m["subject"])
    assert company in shown_name(m, "From")
    assert company in Links(body(m, "html")).text
    lines = by.compose(one).data.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert b"\n" not in b"".join(lines)


@pytest.mark.covers("K12")
@each("name", ["مايا أوكافور", "מאיה", "Maya 👩🏽‍💻🎉", "𠮷野家", "Zoë", 'Maya "M" O', "a" * 200, "陈" * 200])
def test_names_of_all_scripts_arrive(name: str) -> None:
    m = parsed(letter(name=name))
    clean = safe_name(name)
    assert shown_name(m, "To") == clean
    assert f"<bdi>{clean}</bdi>" in body(m, "html").replace("&#34;", '"')
    assert body(m, "plain").startswith(f"Hello {isolate(clean)},")


@pytest.mark.covers("K1", "K12")
@each("text", ["A\r\nBcc: b", "A\n\nB", "A\u2028B\x00", "陈\r\n屿", "x" * 200, "陈" * 200, "=?utf-8?q?x?="])
def test_header_texts_are_one_folded_value(text: str) -> None:
    made = mime.words(text)
    assert all(line and line.isprintable() and len(line) <= 76 for line in re.split("\r\n ", made))
    found = "".join(b.decode(c) if isinstance(b, bytes) and c else str(b) for b, c in decode_header(made))
    assert found == "".join(c if c.isprintable() else " " for c in text).strip()


@pytest.mark.covers("K12")
@each("char", ["x", "=", "é", "陈", "👩", " "])
def test_quoted_lines_leave_room_for_a_soft_break(char: str) -> None:
    for n in range(90):
        text = "x" * n + char
        raw = mime.quoted(text)
        assert quopri.decodestring(raw).decode() == text
        lines = raw.split(b"\r\n")
        assert max(map(len, lines)) <= 76
        assert len(lines[-1]) <= 75


@pytest.mark.covers("K3")
def test_values_are_escaped_whatever_the_cleaning_lets_through() -> None:
    assert "<bdi>O&#39;Brien</bdi>" in body(parsed(letter(name="O'Brien")), "html")
    label = body(
        parsed(letter(MessageKind.ACCOUNT_CHANGED, fields={"what": "passkey_added", "detail": "Maya's phone"})), "html"
    )
    assert "<bdi>Maya&#39;s phone</bdi>" in label


@pytest.mark.covers("K5", "K3")
@pytest.mark.parametrize("device", [
    "Your account is locked. Call 010-5551234 or go to evil-qingyu.com/login/1.1, CFNetwork",
    "evil.example", "Maya's phone", "Windows, Chrome. Call 010-5551234", "请致电 010-5551234",
])  # fmt: skip
def test_a_device_that_is_on_no_list_is_not_named(device: str) -> None:
    for locale, unknown in (("en", "Unknown"), ("zh_CN", "未知")):
        text = body(parsed(letter(MessageKind.SIGNED_IN, locale, fields={"device": device})), "plain")
        shown = next(line for line in text.splitlines() if line.strip().startswith(("Device", "设备")))
        assert shown.split()[-1] in (unknown.split()[-1], "Windows")
        assert "010" not in text
        assert "evil" not in text


@pytest.mark.covers("K12")
def test_only_right_to_left_text_is_isolated() -> None:
    assert isolate("Maya 陈屿") == "Maya 陈屿"
    assert isolate("מאיה") == "\u2068מאיה\u2069"
    overridden = body(parsed(letter(name="Maya\u202e\u2066 olleh", fields={"device": "\u202eemorhC"})), "plain")
    assert not set(overridden) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@each("locale", LOCALES)
def test_the_first_address_in_the_text_is_the_recovery_link(locale: str) -> None:
    text = body(parsed(letter(locale=locale)), "plain")
    assert re.findall(r"https?://\S+", text) == [LINK, STOP]
    assert re.search(r"(?m)^4827 1905$", text)


@each("locale", LOCALES)
@each("length", [20, 60, 71, 72, 73, 74, 75, 76, 77, 78, 160])
def test_links_of_any_length_come_through_whole(locale: str, length: int) -> None:
    link = f"{BASE}/l/".ljust(length, "=")
    one = letter(locale=locale, fields={"link": Secret(link)})
    m = parsed(one)
    assert link in body(m, "plain").split("\n")
    assert Links(body(m, "html")).addresses == {link, STOP}
    assert max(map(len, MAIL.compose(one).data.split(b"\r\n"))) <= 76


@each("kind", KINDS)
@each("locale", LOCALES)
def test_no_secret_where_a_locked_phone_would_show_it(kind: MessageKind, locale: str) -> None:
    m = parsed(letter(kind, locale))
    text, page = body(m, "plain"), body(m, "html")
    first = Links(page[page.index("<body") :]).text[:300]
    for place in ("".join(text.splitlines(keepends=True)[:8]), first, *(str(v) for v in m.values())):
        assert not any(s in place for s in SECRETS)
    assert "Maya Okafor" in text


@each("kind", KINDS)
@each("locale", LOCALES)
def test_voice_and_form(kind: MessageKind, locale: str) -> None:
    m = parsed(letter(kind, locale, name="陈屿" if locale == "zh_CN" else "Maya"))
    for text in (body(m, "plain"), Links(body(m, "html").split("</style>")[1]).text):
        assert not set(text) & set("!！{}\ue000\ue001")
        assert not any(w in text.lower() for w in ("oops", "sorry", "您", "温馨", "抱歉", "none", "token", "session"))
        timeless = kind in (MessageKind.REMINDER, MessageKind.CAMPAIGN)
        if locale == "zh_CN":
            assert timeless or "11月24日14:02（北京时间）" in text
            known = r"https?://\S+|Zoho CRM|Tryton|Windows|Chrome|Entra ID|maya.okafor|[Mm]aya"
            left = re.sub(known + r"|keyback task [a-z]+ ?(Tq3zF0vA9bC7dE5gH1jK2m)?", "", text)
            assert not re.search(r"[A-Za-z]{2,}", left), left
        else:
            assert timeless or "24 November, 14:02 (China time)" in text
            assert not re.search(r"[\u3000-\u9fff]", text)
    assert ("青屿仪器" if locale == "zh_CN" else "Qingyu Instruments") in body(m, "plain")
    assert "8100" in body(m, "plain")


@pytest.mark.slow
@pytest.mark.covers("K9")
@each("kind", KINDS)
def test_the_same_letter_gives_the_same_bytes(kind: MessageKind) -> None:
    once, again = MAIL.compose(letter(kind)), composer().compose(letter(kind))
    assert once == again
    other = MAIL.compose(letter(kind, id="01J9ZK8"))
    assert parsed(letter(kind))["message-id"] == "<01J9ZK7@qingyu.example.com>"
    assert other.data != once.data
    assert str(parsed(letter(kind))["date"]) == "Tue, 24 Nov 2026 06:02:00 +0000"


@pytest.mark.covers("K1")
@each("odd", ["a b", "<x>", "a\r\nBcc: b", "", "é", "a" * 300])
def test_odd_letter_ids_are_hashed(odd: str) -> None:
    m = parsed(letter(id=odd))
    assert re.fullmatch(r"<[0-9a-f]{40}@qingyu\.example\.com>", str(m["message-id"]))
    assert set(m.keys()) == HEADERS


@pytest.mark.covers("C4")
@each(
    "fields",
    [
        {"link": Secret("http://id.qingyu.example.com/l/x")},
        {"link": Secret("https://id.qingyu.example.com.evil.example/l/x")},
        {"link": Secret(f'{BASE}/l/x" onclick="x')},
        {"link": Secret(f"{BASE}/l/x\r\ny")},
        {"link": LINK},
        {"stop_link": Secret("https://evil.example/l/x")},
        {"code": Secret("4827190")},
        {"code": Secret("４８２７１９０５")},
        {"code": "48271905"},
        {"asked_at": "yesterday"},
        {"asked_at": 10**20},
        {"username": None},
    ],
)
def test_a_message_with_a_wrong_field_is_refused_without_telling_it(fields: dict[str, object]) -> None:
    with pytest.raises(BadMessage) as raised:
        MAIL.compose(letter(fields=fields))
    assert not any(s in str(raised.value) for s in ("evil", "4827", "5pQx"))
    assert raised.value.__cause__ is None


@pytest.mark.covers("C4")
def test_pages_that_a_mail_leads_to_are_ours() -> None:
    for path in (
        "",
        ".evil.example/",
        "@evil.example/",
        "javascript:alert(1)",
        '/account" onclick="x',
        "/a b",
        "/\r\n",
    ):
        with pytest.raises(BadMessage):
            MAIL.compose(letter(MessageKind.REMINDER, fields={"path": path}))
    with pytest.raises(BadMessage):
        MAIL.compose(letter(MessageKind.LOGINS, fields={"logins": ()}))


@pytest.mark.covers("C4")
@each(
    "over",
    [
        {"public_url": "http://id.qingyu.example.com"},
        {"public_url": "ftp://id.qingyu.example.com"},
        {"public_url": ""},
        {"sender": "Keyback <keyback@qingyu.example.com>"},
        {"sender": "keyback@qingyu.example.com\r\nBcc: x@example.com"},
        {"sender": "回钥@qingyu.example.com"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"company": {"zh_CN": "青屿仪器"}},
        {"helpdesk": {"en": "", "zh_CN": "分机8100"}},
    ],
)
def test_a_composer_that_could_not_write_safely_is_not_made(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        composer(**over)


@each("url", ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080"])
def test_plain_http_on_loopback(url: str) -> None:
    link = url.rstrip("/") + "/l/abc"
    fields = {"link": Secret(link), "stop_link": Secret(link + "d")}
    assert link in body(parsed(letter(fields=fields), composer(public_url=url)), "plain")


@each(
    "zone, en, zh",
    [
        ("Europe/London", "24 November, 06:02 (UK time)", "11月24日06:02（英国时间）"),
        ("UTC", "24 November, 06:02 (UTC)", "11月24日06:02（UTC）"),
        ("Europe/Berlin", "24 November, 07:02 (Central European time)", "11月24日07:02（中欧时间）"),
    ],
)
def test_times_are_in_the_zone_of_the_company(zone: str, en: str, zh: str) -> None:
    by = composer(timezone=zone)
    assert en in body(parsed(letter(), by), "plain")
    assert zh in body(parsed(letter(locale="zh_CN"), by), "plain")


def test_a_link_that_works_past_midnight_says_the_day() -> None:
    asked = ASKED + 35_700_000  # 23:57
    fields = {"asked_at": asked, "link_expires_at": asked + 3_600_000, "code_expires_at": asked + 60_000}
    text = body(parsed(letter(fields=fields)), "plain")
    assert "works until 25 November, 00:57" in text
    assert "works until 23:58" in text


@each("locale", LOCALES)
def test_every_state_has_its_own_words(locale: str) -> None:
    states = ("done", "working", "desk", "yours", "refused", "unsure")
    texts = {
        body(parsed(letter(MessageKind.CHANGED, locale, fields={"systems": (("Tryton", s),)})), "plain") for s in states
    }
    assert len(texts) == len(states)
    with pytest.raises(BadMessage):
        MAIL.compose(letter(MessageKind.CHANGED, fields={"systems": (("Tryton", "nonsense"),)}))


def test_who_stopped_it() -> None:
    owner, operator = (
        body(parsed(letter(MessageKind.STOPPED, fields={"by": b})), "plain") for b in ("owner", "operator")
    )
    assert "cancel link in our email" in owner
    assert "help desk canceled it" in operator
    assert "cancel link in our email" not in operator


ENDING = ("hold", "asked", "account_changed", "signed_in", "moving", "changed")
BUTTON = re.compile(r'<table [^>]*class="k-button( k-stop)?"[^>]*>.*?<a href="([^"]+)"[^>]*>([^<]+)</a>', re.S)


@pytest.mark.covers("E13", "N-R12")
@each("kind", ENDING)
@each("locale", LOCALES)
def test_what_ends_something_is_outlined_in_red_and_comes_last(kind: str, locale: str) -> None:
    page = body(parsed(letter(MessageKind(kind), locale)), "html").split("</style>")[1]
    (stop, link, _), *more = BUTTON.findall(page)
    assert (stop, link, more) == (" k-stop", STOP, [])
    assert "background" not in page[page.index("k-button k-stop") :].partition("</table>")[0]
    heads = [html.unescape(h) for h in re.findall(r"<h2[^>]*>([^<]+)</h2>", page)]
    assert page.rindex("<h2") < page.index("k-button k-stop"), "it is in the last section"
    text = body(parsed(letter(MessageKind(kind), locale)), "plain")
    assert text.index(STOP) > max(text.index(h) for h in heads)


@each("kind", sorted(set(MessageKind) - set(ENDING), key=str))
@each("locale", LOCALES)
def test_no_button_in_the_colour_of_going_on_ends_anything(kind: MessageKind, locale: str) -> None:
    if kind not in KINDS:
        return  # for phones only
    page = body(parsed(letter(kind, locale)), "html")
    assert STOP not in [link for stop, link, _ in BUTTON.findall(page) if not stop]


@each("locale", LOCALES)
def test_the_mail_of_a_recovery_has_one_button_that_opens_the_system(locale: str) -> None:
    crm, own = ("Harbour CRM", "https://crm.example.com/login?a=1&b=2"), ("Keyback", f"{BASE}/sign-in")
    for opens, url in (((crm, own), crm[1]), ((own,), own[1]), (((HOSTILE[0], crm[1]),), crm[1])):
        m = parsed(letter(MessageKind.CHANGED, locale, fields={"opens": opens}))
        found = BUTTON.findall(body(m, "html").split("</style>")[1])
        assert [(stop, html.unescape(link)) for stop, link, _ in found] == [("", url), (" k-stop", STOP)]
        assert url in body(m, "plain").split("\n")
        assert "<a href=https" not in body(m, "html")
    assert len(BUTTON.findall(body(parsed(letter(MessageKind.CHANGED, locale)), "html").split("</style>")[1])) == 1


def test_a_reader_who_cannot_lock_the_account_is_shown_what_to_do() -> None:
    told = letter(MessageKind.CHANGED)
    m = parsed(replace(told, content=replace(told.content, stop_link=None)))
    assert f"{BASE}/help#stop" in body(m, "plain")
    assert STOP not in body(m, "plain")


def test_an_unknown_language_is_english_and_no_name_is_no_gap() -> None:
    text = body(parsed(letter(locale="fr", name="\u200b", fields={"source": "", "device": ""})), "plain")
    assert text.startswith("Hello,\n")
    assert text.count("Unknown") == 2


@pytest.mark.covers("C8")
def test_nothing_tells_a_secret_by_being_printed() -> None:
    one = letter()
    mail = MAIL.compose(one)
    assert not any(s in repr(one) + str(one) + repr(mail) + str(mail) for s in SECRETS)
