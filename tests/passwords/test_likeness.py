"""Passwords that look long and hold little: separators, repetitions, runs, and known names in disguise."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyback.domain.passwords import folding, monotony, similarity
from keyback.domain.passwords.rules import PRESETS, Blocklist, Context, Rules, check
from tests.support.each import each

NIST = PRESETS["nist"]
JUDGES = {folding.__file__, similarity.__file__, monotony.__file__}
COMMON = Blocklist(["password", "dragon", "letmein", "woaini1314", "sunshine"])
OFFICE = Context(
    companies=("Qingyu Instruments", "青屿仪器"),
    systems=("Keyback", "回钥", "CRM"),
    usernames=("leila.farouk",),
    names=("Leila Farouk", "陈美雅"),
    mails=("leila.farouk@qingyu.example",),
)

SEPARATORS = [
    *(
        sign * 15
        for sign in " -._\u3000\u00a0\u2003\u2028—。＿~★\u00ad\u200b\u2060\u0301\u20dd\u115f\u3164\uffa0\u2800"
    ),
    "- - - - - - - -",
    "-=-=-=-=-=-=-=-=",
    "...---...---...",
    "".join(map(chr, range(0x301, 0x311))),  # combining marks alone, no two alike
    " \u00a0\u2003\u3000\u2009" * 3,
    "\u200b\u200c\u200d\u2060\ufeff" * 3,
    "x..............",
    "x . . . . . . .",
    "abc------------",
    "a\u200ba\u00ada\u2060a\u200ba\u00ada\u2060a\u200ba\u00ad",
]
REPEATED = [
    "abcdeabcdeabcdeab",
    "abcdeabcdeabcde",
    "walnutwalnutwal",
    "walnut-walnut-wa",
    "abcdabcdabcd2026",
    "aaaaaaaaaaaaaab",
    "а" * 15,  # Cyrillic
    "ａ" * 15,
    "é" * 15,
    "ㅋ" * 15,
    "哈" * 9 + "嘿" * 6,
    "我爱你" * 5,
    "😀😃" * 8,
    "😀 " * 8,
    "❤️" * 15,
    "👍🏻" * 8,
    "1990-1990-1990-1",
    "a-!a-!a-!a-!a-!",
]
RUNS = [
    "!QAZ@WSX#EDC$RFV",
    "!@#$%^&*()_+!@#",
    "q-w-e-r-t-y-u-i-o-p",
    "qwertyuiop-2026!",
    "qweasdzxc123456",
    "q1w1e1r1t1y1u1i1",
    "azertyuiopqsdfg",
    "йцукенгшщзхъфыв",
    "一二三四五六七八九十一二三四五",
    "甲乙丙丁戊己庚辛壬癸甲乙丙丁戊",
    "①②③④⑤⑥⑦⑧⑨①②③④⑤⑥",
    "ponm-lkji-hgfe-dcba",
]
LISTED = [
    "drowssap-drowssap",
    "dr0wss4p-2026!!!",
    "p.a.s.s.w.o.r.d.1",
    "p!a!s!s!w!o!r!d!",
    "p1a2s3s4w5o6r7d8",
    "sunshinesunshinesuns",
    "𝐬𝐮𝐧𝐬𝐡𝐢𝐧𝐞-𝟐𝟎𝟐𝟔!!!",
    "enihsnus-enihsnus",
]
NAMES = [
    "kuoraf.alielkuoraf.aliel",
    "kcabyek kcabyek",
    "kc4by3k-kc4by3k",
    "KcabyekKcabyekKca",
    "leila.farouk@qingyu.example",
    "l3il4.far0uk@qingyu.ex4mple",
    "1ei1a.f@r0uk@q!ngyu.3x@mp1e",
    "leila.farouk at qingyu dot example",
    "elpmaxe.uygniq@kuoraf.aliel",
    "leila.farouk@qingyu.examp",
    "qingyu.example.qingyu.example",
    "leila.faroukleila.far",
    "aroukleilafaroukleil",
    "F4r0uk L31l4 F4r0uk",
    "Ｋｅｙｂａｃｋ２０２６１２３４",
    "𝐊𝐞𝐲𝐛𝐚𝐜𝐤-20261234",
    "Kéýbäčk Kéýbäčk",
    "k\u0336e\u0336y\u0336b\u0336a\u0336c\u0336k\u0336 2026",
    "k\u200be\u200by\u200bb\u200ba\u200bc\u200bk 2026",
    "k!e!y!b!a!c!k!2026",
    "k1e1y1b1a1c1k1 20",
    "k e y b a c k 2 0 2 6",
    "Leila Farouk Qingyu Keyback",
    "qingyu instruments 6",
    "青屿仪器青屿仪器青屿仪器青屿",
    "器仪屿青器仪屿青器仪屿青器仪屿青",
    "雅美陈 19900101 1234",
    "keyback" * 30,
    "crm-mrc-crm-mrc-1",
]
NEW_KINDS = [
    "20261128202611282026",  # a unit of eight, with the last one cut off
    "hunter42hunter42",
    "Vp7#kQ2!zVp7#kQ2!z",
    "teapot-ladder/TEAPOT-LADDER",  # as long as its unit: fourteen, where fifteen are asked for
    "112233445566778899",
    "aabbccddeeffgghhii",
    "qqqwwweeerrrtttyyy",
    "раsswоrdраsswоrd",  # Cyrillic а, о, р
    "kuоraf kuоraf kuo",
]
GOOD = [
    "walnut harbours",
    "correct horse cutlery staple",
    "the keyback keeps a walnut",
    "leila walks her dog to the harbour",
    "tea for two and two for tea",
    "row row row your boat gently",
    "no news is good news today",
    "hush little baby",
    "one two three four five six",
    "under the mango tree 1987",
    "my dog ate 7 walnuts at noon",
    "buffalo buffalo chase bison",
    "aaaa bbbb cccc dd",
    "Xk3#qPz9-mB7!vL2",
    "vK9-tR4-xW2-pL7",
    "{}[]<>?/~^&*-_=:",
    "a1b9c7e2f4d8a3b5",
    "f3a91c77e0b24d58",
    "550e8400-e29b-41d4-a716-446655440000",
    "9384756102938475",
    "春眠不觉晓处处闻啼鸟夜来风雨声",
    "床前明月光 疑是地上霜 举头望明月",
    "青屿的早晨有雾也有灯塔的光亮呀",
    "我家的猫喜欢在下雨天晒太阳呢呀",
    "陈皮和美酒放在雅致的柜子里面呢",
    "我的猫 likes walnuts",
    "私は毎朝コーヒーを飲みますよねえ",
    "안녕 나는 호두를 좋아해 정말로",
    "नमस्ते दुनिया कैसे हैं",
    "Привет это длинная фраза",
    "🐈🌧️🎹🚲🍋📚🌊🏔️🎈🧵🦔🍀🥝🎻🔭",
]


def codes(password: str, rules: Rules = NIST, context: Context = OFFICE) -> set[str]:
    return {v.code for v in check(password, rules, context, COMMON)}


def wrong(passwords: list[str], code: str, rules: Rules = NIST) -> list[str]:
    return [p for p in passwords if code not in codes(p, rules)]


@pytest.mark.covers("D27", "N-P10")
def test_separators_and_what_nobody_sees_make_no_password() -> None:
    assert wrong(SEPARATORS, "blocklisted") == []


@pytest.mark.covers("D27", "N-P10")
def test_what_repeats_is_refused_cut_off_and_padded_too() -> None:
    assert wrong(REPEATED, "blocklisted") == []


@pytest.mark.covers("D27", "N-P10")
def test_runs_are_seen_through_shift_separators_and_scripts() -> None:
    assert wrong(RUNS, "blocklisted") == []


@pytest.mark.covers("D27", "N-P10", "A-6.2.4")
def test_listed_ones_are_refused_backwards_interleaved_and_cut_off() -> None:
    assert wrong(LISTED, "blocklisted") == []


@pytest.mark.covers("D27", "N-P1", "N-P10")
def test_a_repetition_holds_as_long_as_its_unit() -> None:
    assert wrong(NEW_KINDS, "blocklisted") == []
    assert codes("walnutharbourwalnutharbour", Rules("eight", 8, 8)) == set(), "where eight are enough"
    assert codes("teapot ladder nine teapot ladder nine") == set(), "a unit of eighteen is long enough"


@pytest.mark.covers("D07", "N-P10", "A-6.2.11")
def test_names_in_letters_that_look_alike_are_known() -> None:
    for name in ("Kеybасk Kеybасk", "qіngуu-qіngуu-2026", "青屿仪器2026年新密码", "КЕYВАСК 2026 2027"):
        assert "context_word" in codes(name), name


@pytest.mark.covers("D07", "N-P10", "A-6.2.11")
def test_known_names_are_refused_in_every_disguise() -> None:
    assert wrong(NAMES, "context_word") == []


@pytest.mark.covers("D27", "D07", "SD-D3")
@each("rules", PRESETS.values(), ids=PRESETS)
def test_every_preset_judges_alike(rules: Rules) -> None:
    assert wrong([*SEPARATORS, *REPEATED, *RUNS, *LISTED], "blocklisted", rules) == []
    assert wrong(NAMES, "context_word", rules) == []


@pytest.mark.covers("D27", "D07", "N-P4", "N-P3")
def test_phrases_and_what_a_machine_makes_are_taken() -> None:
    assert {p: found for p in GOOD if (found := codes(p))} == {}


@pytest.mark.covers("D07")
def test_only_the_whole_is_judged_never_a_part() -> None:
    assert codes("keyback walnut 2026") == set()
    assert codes("walnut kcabyek harbour") == set()
    assert "context_word" not in codes("leila.farouk@qingyu.example walnut harbour")


@given(st.text(" .-_\u3000", max_size=3), st.sampled_from(["keyback", "leilafarouk", "qingyuinstruments"]))
def test_a_name_stays_one_whatever_separates_its_letters(between: str, name: str) -> None:
    assert "context_word" in codes(between.join(name) + " 2026 2027")
    assert "context_word" in codes(between.join(reversed(name)) + " 2026 2027")


@pytest.mark.slow
@pytest.mark.covers("INV-I10", "L1")
def test_the_longest_password_costs_a_bounded_number_of_steps() -> None:
    rules = Rules("long", 15, 8, max_length=1024)
    many = Context(usernames=tuple("k" * i + "b" for i in range(3, 128)), names=tuple("ab" * 60 + c for c in "cdefg"))
    steps = 0

    def count(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal steps
        steps += 1
        return count if frame.f_code.co_filename in JUDGES else None

    before = sys.gettrace()
    for password in ("\ufdfa" * 1024, "k" * 1023 + "x", "abk" * 341 + "z", ("k" * 100 + "1") * 10, "a1!" * 300):
        steps = 0
        sys.settrace(count)
        try:
            check(password, rules, many, COMMON)
        finally:
            sys.settrace(before)
        assert steps < 1_000_000, password[:20]
