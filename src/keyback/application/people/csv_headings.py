"""What the columns of other systems' exports are called, in English and Chinese, and which of them say the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

from keyback.application.people.csv_script import simplified

Field = Literal[
    "key", "name", "first", "middle", "last", "email", "backup", "username", "system", "external_id", "locale",
    "state", "on", "off", "locked", "gone_at", "tier", "admin", "role", "group", "provider", "sso",
    "phone",
]  # fmt: skip
# Without spaces, signs and case; what stands earlier is preferred where a file has several. `on`, `off`, `locked`: yes
# or no says whether somebody may sign in. `gone_at`: an instant from which on they may not. `admin`, `sso`: yes or no.
HEADINGS: Final[Mapping[Field, tuple[str, ...]]] = {
    "key": (
        "key", "personkey", "employeeid", "employeenumber", "employeeno", "staffid", "staffnumber",
        "personnelnumber", "personid", "工号", "员工编号", "员工号", "员工工号", "人员编号", "职工号", "职工编号",
        "人员工号", "员编", "职员编号", "雇员编号", "人员代号",
    ),
    "name": (
        "formatted", "nameformatted", "formattedname", "使用者姓名", "中文名", "全名",
        "name", "fullname", "displayname", "employeename", "staffname", "person", "contactname", "realname", "cn",
        "姓名", "员工姓名", "用户姓名", "真实姓名", "中文姓名", "成员姓名", "成员名称", "显示名", "显示名称",
        "名字", "名称",
    ),
    "first": ("firstname", "givenname", "forename", "preferredfirstname", "名"),
    "middle": ("middlename", "中间名"),
    "last": ("lastname", "surname", "familyname", "sn", "姓", "姓氏"),
    "email": (
        "primaryemail", "primaryemailaddress", "workemail", "workemailaddress", "companyemail", "corporateemail",
        "businessemail", "企业邮箱", "工作邮箱", "公司邮箱", "办公邮箱", "主邮箱", "email", "emailaddress",
        "emailid", "mail", "useremail", "emailprimary", "邮箱", "邮箱地址", "电子邮箱", "邮件", "电子邮件",
        "电子邮件地址", "邮件地址", "员工邮箱", "登录邮箱", "邮箱账号",
        "公司信箱", "公务信箱", "电子信箱", "信箱", "电邮", "电邮地址", "公司电邮", "工作电邮", "电子邮箱地址",
        "邮箱地址", "邮寄信箱",
        "电子邮件信箱", "主要电子邮件", "主要信箱",
    ),
    "backup": (
        "backupemail", "backupmail", "secondaryemail", "recoveryemail", "alternateemail", "alternateemailaddress",
        "alternativeemail", "worksecondaryemail", "homesecondaryemail", "备用邮箱", "备份邮箱", "备用电子邮箱",
        "辅助邮箱", "安全邮箱", "备用信箱", "备用电子邮件", "备用电邮", "次要电子邮件",
    ),
    # No `phone`, `telephone`, 电话: those may be on a desk, and a text there reaches whoever sits at it.
    "phone": (
        "mobile", "mobilephone", "mobilenumber", "mobilephonenumber", "mobileno", "mobilephoneno", "mobiletelephone",
        "mobiletelephonenumber", "cell", "cellphone", "cellphonenumber", "cellnumber", "cellular", "cellularphone",
        "workmobile", "workmobilephone", "businessmobile", "companymobile", "手机", "手机号", "手机号码", "手机电话",
        "员工手机", "员工手机号", "用户手机", "用户手机号", "联系手机", "工作手机", "移动电话", "移动电话号码",
        "移动手机", "行动电话", "行动电话号码",
    ),
    "username": (
        "username", "loginname", "login", "loginid", "logon", "logonname", "samaccountname", "userprincipalname",
        "upn", "uid", "user", "account", "accountname", "用户名", "登录名", "登录账号", "登录帐号", "账号", "帐号",
        "用户账号", "账户", "登陆账号", "使用者名称", "使用者帐号", "使用者账号", "登入帐号", "登入账号", "登入名称",
        "使用者代号",
    ),
    "system": ("system", "application", "系统", "系统名称", "所属系统"),
    "external_id": (
        "externalid", "userid", "objectid", "外部编号", "外部id", "系统编号", "系统用户编号", "员工userid",
        "用户id", "成员id",
    ),
    "locale": (
        "language", "preferredlanguage", "languagelocalekey", "languagelocale", "userlanguage", "lang", "locale",
        "localesidkey", "语言", "首选语言", "界面语言", "系统语言", "语言偏好", "区域语言", "语系", "介面语言",
        "惯用语言", "偏好语言",
    ),
    "state": (
        "accountstatus", "userstatus", "employeestatus", "employmentstatus", "staffstatus", "workerstatus",
        "loginstatus", "signinstatus", "licensestatus", "memberstatus", "accountstate", "userstate",
        "lifecyclestate", "status", "statusreadonly", "state", "账号状态", "帐号状态", "账户状态", "用户状态",
        "员工状态", "人员状态", "成员状态", "职员状态", "任职状态", "工作状态", "使用状态", "登录状态", "状态",
        "当前状态", "就职状态", "人事状态", "使用者状态", "雇用状态", "员工在职状态", "登入状态",
    ),
    "on": (
        "active", "isactive", "useractive", "activeuser", "enabled", "isenabled", "accountenabled", "userenabled",
        "loginenabled", "signinallowed", "signinenabled", "cansignin", "canlogin", "loginallowed", "employed",
        "accountactive", "useractivated", "activated", "isactivated", "启用", "是否启用", "已启用", "启用状态",
        "在职", "是否在职", "在职状态", "激活", "是否激活", "激活状态", "有效", "是否有效", "可用", "是否可用",
        "账号是否可用", "可登录", "是否可登录", "允许登录", "是否允许登录", "账号启用", "帐号启用", "可登入",
        "是否可登入", "允许登入",
    ),
    "off": (
        "blocked", "isblocked", "blockcredential", "blockedcredential", "signinblocked", "blockedsignin",
        "blocksignin", "disabled", "isdisabled", "accountdisabled", "userdisabled", "deactivated", "isdeactivated",
        "inactive", "isinactive", "suspended", "issuspended", "accountsuspended", "terminated", "isterminated",
        "archived", "isarchived", "deleted", "isdeleted", "softdeleted", "revoked", "left", "hasleft", "停用",
        "是否停用", "停用状态", "已停用", "禁用", "是否禁用", "禁用状态", "已禁用", "离职", "是否离职", "已离职",
        "离职状态", "冻结", "是否冻结", "冻结状态", "已冻结", "注销", "是否注销", "已注销", "是否删除", "已删除",
        "作废", "是否作废", "失效", "是否失效", "禁止登录", "是否禁止登录", "停权", "是否停权", "禁止登入",
    ),
    "locked": (
        "locked", "islocked", "lockedout", "accountlocked", "userlocked", "锁定", "是否锁定", "锁定状态", "已锁定",
    ),
    "gone_at": (
        "terminationdate", "leavingdate", "leavedate", "lastworkingday", "lastdayofwork", "enddate",
        "employmentenddate", "deactivatedat", "deactivatedon", "disabledon", "terminatedon", "suspendedon",
        "lefton", "deactivationdate", "disabledat", "suspendedat", "deletedat", "deletiontime",
        "softdeletiontimestamp", "accountexpires", "accountexpirationdate", "离职日期", "离职时间", "最后工作日",
        "停用时间", "停用日期", "禁用时间", "注销时间", "账号有效期", "失效日期", "失效时间", "离职日", "退职日期",
        "最后上班日",
    ),
    "tier": ("tier", "level", "securitylevel", "级别", "等级", "安全级别", "安全等级"),
    "admin": (
        "admin", "isadmin", "administrator", "isadministrator", "superadmin", "issuperadmin", "superadministrator",
        "superuser", "issuperuser", "privileged", "isprivileged", "privilegeduser", "privilegedaccount",
        "isprivilegeduser", "systemadmin", "issystemadmin", "systemadministrator", "issystemadministrator",
        "sysadmin",
        "issysadmin", "globaladmin", "isglobaladmin", "orgadmin", "isorgadmin", "organizationadmin", "accountadmin",
        "isaccountadmin", "tenantadmin", "istenantadmin", "workspaceadmin", "delegatedadmin", "isdelegatedadmin",
        "adminuser", "isadminuser", "adminrights", "hasadminrights", "adminaccess", "hasadminaccess",
        "adminprivileges",
        "isroot", "isowner", "issuperadministrator", "crmadmin", "isstaff", "管理员", "是否管理员", "是管理员",
        "是否为管理员", "超级管理员", "是否超级管理员", "是否为超级管理员", "超管", "是否超管", "超级用户",
        "是否超级用户",
        "系统管理员", "是否系统管理员", "企业管理员", "是否企业管理员", "主管理员", "是否主管理员", "子管理员",
        "是否子管理员",
        "管理员权限", "是否有管理员权限", "特权账号", "特权用户", "是否特权账号", "是否特权用户", "特权",
    ),
    "role": (
        "role", "roles", "rolename", "rolenames", "userrole", "userroles", "systemrole", "systemroles",
        "securityrole",
        "securityroles", "adminrole", "adminroles", "assignedrole", "assignedroles", "orgrole", "organizationrole",
        "organisationrole", "workspacerole", "accountrole", "accessrole", "memberrole", "teamrole", "profile",
        "profilename", "userprofile", "permission", "permissions", "permissionset", "permissionsets",
        "permissionlevel", "permissiongroup", "accesslevel", "accessrights", "privilege", "privileges", "rights",
        "userrights", "usertype", "userlevel", "accounttype", "membertype", "角色", "角色名称", "用户角色",
        "系统角色",
        "账号角色", "成员角色", "所属角色", "分配角色", "管理角色", "权限", "权限组", "权限角色", "权限级别",
        "用户权限", "系统权限",
        "账号权限", "管理权限", "用户类型", "账号类型", "帐号类型", "账户类型", "成员类型", "使用者角色",
        "使用者类型",
    ),
    "group": ("group", "groups", "team", "department", "组", "群组", "用户组", "部门", "所属部门", "主属部门"),
    "provider": (
        "provider", "sso", "singlesignon", "identityprovider", "idp", "authprovider", "loginsource", "单点登录",
        "单点登录来源", "身份提供商", "登录来源", "认证来源", "单一登入", "身分提供者", "身份提供者",
    ),
    "sso": (
        "ssoenabled", "isssoenabled", "issso", "ssouser", "ssoonly", "federated", "isfederated", "requiresso",
        "authenticationtype", "authenticationmethod", "authtype", "signinmethod", "loginmethod", "logintype",
        "是否单点登录", "启用单点登录", "单点登录用户", "登录方式", "认证方式", "验证方式", "登录类型",
    ),
}  # fmt: skip
# What we call them ourselves, for an error.
OWN_NAMES: Final = (
    "key (工号), name (姓名), email (邮箱), backup_email (备用邮箱), username (用户名), system (系统), "
    "external_id (外部编号), mobile (手机), locale (语言), state (状态), tier (等级), group (部门), provider (单点登录)"
)
ACCESS: Final = ("state", "on", "off", "locked", "gone_at")
FIELD_OF: Final[Mapping[str, Field]] = {name: field for field, names in HEADINGS.items() for name in names}
HEADING_WORDS: Final = frozenset(FIELD_OF)
# Of columns with one of these in their heading somebody should say what they mean …
SUSPECT: Final = re.compile(
    r"status|active|enabled|disabled|blocked|suspend|locked|terminat|deactiv|archived|left|frozen|revoked|privileged"
    r"|allowed|access|sso|singlesignon|accountcontrol|exitdate|offboard|fired|resign|dismiss|validuntil|validto|lastday"
    r"|serviceend|superuser|辞职|解约|登录权限|能否登录|可否登录|可用|有效|禁止|允许登录|作废|失效|状态|停用|禁用|离职|在职|冻结|锁定|注销|启用|激活|管理员|单点登录"
)
# Headings in whose column yes and no say whether somebody is an administrator.
ADMINS: Final = re.compile(r"admin(?!istrativ|istration|unit)|superuser|privileged|管理员|超管|超级用户|特权")
# Headings of columns about work: an administrator there may be one of an office.
JOBS: Final = re.compile(r"title|position|job|occupation|职务|职位|岗位|职称|头衔")
# … but for these, which speak of something else.
HARMLESS: Final = re.compile(
    r"lastactiv|activity|(?<!de)activation(date|time)|(?<!de)activated(date|at|on)|lastaccess|accesstime|marital|leadstatus|subscription|contactstatus|invit"
    r"|2sv|twostep|2fa|mfa|multifactor|dirsync|lastlog|lastsign|verif|newstatus|uploadonly|婚姻|政治|学历|激活时间|启用时间"
    r"|最近|上次|最后登录|审批|合同状态|邀请|绑定|实名|状态说明|状态备注|入职状态|marketing|emailstatus|onboard|activitystatus"
)
_BRACKETS: Final = re.compile(r"[(\[{<（【〔［｛〈《][^)\]}>）】〕］｝〉》]*[)\]}>）】〕］｝〉》]")


@lru_cache(maxsize=1024)
def plain(heading: str) -> str:
    """A heading without spaces, hyphens, underscores, asterisks and case."""
    text = simplified(unicodedata.normalize("NFKC", heading).casefold())
    return "".join(c for c in text if c.isalnum())


# One cell with the family name first: BambooHR, ADP, UKG.
_LAST_FIRST: Final = re.compile(
    r"(?:employee|staff|worker|person|full|legal|display)?(?:name)?(?:last|sur|family)(?:name)?(?:suffix)?"
    r"(?:first|given|fore)(?:name)?(?:mi|middle|middlename|middleinitial|initial)?"
)
# Attributes with several values (RFC 7643 section 2.4), as exports flatten them: `emails[type eq "work"].value`,
# `emails.0.value`, `emails/work`.
_SEVERAL: Final = re.compile(
    r"(emails?|roles|groups|phonenumbers?)(?:[\s._/:-]|\[)*(?:type\s+eq\s+)?[\"']?(primary\s+eq\s+true|\w*?)[\"']?\]?"
    r"(?:[\s._/:-]*(?:value|address|display))?",
    re.IGNORECASE,
)
_ATTRIBUTES: Final[Mapping[str, Field]] = {
    "email": "email",
    "emails": "email",
    "roles": "role",
    "groups": "group",
    "phonenumber": "phone",
    "phonenumbers": "phone",
}


@lru_cache(maxsize=1024)  # asked for every row
def is_last_first(heading: str) -> bool:
    """Whether a column has names with the family name first, and a comma behind it."""
    return bool(_LAST_FIRST.fullmatch(plain(heading)))


def _of_several(heading: str) -> Field | None:
    found = _SEVERAL.fullmatch(heading.strip())
    if not found:
        return None
    field, which = _ATTRIBUTES[found[1].casefold()], found[2].casefold()
    if field == "phone":
        return field if which == "mobile" else None
    if field != "email" or which in ("", "work", "0", "primary", "value", "business") or which.startswith("primary"):
        return field if which in ("", "value", "display") or field == "email" or which.isdigit() else None
    return "backup" if which in ("home", "other", "personal", "secondary") or which.isdigit() else None


def field_of(heading: str) -> Field | None:
    """What a column is, whatever stands around its name: `*邮箱（必填）`, `First Name [Required]`, `Contact: Email`,
    `邮箱/Email`, a second line with an explanation."""
    if is_last_first(heading):
        return "name"
    for text in _readings(heading):
        if (found := FIELD_OF.get(plain(text))) is not None:
            return found
    return _of_several(heading)


def rank(heading: str, field: Field) -> int:
    """The place of a heading among those of its field; a small one is preferred."""
    names = HEADINGS[field]
    return min((names.index(p) for t in _readings(heading) if (p := plain(t)) in names), default=len(names))


def _readings(heading: str) -> list[str]:
    bare = _BRACKETS.sub(" ", heading)
    out = [heading, bare]
    for text in (bare, heading):
        lines = [x for x in text.splitlines() if x.strip()]
        out += lines[:1]
    out += [x for x in re.split(r"[:：.]", bare) if x.strip()][-1:]
    parts = [x for x in re.split(r"[/／|]", bare) if x.strip()]
    out += parts if len(parts) == 2 and all(plain(x) in HEADING_WORDS for x in parts) else parts[:1]
    return out


def is_suspect(heading: str) -> bool:
    """Whether a column that is not known may say who may sign in, with which rights, or by what."""
    text = plain(heading)
    return bool(SUSPECT.search(text)) and not HARMLESS.search(text)
