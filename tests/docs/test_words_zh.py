"""The Chinese pages use the words of the glossary, one way of spacing and one kind of quotation marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tests.support.each import each
from tests.support.house import ROOT

PAGES = [ROOT / "README.zh.md", *sorted((ROOT / "docs" / "zh").rglob("*.md"))]
GLOSSARY = ROOT / "docs" / "zh" / "glossary.md"

# What no text that people read says, as a regular expression, and what it says instead.
INSTEAD = {
    "证明(?:是你|你是你|是本人)": "验证身份",
    "停掉|叫停": "取消",
    "作证|担保": "协助确认",
    "恢复联系人": "找回联系人",
    "第二步验证|第二验证方式": "两步验证",
    "身份验证器": "验证器应用",
    "备用码|(?<!备用)恢复码": "备用恢复码",
    "锁住": "锁定",
    "去掉|忘掉": "移除",
    "(?:认识|记住)的浏览器": "受信任的浏览器",
    "走完了|换好了|没换成": "已完成、已修改、修改失败",
    "不作数": "不计入",
    "准备得怎样": "安全检查",
    "大白话|用人话": "通俗的语言",
    "打听不[出到]|打听出": "无法试探",
    "先看看": "快速体验",
    "用起来": "安装部署",
    "帐[号户]": "账号",
    "登陆": "登录",
    "您": "你",
}
HAN = r"[\u3400-\u9fff]"
SPACED = re.compile(rf"{HAN} +[A-Za-z0-9`\[]|[A-Za-z0-9`)] +{HAN}")
STRAIGHT = re.compile(rf"[\"'](?={HAN})|(?<={HAN})[\"']|[「」『』]")


def prose(page: str) -> str:
    """A page without what readers take as it is: blocks of code, and the inside of inline code and of links."""
    page = re.sub(r"^(```|~~~).*?^\1\s*$", "", page, flags=re.M | re.S)
    page = re.sub(r"^ {4}.*$", "", page, flags=re.M)
    page = re.sub(r"`[^`\n]*`", "``", page)
    return re.sub(r"\]\([^)\n]*\)", "]()", page)


def forbidden(text: str) -> list[tuple[str, str]]:
    """Phrases of a text that have a better word, each with that word."""
    return [(found[0], instead) for phrase, instead in INSTEAD.items() for found in re.finditer(phrase, text)]


@each("page", [p for p in PAGES if p != GLOSSARY])
def test_a_page_has_no_forbidden_phrase(page: Path) -> None:
    assert forbidden(prose(page.read_text("utf-8"))) == []


@each("catalog", sorted((ROOT / "src/keyback/locale/zh_CN").glob("*.po")))
def test_a_message_has_no_forbidden_phrase_and_spaces_and_quotes_in_one_way(catalog: Path) -> None:
    with catalog.open("rb") as f:
        texts = [str(m.string) for m in read_po(f) if m.id]
    assert [(x, found) for x in texts if (found := forbidden(x))] == []
    assert [x for x in texts if SPACED.search(x.replace("Keyback 回钥", "")) or STRAIGHT.search(x)] == []


@each("page", PAGES)
def test_a_page_spaces_and_quotes_in_one_way(page: Path) -> None:
    lines = [x for x in prose(page.read_text("utf-8")).splitlines() if not x.startswith("# Keyback 回钥")]
    assert [x for x in lines if SPACED.search(x) or STRAIGHT.search(x)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("请同事作证，或者停掉这次找回。", ["停掉", "作证"]),
        ("这是认识的浏览器。", ["认识的浏览器"]),
        ("用掉一个恢复码。", ["恢复码"]),
        ("用掉一个备用恢复码，取消本次找回。", []),
        ("命令`停掉`和[说明](停掉.md)不算。", []),
        ("```sh\n停掉\n```\n\n    停掉\n", []),
    ],
)
def test_what_is_planted_is_found(text: str, found: list[str]) -> None:
    assert [phrase for phrase, _ in forbidden(prose(text))] == found


@pytest.mark.parametrize("text", ["用 JavaScript", "`/r/` 之后", "满3 天", "见 [密码](x.md)", '选"不是我"', "「取消」"])
def test_what_is_spaced_or_quoted_otherwise_is_found(text: str) -> None:
    assert SPACED.search(prose(text)) or STRAIGHT.search(prose(text))


@pytest.mark.parametrize(
    "text", ["用JavaScript", "`/r/`之后", "64 MiB，3天", "| 找回 | 3 |", "选“不是我”", "GB/T 22239-2019的要求"]
)
def test_the_way_of_the_pages_is_not_found(text: str) -> None:
    assert not SPACED.search(prose(text))
    assert not STRAIGHT.search(prose(text))
