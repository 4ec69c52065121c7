"""A clean Debian in a folder, made by debootstrap once, and a copy of it for each test; no systemd runs there."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keyback.testing.environments import cache

INSIDE = 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" /usr/bin/env -i "$@"'
ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "HOME=/tmp")


@dataclass(frozen=True)
class Root:
    """A folder that is a Debian of its own. Its network is this machine's."""

    folder: Path

    def command(self, *args: str, **env: str) -> list[str]:
        """Mounts of /proc and /dev end with the command."""
        given = [f"{k}={v}" for k, v in env.items()]
        return ["unshare", "--mount", "--", "sh", "-c", INSIDE, str(self.folder), *ENVIRONMENT, *given, *args]

    def __call__(self, *args: str, code: int | None = 0) -> str:
        done = subprocess.run(
            self.command(*args), capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/", timeout=600
        )
        assert code is None or done.returncode == code, (
            args,
            done.returncode,
            done.stdout[-3000:],
            done.stderr[-3000:],
        )
        return done.stdout + done.stderr

    def install(self, package: Path) -> str:
        shutil.copy(package, self.folder / "tmp" / package.name)
        return self("dpkg", "--force-unsafe-io", "--install", f"/tmp/{package.name}")

    @contextmanager
    def serving(self, *args: str) -> Iterator[subprocess.Popen[bytes]]:
        """A program that runs until it is told to end, and has to end well."""
        with (self.folder / "tmp" / "said").open("ab") as said:
            process = subprocess.Popen(
                self.command(*args), stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", start_new_session=True
            )
            try:
                yield process
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise

    def said(self) -> str:
        return (self.folder / "tmp" / "said").read_text("utf-8", "replace")[-3000:]


def sources() -> tuple[str, str]:
    """The Debian that this machine's own apt takes its packages from: its name and address."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text("utf-8").splitlines() if "=" in line
    )
    name = release["VERSION_CODENAME"].strip('"')
    command = [
        "apt-get",
        "indextargets",
        "--no-release-info",
        "--format",
        "$(RELEASE) $(REPO_URI)",
        "Created-By: Packages",
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return name, next(line.split()[1] for line in told if line.split()[0] == name)


def base() -> Path:
    """The clean root, with nothing but Python and certificates added; made once for a machine."""
    name, address = sources()
    kept = cache() / f"root-{name}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_name(f"{kept.name}.lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if not (kept / "made").exists():
            shutil.rmtree(kept, ignore_errors=True)
            command = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", name, kept, address]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            policy = kept / "usr/sbin/policy-rc.d"  # nothing is started by its package
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
            shutil.rmtree(kept / "var/cache/apt/archives", ignore_errors=True)
            (kept / "made").touch()
    return kept


@contextmanager
def clean_root(folder: Path) -> Iterator[Root]:
    """A copy, taken away afterwards."""
    place = folder / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", base(), place], check=True)
    try:
        yield Root(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def wait_for(path: str, port: int, root: Root, seconds: int = 120) -> None:
    """Until the server answers there with 200."""
    import httpx2

    for _ in range(seconds * 5):
        try:
            if httpx2.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(root.said())
