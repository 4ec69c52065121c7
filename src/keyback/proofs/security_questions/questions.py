"""The questions, and what makes an answer acceptable. Nobody writes their own: those are worse (O-Q4).

Chosen so that answers are remembered, have many values, and stand in no register and on no profile. They still weigh
nothing: answers of a fifth of all people fall to one guess (Bonneau and others, WWW 2015).
Source: OWASP Choosing and Using Security Questions Cheat Sheet.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from keyback.locale import LOCALES, gettext

ASKED: Final = 3  # how many are enrolled
SHORTEST, LONGEST = 2, 100  # characters of an answer that count; people are called Li
VERSION: Final = 1  # of `normal`; stored, since an answer only fits a hash that was made the same way

QUESTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "deskmate": "Who sat next to you in your first class at school?",
        "teacher": "What did pupils call your strictest teacher?",
        "toy": "What was your favorite toy called?",
        "book": "Which book did you read again and again as a child?",
        "sea": "Where did you see the sea for the first time?",
        "alone": "Where did you go on your first journey without your parents?",
        "pay": "What did you buy with the first money you earned?",
        "dish": "What was the first dish you learned to cook?",
        "film": "What was the first film you saw in a cinema?",
        "song": "Which song did you first know by heart?",
        "lost": "What did you lose as a child and never find again?",
        "hiding": "Where was your best hiding place as a child?",
        "dream": "What did you want to become when you were ten?",
        "neighbour": "Who lived next door when you were a child?",
        "nickname": "What did your family call you that no one else did?",
    }
)

Fault = Literal["no_question", "same_question", "too_short", "too_long", "too_easy", "about_you", "same_answer"]
_EASY: Final = frozenset(
    {
        *("123", "1234", "12345", "123456", "abc", "abcd", "test", "none", "no", "nope", "idk", "na", "null"),
        *("answer", "password", "secret", "unknown"),
        *("不知道", "没有", "无", "忘了", "答案", "密码", "不告诉你", "测试", "秘密"),
        *(
            "わからない",
            "分からない",
            "知らない",
            "忘れた",
            "なし",
            "特になし",
            "答え",
            "パスワード",
            "ひみつ",
            "テスト",
        ),
    }
)


def normal(answer: str) -> str:
    """What of an answer is compared: width, case, spaces and punctuation fall away, accents and 繁简 stay (G6)."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", answer).casefold())
    return "".join(c for c in text if unicodedata.category(c)[0] in "LNM")


def faults(chosen: Sequence[tuple[str, str]], about: Iterable[str] = ()) -> Sequence[tuple[int, Fault]]:
    """What is wrong with a choice of questions and answers, by place from 0; empty when it can be kept.

    Args:
        chosen: (key of the question, answer as typed).
        about: what others know of the person: user names, mail addresses, names, the company.
    """
    known = {normal(part) for text in about for part in (text, *re.split(r"[\s@._+-]+", text)) if normal(part)}
    out: list[tuple[int, Fault]] = [(i, "no_question") for i in range(len(chosen), ASKED)]
    for i, (key, answer) in enumerate(chosen):
        fault = _fault(key, answer, known, chosen[:i])
        if fault:
            out.append((i, fault))
    return sorted(out)


def _fault(key: str, answer: str, known: set[str], before: Sequence[tuple[str, str]]) -> Fault | None:
    text = normal(answer[: 4 * LONGEST])
    if key not in QUESTIONS:
        return "no_question"
    if any(key == k for k, _ in before):
        return "same_question"
    if len(text) < SHORTEST:
        return "too_short"
    if len(answer) > LONGEST or len(text) > LONGEST:
        return "too_long"
    if text in known:
        return "about_you"
    asked = tuple(gettext(code, QUESTIONS[key]) for code in LOCALES)
    if (
        text in _EASY
        or len(set(text)) == 1
        or (text.isdigit() and len(text) < 4)
        or any(text in normal(q) for q in asked)
    ):
        return "too_easy"
    return "same_answer" if any(text == normal(a) for _, a in before) else None
