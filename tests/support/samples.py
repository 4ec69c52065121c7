"""The package of tests/sample_package, installed as anybody's would be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.house import ROOT

SOURCE = ROOT / "tests" / "sample_package"
SECRET = b"the secret of all fobs of Qingyu"
FOB = "40717"


def install(source: Path, folder: Path) -> None:
    """Installs a package into a folder of its own, without any network."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *options, "--target", str(folder), str(source)]
    subprocess.run(pip, check=True, capture_output=True, text=True, timeout=120)


@contextmanager
def installed(folder: Path, source: Path = SOURCE) -> Iterator[dict[str, object]]:
    """The package is installed; gives the settings that switch its proof on."""
    install(source, folder / "packages")
    secret = folder / "fobs"
    secret.touch(mode=0o600)
    secret.write_bytes(SECRET)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "packages"))
        yield {"proofs": ["key_fob"], "proof_options": {"key_fob": {"secret_file": str(secret)}}}
        for name in [n for n in sys.modules if n.partition(".")[0] == "keyback_samples"]:
            del sys.modules[name]


class Pagers:
    """The pager service: says of each message what it is told to say."""

    def __init__(self) -> None:
        self.answer = "TAKEN"
        self.got: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = json.loads((await receive())["body"])
        self.got.append(body)
        said = json.dumps({"answer": self.answer}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": said})


@contextmanager
def package(entries: str, code: str) -> Iterator[None]:
    """A package `keyback-odd` of one module, `keyback_odd`, is installed with these entry points."""
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        info = Path(place) / "keyback_odd-1.0.dist-info"
        info.mkdir()
        (Path(place) / "keyback_odd.py").write_text(code, "utf-8")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keyback-odd\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(entries, "utf-8")
        patch.syspath_prepend(place)
        yield
        sys.modules.pop("keyback_odd", None)
