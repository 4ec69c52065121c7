"""Where people read mail of a domain on the web: known from what they typed, and from nothing else.

Who typed an address sees the same link whether anybody has it or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from keyback.domain.people.person import a_label

Titles = Mapping[str, str]  # by locale
_GMAIL: Final = ({"en": "Gmail"}, "https://mail.google.com/mail/")
_OUTLOOK: Final = ({"en": "Outlook"}, "https://outlook.live.com/mail/")
_QQ: Final = ({"en": "QQ Mail", "zh_CN": "QQ邮箱", "zh_TW": "QQ信箱"}, "https://mail.qq.com/")
_EXMAIL: Final = ({"en": "Tencent Exmail", "zh_CN": "腾讯企业邮箱", "zh_TW": "騰訊企業信箱"}, "https://exmail.qq.com/")
_163: Final = ({"en": "163 Mail", "zh_CN": "163邮箱", "zh_TW": "163信箱"}, "https://mail.163.com/")
_126: Final = ({"en": "126 Mail", "zh_CN": "126邮箱", "zh_TW": "126信箱"}, "https://mail.126.com/")
_ALIYUN: Final = ({"en": "Aliyun Mail", "zh_CN": "阿里云邮箱", "zh_TW": "阿里雲信箱"}, "https://mail.aliyun.com/")
_ICLOUD: Final = ({"en": "iCloud"}, "https://www.icloud.com/mail/")
KNOWN: Final[Mapping[str, tuple[Titles, str]]] = MappingProxyType(
    {
        **dict.fromkeys(("gmail.com", "googlemail.com"), _GMAIL),
        **dict.fromkeys(("outlook.com", "hotmail.com", "live.com", "msn.com"), _OUTLOOK),
        **dict.fromkeys(("qq.com", "vip.qq.com", "foxmail.com"), _QQ),
        "exmail.qq.com": _EXMAIL,
        "163.com": _163,
        "126.com": _126,
        "aliyun.com": _ALIYUN,
        **dict.fromkeys(("icloud.com", "me.com", "mac.com"), _ICLOUD),
    }
)


def webmail_of(identifier: str, own: Mapping[str, str]) -> tuple[Titles, str] | None:
    """What it is called and where it is; None for a user name, a phone number, and domains that nobody knows.

    Args:
        identifier: canonical, as somebody typed it.
        own: pages of the company's domains, by domain; they count before ours.
    """
    _, at, typed = identifier.rpartition("@")
    domain = (a_label(typed) or "") if at else ""
    if domain in own:
        return {"en": domain}, own[domain]
    return KNOWN.get(domain)
