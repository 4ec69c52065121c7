"""The package of tests/sample_package, installed as anybody's would be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.house import ROOT

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
