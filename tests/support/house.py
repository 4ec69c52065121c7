"""What the documents' tests share: the tracked files and the Markdown pages."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED_FOLDERS = {".git", ".venv", "node_modules", "build", "dist", "__pycache__", "keyback-data", "keyback-demo"}


@cache
def tracked() -> tuple[Path, ...]:
    """Files under version control; in an unpacked archive all files outside caches and environments."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
        paths = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    else:
        paths = [
            p
            for p in ROOT.rglob("*")
            if not any(part in SKIPPED_FOLDERS or part.startswith(".venv-") for part in p.relative_to(ROOT).parts)
        ]
    return tuple(sorted(p for p in paths if p.is_file()))


def texts() -> list[tuple[str, str]]:
    """Name and text of every tracked text file."""
    out = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            out.append((path.relative_to(ROOT).as_posix(), data.decode("utf-8")))
    return out


def pages() -> list[Path]:
    return [p for p in tracked() if p.suffix == ".md"]


def without_code(text: str) -> str:
    """Markdown without fenced blocks and inline code, where brackets mean nothing."""
    text = re.sub(r"^(```|~~~).*?^\1\s*$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(text: str) -> set[str]:
    """The heading anchors that Git hosts make for a page."""
    out: set[str] = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", re.sub(r"^```.*?^```\s*$", "", text, flags=re.M | re.S), re.M):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        n, unique = 0, slug
        while unique in out:
            n += 1
            unique = f"{slug}-{n}"
        out.add(unique)
    return out


def commands(text: str) -> list[str]:
    """The command lines of a page: lines of its shell blocks without prompts, comments and output."""
    out = []
    for lang, body in re.findall(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", text, re.M | re.S):
        if lang not in ("sh", "bash", "shell", "console"):
            continue
        for line in body.splitlines():
            if lang == "console" and not line.startswith("$ "):
                continue
            line = re.sub(r"(^|\s+)#.*$", "", line.removeprefix("$ ")).strip()
            if line:
                out.append(line)
    return out
