"""The table of both READMEs: what each kind of system lets Keyback do, as the connectors declare it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from keyback.application.ports.connectors import Capabilities, Means
from keyback.cli.connectors import class_of
from keyback.registry import CONNECTORS, OWN

BEGIN, END = "<!-- capabilities: made by python -m keyback.cli.docs -->", "<!-- /capabilities -->"
# In the order of the columns; a kind that is missing here comes last, under its own name. The demo's CRM is nobody's.
KINDS: Final = {
    "builtin": ("Keyback's own", "回钥自带"),
    "salesforce": ("Salesforce", "Salesforce"),
    "dynamics365": ("Dynamics 365", "Dynamics 365"),
    "zoho": ("Zoho CRM", "Zoho CRM"),
    "fxiaoke": ("Fxiaoke", "纷享销客"),
    "ldap": ("OpenLDAP", "OpenLDAP"),
    "active_directory": ("Active Directory", "Active Directory"),
    "scim": ("SCIM 2.0", "SCIM 2.0"),
    "odoo": ("Odoo", "Odoo"),
    "tryton": ("Tryton", "Tryton"),
    "creme": ("Crème CRM", "Crème CRM"),
    "http": ("any system, by recipe", "任意系统（接入模板）"),
    "sql": ("any system, by its database", "任意系统（数据库）"),
    "guided": ("guided", "引导式"),
}
ROWS: Final = {
    "lookup": ("find a login", "查找账号"),
    "list": ("list everyone", "列出所有人"),
    "verify": ("check whether a password signs in", "检查密码能否登录"),
    "set_password": ("set a password", "设置密码"),
    "must_change": ("require a change at next sign-in", "要求下次登录时修改密码"),
    "unlock": ("unlock", "解锁"),
    "revoke_sessions": ("end sessions", "结束会话"),
    "revoke_grants": ("end what applications may do", "撤销应用授权"),
    "reset_factor": ("remove a second factor", "移除两步验证方式"),
    "temporary_pass": ("give a temporary pass", "发放临时通行码"),
    "activity": ("recent sign-ins", "最近登录"),
    "status": ("active, inactive, locked", "启用、停用、锁定状态"),
    "stop": ("stop an account in an emergency", "紧急停用账号"),
    "deep_link": ("link to the system's own page", "跳转到系统自己的页面"),
}
MEANS: Final = {
    Means.NATIVE: ("yes", "支持"),
    Means.COMPOSED: ("yes, in several calls", "支持，分多次调用"),
    Means.GUIDED: ("the person does, step by step", "由本人按步骤完成"),
    Means.NONE: ("–", "–"),
}
# What a kind can do only under a condition, which its class does not say: (kind, capability) to the cell's words.
MAIL, ON, LINK = ("with Zoho Mail", "需使用Zoho Mail"), ("if you switch it on", "开启后支持"), MEANS[Means.NATIVE]
CONDITIONS: Final = {
    ("zoho", "set_password"): MAIL,
    ("zoho", "must_change"): MAIL,
    ("zoho", "revoke_sessions"): MAIL,
    ("fxiaoke", "stop"): ON,
    ("fxiaoke", "deep_link"): LINK,  # for the person to follow, as every link is
    ("guided", "deep_link"): LINK,
}


def table(language: int) -> str:
    """The table in English (0) or Chinese (1)."""
    known = {"builtin", *OWN[CONNECTORS]} - {"demo"}
    kinds = [k for k in KINDS if k in known] + sorted(known - set(KINDS))
    can = {kind: class_of(kind).capabilities for kind in kinds}
    titles = [KINDS.get(kind, (kind, kind))[language] for kind in kinds]
    lines = [f"| | {' | '.join(titles)} |", "|---" * (len(kinds) + 1) + "|"]
    for f in dataclasses.fields(Capabilities):
        cells = [CONDITIONS.get((kind, f.name), MEANS[getattr(can[kind], f.name)])[language] for kind in kinds]
        lines.append(f"| {ROWS[f.name][language]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def readmes(root: Path) -> dict[str, str]:
    """Both READMEs with the table as it is now."""
    out = {}
    for language, name in enumerate(("README.md", "README.zh.md")):
        head, _, rest = (root / name).read_text(encoding="utf-8").partition(BEGIN)
        out[name] = f"{head}{BEGIN}\n{table(language)}\n{END}{rest.partition(END)[2]}"
    return out
