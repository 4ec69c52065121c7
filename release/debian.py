"""The Debian package: the wheel and everything it uses, in an environment of its own under /usr/lib/keyback."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

from release.source import ROOT, Refused, Source, run
from release.wheels import Wheel

FILES = Path(__file__).parent / "deb"
HOME = Path("usr/lib/keyback")
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
SHELLS = {
    "bash": "usr/share/bash-completion/completions/keyback",
    "zsh": "usr/share/zsh/vendor-completions/_keyback",
    "fish": "usr/share/fish/vendor_completions.d/keyback.fish",
}
PAGES = {"keyback": "usr/share/man/man1/keyback.1.gz", "keyback.toml": "usr/share/man/man5/keyback.toml.5.gz"}
EXAMPLES = ("Caddyfile", "nginx.conf", "rolling-restart", "alerts.yml", "dashboard.json")


def architecture() -> str:
    """As dpkg names this machine."""
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def python() -> str:
    """The minor version of the Python that the package runs on: the system's, which has to be the one that builds."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def build(source: Source, own: Wheel, used: list[Wheel], stage: Path, out: Path, level: int) -> Path:
    """Writes the package; level 0 does not compress it.

    Raises:
        Refused: this machine cannot build one.
    """
    if not shutil.which("dpkg-deb"):
        raise Refused("dpkg-deb is not here: build the Debian package on Debian, or use --no-deb.")
    if not Path(f"/usr/bin/python{python()}").exists():
        words = f"The package runs on Debian's own Python, and /usr/bin/python{python()} is not there."
        raise Refused(f"{words} Put /usr/bin first on the PATH and name a new folder in KEYBACK_VENV.")
    site = stage / HOME / f"lib/python{python()}/site-packages"
    site.mkdir(parents=True)
    for wheel in (own, *used):
        _unpack(wheel.path, site)
    _environment(stage)
    _files(source, stage)
    _made_by_commands(source, stage, site)
    _control(source, stage)
    _settle(stage, source.epoch)
    path = out / f"keyback_{source.debian_version}_{architecture()}.deb"
    command = [
        "dpkg-deb",
        "--root-owner-group",
        *(["-Zxz", f"-z{level}"] if level else ["-Znone"]),
        "--threads-max=1",
        "--build",
        stage,
        path,
    ]
    run(command, env=source.environment(), stdout=subprocess.DEVNULL)
    return path


def _unpack(wheel: Path, site: Path) -> None:
    """As an installer does. Commands of packages are left out, and their lines in RECORD, too."""
    with zipfile.ZipFile(wheel) as z:
        for member in z.infolist():
            parts = Path(member.filename).parts
            if member.is_dir() or ".." in parts or Path(member.filename).is_absolute():
                continue
            if parts[0].endswith(".data"):
                if parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            target = site.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(z.read(member))
            if len(parts) == 2 and parts[0].endswith(".dist-info") and parts[1] == "RECORD":
                _without_data(target)


def _without_data(record: Path) -> None:
    kept = []
    for line in record.read_text("utf-8").splitlines(keepends=True):
        line = re.sub(r"^[^/,]+\.data/(?:purelib|platlib)/", "", line)
        kept += [] if re.match(r"[^/,]+\.data/", line) else [line]
    record.write_text("".join(kept), encoding="utf-8")


def _environment(stage: Path) -> None:
    home = stage / HOME
    _write(home / "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python()}\n")
    (home / "bin").mkdir()
    for name in ("python3", f"python{python()}"):
        (home / "bin" / name).symlink_to(f"/usr/bin/python{python()}")
    start = (
        f"#!/{HOME}/bin/python3 -I\nimport sys\n\nfrom keyback.cli import main\n\nsys.exit(main(prog_name='keyback'))\n"
    )
    _write(home / "bin" / "keyback", start, 0o755)
    _write(stage / "usr/bin/keyback", (FILES / "keyback").read_text("utf-8"), 0o755)


def _files(source: Source, stage: Path) -> None:
    unit = (ROOT / "docs/examples/keyback.service").read_text("utf-8")
    for name in ("keyback.service", "keyback-worker.service"):
        _write(stage / "lib/systemd/system" / name, _unit(unit, worker="worker" in name))
    _write(stage / "etc/keyback/keyback.env", (FILES / "keyback.env").read_text("utf-8"))
    docs = stage / "usr/share/doc/keyback"
    for name in EXAMPLES:
        example = ROOT / "docs/examples" / name
        if example.exists():
            _write(docs / "examples" / name, example.read_text("utf-8"), 0o755 if name == "rolling-restart" else 0o644)
    _write(docs / "copyright", (FILES / "copyright").read_text("utf-8"))
    _write(docs / "README.Debian", (FILES / "README.Debian").read_text("utf-8"))
    when = subprocess.run(["date", "-u", "-R", "-d", f"@{source.epoch}"], capture_output=True, text=True, check=True)
    entry = f"keyback ({source.debian_version}) unstable; urgency=medium\n\n  * Commit {source.commit}.\n\n"
    entry += f" -- Keyback <keyback@example.com>  {when.stdout.strip()}\n"
    _packed(docs / "changelog.gz", entry)
    _write(stage / "usr/share/lintian/overrides/keyback", (FILES / "lintian-overrides").read_text("utf-8"))


def _unit(text: str, *, worker: bool) -> str:
    """The example's unit at the package's places; the worker's differs in its name and command alone."""
    changes = [
        ("# /etc/systemd/system/keyback.service\n", ""),
        ("[Service]\n", "[Service]\nEnvironmentFile=-/etc/keyback/keyback.env\n"),
        (
            "Description=Keyback\n",
            f"Description=Keyback{', the worker' if worker else ''}\nDocumentation=man:keyback(1)\n",
        ),
        (
            "Wants=network-online.target\n",
            "Wants=network-online.target\nConditionPathExists=/etc/keyback/keyback.toml\n",
        ),
        (
            "ExecStart=/opt/keyback/bin/keyback serve\n",
            f"ExecStart=/{HOME}/bin/keyback {'worker' if worker else 'serve $SERVE_OPTIONS'}\n",
        ),
    ]
    for old, new in changes:
        if text.count(old) != 1:
            raise Refused(f"The unit has no line {old.strip()!r} any more; release/debian.py changes it.")
        text = text.replace(old, new)
    return text


def _made_by_commands(source: Source, stage: Path, site: Path) -> None:
    """Completion and manual pages, by the very files that are packed; versions before these commands have none."""
    if not (site / "keyback/cli/completion.py").exists():
        return

    def told(*command: str) -> str:
        env = {**source.environment(), "PYTHONPATH": str(site)}
        done = subprocess.run(
            [sys.executable, "-m", "keyback.cli", *command],
            env=env,
            cwd=stage,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refused(f"keyback {' '.join(command)} failed: {done.stderr[-500:]}")
        return done.stdout

    for shell, path in SHELLS.items():
        _write(stage / path, told("completion", shell))
    for page, path in PAGES.items():
        _packed(stage / path, told("man", page))


def _control(source: Source, stage: Path) -> None:
    size = sum(p.stat().st_size for p in stage.rglob("*") if p.is_file() and not p.is_symlink()) // 1024
    minor = sys.version_info[1]
    text = (
        (FILES / "control")
        .read_text("utf-8")
        .format(
            version=source.debian_version,
            architecture=architecture(),
            size=size,
            python=f"python3 (>= 3.{minor}~), python3 (<< 3.{minor + 1}~), python3.{minor}",
        )
    )
    sums = []
    for path in sorted(p for p in stage.rglob("*") if p.is_file() and not p.is_symlink()):
        name = path.relative_to(stage).as_posix()
        if not name.startswith("etc/"):
            sums.append(f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n")
    _write(stage / "DEBIAN/control", text)
    _write(stage / "DEBIAN/md5sums", "".join(sums))
    _write(stage / "DEBIAN/conffiles", "/etc/keyback/keyback.env\n")
    for name in SCRIPTS:
        if (FILES / name).exists():
            _write(stage / "DEBIAN" / name, (FILES / name).read_text("utf-8"), 0o755)


def _settle(stage: Path, epoch: int) -> None:
    """The same rights and times for every file."""
    for path in (stage, *stage.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _packed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
