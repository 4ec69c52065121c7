"""Foreign text made harmless for mail: no controls, no direction tricks, nothing that a mail reader turns into a link.

Mail readers link whatever looks like an address, in plain text too, so escaping alone does not keep `evil.example`
in a display name from becoming a link under our letterhead.
"""

from __future__ import annotations

import re
import unicodedata

from keyback.application.origin import plain_address
from keyback.domain.characters import is_shown, normalized

URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:[/?#][A-Za-z0-9\-._~:/?#@!$&()*+,;=%]*)?\Z")

_PLAIN = re.compile(r"[A-Za-z\u4e00-\u9fff]+(?:[ '\u00b7-][A-Za-z\u4e00-\u9fff]+)*\Z")
_LOGIN = re.compile(r"[\w+-]+(?:\.[\w+-]+)*(?:@[\w-]+(?:\.[\w-]+)*)?\Z")
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
# `scheme:` and `www.` with what hangs on them, then the bare words, then dots (IDNA's four and look-alikes) that
# would join two words into a host name.
_LINKS = re.compile(r"(?i)\b[a-z][a-z0-9+-]*:/+\S*|\bwww[.．。｡]\S*|https?|mailto")
_MARKS = re.compile(r"[<>\"\\`{}|^\[\]@/:;=&?#%＠／：﹕﹫⁄∕⧸]+")
_DOTS = re.compile(r"[.．。｡․‧﹒]+(?=[\u200c\u200d]*\w[\u200c\u200d]*\w)")
# Whatever somebody could call: seven digits and more, in any script or as Chinese numerals, whatever separates them.
_DIGIT = "[\\d⓪①-⑨⓿❶-❾➀-➈➊-➒〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖]"
_NUMBER = re.compile(rf"[+＋(（]*{_DIGIT}(?:[\W_]{{0,3}}{_DIGIT}){{6,}}")
_SPACE = re.compile(r"\s+")
# Two letters after a dot are mostly family names in user names; these are what a mail reader links for sure.
_TOPS = "com|net|org|info|biz|xyz|top|vip|club|online|site|shop|store|app|dev|link|click|cn|io|co|ru|tk|cc|ly|xn--\\S+"
_TOPS += "|中国|中國|公司|网络|網絡|网址|在线|рф|онлайн"
_HOST = re.compile(rf"(?i)\.(?=(?:{_TOPS})(?:\.|\Z))")


def safe_name(text: object, longest: int = 64) -> str:
    """A person's or a thing's name as known-safe text of at most `longest` characters; may come out empty.

    Controls, line ends, bidi controls and other invisible characters go; addresses, `http` and dots between words
    become spaces, telephone numbers an ellipsis (attack cases K3, K5). Letters of every script, emoji and combining
    marks stay.
    """
    if not isinstance(text, str):
        return ""
    if len(text) <= longest and _PLAIN.match(text) and "http" not in text.lower() and "mailto" not in text.lower():
        return text if text.isascii() else _NUMBER.sub("…", text)
    clean = _visible(text[:2048])
    clean = _NUMBER.sub("…", _DOTS.sub(" ", _MARKS.sub(" ", _LINKS.sub(" ", clean))))
    return _SPACE.sub(" ", clean).strip()[:longest].strip()


def safe_login(text: object) -> str:
    """A user name: exact where it has the shape of one or of a mail address, else as `safe_name`. At most 128.

    A user name is there to be typed again, so its dots stay unless it would read as a host name.
    """
    if not isinstance(text, str):
        raise TypeError("not a user name")
    low = text.lower()
    if len(text) <= 128 and _LOGIN.match(text) and "http" not in low and not low.startswith("www."):
        return text if "@" in text else _HOST.sub(" . ", text)
    return safe_name(text, 128) or "?"


def safe_source(text: object) -> str:
    """A network address; empty for any other text."""
    return plain_address(str(text))


def isolate(text: str) -> str:
    """Plain text in a first-strong isolate if it has right-to-left characters (UAX 9 section 2.4.2), else as it is."""
    return f"\u2068{text}\u2069" if _RTL.search(text) else text


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    marks = 0
    for char in normalized("NFC", text):
        kind = unicodedata.category(char)
        if kind in {"Mn", "Me"}:
            marks += 1
            if marks <= 3:  # stacks of marks cover the lines around them
                out.append(char)
            continue
        marks = 0
        if kind in {"Cc", "Zl", "Zp"}:
            out.append(" ")
        elif is_shown(char) or kind[0] == "Z":
            out.append(char)
    return "".join(out)
