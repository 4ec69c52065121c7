"""A CSV file as spreadsheets write it: encoding, separator and headings are found out, rows are streamed."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 1 << 20
# What a column may be called, without spaces, hyphens, underscores and case.
HEADINGS: Mapping[str, tuple[str, ...]] = {
    "key": ("key", "personkey", "employeeid", "employeenumber", "staffid", "工号", "员工编号", "员工号", "人员编号"),
    "name": ("name", "fullname", "displayname", "姓名", "名字", "员工姓名", "显示名", "显示名称"),
    "email": ("email", "mail", "emailaddress", "primaryemail", "workemail", "邮箱", "电子邮箱", "邮件", "电子邮件",
              "邮箱地址", "工作邮箱", "主邮箱"),
    "backup": ("backupemail", "backupmail", "secondaryemail", "recoveryemail", "备用邮箱", "备份邮箱", "备用电子邮箱"),
    "username": ("username", "user", "login", "loginname", "account", "用户名", "账号", "帐号", "登录名", "登录账号"),
    "system": ("system", "系统", "系统名称"),
    "external_id": ("externalid", "userid", "外部编号", "外部id", "系统编号", "系统用户编号"),
    "locale": ("locale", "language", "lang", "语言"),
    "state": ("state", "status", "状态", "账号状态"),
    "tier": ("tier", "level", "级别", "等级", "安全级别"),
    "group": ("group", "groups", "team", "department", "组", "群组", "用户组", "部门"),
    "provider": ("provider", "sso", "singlesignon", "单点登录", "单点登录来源"),
}  # fmt: skip
FIELD_OF = {name: field_ for field_, names in HEADINGS.items() for name in names}


class Unreadable(ValueError):
    """A file that cannot be used at all; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `line`: the physical line on which it begins. `fault`: why it could not be read, if so."""

    line: int
    cells: tuple[str, ...]
    fault: str = ""


@dataclass(slots=True)
class Table:
    """A file whose shape is known. `records` is filled by whoever reads it first."""

    path: Path
    sha256: str
    encoding: str
    separator: str
    heading: tuple[str, ...]
    fields: dict[str, int]
    unused: tuple[str, ...]
    records: int = field(default=0)

    @classmethod
    def of(cls, path: Path) -> Table:
        """Finds encoding, separator and headings.

        Raises:
            Unreadable: not text, no heading, or a column that is there twice.
        """
        encoding, sha256 = _encoding(path)
        with path.open("r", encoding=encoding, newline="") as f:
            first = _first_line(f)
        separator = max(",;\t", key=first.count)
        try:
            heading = tuple(next(csv.reader([first], delimiter=separator, strict=True)))
        except (csv.Error, StopIteration):
            raise Unreadable("the first line cannot be read as column names") from None
        fields: dict[str, int] = {}
        unused = []
        for n, text in enumerate(heading):
            known = FIELD_OF.get(_plain(text))
            if known is None:
                unused.append(" ".join(text.split())[:40])
            elif known in fields:
                raise Unreadable(f"two columns mean {known}; keep one of them")
            else:
                fields[known] = n
        missing = [f for f in ("name", "email") if f not in fields]
        if missing:
            raise Unreadable(
                f"the first line has no column for {' and '.join(missing)}; known names are "
                + ", ".join(f"{names[0]} ({next(n for n in names if not n.isascii())})" for names in HEADINGS.values())
            )
        return cls(path, sha256, encoding, separator, heading, fields, tuple(u for u in unused if u))

    def cells(self, record: Record) -> dict[str, str]:
        """The record's known cells by field, without white space around them."""
        return {f: record.cells[n].strip() if n < len(record.cells) else "" for f, n in self.fields.items()}

    def read(self) -> Iterator[Record]:
        """Every record behind the heading; blank lines are left out."""
        with self.path.open("r", encoding=self.encoding, newline="") as f:
            reader = csv.reader(f, delimiter=self.separator, strict=True)
            begin, heading = 1, True
            while True:
                try:
                    cells = tuple(next(reader))
                except StopIteration:
                    return
                except csv.Error:
                    record = Record(begin, (), "quotes")
                else:
                    fault = "cells" if any(c.strip() for c in cells[len(self.heading) :]) else ""
                    record = Record(begin, cells, fault)
                begin = reader.line_num + 1
                if heading:
                    heading = not any(c.strip() for c in record.cells)
                elif record.fault or any(c.strip() for c in record.cells):
                    yield record


def digest(text: str) -> bytes:
    """A short name of a text, so that tables of a hundred thousand of them stay small."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _plain(heading: str) -> str:
    text = unicodedata.normalize("NFKC", heading).casefold()
    return "".join(c for c in text if c.isalnum())


def _first_line(f: io.TextIOBase) -> str:
    for line in iter(lambda: f.readline(CHUNK), ""):
        if line.strip():
            return line
    raise Unreadable("the file is empty")


def _encoding(path: Path) -> tuple[str, str]:
    """UTF-8 when the whole file is that, UTF-16 by its mark, else GB18030; and the file's SHA-256."""
    sha = hashlib.sha256()
    decoders: dict[str, codecs.IncrementalDecoder | None] = {
        name: codecs.getincrementaldecoder(name)() for name in ("utf-8-sig", "gb18030")
    }
    with path.open("rb") as f:
        head = f.read(4)
        if head.startswith(b"PK\x03\x04"):
            raise Unreadable("this is a workbook; save it as CSV (UTF-8) first")
        if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            decoders = {"utf-16": codecs.getincrementaldecoder("utf-16")()}
        f.seek(0)
        while True:
            chunk = f.read(CHUNK)
            sha.update(chunk)
            for name, decoder in decoders.items():
                try:
                    text = decoder.decode(chunk, final=not chunk) if decoder else ""
                except UnicodeDecodeError:
                    decoders[name] = None
                else:
                    if "\0" in text:
                        decoders[name] = None
            if not chunk:
                break
    found = next((name for name, decoder in decoders.items() if decoder), None)
    if found is None:
        raise Unreadable("this is no text in UTF-8 or GB18030; save it as CSV (UTF-8)")
    return found, sha.hexdigest()
