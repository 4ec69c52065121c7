"""Japanese texts keep to the words of their glossary, to one way of spacing, and to Japanese punctuation."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.pofile import read_po

from tests.support.each import each
from tests.support.house import ROOT

SRC = ROOT / "src/keyback"
CATALOGS = sorted([*(SRC / "locale/ja").glob("*.po"), *SRC.glob("*/*/ja.po")])

# What no text that people read says, as a regular expression, and what it says instead.
INSTEAD = {
    "回復|リカバリー": "復旧",
    "(?<!プ)リセット": "再設定",
    "身元証明|本人認証": "本人確認",
    "二段階|二要素|2要素|２段階": "2段階認証",
    "バックアップコード": "復旧コード",
    "サインイン|サインアウト": "ログイン、ログアウト",
    "電子メール|[EＥ]メール|ショートメッセージ": "メール、SMS",
    "サービスデスク": "ヘルプデスク",
    "オペレータ": "担当者",
    "あなた|貴方|お客様": "ご自身",
    "(?:ブラウザ|サーバ|ユーザ|フォルダ|ヘッダ|コネクタ|コンピュータ)(?!ー)": "ー at the end",
    "(?:プロバイダ|リマインダ|マネージャ|パラメータ)(?!ー)": "ー at the end",
    "下さい|出来[るまなた]|全て|既に|又は|及び|但し|予め|暫く": "ください、できる、すべて、すでに …",
}
JAPANESE = r"[\u3005\u3040-\u30ff\u4e00-\u9fff、。「」（）：・]"
SPACED = re.compile(rf"{JAPANESE} +[A-Za-z0-9{{]|[A-Za-z0-9}}] +{JAPANESE}|\u3000|(?<=\S)  +")
FOREIGN = re.compile(rf"[“”‘’，；！!]|{JAPANESE}[,.;:!?()]|[,;:!?()]{JAPANESE}")
# Chinese names, and labels that people look for on pages in another language.
QUOTED = re.compile("「[ -~]+」|「忘记密码」| ?回钥|销售易|纷享销客")


def texts(path: Path) -> dict[str, str]:
    """What a catalog shows for each text, without what is quoted from other languages."""
    with path.open("rb") as f:
        return {str(m.id): QUOTED.sub("", str(m.string)) for m in read_po(f) if m.id}


def drawn(text: str) -> list[str]:
    """Characters that Japanese doesn't write, such as the short forms of Chinese."""
    return [c for c in text if "\u4e00" <= c <= "\u9fff" and not c.encode("shift_jis", "ignore")]


@each("path", CATALOGS)
def test_a_text_keeps_to_the_glossary(path: Path) -> None:
    shown = "\n".join(texts(path).values())
    assert [(m[0], better) for word, better in INSTEAD.items() for m in re.finditer(word, shown)] == []


@each("path", CATALOGS)
def test_spaces_and_punctuation_are_those_of_japanese(path: Path) -> None:
    # A brace that is doubled stands for itself, and is quoted with the spaces around it.
    wrong = [t for t in texts(path).values() if "{{" not in t and (SPACED.search(t) or FOREIGN.search(t))]
    assert wrong == []


@each("path", CATALOGS)
def test_no_character_is_one_of_chinese_alone(path: Path) -> None:
    assert [t for t in texts(path).values() if drawn(t)] == []


def test_what_is_looked_for_is_found() -> None:
    assert drawn("验证码") == ["验", "证", "码"]
    assert not drawn("確認コード")
    assert [t for t in ("2 段階", "確認 {code}", "12 MBまで") if SPACED.search(t)] == ["2 段階", "確認 {code}"]
    assert [t for t in ("“確認”", "完了!", "確認,完了", "確認？") if FOREIGN.search(t)] == [
        "“確認”",
        "完了!",
        "確認,完了",
    ]
    assert len(CATALOGS) > 40
