"""The map in ARCHITECTURE.md, drawn from what lies on disk; `python -m tests.docs.tree` draws it anew.

Remarks behind `#` and the order of the folders are written by hand and kept.
"""

from __future__ import annotations

import re
import textwrap

from tests.support.house import ROOT

PAGE = ROOT / "ARCHITECTURE.md"
SOURCE = ROOT / "src" / "keyback"
BLOCK = re.compile(r"(?<=^```\n)src/keyback/.*?(?=^```$)", re.M | re.S)
COLUMN, WIDTH = 20, 118


def on_disk() -> dict[str, list[str]]:
    """Every folder with the modules in it; migrations are many, and not named."""
    found: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        folder = path.parent.relative_to(SOURCE).as_posix()
        if "versions" not in path.parts:
            modules = found.setdefault("" if folder == "." else folder, [])
            modules += [path.stem] if not path.stem.startswith("__") else []
    return found


def remarks(block: str) -> dict[str, str]:
    """What a drawn map says beside its folders, in its order."""
    found: dict[str, str] = {}
    above: list[str] = []
    folder = ""
    for line in block.splitlines():
        code, _, remark = line.partition("#")
        if m := re.match(r"( *)(\S+)/(?:\s|$)", code):
            depth = len(m[1]) // 2
            above = [*above[: depth - 1], m[2]] if depth else []
            folder = "/".join(above)
            found[folder] = ""
        found[folder] = f"{found[folder]} {remark.strip()}".strip()
    return found


def draw(said: dict[str, str]) -> str:
    """The map of what lies on disk. Folders that are new come after those that were drawn before."""
    disk = on_disk()
    known = {folder: place for place, folder in enumerate(said)}

    def order(folder: str) -> list[tuple[int, str]]:
        parts = folder.split("/")
        above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        return [(known.get(a, len(known)), a) for a in above]

    lines = []
    for folder in sorted(disk, key=order):
        name = f"{'  ' * (folder.count('/') + 1)}{folder.rpartition('/')[2]}/" if folder else "src/keyback/"
        rows = textwrap.wrap(" ".join(disk[folder]), WIDTH - COLUMN) or [""]
        rows += textwrap.wrap(said.get(folder, ""), WIDTH - COLUMN - 2, initial_indent="# ", subsequent_indent="# ")
        rows = rows[1:] if not rows[0] and len(rows) > 1 else rows
        lines += [f"{name:<{COLUMN}}{rows[0]}".rstrip(), *(" " * COLUMN + row for row in rows[1:])]
        if len(name) >= COLUMN:
            lines[-len(rows)] = f"{name} {rows[0]}".rstrip()
    return "\n".join(lines) + "\n"


def block() -> str:
    """The map as the page has it."""
    found = BLOCK.search(PAGE.read_text("utf-8"))
    assert found, "ARCHITECTURE.md has no map"
    return found[0]


if __name__ == "__main__":
    drawn = draw(remarks(block()))
    PAGE.write_text(BLOCK.sub(lambda _: drawn, PAGE.read_text("utf-8"), count=1), "utf-8")
