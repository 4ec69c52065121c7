"""What a browser says of itself becomes words of our own list, or none (K5), at a cost that its length bounds (O5)."""

from __future__ import annotations

import re

import pytest

from keyback.application.origin import BROWSERS, DEVICES, MAX_AGENT, SYSTEMS, Origin, device_words, plain_address

MOZILLA = "Mozilla/5.0 "
REAL = {
    "(Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36": "Windows, Chrome",
    "(Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0": "Windows, Edge",
    "(Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko": "Windows, Internet Explorer",
    "(X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "Linux, Firefox",
    "(X11; CrOS x86_64 15917.71.0) AppleWebKit/537.36 Chrome/141.0 Safari/537.36": "ChromeOS, Chrome",
    "(Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15": "macOS, Safari",
    "(iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/141.0 Mobile Safari/604.1": "iOS, Chrome",
    "(iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Version/16.6 Mobile Safari/604.1": "iPadOS, Safari",
    "(Linux; Android 14; SM-S918B) AppleWebKit/537.36 SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36":
        "Android, Samsung Internet",
    "(Linux; Android 13) AppleWebKit/537.36 Chrome/116.0 Mobile Safari/537.36 MicroMessenger/8.0.49": "Android, WeChat",
    "(Windows NT 10.0) Chrome/116.0 Safari/537.36 wxwork/4.1.30 MicroMessenger/7.0.1": "Windows, WeCom",
    "(Linux; Android 12; HarmonyOS; NOH-AN00) AppleWebKit/537.36 Chrome/114.0 HuaweiBrowser/15.0 Mobile Safari/537.36":
        "HarmonyOS, Huawei Browser",
    "(Linux; Android 13) Chrome/110.0 Mobile Safari/537.36 AliApp(DingTalk/7.6)": "Android, DingTalk",
}  # fmt: skip
SENTENCE = "Your account is locked. Call 010-5551234 or go to evil-qingyu.com/login/1.1 CFNetwork/1 Darwin/1"


@pytest.mark.parametrize(("said", "words"), REAL.items())
def test_browsers_that_people_have_are_named(said: str, words: str) -> None:
    assert device_words(MOZILLA + said) == words
    assert device_words(words) == words, "words made once stay as they are"


@pytest.mark.covers("K5")
@pytest.mark.parametrize(
    "said",
    [
        SENTENCE, "", "curl/8.9.1", "python-requests/2.32", "-", "Your password expires, evil.example/1.0", "Windows, ",
        "请拨打 010-5551234", "\x00\x1b[2J\u202e", "Chrome", "Windows, Chrome <b>", f"Windows, {SENTENCE}",
        f"Mozilla/5.0 ({SENTENCE}) Chrome/{SENTENCE} Safari/1", f"Mozilla/5.0 (Windows NT 10.0; {SENTENCE}) Firefox/1",
    ],
)  # fmt: skip
def test_nothing_but_words_of_our_own_list_comes_out(said: str) -> None:
    assert device_words(said) in DEVICES | {""}
    assert Origin("203.0.113.7", said).agent in DEVICES | {""}
    if said == SENTENCE:
        assert device_words(said) == ""


@pytest.mark.covers("K5")
def test_every_word_of_the_list_is_a_name_without_a_number_or_an_address() -> None:
    for words in (*SYSTEMS, *BROWSERS):
        assert re.fullmatch(r"(360|[A-Za-z]+)( [A-Z][a-z]+)?", words), words
    assert max(map(len, DEVICES)) <= 40


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        ("iOS, Mobile Safari", "iOS, Safari"), ("Mac OS X, Chrome", "macOS, Chrome"),
        ("Ubuntu, Firefox", "Linux, Firefox"), ("Android, Chrome Mobile", "Android, Chrome"),
        ("Windows", "Windows"), ("Other thing, Chrome", ""),
    ],
)  # fmt: skip
def test_what_an_earlier_version_wrote_down_is_still_told_apart(earlier: str, now: str) -> None:
    assert device_words(earlier) == now


@pytest.mark.covers("O5")
def test_a_header_of_any_length_costs_as_much_as_a_short_one() -> None:
    class Said(str):
        """Remembers the longest part of itself that was worked on."""

        seen = 0

        def __getitem__(self, key: object) -> str:
            out = str(self)[key]  # type: ignore[index]
            Said.seen = max(Said.seen, len(out))
            return out

        def lower(self) -> str:
            raise AssertionError("the whole header was looked through")

        split = find = __iter__ = lower  # type: ignore[assignment]

    for bait in ("Linux Android " * 2300, "Chrome/" * 5000, "(" * 30_000, "Windows, " * 3000):
        device_words(Said(bait))
    assert Said.seen == MAX_AGENT


@pytest.mark.covers("K5")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"), ("2001:DB8::0:1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"), (f"fe80::1%{SENTENCE}", "fe80::1"), ("evil.example", ""), ("1" * 5000, ""),
        ("", ""), ("203.0.113.7:4711", ""), ("٢٠٣.0.113.7", ""),
    ],
)  # fmt: skip
def test_an_address_is_an_address_and_nothing_else(given: str, kept: str) -> None:
    assert plain_address(given) == kept
