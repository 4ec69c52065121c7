"""Which language somebody is answered in, and what is shown where one has no text."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyback.application.people.csv_words import locale_of
from keyback.domain.people.help_words import language_of
from keyback.locale import LANGUAGES, LOCALES, all_told, choose, gettext, gettext_of, languages, told, with_all
from keyback.locale.dates import day, moment, zone_name
from keyback.settings_texts import InLanguages, OwnTexts
from tests.support.each import each

ALL = ("en", "ja", "zh_CN", "zh_TW")


@pytest.fixture(autouse=True)
def every_language_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose texts are still being written."""
    monkeypatch.setattr(languages, "LOCALES", ALL)
    monkeypatch.setattr("keyback.application.people.csv_words.LOCALES", ALL)


@each(
    ("header", "code"),
    [
        ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh_TW"),
        ("zh-HK", "zh_TW"),
        ("zh-Hant", "zh_TW"),
        ("zh-Hant-HK", "zh_TW"),
        ("ZH-hant-CN", "zh_TW"),
        ("yue", "zh_TW"),
        ("yue-Hans", "zh_CN"),
        ("zh", "zh_CN"),
        ("zh-CN,zh;q=0.9", "zh_CN"),
        ("zh-SG", "zh_CN"),
        ("zh-Hans-TW", "zh_CN"),
        ("ja-JP,en;q=0.5", "ja"),
        ("en;q=0.3,ja;q=0.4", "ja"),
        ("fr-FR, ja;q=0.2", "ja"),
        ("ja;q=0,zh-MO;q=0.1", "zh_TW"),
        ("de, *;q=0.5", "en"),
        ("jam, zhx", "en"),
        ("", "en"),
        (";q=1,,;", "en"),
        ("zh-TW;q=x,ja", "ja"),
    ],
)
def test_a_browser_gets_the_first_language_that_there_is(header: str, code: str) -> None:
    assert choose(None, header) == code


def test_what_is_asked_for_comes_before_what_the_browser_says() -> None:
    assert choose("zh-TW", "ja") == "zh_TW"
    assert choose("zh_TW", "ja") == "zh_TW"
    assert choose("tlh", "ja") == "ja"
    assert choose("tlh", "nv", "zh_CN") == "zh_CN"


def test_a_language_that_is_not_whole_yet_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "LOCALES", ("en", "zh_CN"))
    assert [choose(None, x) for x in ("zh-TW", "zh-Hant-HK", "ja", "ja,zh-TW")] == ["zh_CN", "zh_CN", "en", "zh_CN"]


@each(
    ("said", "code"),
    [
        ("zh_TW", "zh_TW"), ("zh-Hant-TW", "zh_TW"), ("zh_HK.UTF-8", "zh_TW"), ("1028", "zh_TW"), ("繁體中文", "zh_TW"),
        ("Chinese (Traditional)", "zh_TW"), ("Chinese (Hong Kong SAR)", "zh_TW"), ("CHT", "zh_TW"), ("國語", "zh_TW"),
        ("zh", "zh_CN"), ("2052", "zh_CN"), ("简体中文（中国）", "zh_CN"), ("Chinese", "zh_CN"), ("zh-SG", "zh_CN"),
        ("ja", "ja"), ("ja_JP", "ja"), ("日本語", "ja"), ("Japanese", "ja"), ("1041", "ja"), ("日语", "ja"),
        ("English (Hong Kong)", "en"), ("en-AU", "en"), ("klingon", None), ("de_DE", None), ("", None),
    ],
)  # fmt: skip
def test_what_other_systems_call_a_language(said: str, code: str | None) -> None:
    assert locale_of(said) == code


def test_a_company_that_has_two_languages_is_shown_in_all() -> None:
    name = InLanguages(en="Qingyu Instruments", zh_CN="青屿仪器")
    assert [name.of(code) for code in ALL] == ["Qingyu Instruments", "Qingyu Instruments", "青屿仪器", "青屿仪器"]
    assert set(name.texts()) == set(LOCALES)
    assert InLanguages(en="Qingyu", zh_TW="青嶼").of("zh_CN") == "青嶼"
    assert OwnTexts().read() == {}
    assert set(OwnTexts(ja="ようこそ").read()) == {"ja"}


def test_a_text_that_is_missing_is_shown_in_the_language_that_this_one_falls_back_to(tmp_path: Path) -> None:
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (tmp_path / "zh_CN.po").write_text(head + 'msgid "Swipe it"\nmsgstr "刷一下"\n', "utf-8")
    said = [gettext_of(tmp_path, code, "Swipe it") for code in ALL]
    assert said == ["Swipe it", "Swipe it", "刷一下", "刷一下"]
    assert gettext("zh_TW", "no such {thing}", thing="x") == "no such x"
    assert told({"en": "a", "zh_CN": "甲"}, "zh_TW") == "甲"
    assert told({"zh_CN": "甲"}, "ja") == "甲", "better than nothing"
    assert all_told({"en": ("a", "b"), "zh_CN": ("甲", "乙")}, "zh_TW") == ("甲", "乙")
    assert with_all({"en": "a", "zh_CN": "甲"})["zh_CN"] == "甲"


@each("code", LANGUAGES)
def test_a_language_says_all_that_is_asked_of_it(code: str) -> None:
    from zoneinfo import ZoneInfo

    x, zone, at = LANGUAGES[code], ZoneInfo("Asia/Tokyo"), 1_795_500_120_000
    assert x.name
    assert x.tag
    assert x.asked
    assert "{}" in x.aside
    assert set(x.dates) == {"day", "long", "short"}
    assert "2026" in day(code, at, zone)
    assert [form for form in ("long", "short", "clock") if "15:02" not in moment(code, at, zone, form)] == []
    assert zone_name(code, zone)


@each(
    ("text", "code"), [("我忘記密碼了", "zh_TW"), ("忘记密码", "zh_CN"), ("パスワードを忘れた", "ja"), ("help", "en")]
)
def test_a_bot_answers_in_the_characters_that_it_is_asked_in(text: str, code: str) -> None:
    assert language_of(text) == code
