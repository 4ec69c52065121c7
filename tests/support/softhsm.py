"""A real PKCS#11 token: SoftHSM 2 from Debian, with its own folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
           "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so")  # fmt: skip
PIN, OFFICER_PIN = "624-invented", "officer-invented"


class Missing(Exception):
    """Debian's softhsm2 is not installed."""


@dataclass(frozen=True)
class SoftHsm:
    """Tokens of one folder. The module reads `SOFTHSM2_CONF` once for each process."""

    module: Path

    @classmethod
    def made(cls, folder: Path) -> SoftHsm:
        """Raises Missing."""
        module = next((Path(m) for m in MODULES if Path(m).exists()), None)
        if module is None or not shutil.which("softhsm2-util"):
            raise Missing("needs Debian's softhsm2")
        (folder / "tokens").mkdir(parents=True)
        conf = folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(conf)
        return cls(module)

    def token(self, label: str) -> None:
        """A new token, empty."""
        told = ["--init-token", "--free", "--label", label, "--so-pin", OFFICER_PIN, "--pin", PIN]
        subprocess.run(["softhsm2-util", *told], check=True, capture_output=True, timeout=30)
