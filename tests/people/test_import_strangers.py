"""Files as other systems export them and people save them: invented people in the shapes of real exports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.audit_log import log_of
from keyback.application.people.csv_encoding import Unreadable
from keyback.application.people.csv_headings import is_suspect
from keyback.application.people.csv_words import provider_of, state_of
from keyback.application.people.import_csv import BadRow, Report, Systems, import_people
from keyback.domain.people.person import canonicalize
from tests.support.each import each
from tests.support.kit import Kit

SYSTEMS = Systems({"builtin": "Keyback", "crm": "Qingyu CRM"})
ZH = ("陈美雅", "李雷", "韩梅梅", "王芳", "张伟", "欧阳娜娜", "买买提·吐尔逊")


@pytest.fixture
def kit(make_kit: Callable[..., Kit]) -> Kit:
    return make_kit()


@pytest.fixture
def load(kit: Kit, tmp_path: Path) -> Callable[..., tuple[Report, list[BadRow]]]:
    def run(content: str | bytes, **over: Any) -> tuple[Report, list[BadRow]]:
        file = tmp_path / "people.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        bad: list[BadRow] = []
        systems = over.pop("systems", SYSTEMS)
        return kit.run(import_people(kit.services.db, file, systems, on_bad=bad.append, **over)), bad

    return run


Load = Callable[..., tuple[Report, list[BadRow]]]


def people(kit: Kit) -> dict[str, str]:
    """Each name with its state."""

    def fn(tx: Any) -> dict[str, str]:
        from sqlalchemy import text

        return dict(tx.conn.execute(text("SELECT name, state FROM people")).all())

    return kit.read(fn)  # type: ignore[no-any-return]


def one(kit: Kit, identifier: str) -> Any:
    [match] = kit.read(lambda tx: tx.people.match([canonicalize(identifier)]))[canonicalize(identifier)]
    return match


def rows(names: tuple[str, ...], heading: str = "name,email") -> str:
    return heading + "\n" + "".join(f"{n},p{i}@example.com\n" for i, n in enumerate(names))


# ── A1: encodings ───────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "encoding", "told"),
    [
        (("Иванов Иван", "Анна Петрова"), "cp1251", "--encoding cp1251 reads “Иванов Иван”"),
        (("ИВАНОВ ИВАН",), "cp1251", "--encoding cp1251 reads “ИВАНОВ ИВАН”"),
        (("Анна Петрова",), "koi8-r", "--encoding koi8_r reads “Анна Петрова”"),
        (("佐藤太郎", "鈴木花子"), "cp932", "--encoding shift_jis reads “佐藤太郎”"),
        (("佐藤太郎", "ヤマダハナコ"), "euc_jp", "--encoding euc_jp reads “佐藤太郎”"),
        (("陳美雅", "林志明"), "big5", "--encoding big5 reads “陳美雅”"),
        (("김철수", "이영희"), "cp949", "--encoding euc_kr reads “김철수”"),
        (("José García", "Jürgen Groß"), "latin-1", "--encoding cp1252 reads “José García”"),
        (("Łukasz Żółć", "Małgorzata Wiśniewska"), "cp1250", "--encoding cp1250 reads “Łukasz Żółć”"),
        (("Γιώργος Παπαδόπουλος",), "cp1253", "--encoding cp1253 reads “Γιώργος Παπαδόπουλος”"),
    ],
)  # fmt: skip
def test_what_would_read_as_chinese_nonsense_is_refused_and_named(
    kit: Kit, load: Load, names: tuple[str, ...], encoding: str, told: str
) -> None:
    raw = rows(names).encode(encoding)
    byte = next(b for b in raw if b > 127)
    with pytest.raises(Unreadable) as refused:
        load(raw)
    assert f"line 2 is not UTF-8 (byte 0x{byte:02X})" in str(refused.value)
    assert told in str(refused.value)
    assert kit.read(lambda tx: log_of(tx).head()[0]) == 0, "nothing was written"
    report, bad = load(raw, encoding=encoding)
    assert (report.added, bad, report.sample, report.sample_line) == (len(names), [], names[0], 2)
    assert set(people(kit)) == set(names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "encoding", "found"),
    [
        (ZH, "gb18030", "gb18030"),
        (("陈美雅",), "gb18030", "gb18030"),
        (("张伟",), "gbk", "gb18030"),
        (("陳美雅", "林志明"), "gb18030", "gb18030"),
        (("ئابدۇللا تۇرسۇن", "مەھمەت"), "gb18030", "gb18030"),  # four bytes a letter
        (("王\U00031350", "李\U0002ebf0", "陈䶮"), "gb18030", "gb18030"),
        (ZH, "utf-8", "utf-8"),
        (ZH, "utf-8-sig", "utf-8"),
        (ZH, "utf-16", "utf-16"),
        (ZH, "utf-16-le", "utf-16-le"),
        (("Ann", "陈美雅"), "utf-16-be", "utf-16-be"),
        (ZH, "utf-32", "utf-32"),
    ],
)
def test_what_is_chinese_or_unicode_is_read(
    kit: Kit, load: Load, names: tuple[str, ...], encoding: str, found: str
) -> None:
    report, bad = load(rows(names).encode(encoding))
    assert (report.encoding, report.added, bad) == (found, len(names), [])
    assert set(people(kit)) == set(names)
    assert report.sample == next(n for n in names if not n.isascii())


def test_two_marks_and_a_chinese_heading_over_rare_names(kit: Kit, load: Load) -> None:
    assert load(("\ufeff\ufeff" + rows(("陈美雅",))).encode())[0].added == 1
    assert load(rows(("喆堃",), "姓名,邮箱").encode("gb18030"))[0].encoding == "gb18030"
    assert (
        load(b"\xfe\x59,x@example.com\n".join([b"name,email\n" + "王芳,y@example.com\n".encode("gb18030"), b""]))[1]
        == []
    )
    assert "\u9fb4" in people(kit), "what GB18030 kept among private use until 2022 is the character that it is"


@pytest.mark.parametrize(
    ("broken", "line", "byte"),
    [
        (b"Jos\xe9,jose@example.com", 4, "0xE9"),
        ("陈美".encode() + b"\xe9\x9b,mei@example.com", 4, "0xE9"),  # cut off in the middle of a character
        ("王芳".encode("gb18030") + b",fang@example.com", 4, "0xCD"),
    ],
)
def test_utf8_with_one_bad_row_is_utf8_and_the_row_is_named(
    kit: Kit, load: Load, broken: bytes, line: int, byte: str
) -> None:
    report, bad = load(
        "name,email\n陈美雅,a@example.com\n李雷,b@example.com\n".encode() + broken + b"\nAnn,d@example.com\n"
    )
    assert (report.encoding, report.added) == ("utf-8", 3)
    assert [(b.line, b.reason, b.column) for b in bad] == [(line, "bytes", "name")]
    assert byte in bad[0].words()
    assert set(people(kit)) == {"陈美雅", "李雷", "Ann"}


def test_a_broken_row_in_gb18030_and_a_character_lost_before(kit: Kit, load: Load) -> None:
    report, bad = load(rows(ZH).encode("gb18030") + b"\xcd\xf5\xb7,x@example.com\n")
    assert (report.encoding, report.added) == ("gb18030", len(ZH))
    assert [(b.line, b.reason) for b in bad] == [(9, "bytes")]
    assert [b.reason for b in load(rows(("Jos\ufffd", "Ann")))[1]] == ["bytes"]


@each("name", ["klingon", "base64", "rot13", "idna", "unicode_escape", "undefined"])
def test_an_encoding_that_is_none(name: str) -> None:
    from keyback.application.people.csv_encoding import named

    with pytest.raises(Unreadable, match="is not known"):
        named(name)


@pytest.mark.parametrize("encoding", ["utf-8", "big5", "gb18030", "utf-16"])
def test_traditional_chinese_headings(kit: Kit, load: Load, encoding: str) -> None:
    text = "姓名,電子郵件,使用者名稱,帳號狀態,語系\n陳美雅,mei@example.com,mei,啟用,繁體中文\n"
    text += "林志明,lin@example.com,lin,離職,\n"
    if encoding == "big5":
        with pytest.raises(Unreadable, match="--encoding big5 reads “姓名”"):
            load(text.encode(encoding))
        report, bad = load(text.encode(encoding), encoding="big5")
    else:
        report, bad = load(text.encode(encoding))
    assert (bad, report.added, report.warnings, report.unused) == ([], 2, (), ())
    assert people(kit) == {"陳美雅": "active", "林志明": "disabled"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"Last name, First name",Work Email\n"Lee, Ann M.",ann@example.com\n', {"Ann M. Lee"}),
        ('"Employee Name (Last, First)",Work Email\n"Lee, Ann",ann@example.com\n', {"Ann Lee"}),
        (
            'name.givenName,name.familyName,"emails[type eq ""work""].value",active\nAnn,Lee,ann@example.com,true\n',
            {"Ann Lee"},
        ),
        ("userName,name.formatted,emails.value\nann,Ann Lee,ann@example.com\n", {"Ann Lee"}),
        ("displayName,emails.0.value,emails.1.value\nAnn Lee,ann@example.com,home@example.org\n", {"Ann Lee"}),
    ],
)  # fmt: skip
def test_names_and_addresses_as_personnel_systems_flatten_them(
    kit: Kit, load: Load, text: str, names: set[str]
) -> None:
    report, bad = load(text)
    assert (bad, report.added, set(people(kit))) == ([], 1, names)
    assert one(kit, "ann@example.com").contacts[0].address == "ann@example.com"


@pytest.mark.parametrize(
    ("raw", "encoding", "said"),
    [
        (b"name,email\nAnn,ann@example.com\n", "utf-16", "it reads as UTF-8. Leave --encoding out"),
        (b"name,email\nAnn,ann@example.com\n", "utf-32", "it reads as UTF-8. Leave --encoding out"),
        ("name,email\nAnn,ann@example.com\n".encode("utf-16"), "cp1251", "it reads as UTF-16. Leave"),
        (rows(("Анна Петрова", "Иван Иванов")).encode(), "cp1251", "it reads as UTF-8. Leave"),
        (rows(ZH).encode(), "big5", "it reads as UTF-8. Leave"),
    ],
)
def test_an_encoding_that_the_file_is_surely_not_in(load: Load, raw: bytes, encoding: str, said: str) -> None:
    with pytest.raises(Unreadable) as refused:
        load(raw, encoding=encoding)
    assert said in str(refused.value)


# ── A2: who may sign in ─────────────────────────────────────────────────────


@each(
    ("heading", "cell", "state"),
    [
        ("员工状态", "离职", "disabled"), ("员工状态", "在职", "active"), ("员工状态", "试用", "active"),
        ("员工状态", "正式", "active"),
        ("员工状态", "待入职", "disabled"), ("人员状态", "在职（试用）", "active"), ("账号状态", "停用", "disabled"),
        ("账号状态", "已禁用", "disabled"), ("账号状态", "暂停使用", "disabled"), ("在职状态", "退休", "disabled"),
        ("激活状态", "未激活", "disabled"), ("激活状态", "已激活", "active"), ("是否停用", "是", "disabled"),
        ("是否停用", "否", "active"), ("是否启用", "否", "disabled"), ("是否在职", "是", "active"),
        ("是否在职", "否", "disabled"),
        ("禁用状态", "禁用", "disabled"), ("禁用状态", "启用", "active"), ("离职日期", "2024-03-01", "disabled"),
        ("离职日期", "2099-12-31", "active"), ("离职日期", "", "active"), ("状态（必填）", "离职", "disabled"),
        ("status", "Deactivated", "disabled"), ("status", "Active", "active"),
        ("Status [READ ONLY]", "Suspended", "disabled"),
        ("IsActive", "false", "disabled"), ("IsActive", "1", "active"), ("Active", "FALSE", "disabled"),
        ("User Active", "0", "disabled"), ("Block credential", "True", "disabled"),
        ("Block credential", "False", "active"),
        ("Blocked sign-in", "Yes", "disabled"), ("accountEnabled", "False", "disabled"), ("Enabled", "True", "active"),
        ("Blocked", "True", "disabled"), ("Disabled", "no", "active"), ("Archived", "true", "disabled"),
        ("Employment Status", "Terminated", "disabled"), ("Employment Status", "On leave", "active"),
        ("status", "DEPROVISIONED", "disabled"), ("status", "Suspended - by admin", "disabled"),
        ("Status", "not active", "disabled"),
        ("Termination date", "31/12/2024", "disabled"), ("Termination date", "45000", "disabled"),
        ("人员类别", "离职人员", "warned"), ("账号是否可用", "否", "disabled"),
        ("Deactivated on", "2024-05-05", "disabled"),
        ("Zugang (access)", "gesperrt", "warned"), ("用户是否禁止使用", "是", "warned"),
        ("Status", "Former employees", "disabled"),
        ("Login Access", "Disabled", "disabled"), ("Account condition status", "deactivated", "disabled"),
        ("Status", "gone fishing", "refused"), ("状态", "1", "refused"), ("Enabled", "perhaps", "refused"),
        ("员工状态", "？？", "refused"), ("离职日期", "soon", "no date"), ("Termination date", "2567-01-01", "no date"),
        ("Termination date", "30005", "disabled"), ("離職日期", "113/03/01", "disabled"),
        ("End date", "3 Mar 2024", "disabled"),
        ("accountExpires", "133500000000000000", "disabled"), ("End date", "45000.5", "disabled"),
        ("帳號狀態", "停權", "disabled"), ("員工狀態", "離職", "disabled"), ("是否啟用", "是", "active"),
        ("使用者狀態", "啟用", "active"), ("在職狀態", "已離職", "disabled"),
    ],
)  # fmt: skip
def test_a_column_about_access_is_understood_or_stops(heading: str, cell: str, state: str) -> None:
    from keyback.application.people import csv_file, csv_rows

    table = _table(f"name,email,{heading}\nAnn,ann@example.com,{cell}\n")
    [record] = list(table.survey())
    row = csv_rows.read_row(record, table.cells(record), SYSTEMS)
    assert isinstance(table, csv_file.Table)
    if state == "refused":
        assert isinstance(row, BadRow), row
        assert (row.reason, row.column) == ("unknown", "state")
    elif state == "no date":
        assert isinstance(row, BadRow), row
        assert (row.reason, row.column) == ("no_date", heading), "the column that is at fault"
    elif state == "warned":
        assert table.warnings, "it is said aloud"
    else:
        assert not isinstance(row, BadRow), row
        assert row.account.state == state


def _table(text: str) -> Any:
    import datetime
    import tempfile

    from keyback.application.people.csv_file import Table

    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", delete=False) as f:
        f.write(text)
    return Table.of(Path(f.name), today=datetime.date(2026, 11, 28))


@pytest.mark.parametrize("word", ["Deactivated", "离职", "suspended", "已停用"])
def test_a_known_person_whose_row_says_that_they_left_is_switched_off(kit: Kit, load: Load, word: str) -> None:
    load("key,name,email\n1,Ann,ann@example.com\n2,Bo,bo@example.com\n")
    before = one(kit, "ann@example.com").person
    report, _ = load(f"key,name,email,status\n1,Ann,ann@example.com,{word}\n2,Bo,bo@example.com,active\n")
    after = one(kit, "ann@example.com").person
    assert (after.state, one(kit, "bo@example.com").person.state) == ("disabled", "active")
    assert after.security_version > before.security_version
    assert report.off == {word: 1}


@pytest.mark.parametrize("fault", ["1,,ann@example.com,left", "1,Ann,ann at example,left", "1,Ann,,left"])
def test_also_where_the_row_cannot_be_taken_for_another_reason(kit: Kit, load: Load, fault: str) -> None:
    load("key,name,email\n1,Ann,ann@example.com\n2,Bo,bo@example.com\n")
    content = f"key,name,email,status\n{fault}\n2,Bo,bo@example.com,active\n"
    assert (load(content, dry_run=True)[0].switched_off, people(kit)["Ann"]) == (1, "active")
    report, bad = load(content)
    assert (len(bad), report.switched_off) == (1, 1)
    assert people(kit) == {"Ann": "disabled", "Bo": "active"}


def test_an_empty_cell_gives_nothing_back(kit: Kit, load: Load) -> None:
    heading = "key,name,email,status,tier\n"
    load(heading + "1,Ann,ann@example.com,disabled,admin\n2,Bo,bo@example.com,active,\n")
    report, _ = load(heading + "1,Ann,ann@example.com,,\n2,Bo,bo@example.com,,\n")
    assert (report.same, people(kit)) == (2, {"Ann": "disabled", "Bo": "active"})
    assert one(kit, "ann@example.com").person.tier == "privileged"


def test_a_column_that_may_take_access_away_is_said_aloud(kit: Kit, load: Load) -> None:
    report, _ = load("name,email,Remarks\nAnn,ann@example.com,离职\nBo,bo@example.com,在职\n")
    assert "Remarks" in report.warnings[0]
    assert "line 2" in report.warnings[0]
    report, _ = load("name,email,Zugang gesperrt (blocked by)\nAnn,ann@example.com,IT\n")
    assert len(report.warnings) == 1
    report, _ = load("name,email,Remarks\nAnn,ann@example.com,离职\n", ignore=["remarks"])
    assert report.warnings == ()
    quiet = "name,email,Last active,Marital status,2sv Enrolled [READ ONLY],New Status [UPLOAD ONLY]\n"
    assert load(quiet + "Ann,ann@example.com,2026-01-01,single,True,\n")[0].warnings == ()


@each(
    ("heading", "cell", "tier"),
    [
        ("级别", "管理员", "privileged"), ("Tier", "MFA", "mfa"), ("Admin", "TRUE", "privileged"),
        ("是否管理员", "否", "standard"),
        ("Super Admin", "yes", "privileged"), ("tier", "godlike", "refused"), ("Admin", "maybe", "refused"),
    ],
)  # fmt: skip
def test_a_tier_is_understood_or_stops(heading: str, cell: str, tier: str) -> None:
    from keyback.application.people import csv_rows

    table = _table(f"name,email,{heading}\nAnn,ann@example.com,{cell}\n")
    [record] = list(table.survey())
    row = csv_rows.read_row(record, table.cells(record), SYSTEMS)
    if tier == "refused":
        assert isinstance(row, BadRow)
    else:
        assert not isinstance(row, BadRow)
        assert row.tier == tier


@each(
    ("heading", "cell", "provider"),
    [
        ("sso", "Entra", "Entra"), ("单点登录", "是", "SSO"), ("SSO enabled", "TRUE", "SSO"), ("SSO", "no", ""),
        ("登录方式", "企业微信扫码", "企业微信扫码"), ("登录方式", "密码", ""), ("Authentication type", "SAML", "SAML"),
        ("Federated", "True", "SSO"), ("SSO", "无", ""), ("登录方式", "意念", None),
    ],
)  # fmt: skip
def test_single_sign_on_is_understood_or_stops(heading: str, cell: str, provider: str | None) -> None:
    from keyback.application.people import csv_rows

    table = _table(f"name,email,{heading}\nAnn,ann@example.com,{cell}\n")
    [record] = list(table.survey())
    row = csv_rows.read_row(record, table.cells(record), SYSTEMS)
    assert provider is None if isinstance(row, BadRow) else row.account.provider == provider


# ── A3: languages ───────────────────────────────────────────────────────────


def test_a_language_never_keeps_anybody_out(kit: Kit, load: Load) -> None:
    said = {
        "de_DE": "en", "en-AU": "en", "English (United States)": "en", "简体中文（中国）": "zh_CN",
        "zh-Hant-TW": "zh_TW",
        "zh_HK.UTF-8": "zh_TW", "EN": "en", "英语": "en", "Chinese (Simplified)": "zh_CN", "2052": "zh_CN",
        "klingon": "en",
        "français": "en", "": "en", "繁體中文": "zh_TW",
    }  # fmt: skip
    text = "name;email;language\n" + "".join(f"P{n};p{n}@example.com;{x}\n" for n, x in enumerate(said))
    report, bad = load(text)
    assert (bad, report.added) == ([], len(said))
    assert [one(kit, f"p{n}@example.com").person.locale for n in range(len(said))] == list(said.values())
    assert report.languages == {"de_DE": 1, "klingon": 1, "français": 1}


# ── A6: shapes ──────────────────────────────────────────────────────────────

EXPORTS = {
    "salesforce": (
        "Id,Username,FirstName,LastName,Email,IsActive,LanguageLocaleKey,LocaleSidKey,State,FederationIdentifier\n"
        "0055g1,ann.lee@firm.example.crm,Ann,Lee,ann@firm.example,true,en_US,de_DE,CA,\n"
        "0055g2,chen@firm.example.crm,美雅,陈,chen@firm.example,false,zh_CN,zh_CN,,\n",
        {"Ann Lee": "active", "陈美雅": "disabled"},
    ),
    "salesforce report": (
        '"Full Name","Username","Email","Active","Profile","Last Login"\n'
        '"Lee, Ann","ann@firm.example.crm","ann@firm.example","1","System Administrator","11/1/2026"\n'
        '"Chen Bo","bo@firm.example.crm","bo@firm.example","0","Standard User",""\n\n'
        '"Grand Totals (2 records)"\n"Confidential Information - Do Not Distribute"\n',
        {"Lee, Ann": "active", "Chen Bo": "disabled"},
    ),
    "hubspot": (
        "First name,Last name,Email,Status,Last active,Permission set,Super Admin?\n"
        "Ann,Lee,ann@firm.example,Active,2026-11-01,Sales,No\nBo,Berg,bo@firm.example,Deactivated,,Sales,No\n",
        {"Ann Lee": "active", "Bo Berg": "disabled"},
    ),
    "zoho": (
        "First Name,Last Name,Email,Role,Profile,Status,Language,Locale,Country Locale,State,City\n"
        "Ann,Lee,ann@firm.example,CEO,Administrator,active,en_US,en_US,us,Texas,Austin\n"
        "Bo,Berg,bo@firm.example,Rep,Standard,inactive,de_DE,de_DE,de,Bayern,Ulm\n",
        {"Ann Lee": "active", "Bo Berg": "disabled"},
    ),
    "google workspace": (
        "First Name [Required],Last Name [Required],Email Address [Required],Password [Required],"
        "Org Unit Path [Required],"
        "Recovery Email,Status [READ ONLY],Last Sign In [READ ONLY],New Status [UPLOAD ONLY],2sv Enrolled [READ ONLY]\n"
        "Ann,Lee,ann@firm.example,****,/Sales,ann@home.example,Active,2026/11/01,,True\n"
        "Bo,Berg,bo@firm.example,****,/,,Suspended,Never logged in,,False\n",
        {"Ann Lee": "active", "Bo Berg": "disabled"},
    ),
    "microsoft 365": (
        "Block credential,City,Country,Department,Display name,First name,Last name,Object Id,Preferred language,"
        "Proxy addresses,State,User principal name,When created\n"
        "False,Seattle,US,Sales,Ann Lee,Ann,Lee,o-1,en-US,SMTP:ann@firm.example,WA,ann@firm.example,2024-01-01\n"
        "True,,,,Bo Berg,Bo,Berg,o-2,,,,bo@firm.example,2024-01-01\n",
        {"Ann Lee": "active", "Bo Berg": "disabled"},
    ),
    "entra": (
        "userPrincipalName,displayName,surname,mail,givenName,accountEnabled,state,usageLocation,objectId\n"
        "ann@firm.example,Ann Lee,Lee,ann@firm.example,Ann,True,WA,US,o-1\n"
        "bo@firm.example,Bo Berg,Berg,bo@firm.example,Bo,False,,DE,o-2\n",
        {"Ann Lee": "active", "Bo Berg": "disabled"},
    ),
    "active directory": (
        "#TYPE Microsoft.ActiveDirectory.Management.ADUser\n"
        '"EmailAddress","Enabled","GivenName","Name","SamAccountName","Surname"\n'
        '"ann@firm.local","True","Ann","Ann Lee","alee","Lee"\n"bo@firm.local","False","Bo","Bo Berg","bberg","Berg"\n',
        {"Ann Lee": "active", "Bo Berg": "disabled"},
    ),
    "钉钉": (
        "员工UserID,姓名*,部门,职位,工号,邮箱,员工状态,激活状态,离职日期\n"
        "u1,陈美雅,销售部,经理,001,chen@firm.example,正式,未激活,\nu2,李雷,销售部,,002,li@firm.example,离职,已激活,2025-01-31\n",
        {"陈美雅": "active", "李雷": "disabled"},
    ),
    "企业微信": (
        '"填写须知：\n1. 不要改动表头, 2. 帐号必填",,,,,,\n姓名(必填),帐号(必填),别名,部门,个人邮箱,企业邮箱,禁用状态\n'
        "陈美雅,ChenMeiYa,,销售部,mei@home.example,chen@firm.example,启用\n李雷,LiLei,,销售部,,li@firm.example,禁用\n",
        {"陈美雅": "active", "李雷": "disabled"},
    ),
    "飞书": (
        "姓名（必填）,工作邮箱（必填）,工号,部门,人员类型,账号状态\n陈美雅,chen@firm.example,1,销售,正式,正常\n"
        "李雷,li@firm.example,2,销售,正式,已暂停\n",
        {"陈美雅": "active", "李雷": "disabled"},
    ),
    "纷享销客": (
        "员工列表\n导出时间：2026-11-28,,\n\n员工姓名,登录账号,邮箱,主属部门,员工编号,是否停用\n"
        "陈美雅,chen,chen@firm.example,销售,1,否\n李雷,lilei,li@firm.example,销售,2,是\n",
        {"陈美雅": "active", "李雷": "disabled"},
    ),
    "okta": (
        "login,firstName,lastName,email,status\nann@firm.example,Ann,Lee,ann@firm.example,ACTIVE\n"
        "bo@firm.example,Bo,Berg,bo@firm.example,DEPROVISIONED\n",
        {"Ann Lee": "active", "Bo Berg": "disabled"},
    ),
    "a spreadsheet": (
        "sep=;\nStaff list;;;\n\n*Name;E-mail (work);Surname;Status\n"
        "Ann;ann@firm.example;Lee;active\nBo;bo@firm.example;Berg;left\n",
        {"Ann Lee": "active", "Bo Berg": "disabled"},
    ),
    "姓 and 名": (
        "姓,名,邮箱（必填）,员工状态\n陈,美雅,chen@firm.example,在职\nBerg,Bo,bo@firm.example,离职\n",
        {"陈美雅": "active", "Bo Berg": "disabled"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
def test_exports_are_taken_as_they_are(kit: Kit, load: Load, name: str) -> None:
    text, wanted = EXPORTS[name]
    for content in (text, text.replace("\n", "\r\n").encode("utf-8-sig"), text.encode("utf-16")):
        report, bad = load(content)
        shown = [b for b in bad if b.record and len(b.record) > 1]
        assert shown == [], [b.words() for b in shown]
        assert people(kit) == wanted, report
        assert report.warnings == ()
    assert report.same == len(wanted)


@each(
    "text",
    [
        'key,name,email\n1,Ann,ann@example.com\n2,"Bo,bo@example.com\n3,Cy,cy@example.com\n4,Di,di@example.com\n',
        'key,name,email\n1,Ann,ann@example.com\n2,"Bo,bo@example.com\n3,"Cy, B.",cy@example.com\n4,Di,di@example.com\n',
        'key,name,email\n1,Ann,ann@example.com\n2,"Bo,bo@example.com\n3,Cy,cy@example.com\n4,Di,di@example.com\n5,"E",e@example.com\n',
    ],
)
def test_an_open_quotation_mark_costs_its_own_row_alone(text: str) -> None:
    from keyback.application.people import csv_rows

    table = _table(text)
    found = [csv_rows.read_row(r, table.cells(r) if not r.fault else {}, SYSTEMS) for r in table.survey()]
    assert [(b.line, b.reason) for b in found if isinstance(b, BadRow)] == [(3, "quotes")]
    assert {r.line for r in found if not isinstance(r, BadRow)} >= {2, 4, 5}


def test_two_stray_marks_do_not_make_one_person_of_two(kit: Kit, load: Load) -> None:
    report, bad = load(
        'key,name,email\n1,Ann,ann@example.com\n2,"Bo,bo@example.com\n3,Cy",cy@example.com\n4,Di,di@example.com\n'
    )
    assert sorted((b.line, b.reason) for b in bad) == [(3, "quotes"), (4, "quotes")]
    assert set(people(kit)) == {"Ann", "Di"}
    assert report.rows == 4


def test_a_cell_of_two_lines_and_a_nickname_in_quotes_are_fine(kit: Kit, load: Load) -> None:
    _, bad = load(
        'name,email,address\n"Bo\nBerg",bo@example.com,"Main St. 1,\n12345 Ulm"\nRobert "Rob" Ray,ray@example.com,\n'
    )
    assert bad == []
    assert set(people(kit)) == {"Bo Berg", 'Robert "Rob" Ray'}


def test_five_hundred_people_behind_an_open_mark(kit: Kit, load: Load) -> None:
    body = [f"P{n},p{n}@example.com" for n in range(500)]
    body[3] = '"P3,p3@example.com'
    report, bad = load("name,email\n" + "\n".join(body))
    assert (report.rows, report.added, [b.line for b in bad]) == (500, 499, [5])


@pytest.mark.slow
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_line_ends_separators_and_what_spreadsheets_leave(kit: Kit, load: Load, end: str, separator: str) -> None:
    text = (
        "工号,姓名,邮箱,,,\n,,,,,\n"
        '="00123",陈美雅\u200b, chen@example.com\u00a0,,,\n'
        "'00124,O'Neil ,mailto:o.neil@example.com,,,\n"
        + ",,,,,\n"
        * 3000
        + "125,Ann\u200e Lee,Ann Lee <ann@example.com>,,,\n"
        "工号,姓名,邮箱,,,\n"
    )
    report, bad = load(text.replace(",", separator).replace("\n", end))
    assert (bad, report.rows) == ([], 3)
    assert set(people(kit)) == {"陈美雅", "O'Neil", "Ann Lee"}
    assert load("工号,姓名,邮箱\n00123,陈美雅,chen@example.com\n")[0].same == 1, "the key is the number with its zeros"


def test_nul_bytes_cost_their_row(kit: Kit, load: Load) -> None:
    report, bad = load(b"name,email\nA\0nn,ann@example.com\nBo,bo@example.com\n" + b"\0" * 64)
    assert [(b.line, b.reason) for b in bad] == [(2, "not_text")]
    assert report.added == 1


def test_columns_that_say_the_same_twice(kit: Kit, load: Load) -> None:
    report, bad = load(
        "name,email,E-Mail,Language,Locale,Name\nAnn,ann@example.com,ann@example.com,zh,en,Ann\n"
        "Bo,,bo@example.com,en,,\nCy,cy@example.com,other@example.com,,,Cy\n"
    )
    assert [(b.line, b.reason, b.column) for b in bad] == [(4, "conflict", "email")]
    assert one(kit, "ann@example.com").person.locale == "zh_CN"
    assert report.added == 2
    assert any("Locale" in n for n in report.notes)


def test_a_place_is_no_state(kit: Kit, load: Load) -> None:
    report, bad = load("name,email,state,city\nAnn,ann@example.com,Texas,Austin\n")
    assert (bad, people(kit)) == ([], {"Ann": "active"})
    assert any("Texas" in n for n in report.notes)
    _, bad = load("name,email,state\nBo,bo@example.com,Deaktiviert\n")
    assert [b.reason for b in bad] == ["unknown"], "nobody knows whether that is a place"


def test_it_comes_through_a_pipe(kit: Kit, tmp_path: Path) -> None:
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_text(rows(ZH), "utf-8")).start()
    report = kit.run(import_people(kit.services.db, pipe, SYSTEMS, on_bad=lambda _: None))
    assert report.added == len(ZH)


def test_another_system_than_ours_can_be_named(kit: Kit, load: Load) -> None:
    systems = Systems({"crm": "Qingyu CRM"}, default_system="crm")
    assert load(rows(ZH), systems=systems)[0].added == len(ZH)
    assert {a.system for a in one(kit, "p0@example.com").accounts} == {"crm"}


@pytest.mark.parametrize(
    "text",
    [
        "non-current", "Active: No", "Enabled: false", "until 2020-01-01: active", "Ex-Employed", "was: active",
        "active (revoke pending)", "停薪（在职）", "Active/Terminating", "在职-已办理手续离开",
    ],
)  # fmt: skip
def test_beside_what_is_not_understood_nobody_counts_as_active(text: str) -> None:
    assert state_of(text) is None


def test_no_sign_in_elsewhere_is_no_provider() -> None:
    assert [provider_of(t) for t in ("Not SSO", "SAML disabled", "未启用", "无")] == [""] * 4
    assert [provider_of(t) for t in ("Okta", "Nottingham IdP", "notion sso")] == [
        "Okta",
        "Nottingham IdP",
        "notion sso",
    ]


@pytest.mark.parametrize(
    "heading",
    [
        "userAccountControl",
        "Exit Date",
        "Valid Until",
        "Last Day",
        "Offboarded",
        "Fired",
        "辞职日期",
        "能否登录",
        "登录权限",
    ],
)  # fmt: skip
def test_more_columns_that_may_be_about_access_are_asked_about(heading: str) -> None:
    assert is_suspect(heading)
