"""`scripts/mutate`: breaks the rules that decide, one small change at a time, and sees whether a test turns red.

mutmut does the work, in a copy of the tree; what it finds is compared with `SAME`, the changes that change nothing.
Source: DeMillo, Lipton, Sayward, "Hints on test data selection", 1978.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Module to the tests that have to notice; the domain is pure, so these take a second or two.
MODULES = {
    "policy": ("policy/test_policy.py", "policy/test_policy_table.py"),
    "challenge": ("challenges/test_challenge.py", "challenges/test_derived.py"),
    "throttle": ("throttling/test_throttle.py",),
    "factor": ("people/test_factor.py",),
}
# Where each lies in the domain.
PLACES = {
    "policy": "policy/rules",
    "challenge": "challenges/challenge",
    "throttle": "throttling/password_attempts",
    "factor": "people/factor",
}
NEEDED = ("src", "tests", "docs", "pyproject.toml", "README.md", "LICENSE")
# Module, a part of the changed line, and why no test can notice.
SAME = (
    ("challenge", "int.from_bytes(_mac(key, 'code', nonce)[:16], )", "big-endian is Python's default"),
    ("challenge", 'int.from_bytes(_mac(key, "number", handle.encode())[:8], )', "as above"),
    ("challenge", 'int.from_bytes(_mac(key, "short", nonce)[:16], )', "as above"),
    ("", 'rstrip(b"XX=XX")', "128 bits in base64 never end with an X"),
    ("throttle", "min(different - FREE_ATTEMPTS, 31)", "both are far beyond the longest wait"),
    ("throttle", "since: int = 1)", "nothing was tried in the first millisecond of 1970"),
    ("policy", 'journey: Journey = "', "every journey but two is ruled alike"),
    ("policy", 'wait, reason = (0, "XXXX")', "nobody waits, so nobody is told why"),
    ("policy", 'wait, reason = 0, "XXXX"', "as above"),
)
CONFIG = """\
[mutmut]
source_paths=
    src/keyback
only_mutate=
{modules}
pytest_add_cli_args_test_selection=
{tests}
also_copy=
    tests
    docs
    pyproject.toml
    README.md
"""


def main(names: list[str]) -> int:
    """Mutates the modules named, or all; 1 when a change went unnoticed."""
    unknown = [n for n in names if n not in MODULES]
    if unknown:
        print(f"{unknown[0]} is none of {', '.join(MODULES)}.", file=sys.stderr)
        return 2
    names = names or list(MODULES)
    with tempfile.TemporaryDirectory(prefix="keyback-mutate-") as folder:
        place = Path(folder)
        for part in NEEDED:
            source = ROOT / part
            skip = shutil.ignore_patterns("__pycache__", "node_modules")
            if source.is_dir():
                shutil.copytree(source, place / part, ignore=skip)
            else:
                shutil.copyfile(source, place / part)
        tests = dict.fromkeys(t for n in names for t in MODULES[n])
        modules = "\n".join(f"    src/keyback/domain/{PLACES[n]}.py" for n in names)
        config = CONFIG.format(modules=modules, tests="\n".join(f"    tests/{t}" for t in tests))
        (place / "setup.cfg").write_text(config, encoding="utf-8")
        done = _mutmut(place, "run", "--max-children", str(os.cpu_count() or 2))
        if done.returncode not in (0, 1):
            print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
            return 1
        return _judge(place, done.stdout)


def _judge(place: Path, said: str) -> int:
    last = [line for line in re.split(r"[\r\n]+", said) if "/" in line and "🎉" in line]
    tried = int(re.search(r"(\d+)/(\d+)", last[-1])[2]) if last else 0  # type: ignore[index]
    lines = _mutmut(place, "results").stdout.splitlines()
    left = [line.strip().split(": ") for line in lines if ": " in line and "__mutmut_" in line]
    unnoticed = 0
    for name, state in left:
        shown = _mutmut(place, "show", name).stdout
        change = [line for line in shown.splitlines() if re.match(r"[-+](?![-+])", line)]
        module = next((n for n, place in PLACES.items() if f".domain.{place.replace('/', '.')}." in name), "")
        if any(where in ("", module) and part in "\n".join(change) for where, part, _ in SAME):
            continue
        unnoticed += 1
        print(f"{state}: {name}", *(f"    {line}" for line in change), sep="\n")
    print(f"{tried} changes, {len(left) - unnoticed} of them the same as before, {unnoticed} unnoticed.")
    return 1 if unnoticed or not tried else 0


def _mutmut(place: Path, *args: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from mutmut.__main__ import cli; sys.argv = ['mutmut', *sys.argv[1:]]; cli()"
    env = {k: v for k, v in os.environ.items() if not k.startswith("KEYBACK_")} | {"PYTHONUTF8": "1"}
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
