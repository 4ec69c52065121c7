"""What the source does not do, so that whole kinds of faults cannot arise; and that what is called absent is absent."""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

import pytest
from pydantic import SecretStr

from keyback.settings import Settings
from keyback.settings_sections import Mail, Password
from tests.support import reach

Node = tuple[str, ast.AST]
ALIKE = {"jinja2", "mako", "chevron", "django"}


@cache
def nodes() -> tuple[Node, ...]:
    """Every node of what we ship, with its file; without the suites for tests and the demo."""
    files = [(f.relative_to(reach.SOURCE).as_posix(), f) for f in sorted(reach.SOURCE.rglob("*.py"))]
    ours = [(name, f) for name, f in files if not name.startswith(("testing/", "demo/"))]
    return tuple((name, node) for name, f in ours for node in ast.walk(ast.parse(f.read_text("utf-8"))))


def imported() -> set[tuple[str, str]]:
    """(file, module) of everything that is imported."""
    found = set()
    for name, node in nodes():
        if isinstance(node, ast.Import):
            found |= {(name, a.name) for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {(name, node.module or "")} | {(name, f"{node.module}.{a.name}") for a in node.names}
    return found


def called(*names: str) -> set[str]:
    """Files that call something whose last name is one of these."""
    found = set()
    for name, node in nodes():
        if isinstance(node, ast.Call):
            last = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if last in names:
                found.add(name)
    return found


@pytest.mark.covers("A-1.2.5")
def test_no_command_is_run() -> None:
    assert not {x for x in imported() if x[1].partition(".")[0] in ("subprocess", "pty", "commands", "sh", "pexpect")}
    runs = {"system", "popen", "execv", "execve", "execvp", "spawnl", "spawnv", "posix_spawn"}
    assert not called(*runs, "create_subprocess_shell")
    # The one program that a server starts is our own, which decodes pictures; nothing that was typed is in its
    # arguments. `keyback brand preview` has the browser of whoever runs it draw files that it has just written.
    assert called("create_subprocess_exec") == {"outbound/images/decoder.py", "cli/brand/__init__.py"}


@pytest.mark.covers("A-1.3.7")
def test_no_template_and_no_program_is_made_of_text() -> None:
    assert not called("from_string", "Template", "eval", "exec", "compile_expression", "__import__")
    assert {f for f, m in imported() if m.partition(".")[0] in ALIKE} == {
        "channels/mail/composer.py",
        "cli/evidence/__init__.py",  # plain text for an assessor
        "registry.py",  # only looks whether what a package brings is a template
        "web/ui/rendering.py",
        "web/ui/template_cache.py",  # keeps what was compiled
    }
    assert not {m for _, m in imported() if m.partition(".")[0] in ("pickle", "marshal", "shelve", "dill", "yaml")}


def test_signed_assertions_are_made_for_vendors_and_taken_from_providers_alone() -> None:
    assert {f for f, m in imported() if m.partition(".")[0] == "joserfc"} == {
        "outbound/oauth.py",
        "outbound/openid/id_token.py",
    }
    assert "outbound/oauth.py" not in called("decode", "deserialize_compact", "validate")


def test_no_form_is_read_by_what_takes_files() -> None:
    """`request.form()` would; a proof's `form(…)` draws one, and is given what to draw."""
    for _, node in nodes():
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "form":
            assert node.args


@pytest.mark.covers("A-5.4.1", "A-5.4.2")
def test_downloads_have_names_of_ours() -> None:
    found: list[tuple[str, Any]] = []
    for name, node in nodes():
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and str(key.value).lower() == "content-disposition":
                    found.append((name, getattr(value, "value", None)))
    assert found == [
        ("web/account/factors.py", 'attachment; filename="recovery-codes.txt"'),
        ("web/console/reports.py", 'attachment; filename="keyback-report.csv"'),
        ("web/console/reports.py", 'attachment; filename="keyback-report.json"'),
        ("web/portal/calendar.py", 'attachment; filename="keyback-recovery.ics"'),
    ]
    assert not called("FileResponse", "StaticFiles")


@pytest.mark.covers("A-13.2.3", "A-13.3.1")
def test_no_setting_has_a_secret_before_somebody_gives_it_one() -> None:
    secret = []
    for model in (Settings, Mail, Password):
        for name, f in model.model_fields.items():
            if SecretStr in (f.annotation, *getattr(f.annotation, "__args__", ())) or name in (
                "username",
                "pepper_file",
            ):
                secret.append(name)
                assert not f.default, name
    assert {"keyring", "password", "username", "pepper_file"} <= set(secret)
    assert "@" not in Settings.model_fields["database_url"].default
    assert Settings.model_fields["valkey_url"].default == ""


@pytest.mark.covers("A-1.5.1")
def test_xml_is_read_in_one_place_and_without_a_document_type() -> None:
    readers = ("xml", "lxml", "defusedxml", "xmltodict", "html5lib")
    found = {(name, module) for name, module in imported() if module.split(".")[0] in readers}
    assert {name for name, _ in found} == {"domain/brand/pictures.py"}, "logos; what is refused there has its tests"
    assert {module for _, module in found} <= {"xml.parsers", "xml.parsers.expat"}
