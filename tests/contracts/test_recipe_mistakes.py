"""What is wrong with a recipe is said in full: every mistake, its line, and what was probably meant."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from keyback.connectors.http.checking import checked, mistakes
from keyback.connectors.http.lines import locate
from keyback.connectors.http.options import HttpConnectorOptions, NotText, read_recipe, shipped
from tests.support.acorn import printed
from tests.support.each import each
from tests.support.house import ROOT
from tests.support.selfhosted.kestrel import RECIPE

GOOD = shipped()["demo"]
BROKEN = """\
format = 1
titel = "Acorn"
[auth]
kind = "bearerr"
[answers]
code = "error"
[[errors]]
code = "weak"
means = "policy_reject"
[account]
id = "/id"
username = "/login"
privileged = { at = "/roles", was = "admin" }
[requests.find]
path = "/staff
items = "/data"
[requests.find.querry]
q = "{identifier}"
[requests.set]
method = "PUTT"
path = "/staff/{id}"
json = { password = "{password}" }
json = { password = "{password}" }
"""


def test_every_mistake_is_said_with_its_line() -> None:
    said = {(m.line, m.text) for m in mistakes(BROKEN)}
    expected = {
        2: "there is no key titel here; did you mean title?",
        4: "did you mean bearer?",
        6: "a JSON pointer starts with /",
        9: "did you mean policy_rejected?",
        13: "there is no key was here",
        15: "",
        17: "there is no key querry here; did you mean query?",
        20: "did you mean PUT?",
        23: "there already",
    }
    for line, words in expected.items():
        assert any(at == line and words in text for at, text in said), (line, words, sorted(said))


def with_(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@each(
    "old, new, words",
    [
        ('path = "/api/find"', 'path = "https://evil.example.com/x"', "names no address"),
        ('path = "/api/find"', 'path = "//evil.example.com/x"', "names no address"),
        ('path = "/api/find"', 'path = "/api/../admin"', "must not have"),
        ('path = "/api/find"', 'path = "/api/%2e%2e/admin"', "must not have"),
        ('path = "/api/find"', 'path = "/api/find?q={identifier}"', "parameters go into query"),
        ('path = "/api/find"', 'path = "/api/{env}"', "{env} is not known here"),
        ('path = "/api/find"', 'path = "/api/{secret}"', "only signing in may send the secret"),
        ('"{identifier}"', '"{password}"', "only set and verify may send the password"),
        ('"{identifier}"', '"{identifer}"', "did you mean identifier?"),
        ('"{identifier}"', "\"name='{identifier}'\"", "write {identifier|safe}"),
        ('"{identifier}"', '"{identifier|saf}"', "there is no filter saf; did you mean safe?"),
        ('"{identifier}"', '"{identifier"', "a brace that is no placeholder"),
        ('"{identifier}"', '"{identifier.__class__}"', "is not known here"),
        ('"{identifier}"', "2026-01-01", "dates are written as texts"),
        ('kind = "bearer"', 'kind = "bearer"\nheaders = { Host = "evil.example.com" }', "Keyback's own to set"),
        ('kind = "bearer"', 'kind = "bearer"\nheaders = { "a b" = "c" }', "no name of a header"),
        ('kind = "bearer"', 'kind = "bearer"\nheaders = { X = "{token" }', "a brace that is no placeholder"),
        ('kind = "bearer"', 'kind = "token"', "needs a request that signs in"),
        ('privileged = { at = "/privileged", is = true }', "", "privileged is missing"),
        ('privileged = { at = "/privileged", is = true }', "privileged = []", "has to be listed"),
        ('{ password = "{password}", job_id = "{job}" }', '{ job_id = "{job}" }', "sends no {password}"),
        ('job_id = "{job}"', 'job_id = "1"', "can't remember a {job} that isn't sent"),
        ('json = { password = "{password}", job_id', 'query = { p = "{password}", job_id', "ends up in logs"),
        ("format = 1", "format = 2", "is not one of 1"),
        ("format = 1", "format = 1\nurl = 'https://u:p@[::1]:8080/'", "there is no key url here"),
        ('path = "/api/find"', 'path = "https://u:p@evil.example.com/x"', "names no address"),
        ('path = "/api/find"', 'path = "http:[::1]/x"', "names no address"),
        ('path = "/api/find"', 'path = "//169.254.169.254/x"', "names no address"),
        ('path = "/api/find"', 'path = "@evil.example.com/x"', "names no address"),
        ('path = "/api/find"', 'path = ":8080/x"', "names no address"),
        ('path = "/api/find"', 'path = "{identifier}://evil.example.com/x"', "names no address"),
        ('path = "/api/find"', 'path = "{values.host}/x"', "name it in [values]"),
        ('path = "/api/find"', 'path = "/api/..;/admin"', "must not have"),
        ('path = "/api/find"', 'path = "/api\u200b/find"', "can't be seen"),
        ('items = "/users"', 'items = "$.users"', "starts with /"),
        ('items = "/users"', 'items = "/us~2ers"', "is written ~0"),
        ('items = "/users"', 'items = "/users/"', "ends with a name"),
        ('items = "/users"', 'items = "/users/-1"', "count from the first one"),
        ('items = "/users"', 'items = "/{identifier}"', "has no placeholders"),
        ('items = "/users"', 'items = "/a\\nb"', "is on one line"),
        ('items = "/users"', "items = 5", "a text is needed"),
        ('"{identifier}"', '"｛identifier｝"', "of Chinese input"),
        ('"{identifier}"', "“{identifier}”", "straight quotation marks"),
        ('"{identifier}"', "nan", "no nan"),
        ('"{identifier}"', "9" * 5000, "too many digits"),
        ("{ identifier =", '{ "{identifier}" =', "only values have placeholders"),
        ("{ identifier =", "{ a = 1, a = 2, identifier =", "the key a is there already"),
        ("repeatable = true", "repeatable = True", "no value"),
        ("repeatable = true", 'repeatable = "true"', "without quotation marks"),
        ("repeatable = true", "status = 20", "100 or more"),
        ("repeatable = true", 'status = "200"', "a whole number"),
        ("repeatable = true", "status = []", "has to be listed"),
        ("repeatable = true", "headers = { X = 'a\u4e2d' }", "printable ASCII"),
        ("repeatable = true", 'headers = { X = "a\\r\\nHost: evil.example.com" }', "printable ASCII"),
        ("repeatable = true", "headers = { X = '1', x = '2' }", "there already"),
        ("repeatable = true", "headers = { authorization = 'x' }", "auth = false leaves that out"),
        ("repeatable = true", "cookies = { a = 'b; c=d' }", "no cookie has"),
        ("repeatable = true", "read = { password = '/x' }", "name of Keyback's own"),
        ("repeatable = true", "read = { 'A b' = '/x' }", "is no name"),
        ("repeatable = true", "location = '/x'", "are for pages"),
        ("repeatable = true", "read_fields = { a = '_csrf' }", "are for pages"),
        ("repeatable = true", "location = 'https://evil.example.com/'", "can't be in such a name"),
        ('kind = "bearer"', 'kind = "bearer"\nheaders = { authorization = "x" }', "sends this header itself"),
        ('kind = "bearer"', 'kind = "bearer"\nexpires_in = "/x"', "for kinds token and cookie"),
        ('kind = "bearer"', 'kind = "bearer"\nlifetime_s = 600.5', "a whole number"),
        ("is = true }", "is = [] }", "has to be listed"),
        ("is = true }", "is = 1.5 }", "a text, a whole number, true or false"),
        ("is = true }", "is = true, has = 'x' }", "say one of"),
        ("[auth]", "[values]\na = '{values.a}'\n[auth]", "values have no placeholders"),
        ("[auth]", "[transforms.a]\nkind = 'md5'\nfirst = 'a'\n[auth]", "leads back to itself"),
        ("[auth]", "[transforms.a]\nkind = 'md5'\nbefore = '{username|a}'\n[auth]", "leads back to itself"),
        (
            "[auth]",
            "[transforms.a]\nkind = 'md5'\nbefore = '{id|b}'\n[transforms.b]\nkind = 'md5'\nfirst = 'a'\n[auth]",
            "leads back to itself",
        ),
        ("[auth]", "[transforms.a]\nkind = 'base64'\nrounds = 2\n[auth]", "for digests"),
        ("[auth]", "[transforms.a]\nkind = 'rsa_pkcs1'\nkey = 'MIIB'\n[auth]", "cannot be read"),
        ("[auth]", "[transforms.A-B]\nkind = 'md5'\n[auth]", "A-B is no name"),
        ("[auth]", "[[auth]]", "a table is needed"),
        ("[[errors]]", "[errors]", "a list is needed"),
        ("[auth]", "[password_rules]\nmin_length = 20\nmax_length = 12\n[auth]", "min_length"),
        ("[auth]", "[[errors]]\nmeans = 'uncertain'\ntext = '{password}'\n[auth]", "have no placeholders"),
        ("[requests.read]", "[requests.roles]", "items is missing"),
    ],
)
def test_what_a_recipe_must_not_say_is_named(old: str, new: str, words: str) -> None:
    found = mistakes(with_(old, new))
    assert any(words in m.text for m in found), found
    assert all(1 <= m.line <= GOOD.count("\n") + 7 for m in found)
    assert found[0].line > 1 or "format" in old or "[[auth]]" in new
    assert all(m.words("zh_CN") != m.words("en") for m in found), "it is said in both languages"


@pytest.mark.slow
@each(
    "text",
    [
        "",
        "x",
        "[",
        "[[[[",
        "= 1",
        '"""',
        "a = " + "[" * 5000,
        "[a]\n" * 200,
        "\x00",
        "a.b.c.d = 1\na.b = 2",
        "{}" * 3000,
        "a." * 5000 + "b = 1",
        f"[{'a.' * 5000}b]",
        f"a = {'9' * 5000}",
        '{"format": 1}',
        "format: 1\nauth:\n  kind: none",
        "<a/>",
        "[[errors]]\nx = 1\n" * 1500,
        "a = [\n[1],\n" * 4000,
        "a = 1\n" * 8000,
        "".join(f"[k{n}]\n" for n in range(3000)),
    ],
)
def test_no_file_at_all_makes_it_stumble(text: str) -> None:
    assert mistakes(text)


def test_a_file_of_any_length_is_bounded() -> None:
    assert [m.text for m in mistakes("a = 1\n" * 20_000)] == ["a recipe has 65536 bytes at most"]


@each("text", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace(" = ", "\t=\t"), GOOD + "\n\n# 结束"])
def test_how_an_editor_saves_a_file_is_no_mistake(text: str) -> None:
    assert mistakes(text) == []


def test_what_stands_below_a_table_that_cannot_be_read_is_not_taken_for_the_one_before() -> None:
    text = GOOD.replace("[requests.read]", "[requests.read", 1) + "\n[auth]\nkind = 'none'\n"
    said = [(m.line, m.text) for m in mistakes(text)]
    assert said == [
        (
            GOOD.count("\n", 0, GOOD.index("[requests.read]")) + 1,
            "the name of a table ends with ], of a list of tables with ]]",
        ),
        (text.count("\n", 0, text.rindex("[auth]")) + 1, "the table auth is there already"),
    ]


def test_a_file_of_another_encoding_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for data, line, words in (
        ("format = 1\ntitle = '客户系统'\n".encode("gbk"), 2, "GBK"),
        (GOOD.encode("utf-16"), 1, "UTF-16"),
        (b'format = 1\ntitle = "caf\xe9"\n', 2, "not UTF-8"),
    ):
        path.write_bytes(data)
        with pytest.raises(NotText, match=words) as told:
            read_recipe(str(path))
        assert told.value.mistake.line == line
        assert "另存为UTF-8" in told.value.mistake.whole("zh_CN")


def test_lines_are_those_of_the_file() -> None:
    at = locate("a = 1\n\n[b]\n# note\nc = [\n 1,\n]\n[[d]]\ne = 1\n[[d]]\ne = 2\n[d.f]\ng = 3\n")
    assert at.faults == []
    assert [at.line(p) for p in (("a",), ("b", "c"), ("d", 0, "e"), ("d", 1, "e"), ("d", 1, "f", "g"), ("x",))] == [
        1, 5, 9, 11, 13, 1,
    ]  # fmt: skip


@each("name", [*shipped()])
def test_a_recipe_that_comes_with_keyback_has_no_mistakes(name: str) -> None:
    assert mistakes(shipped()[name]) == []


def test_the_recipes_of_the_pages_have_no_mistakes() -> None:
    assert mistakes(printed()) == []
    assert printed() == printed("zh")
    for language in ("en", "zh"):
        page = (ROOT / "docs" / language / "connectors" / "http.md").read_text("utf-8")
        assert f"```toml\n{GOOD.rstrip()}\n```" in page, "the page prints the demo's recipe as it is"
        assert {n for n in shipped() if f"| `{n}` |" not in page} == set()


@each("language", ["en", "zh"])
def test_the_example_of_a_system_with_pages_is_what_the_suite_tries(language: str) -> None:
    page = (ROOT / "docs" / language / "connectors" / "http.md").read_text("utf-8")
    (block,) = (b.split("```")[0] for b in page.split("```toml\n")[1:] if "read_fields" in b.split("```")[0])
    lines = {line.partition("  #")[0].rstrip() for line in block.splitlines()}
    assert lines <= {*RECIPE.splitlines(), ""}


@each(
    "section, words",
    [
        ({}, "needs secret_file or secret"),
        ({"secret": "x", "values": {"tenantt": "1"}}, "did you mean tenant?"),
        ({"secret": "x"}, "needs login"),
        ({"secret": "x", "login": "x", "values": {"admin_roles": " , "}}, "says who is privileged"),
    ],
)
def test_what_the_section_lacks_is_said(section: dict[str, object], words: str) -> None:
    options = HttpConnectorOptions.model_validate({"url": "https://x.example.com", "recipe": "yudao", **section})
    with pytest.raises(ValueError, match=re.escape(words)):
        checked(shipped()["yudao"], options)


def test_a_recipe_is_read_from_a_file_that_only_its_owner_writes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, "utf-8")
    assert read_recipe(str(path)) == GOOD
    path.chmod(0o666)
    with pytest.raises(ValueError, match="chmod o-w"):
        read_recipe(str(path))
    os.mkfifo(tmp_path / "pipe.toml")
    for no_file in ("/dev/null", f"{tmp_path}/", str(tmp_path / "pipe.toml")):
        with pytest.raises(ValueError, match="is no file"):
            read_recipe(no_file)
    with pytest.raises(ValueError, match="there are demo"):
        read_recipe("ruoyo")
