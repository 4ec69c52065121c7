"""What `scripts/release` makes: the same bytes twice, bills of materials, checksums, signatures that others check."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from packaging.utils import canonicalize_name

from keyback.cli.minisign import check, read_public_key
from release.__main__ import sign_all, write_sums
from release.debian import _unit
from release.signing import new_key, read_secret_key
from release.source import Refused
from tests.release import history
from tests.support.house import ROOT

MINISIGN = shutil.which("minisign") or ""
DPKG, LINTIAN = shutil.which("dpkg-deb") or "", shutil.which("lintian") or ""
needs_minisign = pytest.mark.skipif(not MINISIGN, reason="minisign is not installed: apt-get install minisign")
needs_dpkg = pytest.mark.skipif(not DPKG, reason="dpkg-deb is not installed: apt-get install dpkg")


def release(place: Path, *args: str | Path, umask: int = 0o022, **env: str) -> subprocess.CompletedProcess[str]:
    """The program as `scripts/release` starts it, in that checkout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KEYBACK_", "SOURCE_DATE", "PYTHONPATH"))}
    command = [sys.executable, "-m", "release", *args]
    return subprocess.run(
        command, cwd=place, env={**clean, **env}, umask=umask, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def clone(folder: Path, of: Path = ROOT) -> Path:
    history.needs()
    subprocess.run(["git", "clone", "-q", "--no-local", of, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two builds of one commit: other folders, other rights, another time zone, one after the other."""
    folder = tmp_path_factory.mktemp("twice")
    first = clone(folder / "a")
    second = clone(folder / "b" / "deeper" / "elsewhere", first)
    os.utime(second / "README.md", (1, 1))
    (folder / "t").mkdir()
    done = release(first, "--out", folder / "1", "--level", "1", umask=0o077, TZ="Asia/Shanghai")
    assert done.returncode == 0, done.stderr[-2000:]
    done = release(second, "--out", folder / "2", "--level", "1", TZ="America/Lima", TMPDIR=str(folder / "t"))
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "1", folder / "2"


@pytest.mark.slow
@needs_dpkg
def test_two_builds_are_the_same_byte_for_byte(twice: tuple[Path, Path]) -> None:
    first, second = ({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()} for out in twice)
    assert first == second
    assert [n.rpartition(".")[2] for n in sorted(first) if "cdx" not in n] == [
        "SHA256SUMS",
        "whl",
        "RECORD",
        "gz",
        "deb",
    ]
    sums = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=twice[0], capture_output=True, text=True
    )
    assert (sums.returncode, sums.stdout) == (0, "")


@pytest.mark.slow
@needs_dpkg
def test_the_bills_name_what_is_in_each(twice: tuple[Path, Path], tmp_path: Path) -> None:
    lock = (ROOT / "requirements" / "run.txt").read_text("utf-8")
    wheel, package = (
        json.loads(next(twice[0].glob(f"*.{kind}.cdx.json")).read_text("utf-8")) for kind in ("whl", "deb")
    )
    pinned = {(canonicalize_name(n), v) for n, v in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.M)}
    named = {(canonicalize_name(c["name"]), c["version"]) for c in wheel["components"]}
    assert named == pinned
    assert all(p["value"] in lock for c in wheel["components"] for p in c["properties"])

    inside = subprocess.run(
        ["dpkg-deb", "-c", next(twice[0].glob("*.deb"))], capture_output=True, text=True, check=True
    )
    there = set(re.findall(r"site-packages/([\w.]+)-([\w.+]+)\.dist-info/RECORD", inside.stdout))
    listed = {(c["name"], c["version"]): c for c in package["components"] if c["name"] != "python3"}
    assert {(canonicalize_name(n), v) for n, v in there} == set(listed)
    assert {n for n, _ in listed} >= {
        "keyback",
        "cryptography",
        "psycopg",
        "psycopg-binary",
        "valkey",
        "ldap3",
        "pillow",
    }
    assert not {n for n, _ in listed} & {"hatchling", "editables", "pip"}
    for (name, _), component in listed.items():
        assert name == "keyback" or component["hashes"][0]["content"] in lock
    own = next(c for c in package["components"] if c["name"] == "keyback")
    file = next(twice[0].glob("*.whl"))
    assert own["hashes"][0]["content"] == hashlib.sha256(file.read_bytes()).hexdigest()
    refs = {c["bom-ref"] for c in package["components"]}
    assert {r for d in package["dependencies"] for r in d["dependsOn"]} <= refs
    with zipfile.ZipFile(file) as z:
        assert (twice[0] / "keyback-0.1.0.RECORD").read_bytes() == z.read("keyback-0.1.0.dist-info/RECORD")


def schema() -> jsonschema_rs.Validator:
    """CycloneDX 1.6 as its makers publish it, with what it refers to, under its own license beside it."""
    folder = Path(__file__).parent / "cyclonedx"

    def read(name: str) -> Any:
        return json.loads((folder / name.rpartition("/")[2]).read_text("utf-8"))

    return jsonschema_rs.Draft7Validator(read("bom-1.6.SNAPSHOT.schema.json"), retriever=read, validate_formats=True)


@pytest.mark.slow
@needs_dpkg
def test_the_bills_keep_to_the_schema(twice: tuple[Path, Path]) -> None:
    validator, bills = schema(), [json.loads(p.read_text("utf-8")) for p in sorted(twice[0].glob("*.cdx.json"))]
    assert len(bills) == 2
    assert [str(e) for bill in bills for e in validator.iter_errors(bill)] == []
    for wrong in ({"serialNumber": "x"}, {"specVersion": 1.6}, {"components": [{"name": "x"}]}, {"more": 1}):
        assert not validator.is_valid({**bills[0], **wrong}), wrong


@pytest.mark.slow
@needs_dpkg
@pytest.mark.skipif(not LINTIAN, reason="lintian is not installed: apt-get install lintian")
def test_lintian_has_nothing_against_the_package(twice: tuple[Path, Path]) -> None:
    """Neither errors nor overrides that nothing needs."""
    package = next(twice[0].glob("*.deb"))
    command = [LINTIAN, "--allow-root", "--fail-on", "error", "--no-tag-display-limit", package]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mismatched-override" not in done.stdout, done.stdout
    assert "unused-override" not in done.stdout, done.stdout


@pytest.mark.slow
def test_only_what_is_committed_is_released(tmp_path: Path) -> None:
    place = clone(tmp_path / "clone")
    (place / "stray.txt").write_text("x")
    done = release(place, "--out", tmp_path / "out")
    assert (done.returncode, "stray.txt. Commit or remove them" in done.stderr) == (1, True)
    (place / "stray.txt").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("x")
    done = release(place, "--out", tmp_path / "out")
    assert (done.returncode, "is not empty" in done.stderr) == (1, True)


def _made(folder: Path) -> Path:
    folder.mkdir()
    (folder / "keyback-9.RECORD").write_text("keyback/__init__.py,sha256=x,1\n")
    (folder / "keyback-9.whl").write_bytes(b"wheel")
    write_sums(folder)
    return folder


@needs_minisign
def test_a_new_key_signs_and_minisign_takes_key_and_signatures(tmp_path: Path) -> None:
    secret, out = tmp_path / "release.key", _made(tmp_path / "out")
    public = new_key(secret)
    assert secret.stat().st_mode & 0o777 == 0o600
    sign_all(out, read_secret_key(secret))
    for name in ("SHA256SUMS", "keyback-9.RECORD"):
        subprocess.run([MINISIGN, "-V", "-p", public, "-m", out / name], check=True, capture_output=True)
    file = tmp_path / "another"
    file.write_text("x")
    subprocess.run([MINISIGN, "-S", "-s", secret, "-m", file], check=True, capture_output=True)
    check(file, tmp_path / "another.minisig", read_public_key(public))

    (out / "keyback-9.whl").write_bytes(b"changed")
    with pytest.raises(Refused, match="Nothing was signed"):
        sign_all(out, read_secret_key(secret))
    with pytest.raises(Refused, match="never overwritten"):
        new_key(secret)
    secret.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        read_secret_key(secret)


@pytest.mark.slow
@needs_minisign
def test_a_key_of_minisign_with_a_password_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, public, out = tmp_path / "k.key", tmp_path / "k.pub", _made(tmp_path / "out")
    words = "walnut harbour\nwalnut harbour\n"
    subprocess.run(
        [MINISIGN, "-G", "-p", public, "-s", secret], input=words, text=True, check=True, capture_output=True
    )
    secret.chmod(0o600)
    password = tmp_path / "password"
    password.write_text("walnut harbour\n")
    monkeypatch.setenv("KEYBACK_SIGNING_PASSWORD_FILE", str(password))
    sign_all(out, read_secret_key(secret))
    subprocess.run([MINISIGN, "-V", "-p", public, "-m", out / "SHA256SUMS"], check=True, capture_output=True)
    password.write_text("walnut harbor\n")
    with pytest.raises(Refused, match="password is wrong"):
        read_secret_key(secret)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text in ("", "x\n", "untrusted comment: x\nAAAA\n", "untrusted comment: x\n" + "A" * 212 + "\n"):
        file.write_text(text)
        file.chmod(0o600)
        with pytest.raises(Refused, match="not a secret key of minisign"):
            read_secret_key(file)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="not on this platform: systemd")
def test_systemd_understands_both_units_and_they_start_what_there_is(tmp_path: Path) -> None:
    example = (ROOT / "docs/examples/keyback.service").read_text("utf-8")
    for name, start in (("keyback", "serve $SERVE_OPTIONS"), ("keyback-worker", "worker")):
        unit = tmp_path / f"{name}.service"
        unit.write_text(_unit(example, worker=name == "keyback-worker"))
        assert f"ExecStart=/usr/lib/keyback/bin/keyback {start}\n" in unit.read_text()
        found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
        said = [x for x in found.stderr.splitlines() if name in x and "is not executable" not in x and "man " not in x]
        assert said == []
    with pytest.raises(Refused, match="no line"):
        _unit(example.replace("ExecStart=/opt", "ExecStart=/srv"), worker=False)
