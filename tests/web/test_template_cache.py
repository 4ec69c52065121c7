"""Compiled templates are kept between starts, and run only as this installation wrote them."""

from __future__ import annotations

import stat
from pathlib import Path

from jinja2 import DictLoader, Environment
from jinja2.bccache import Bucket

from keyback.web.ui.template_cache import NAME, TemplateCache

KEY = b"k" * 32


def start(folder: Path, text: str = "one {{ n }}", key: bytes = KEY) -> tuple[str, int]:
    """Draws a template as after a start; what it drew and how many templates were compiled."""
    compiled: list[str] = []

    class Counting(TemplateCache):
        def dump_bytecode(self, bucket: Bucket) -> None:
            compiled.append(bucket.key)
            super().dump_bytecode(bucket)

    cache = Counting(folder, key)
    env = Environment(loader=DictLoader({"a.html": text, "b.html": "b"}), bytecode_cache=cache)
    drawn = env.get_template("a.html").render(n=2)
    env.get_template("b.html")
    cache.save()
    return drawn, len(compiled)


def test_templates_are_compiled_once_and_only_our_own_code_is_run(tmp_path: Path) -> None:
    assert start(tmp_path) == ("one 2", 2)
    assert start(tmp_path) == ("one 2", 0)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [NAME]
    assert start(tmp_path, "two {{ n }}") == ("two 2", 1)  # a newer version of the package
    assert start(tmp_path, "two {{ n }}") == ("two 2", 0)
    assert start(tmp_path, "two {{ n }}", key=b"x" * 32) == ("two 2", 2)  # by another keyring
    assert start(tmp_path, "two {{ n }}") == ("two 2", 2)
    kept = bytearray((tmp_path / NAME).read_bytes())
    for place in (0, 40, len(kept) - 1):
        spoilt = kept.copy()
        spoilt[place] ^= 1
        (tmp_path / NAME).write_bytes(bytes(spoilt))
        assert start(tmp_path, "two {{ n }}") == ("two 2", 2)
    (tmp_path / NAME).write_bytes(b"")
    assert start(tmp_path, "two {{ n }}") == ("two 2", 2)
    assert start(tmp_path / "nowhere") == ("one 2", 2)
