"""What stands in an SMS or chat message, in both languages, and what never does."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.ports.channels import Message
from keyback.application.ports.messages import CONTENTS, BadMessage, MessageKind
from keyback.channels.gateways.texts import PhoneTexts
from keyback.domain.secret import Secret
from keyback.testing.channels import BASE, CODE, COMPANY, NOW, short_letter
from tests.support.each import each

TEXTS = PhoneTexts(COMPANY, "Asia/Shanghai", BASE)
GSM = set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ÄÖÑÜ§¿äöñüà")
GSM |= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")  # 3GPP TS 23.038, without the extension table
LINK = f"{BASE}/l/abcdefghijklmnopqrstuv"
SEEN = {"username": "maya", "source": "", "device": ""}
NOTICES = {
    MessageKind.CHANGED: {**SEEN, "at": NOW, "systems": (), "case": "k"},
    MessageKind.STOPPED: {"username": "maya", "at": NOW, "by": "owner"},
    MessageKind.ERASED: {"username": "maya", "at": NOW},
    MessageKind.CALL: {"username": "maya", "operator": "Ines", "reason": "request", "number": 42, "at": NOW},
    MessageKind.ASKED: {**SEEN, "at": NOW, "stop_link": Secret(LINK), "what": "helper_asked"},
    MessageKind.HOLD: {**SEEN, "at": NOW, "until": NOW + 3_600_000, "stop_link": Secret(LINK), "over": False},
}


LONG = (MessageKind.HOLD, MessageKind.ASKED)


def text(letter: Message, now: int = NOW) -> str:
    return TEXTS.compose(letter, now).text


def code_letter(locale: str = "en", channel: str = "sms", purpose: str = "recovery", **over: Any) -> Message:
    one = short_letter(1, channel, "+8613800138000" if channel == "sms" else "maya.okafor", NOW, locale=locale, **over)
    return replace(one, content=replace(one.content, purpose=purpose))


def notice(kind: MessageKind, locale: str, channel: str = "sms", **fields: Any) -> Message:
    return replace(code_letter(locale, channel), content=CONTENTS[kind](**NOTICES[kind] | fields))


@each("purpose", ["recovery", "enrol", "step_up", "sign_in"])
def test_a_code_fits_one_sms(purpose: str) -> None:
    english, chinese = text(code_letter("en", purpose=purpose)), text(code_letter("zh_CN", purpose=purpose))
    assert set(english) <= GSM
    assert len(english) <= 160
    assert len(chinese) <= 70
    for said in (english, chinese):
        assert "10" in said
        assert said.count(CODE) == 2
    assert "Never share it" in english
    assert "不要告诉任何人" in chinese


def test_the_purposes_read_differently() -> None:
    assert len({text(code_letter("zh_CN", purpose=p)) for p in ("recovery", "enrol", "step_up")}) == 3


def test_the_last_line_binds_the_code_to_our_address() -> None:
    """WICG, "Origin-bound one-time codes delivered via SMS": `@host #code`, and nothing after it."""
    for locale in ("en", "zh_CN"):
        assert re.fullmatch(rf"[^\n]+\n@id\.qingyu\.example\.com #{CODE}", text(code_letter(locale)))
        assert "\n" not in text(code_letter(locale, "im"))


def test_the_minutes_are_those_that_are_left() -> None:
    late = text(code_letter(), NOW + 4 * 60_000)
    assert "for 6 minutes" in late
    assert "for 10 minutes" in text(code_letter(), NOW + 59_000)
    assert "for 1 minutes" in text(code_letter(), NOW + 599_000)


@each("kind", list(NOTICES))
def test_notices_are_short_and_name_nobody(kind: MessageKind) -> None:
    english, chinese = text(notice(kind, "en")), text(notice(kind, "zh_CN"))
    assert set(english) <= GSM
    assert len(english) <= 160 if kind not in LONG else len(english) <= 306  # two SMS: the link is long
    assert len(chinese) <= (67 * 2 if kind in LONG else 70)
    for said in (english, chinese):
        assert "Maya" not in said
        assert "maya" not in said
    assert "11月24日14:02" in text(notice(MessageKind.CHANGED, "zh_CN"))
    assert text(notice(kind, "en")) == text(notice(kind, "en", "im"))


def test_the_hold_has_the_link_that_stops_it_before_and_after() -> None:
    for over in (False, True):
        assert text(notice(MessageKind.HOLD, "en", over=over)).endswith(LINK)
    assert text(notice(MessageKind.HOLD, "en", over=True)) != text(notice(MessageKind.HOLD, "en"))


def test_templates_get_the_parts_and_no_address_of_ours() -> None:
    assert TEXTS.compose(code_letter(), NOW).params == {"code": CODE, "minutes": "10"}
    assert TEXTS.compose(notice(MessageKind.HOLD, "en"), NOW).params["token"] == "abcdefghijklmnopqrstuv"


@pytest.mark.covers("INV-I4")
def test_a_message_shows_neither_code_nor_address() -> None:
    shown = repr(TEXTS.compose(code_letter(), NOW))
    assert CODE not in shown
    assert "138" not in shown


@each(
    "channel, to",
    [
        ("sms", "13800138000"),
        ("sms", "+8613800138000,+8613800138001"),
        ("sms", "+86 138 0013 8000"),
        ("sms", "+1900555012"),
        ("sms", "+19005550123"),  # premium rate
        ("sms", "maya@example.com"),
        ("im", "@all"),
        ("im", "maya|liwei"),
        ("im", "maya,liwei"),
        ("im", "maya&touser=boss"),
        ("im", "a\r\nb"),
        ("im", ""),
        ("im", "a" * 129),
    ],
)
def test_an_address_that_means_something_else_is_refused(channel: str, to: str) -> None:
    with pytest.raises(BadMessage) as raised:
        text(replace(code_letter(channel=channel), to=to))
    assert not to or to not in str(raised.value)


@each(
    "fields",
    [
        {"code": Secret("12345678")},
        {"code": "482719"},
        {"code": None},
        {"expires_at": "soon"},
        {"purpose": "lottery"},
        {"purpose": ""},
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, Any]) -> None:
    one = code_letter()
    with pytest.raises(BadMessage) as raised:
        text(replace(one, content=replace(one.content, **fields)))
    assert CODE not in str(raised.value)


@pytest.mark.covers("C8")
def test_a_link_that_is_not_ours_is_refused() -> None:
    for url in ("https://evil.example/l/x", f"{BASE}.evil.example/l/x", f"{BASE}/l/x\nmore"):
        with pytest.raises(BadMessage):
            text(notice(MessageKind.HOLD, "en", stop_link=Secret(url)))


ALIKE = {**SEEN, "at": NOW, "detail": "", "stop_link": Secret(LINK)}
MAIL_ALONE = {
    MessageKind.LOGINS: {"asker": "known", "asked_at": NOW, "source": "", "device": "", "logins": ()},
    MessageKind.ROTATION: {"username": "maya", "due_at": NOW},
    MessageKind.MOVING: {**ALIKE, "what": "mail_moving", "until": NOW},
    MessageKind.SIGNED_IN: {**ALIKE, "what": "new_sign_in"},
}


@each("kind", list(MAIL_ALONE))
def test_what_is_for_mail_is_not_sent_to_phones(kind: MessageKind) -> None:
    with pytest.raises(BadMessage, match=f"carries no {kind}"):
        text(replace(code_letter(), content=CONTENTS[kind](**MAIL_ALONE[kind])))


def test_a_chat_code_does_not_go_by_sms() -> None:
    with pytest.raises(BadMessage):
        text(replace(code_letter(), content=code_letter(channel="im").content))


def test_japanese_codes_fit_one_sms_and_so_do_notices_without_a_link() -> None:
    """70 characters, as in Chinese; a link of ours alone takes half of them."""
    texts = PhoneTexts({"en": "Qingyu Instruments", "ja": "青嶼計器"}, "Asia/Tokyo", BASE)
    codes = [code_letter("ja", purpose=p) for p in ("recovery", "enrol", "step_up", "sign_in")]
    said = [texts.compose(m, NOW).text for m in (*codes, *(notice(kind, "ja") for kind in NOTICES))]
    assert [t for t in said if len(t) > (134 if "https://" in t else 70)] == []
    assert [t for t in said[: len(codes)] if "共有しないで" not in t or t.count(CODE) != 2] == []
    assert [t for t in said if "青嶼計器：" not in t or "Maya" in t] == []
