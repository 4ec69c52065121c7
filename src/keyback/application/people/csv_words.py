"""What other systems write into columns about access, rights, single sign-on and language, in English and Chinese.

Whatever takes access away counts more than what gives it; a word that is not understood is never taken for "active".
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from keyback.application.people.csv_script import simplified
from keyback.domain.people.person import Tier
from keyback.locale import LANGUAGES, LOCALES
from keyback.locale.languages import SOURCE

State = Literal["active", "pending", "locked", "disabled", "left"]  # the later, the more is taken away
SEVERITY: Final[tuple[State, ...]] = ("active", "pending", "locked", "disabled", "left")
STATES: Final[Mapping[str, State]] = {
    **dict.fromkeys((
        "active", "enabled", "normal", "ok", "valid", "current", "employed", "working", "hired", "live", "open",
        "activated", "accepted", "registered", "licensed", "probation", "onprobation", "permanent", "regular",
        "confirmed", "onleave", "leaveofabsence", "passwordexpired", "recovery", "unblocked", "notblocked",
        "notdisabled", "notsuspended", "notlocked", "allowed", "noticeperiod", "在职", "启用", "正常", "已启用",
        "激活", "已激活", "有效", "试用", "试用期", "试用中", "正式", "正式员工", "在岗", "在用", "使用中", "开通",
        "已开通", "可用", "实习", "实习期", "实习生", "转正", "已转正", "返聘", "休假", "产假", "病假", "待离职",
        "离职中", "已加入", "未停用", "未禁用", "未锁定", "未离职", "未冻结", "在编", "聘用", "在聘", "全职", "复职",
        "已复职", "任职", "任职中", "启用中",
        "兼职",
    ), "active"),
    **dict.fromkeys((
        "pending", "invited", "staged", "provisioned", "notactivated", "unactivated", "pendinginvite",
        "pendinginvitation", "pendingacceptance", "notyetactive", "prehire", "preboarding", "onboarding", "未激活",
        "待激活", "未开通", "待开通", "未加入", "待加入", "未注册", "邀请中", "已邀请", "待入职", "未入职",
        "预入职", "待审核", "审核中", "待确认", "待启用",
    ), "pending"),
    **dict.fromkeys(("locked", "lockedout", "锁定", "已锁定", "锁定中", "密码锁定"), "locked"),
    **dict.fromkeys((
        "disabled", "inactive", "suspended", "deactivated", "blocked", "revoked", "frozen", "closed",
        "deprovisioned", "deleted", "softdeleted", "archived", "removed", "invalid", "expired", "cancelled",
        "canceled", "notactive", "nonactive", "notenabled", "denied", "notallowed", "banned", "dormant",
        "unlicensed", "停用", "已停用", "禁用", "已禁用", "冻结", "已冻结", "暂停", "已暂停", "暂停使用",
        "停止使用", "停止", "封停", "封禁", "已封禁", "注销", "已注销", "作废", "已作废", "失效", "已失效", "无效",
        "关闭", "已关闭", "删除", "已删除", "不可用", "停职", "未启用", "不启用", "归档", "已归档", "停薪留职",
        "拉黑", "屏蔽", "已停止", "已过期", "过期", "停权", "已停权", "留职停薪", "停役",
    ), "disabled"),
    **dict.fromkeys((
        "left", "terminated", "resigned", "retired", "former", "exemployee", "formeremployee", "departed",
        "dismissed", "separated", "discharged", "notemployed", "nolongeremployed", "gone", "deceased", "quit",
        "laidoff", "离职", "已离职", "退休", "已退休", "离岗", "离开", "退出", "已退出", "退出企业", "辞职",
        "已辞职", "解聘", "已解聘", "辞退", "已辞退", "开除", "调离", "已调离", "不在职", "非在职", "未在职",
        "离任", "离休", "内退", "身故", "已故", "去世", "离世", "自离", "离厂",
    ), "left"),
}  # fmt: skip
TIERS: Final[Mapping[str, Tier]] = {
    **dict.fromkeys((
        "standard", "normal", "regular", "basic", "default", "low", "user", "普通", "标准", "一般", "普通用户",
        "普通员工", "默认", "低",
    ), "standard"),
    **dict.fromkeys((
        "mfa", "2fa", "twofactor", "twostep", "multifactor", "medium", "strong", "双因素", "双因子", "多因素",
        "两步验证", "二次验证", "中",
    ), "mfa"),
    **dict.fromkeys((
        "privileged", "admin", "administrator", "superadmin", "superadministrator", "sysadmin",
        "systemadministrator", "superuser", "owner", "root", "high", "critical", "管理员", "特权", "超级管理员",
        "系统管理员", "超管",
        "高", "高权限", "高危",
    ), "privileged"),
}  # fmt: skip
_YES: Final = frozenset(
    ("true", "yes", "y", "1", "t", "x", "on", "是", "对", "真", "有", "✓", "✔", "√", "☑", "已开启", "开启", "wahr")
)
_NO: Final = frozenset(
    ("false", "no", "n", "0", "f", "off", "否", "错", "假", "无", "✗", "✘", "×", "☐", "未开启", "falsch", "不")
)
_NEVER: Final = frozenset((
    "", "never", "none", "0", "null", "na", "nil", "长期", "永久", "无", "无限期", "永不", "永不过期",
    "9223372036854775807",
))  # fmt: skip
_PASSWORD: Final = frozenset((
    "none", "local", "password", "passwordonly", "managed", "builtin", "standard", "normal", "default", "native",
    "null", "na", "密码", "账号密码", "帐号密码", "用户名密码", "本地", "本地账号", "本地密码", "普通", "手机号",
    "手机验证码", "短信", "短信验证码", "密码登录",
))  # fmt: skip
_OUTSIDE: Final = re.compile(
    r"sso|saml|oidc|openid|oauth|federat|adfs|azure|entra|okta|google|onelogin|pingid|keycloak|cas\b|kerberos|ldap|wecom"
    r"|dingtalk|feishu|lark|external|单点|统一身份|统一认证|企业微信|钉钉|飞书|扫码|域账号|域登录|第三方"
)
_NOT: Final = re.compile(r"^(?:not?|non|without)\b|\b(?:disabled|off)$|^(?:未|无|没有|不)|(?:未启用|已关闭)$")
_SPLIT: Final = re.compile(r"[-–—/／:：,，;；、·|()（）\[\]【】\n]+")


def plain(text: str) -> str:
    """A word without spaces, signs and case; a sign alone stays."""
    folded = simplified(unicodedata.normalize("NFKC", text).casefold().strip())
    return "".join(c for c in folded if c.isalnum()) or folded


def yes_or_no(text: str) -> bool | None:
    """None where it says neither."""
    word = plain(text)
    return True if word in _YES else False if word in _NO else None


def state_of(text: str) -> State | None:
    """A state in words; of several in one cell (`在职（试用）`, `Suspended - by admin`) the strictest.

    Beside a part that is not understood (`Active: No`, `non-current`) nobody counts as active.
    """
    if (found := STATES.get(plain(text))) is not None:
        return found
    kind = re.fullmatch(r"(.+?)(?:人员|员工|职工|账号|帐号|用户|状态|employees?|users?|accounts?)", plain(text))
    if kind and (found := STATES.get(kind[1])) is not None:
        return found
    parts = [p for x in _SPLIT.split(text) if (p := plain(x))]
    strictest = max((STATES[p] for p in parts if p in STATES), key=SEVERITY.index, default=None)
    return None if strictest in {"active", "pending"} and not all(p in STATES for p in parts) else strictest


def access(kind: str, heading: str, text: str, today: datetime.date) -> State | Literal["", "unknown"]:
    """What a cell says about who may sign in.

    Args:
        kind: the column's field, of `csv_headings.ACCESS`.
        heading: as `csv_headings.plain` writes it.

    Returns:
        A state; empty where it says nothing, `unknown` where it cannot be understood.
    """
    if not text or plain(text) in ("null", "-", "—", "–", "n/a", "na"):
        return ""
    goes = "left" if re.search("离职|left|terminat|leav|lastwork|lastday|employment", heading) else "disabled"
    if kind == "gone_at":
        day = _day(text)
        return "unknown" if day is None else goes if day <= today else ""  # type: ignore[return-value]
    if kind != "state" and (said := yes_or_no(text)) is not None:
        if kind == "on":
            return "active" if said else "left" if re.search("在职|employed", heading) else "disabled"
        return ("locked" if kind == "locked" else goes) if said else "active"  # type: ignore[return-value]
    return state_of(text) or "unknown"


def together(states: Sequence[State]) -> State | None:
    """What several columns come to; None where none says anything. An `active` beside it outweighs `pending`."""
    if not states:
        return None
    worst = max(states, key=SEVERITY.index)
    return "active" if worst == "pending" and "active" in states else worst


def _day(text: str) -> datetime.date | None:
    """The day of a date as systems and spreadsheets write it; None where it cannot be understood."""
    word = plain(text)
    if word in _NEVER:
        return datetime.date.max
    folded = unicodedata.normalize("NFKC", text).strip()
    numbers = [int(x) for x in re.findall(r"\d+", folded)]
    try:
        if re.fullmatch(r"\d{5}(?:[.,]\d+)?", folded):  # a spreadsheet's days, with the time behind the point
            return datetime.date(1899, 12, 30) + datetime.timedelta(days=numbers[0])
        if re.fullmatch(r"\d{10}|\d{13}", folded):  # seconds, or milliseconds, since 1970
            return _EPOCH + datetime.timedelta(days=int(folded[:10]) // 86_400)
        if re.fullmatch(r"\d{18}", folded):  # of Active Directory: tenths of a microsecond since 1601
            return datetime.date(1601, 1, 1) + datetime.timedelta(days=numbers[0] // 864_000_000_000)
        if re.fullmatch(r"\d{8}|\d{14}", folded):
            return _date(int(folded[:4]), int(folded[4:6]), int(folded[6:8]))
        if month := next((n for n, m in enumerate(_MONTHS, 1) if re.search(rf"\b{m}", folded.casefold())), 0):
            day, year = sorted(numbers[:2])
            return _date(year, month, day) if len(numbers) >= 2 and year > 31 else None
        if len(numbers) >= 3 and numbers[0] > 31:
            return _date(*numbers[:3])
        if len(numbers) >= 3 and numbers[2] > 31:  # day and month the other way round move it by months, not by years
            first, second = (numbers[0], numbers[1]) if numbers[0] <= 12 else (numbers[1], numbers[0])
            return _date(numbers[2], first, second)
    except (ValueError, OverflowError):
        return None
    return None


_EPOCH: Final = datetime.date(1970, 1, 1)
_MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_ALWAYS: Final = frozenset((2099, 2199, 2999, 3000, 9999))  # years that mean "never"


def _date(year: int, month: int, day: int) -> datetime.date:
    """Raises ValueError also for a year of another calendar, which would lie far ahead."""
    if year in _ALWAYS:
        return datetime.date.max
    if 32 <= year < 200:  # of the Republic of China
        year += 1911
    if not 1900 <= year < 2200:
        raise ValueError(year)
    return datetime.date(year, month, day)


def _says_no(text: str) -> bool:
    return bool(_NOT.search(unicodedata.normalize("NFKC", text).casefold().strip()))


def provider_of(text: str) -> str:
    """Who holds the password, as a column for that says it; empty for nobody else."""
    said = yes_or_no(text)
    if said is not None:
        return "SSO" if said else ""
    return "" if plain(text) in _PASSWORD or not plain(text).strip("-—") or _says_no(text) else text


def sso_of(text: str) -> str | None:
    """The same of a column for the way in which people sign in; None where it cannot be understood."""
    said = yes_or_no(text)
    if said is not None:
        return "SSO" if said else ""
    if not text or plain(text) in _PASSWORD or not plain(text).strip("-—") or _says_no(text):
        return ""
    return text if _OUTSIDE.search(unicodedata.normalize("NFKC", text).casefold()) else None


# English first, since countries have it too: `English (Hong Kong)`; then those that take more than a tag: `zh-Hant`.
_NAMED: Final = tuple(
    (re.compile(x.named), x)
    for x in sorted(LANGUAGES.values(), key=lambda x: (x.code != SOURCE, "-" not in x.asked[0]))
    if x.named
)
_CODES: Final = {tag.lower(): x for x in LANGUAGES.values() for tag in (*x.codes, *x.asked)}


def locale_of(text: str) -> str | None:
    """The language of a tag, a name or a number that means one; None where it is another one, or nothing known.

    The longest beginning of a tag counts (RFC 4647): `de_DE`, `en-AU`, `zh-Hant-TW`, `English (UK)`, `简体中文`.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().strip()
    parts = re.split(r"[.@,;(（\s]", folded, maxsplit=1)[0].replace("_", "-").split("-")
    known = (_CODES.get("-".join(parts[:n])) for n in range(len(parts), 0, -1))
    meant = next(filter(None, known), None) or next((x for name, x in _NAMED if name.search(folded)), None)
    return next((code for code in (meant.code, *meant.falls_back) if code in LOCALES), None) if meant else None
