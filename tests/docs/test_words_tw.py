"""Traditional Chinese is what people in Taiwan write: its characters, its words, its punctuation."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.pofile import read_po

from tests.support.each import each
from tests.support.house import ROOT

SRC = ROOT / "src/keyback"
CATALOGS = sorted([*(SRC / "locale/zh_TW").glob("*.po"), *SRC.glob("*/*/zh_TW.po")])

# Words of the mainland, as a regular expression, and what is said in Taiwan instead.
INSTEAD = {
    "[賬账][號户戶号]|帳戶": "帳號",
    "郵箱": "信箱",
    "短信": "簡訊",
    "登[錄陸]": "登入",
    "退出": "登出",
    "軟件|硬件|固件": "軟體",
    "信息": "資訊、訊息",
    "服務器": "伺服器",
    "默認|缺省": "預設",
    "網絡": "網路",
    "數據": "資料",
    "用戶": "使用者",
    "設置|配置": "設定",
    "保存": "儲存",
    "屏幕": "螢幕",
    "鏈接|鏈結": "連結",
    "支持": "支援",
    "打印": "列印",
    "二維碼": "QR Code",
    "點擊|單擊": "按、點選",
    "添加": "新增",
    "訪問": "存取、連線",
    "許可權": "權限",
    "審計": "稽核",
    "緩存": "快取",
    "導[入出]": "匯入、匯出",
    "刷新": "重新整理",
    "加載": "載入",
    "響應": "回應",
    "域名": "網域",
    "字符": "字元",
    "字節": "位元組",
    "對話框|會話": "工作階段",
    "激活": "啟用",
    "身份": "身分",
    "視頻": "影片、視訊",
    "質量": "品質",
    "控制[台臺]|控制檯": "主控台",
    "工單": "服務單",
    "兩步驗證": "兩步驟驗證",
    "通行金鑰|密碼金鑰": "通行密鑰",
    "應用(?!程式)|應用程序": "應用程式",
    "臺|檯": "台",
    "[這那裏]里|系統里|[之以然天時最]后": "裡、後",
    "迴圈|繫結|專案|被複制|檢查詢": "what a converter made of it",
    "電子電子": "電子郵件",
    "[驗核查]證?透過$|未透過|沒有透過": "通過",
}
HAN = r"[\u3400-\u9fff]"
SPACED = re.compile(rf"{HAN} +[A-Za-z0-9{{]|[A-Za-z0-9}}] +{HAN}")
QUOTES = re.compile(rf"[“”‘’]|[\"'](?={HAN})|(?<={HAN})[\"']")
HALF = re.compile(rf"{HAN}[,;:?!]|{HAN}[()]|[,;:?!]{HAN}")


def texts(path: Path) -> list[str]:
    with path.open("rb") as f:
        return [str(m.string) for m in read_po(f) if m.id]


def drawn(text: str) -> list[str]:
    """Characters that are none of Traditional Chinese, such as the short forms of the mainland."""
    return [c for c in text if "\u3400" <= c <= "\u9fff" and not c.encode("cp950", "ignore")]


@each("path", CATALOGS)
def test_characters_are_traditional(path: Path) -> None:
    assert [t for t in texts(path) if drawn(t)] == []


@each("path", CATALOGS)
def test_words_are_those_of_taiwan(path: Path) -> None:
    shown = "\n".join(texts(path))
    assert [(m[0], better) for word, better in INSTEAD.items() for m in re.finditer(word, shown, re.M)] == []


def otherwise(text: str) -> bool:
    """Whether a text is quoted, spaced or marked otherwise than Traditional Chinese is."""
    return bool(QUOTES.search(text) or SPACED.search(text) or HALF.search(text))


@each("path", [p for p in CATALOGS if p.parent.name != "http"])  # which quotes what stands in a recipe
def test_quotes_spaces_and_marks(path: Path) -> None:
    shown = (t.replace("Keyback 回鑰", "Keyback").replace(" {day}", "") for t in texts(path))
    assert [t for t in shown if otherwise(t)] == []


def test_what_is_looked_for_is_found() -> None:
    assert drawn("验证码") == ["验", "证", "码"]
    assert drawn("驗證碼在台灣這裡") == []
    assert [t for t in ("“確認”", "確認 code", "確認,完成", "確認？") if otherwise(t)] == [
        "“確認”",
        "確認 code",
        "確認,完成",
    ]
    assert len(CATALOGS) > 40
