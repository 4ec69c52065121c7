"""Which roles and profiles of other systems mean an administrator, in English and Chinese."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, Literal

from keyback.application.people.csv_script import simplified

Role = Literal["standard", "privileged"]
PRIVILEGED: Final = re.compile(
    r"\b(?:(?:super|sys|global|it)?admin(?:istrator|istrateur|istrador|istratore|isztrátor|s)?s?\b(?!\s*(?:assistant|support))"
    r"|super[\s-]?users?\b|supervisor[\s_-]?admin|root\b|sudo|wheel\b|full[\s-](?:access|control|rights)|sysadmin|superadmin"
    r"|(?:primary|workspace|org|organi[sz]ation|account|tenant|system|company|team|billing|site|co)?[\s-]*owner$"
    r"|power[\s-]?(?:platform)?[\s-]?admin|administrateur|administrador|amministratore|админ\w*|суперпользовател\w*)"
    r"|管理员|管理者|超管|超级用户|超级使用者|系统管理|最高权限|全部权限|所有权限|所有者|拥有者|创建者|特权|完全控制"
)
# Who owns a product or a deal, and who helps in an office, has no more rights for it.
_NO_ADMIN: Final = re.compile(r"\b(?:product|process|data|deal|lead|record|contact|opportunity)[\s-]owner$")
_NOT: Final = re.compile(r"^(?:non|not|no|without|none)\b|^(?:非|不是|无|没有|未)")
_FORMER: Final = re.compile(r"\b(?:former|ex|previous|temporary|acting|pending)\b|^(?:前|原|临时|代理|待)")
# Words of which ordinary roles are made …
_ORDINARY_WORDS: Final = (
    "user users member members employee employees staff viewer view reader read only guest basic regular "
    "normal standard end business light limited free time agent agents contributor editor author commenter "
    "collaborator participant external internal partner customer contractor intern default none na null no "
    "false 0 sales rep reps representative person salesperson executive account manager managers marketing "
    "support service finance financial accounting hr human resources engineering engineer developer analyst "
    "consultant team teams lead leader director head vp svp evp ceo cfo coo cto president minimum access "
    "salesforce platform chatter identity contract solution development bdr sdr product the and for in senior "
    "junior sr jr associate assistant specialist coordinator clerk regional region north south east west "
    "central eu us emea apac inside field channel success operations operator office worker technician "
    "installation repair legal purchasing buyer logistics warehouse quality research department general seat "
    "core"
)
_ORDINARY: Final = frozenset(_ORDINARY_WORDS.split())
# … and how they end in Chinese.
_ORDINARY_ZH: Final = re.compile(
    r"普通.{0,2}|标准.{0,2}|一般.{0,3}|默认|成员|员工|用户|使用者|访客|来宾|游客|只读.{0,2}|无|否|编辑|协作者|查看者|外部联系人"
    r"|.{0,6}(?:销售|客服|财务|出纳|会计|市场|人事|人力资源|研发|技术|运营|行政|采购|仓库|法务|业务|售后|售前|实施|产品|设计)"
    r"|.{0,8}(?:经理|主管|总监|专员|代表|顾问|助理|工程师|组长|部长|员|人员|总经理|实习生|岗)"
)
SPLIT: Final = re.compile(r"[;,|、；，/\n+&]+")
_SIGNS: Final = re.compile(r"[_.\[\](){}（）【】\"'*#:：]+")


def role_of(text: str) -> Role | None:
    """What a role says of rights; of several in one cell the most. None where it is not understood."""
    found = [_one(part) for part in _parts(text)]
    if "privileged" in found:
        return "privileged"
    return "standard" if found and all(f == "standard" for f in found) else None


def _parts(text: str) -> Iterator[str]:
    folded = simplified(unicodedata.normalize("NFKC", text))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folded).casefold()  # SystemAdministrator
    for part in SPLIT.split(spaced):
        if bare := " ".join(_SIGNS.sub(" ", part).split()).strip("- "):
            yield bare


def _one(part: str) -> Role | None:
    word = "".join(c for c in part if c.isalnum())
    part = part.replace("product owner", "product manager")
    if not PRIVILEGED.search(part) or _NO_ADMIN.search(part):
        ordinary = set(re.split(r"[\s&-]+", part)) <= _ORDINARY or _ORDINARY_ZH.fullmatch(word)
        return "standard" if ordinary else None
    if _NOT.search(part):
        return "standard"
    return None if _FORMER.search(part) else "privileged"
