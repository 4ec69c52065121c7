"""`keyback version`: what was built, and whether its files are those that were published."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyback import __version__
from keyback.cli.minisign import NotSigned, PublicKey, check, read_public_key, sign
from keyback.storage.migrate import head
from tests.support.commands import Keyback
from tests.support.each import each
from tests.support.house import ROOT

COMMIT, EPOCH = "0123456789abcdef0123456789abcdef01234567", "1790000000"
NUMBER = bytes(range(8))
MINISIGN = shutil.which("minisign") or ""
needs_minisign = pytest.mark.skipif(not MINISIGN, reason="minisign is not installed: apt-get install minisign")
EXTRAS = ["evidence", "ldap", "otel", "pkcs11", "postgres", "sql", "valkey"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real wheel of these sources."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--disable-pip-version-check",
        "--no-build-isolation",
        "--no-deps",
    ]
    env = {**os.environ, "KEYBACK_COMMIT": COMMIT, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run([*command, "--wheel-dir", folder, ROOT], check=True, env=env, stdin=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


@pytest.fixture
def site(wheel: Path, tmp_path: Path) -> Path:
    """The wheel, unpacked as an installer does."""
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as z:
        z.extractall(folder)
    return folder


def version(site: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """The command of that installation; the packages it uses are this environment's."""
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); from keyback.cli import main; main(prog_name='keyback')"
    env = {k: v for k, v in os.environ.items() if not k.startswith("KEYBACK_")}
    command = [sys.executable, "-c", start, site, "version", *args]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=site.parent, timeout=120)


def test_a_checkout_says_that_it_is_one(keyback: Keyback, empty_place: Path) -> None:
    told = json.loads(keyback("version", "--json").stdout)
    assert (told["version"], told["schema"]) == (__version__, head())
    assert told["build"] == {"commit": None, "date": None, "changed": False}
    assert sorted(told["extras"]) == EXTRAS
    assert told["extras"]["sql"]["packages"].keys() >= {"pymysql", "psycopg"}
    assert told["drivers"]["sqlite"]
    assert "a checkout" in keyback("version").stdout
    assert "git status" in keyback("version", "--verify", code=1).stderr


def test_a_missing_extra_is_named_with_what_installs_it(
    keyback: Keyback, empty_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keyback.cli import version as module

    real = module._version
    monkeypatch.setattr(module, "_version", lambda p: None if p == "ldap3" else real(p))
    shown = keyback("version").stdout
    assert "no: ldap3 missing. pip install 'keyback[ldap]'" in shown
    assert json.loads(keyback("version", "--json").stdout)["extras"]["ldap"] == {
        "complete": False,
        "packages": {"ldap3": None},
    }


def test_options_that_prove_nothing_are_refused(keyback: Keyback, empty_place: Path) -> None:
    (empty_place / "f").write_text("x")
    assert "go with --verify" in keyback("version", "--record", "f", code=2).stderr
    assert "a list without a key proves nothing" in keyback("version", "--verify", "--record", "f", code=2).stderr
    assert keyback("version", "--verify", "--public-key", "f", code=2).stderr


@pytest.mark.slow
def test_a_wheel_knows_its_commit_and_notices_every_change(site: Path) -> None:
    told = json.loads(version(site, "--json", "--verify").stdout)
    assert told["build"] == {"commit": COMMIT, "date": "2026-09-21T14:13:20Z", "changed": False}
    assert told["verified"]["clean"]
    assert told["verified"]["files"] > 800
    assert COMMIT in version(site).stdout

    (site / "keyback" / "worker.py").write_text("# not what was published\n")
    (site / "keyback" / "testing" / "phone.py").unlink()
    (site / "keyback" / "extra.py").write_text("")
    done = version(site, "--verify")
    assert done.returncode == 1
    assert "changed  keyback/worker.py" in done.stdout
    assert "missing  keyback/testing/phone.py" in done.stdout
    assert "added    keyback/extra.py" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_signed_list_finds_what_a_rewritten_one_hides(site: Path, wheel: Path, tmp_path: Path) -> None:
    record, key = tmp_path / "keyback.RECORD", Ed25519PrivateKey.generate()
    with zipfile.ZipFile(wheel) as z:
        record.write_bytes(z.read(next(n for n in z.namelist() if n.endswith("/RECORD"))))
    signature, public = tmp_path / "keyback.RECORD.minisig", tmp_path / "keyback.pub"
    signature.write_text(sign(record, key, NUMBER, "keyback 0.1.0"))
    public.write_text(PublicKey(NUMBER, key.public_key().public_bytes_raw()).text())
    given = ("--verify", "--record", record, "--public-key", public)
    done = version(site, *given)
    assert (done.returncode, "is signed: keyback 0.1.0" in done.stdout) == (0, True), done.stderr

    # Somebody changes a file and the installed list with it: only the signed one tells.
    (site / "keyback" / "worker.py").write_text("# elsewhere\n")
    own = next(site.glob("*.dist-info")) / "RECORD"
    lines = [line for line in own.read_text().splitlines() if not line.startswith("keyback/worker.py,")]
    own.write_text("\n".join([*lines, "keyback/worker.py,,"]) + "\n")
    assert version(site, "--verify").returncode == 0
    done = version(site, *given)
    assert (done.returncode, "changed  keyback/worker.py" in done.stdout) == (1, True)

    record.write_text(record.read_text().replace("keyback/worker.py", "keyback/other.py"))
    done = version(site, *given)
    assert (done.returncode, "is not what was signed" in done.stderr) == (1, True)
    signature.unlink()
    done = version(site, *given)
    assert (done.returncode, "with --signature" in done.stderr) == (1, True)


def _files(tmp_path: Path) -> tuple[Path, Path, Path]:
    file, signature, public = tmp_path / "file", tmp_path / "file.minisig", tmp_path / "key.pub"
    file.write_bytes(os.urandom(5000))
    key = Ed25519PrivateKey.generate()
    signature.write_text(sign(file, key, NUMBER, "release of 回钥"))
    public.write_text(PublicKey(NUMBER, key.public_key().public_bytes_raw()).text())
    return file, signature, public


def _old(lines: list[str]) -> list[str]:
    raw = base64.b64decode(lines[1])
    return [lines[0], base64.b64encode(b"Ed" + raw[2:]).decode(), *lines[2:]]


def _bit(lines: list[str], line: int) -> list[str]:
    raw = bytearray(base64.b64decode(lines[line]))
    raw[-1] ^= 1
    return [*lines[:line], base64.b64encode(raw).decode(), *lines[line + 1 :]]


@each(
    "change, words",
    [
        (lambda t: _bit(t, 1), "is not what was signed"),
        (lambda t: _bit(t, 3), "is not what was signed"),
        (lambda t: [*t[:2], "trusted comment: another", t[3]], "is not what was signed"),
        (_old, "an old signature"),
        (lambda t: t[:2], "not a signature of minisign"),
        (lambda t: [t[0], "%%%", *t[2:]], "not a signature of minisign"),
        (lambda t: [t[0], "AAAA", *t[2:]], "not a signature of minisign"),
        (lambda t: ["x" * 10_000, *t], "too long"),
        (lambda t: [], "not a signature of minisign"),
    ],
)
def test_a_signature_that_does_not_hold_says_why(change: object, words: str, tmp_path: Path) -> None:
    file, signature, public = _files(tmp_path)
    assert check(file, signature, read_public_key(public)) == "release of 回钥"
    signature.write_text("\n".join(change(signature.read_text().splitlines())) + "\n")  # type: ignore[operator]
    with pytest.raises(NotSigned, match=words):
        check(file, signature, read_public_key(public))


def test_another_key_is_named(tmp_path: Path) -> None:
    file, signature, public = _files(tmp_path)
    public.write_text(PublicKey(bytes(8), Ed25519PrivateKey.generate().public_key().public_bytes_raw()).text())
    with pytest.raises(NotSigned, match="key 0706050403020100, and the public key is 0000000000000000"):
        check(file, signature, read_public_key(public))
    public.write_text("untrusted comment: none\nAAAA\n")
    with pytest.raises(NotSigned, match="not a public key of minisign"):
        read_public_key(public)


@needs_minisign
def test_minisign_itself_agrees_both_ways(tmp_path: Path) -> None:
    file, signature, public = _files(tmp_path)
    verify = [MINISIGN, "-V", "-p", public, "-m", file]
    assert subprocess.run(verify, capture_output=True).returncode == 0
    file.write_bytes(b"x")
    assert subprocess.run(verify, capture_output=True).returncode != 0

    theirs, secret = tmp_path / "theirs.pub", tmp_path / "theirs.key"
    subprocess.run([MINISIGN, "-G", "-W", "-p", theirs, "-s", secret], check=True, capture_output=True)
    subprocess.run([MINISIGN, "-S", "-s", secret, "-m", file, "-t", "by hand"], check=True, capture_output=True)
    assert check(file, signature, read_public_key(theirs)) == "by hand"
    assert read_public_key(theirs).text().splitlines()[1] == theirs.read_text().splitlines()[1]


@pytest.mark.slow
def test_the_metadata_has_extras_and_a_readme_whose_links_lead_somewhere(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as z:
        told = HeaderParser().parsestr(z.read(f"keyback-{__version__}.dist-info/METADATA").decode())
    assert set(told.get_all("Provides-Extra") or ()) == set(EXTRAS)
    assert "License-Expression" in told
    assert any(u.startswith("Changelog, https://") for u in told.get_all("Project-URL") or ())
    text = str(told.get_payload())
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) > 40
    assert {t for t in targets if not t.startswith(("https://", "#"))} == set()
    here = "https://keyback.example.com/source/"
    assert {
        t for t in targets if t.startswith(here) and not (ROOT / t[len(here) :].partition("#")[0]).exists()
    } == set()
