"""What is wrong with a recipe is said in full: every mistake, its line, and what was probably meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keyback.connectors.http.checking import checked, mistakes
from keyback.connectors.http.lines import locate
from keyback.connectors.http.options import HttpConnectorOptions, read_recipe, shipped
from tests.support.acorn import printed
from tests.support.each import each
from tests.support.house import ROOT

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
        23: "Cannot overwrite a value",
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
        ('privileged = { at = "/privileged", is = true }', "privileged = []", "at least 1 item"),
        ('{ password = "{password}", job_id = "{job}" }', '{ job_id = "{job}" }', "sends no {password}"),
        ('job_id = "{job}"', 'job_id = "1"', "can't remember a {job} that isn't sent"),
        ('json = { password = "{password}", job_id', 'query = { p = "{password}", job_id', "ends up in logs"),
        ("format = 1", "format = 2", "is not one of 1"),
        ("[requests.read]", "[requests.roles]", "items is missing"),
    ],
)
def test_what_a_recipe_must_not_say_is_named(old: str, new: str, words: str) -> None:
    found = mistakes(with_(old, new))
    assert any(words in m.text for m in found), found
    assert all(1 <= m.line <= GOOD.count("\n") + 3 for m in found)


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
    ],
)
def test_no_file_at_all_makes_it_stumble(text: str) -> None:
    assert mistakes(text)


def test_a_file_of_any_length_is_bounded() -> None:
    assert [m.text for m in mistakes("a = 1\n" * 20_000)] == ["a recipe has 65536 bytes at most"]


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


@each(
    "section, words",
    [
        ({}, "needs secret_file or secret"),
        ({"secret": "x", "values": {"tenantt": "1"}}, "did you mean tenant?"),
        ({"secret": "x"}, "needs login"),
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
    with pytest.raises(ValueError, match="is no file"):
        read_recipe("/dev/null")
    with pytest.raises(ValueError, match="there are demo"):
        read_recipe("ruoyo")
