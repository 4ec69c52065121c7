"""The TypeScript client: its types are those of the document, node drives a recovery, servers that lie get nowhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyback.storage.database import make_engine
from keyback.storage.migrate import migrate
from keyback.testing.mailbox import Mailbox
from tests.client.typescript import FILES, HERE, operations
from tests.support.house import ROOT
from tests.support.live import Live, add_person, live

NEW = "copper lantern orchard 5"
COMPILER = ("typescript@5.9", "@types/node@20")
STRICT = ("--module", "nodenext", "--target", "es2022", "--strict", "--allowJs", "--outDir", "out")
WRONG = """
import { Keyback } from 'keyback-client';
const keyback = new Keyback('https://recover.example.com');
const recovery = await keyback.start('maya');
// @ts-expect-error no such journey
await keyback.start('maya', { journey: 'shoe' });
// @ts-expect-error no such operation
await recovery.call('openSesame');
// @ts-expect-error its body is missing
await recovery.call('finishNewApp');
// @ts-expect-error a member of its body is missing
await recovery.call('finishNewApp', { body: { id: 'x' } });
// @ts-expect-error a part of its path is missing
await recovery.call('removeSystemFactor', { body: { factor: 'x' } });
await recovery.call('removeSystemFactor', { path: { account_id: 'x' }, body: { factor: 'x' } });
const seed: string = (await recovery.call('startNewApp')).seed;
const now = await recovery.status();
if (now.state === 'second_step_due') { const kind: string = now.replaces[0].kind; }
// @ts-expect-error in one state alone
now.replaces;
await keyback.call('signIn', { body: { identifier: 'a', password: 'b' } });
await keyback.call('startPasskeySignIn');
"""


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not on PATH: install nodejs to run these tests")
    return found


def test_the_types_are_those_of_the_document() -> None:
    """Write them anew with `python -m tests.client.typescript`."""
    for name, make in FILES.items():
        assert (HERE / name).read_text("utf-8") == make(), name


def test_every_operation_is_there() -> None:
    doc = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    table, types = ((HERE / n).read_text("utf-8") for n in ("operations.js", "types.d.ts"))
    found = list(operations(doc))
    assert len(found) >= 39
    for name, method, path, _ in found:
        assert f"  {name}: ['{method}', '{path}'],\n" in table
        assert f"  {name}: {{ takes: " in types
    assert "/admin" not in table


def test_the_package_ships_what_it_needs_and_depends_on_nothing() -> None:
    about = json.loads((HERE / "package.json").read_text("utf-8"))
    assert about.keys() & {"dependencies", "peerDependencies", "scripts"} == set(), "and runs nothing when installed"
    assert about["type"] == "module"
    here = {p.name for p in HERE.iterdir() if p.suffix in (".js", ".ts", ".md")}
    assert set(about["files"]) == here - {"test.js", "example.ts"}
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert version is None or about["version"] == version[1]


@pytest.mark.slow
@pytest.mark.covers("INV-I4")
def test_servers_that_lie_get_nowhere(node: str) -> None:
    done = subprocess.run([node, "--test", str(HERE)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:]
    ran = re.search(r"^# pass (\d+)$", done.stdout, re.M)
    assert ran
    assert int(ran[1]) == (HERE / "test.js").read_text("utf-8").count("\ntest(")


@pytest.fixture(scope="module")
def compiled(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, checked and made into JavaScript beside an installed client."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "package.json").write_text('{"type": "module"}')
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on PATH: install it to check the types")
    got = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", *COMPILER, str(HERE)],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if got.returncode:
        pytest.skip(f"the compiler could not be installed here: {got.stderr[-300:]}")
    shutil.copy(HERE / "example.ts", folder)
    (folder / "wrong.ts").write_text(WRONG)
    compiler = folder / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [compiler, *STRICT, "example.ts", "wrong.ts"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Live, Mailbox]]:
    url = f"sqlite:///{tmp_path / 'keyback.db'}"
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()
    with Mailbox() as mailbox, live(url, tmp_path, mail_port=mailbox.port) as made:
        add_person(made, "maya")
        yield made, mailbox


def until(client: subprocess.Popen[str], prompt: str) -> str:
    """What it prints up to a prompt, or to its end."""
    assert client.stdout is not None
    seen = ""
    while not (prompt and seen.endswith(prompt)) and (c := client.stdout.read(1)):
        seen += c
    assert seen.endswith(prompt), client.stderr.read() if client.stderr else ""
    return seen


def enter(client: subprocess.Popen[str], line: str) -> None:
    assert client.stdin is not None
    client.stdin.write(f"{line}\n")
    client.stdin.flush()


@pytest.mark.slow
def test_node_drives_a_whole_recovery(node: str, compiled: Path, site: tuple[Live, Mailbox]) -> None:
    at, mailbox = site
    command = [node, "out/example.js", at.url, "maya"]
    with subprocess.Popen(
        command, cwd=compiled, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        first = until(client, "Code from the email: ")
        enter(client, mailbox.wait_for("maya@example.com")[0]["codes"][0])
        until(client, "New password: ")
        enter(client, "maya2026")
        refused = until(client, "New password: ")
        enter(client, NEW)
        seen = until(client, "")
    assert "At least 15 characters" in refused
    assert "If a page asks for a number" in first
    assert client.returncode == 0
    assert "Keyback done" in seen
    signed = at.client().post("/api/v1/sign-in", json={"identifier": "maya", "password": NEW})
    assert signed.status_code == 200
