"""The breach file: everything that leaked is found, little else is, and no damaged file is trusted."""

from __future__ import annotations

import gzip
import hashlib
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyback.storage.breach import build as breach_build
from keyback.storage.breach.build import BreachBuilder, Built
from keyback.storage.breach.lookup import HEADER_BYTES, BadBreachFile, BreachFile
from keyback.storage.breach.sources import BadSource

LEAKED = [f"copper lantern {i}" for i in range(1000)]


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest()


def build(out: Path, *sources: Path, fp: float = 1e-4) -> Built:
    with BreachBuilder(out, fp) as builder:
        builder.add(list(sources))
        return builder.write(1_795_000_000_000)


def as_list(folder: Path, name: str = "leak.txt", *, end: str = "\n") -> Path:
    path = folder / name
    path.write_bytes("".join(f"{sha1(p)}:{i + 1}{end}" for i, p in enumerate(LEAKED)).encode())
    return path


def as_ranges(folder: Path, *, zipped: bool = False) -> Path:
    home = folder / "ranges"
    home.mkdir()
    by_prefix: dict[str, list[str]] = {}
    for p in LEAKED:
        whole = sha1(p).upper()
        by_prefix.setdefault(whole[:5], []).append(f"{whole[5:]}:3")
    for prefix, lines in by_prefix.items():
        data = "\r\n".join([*sorted(lines), "0" * 35 + ":0"]).encode()
        name = f"{prefix}.txt.gz" if zipped else prefix
        (home / name).write_bytes(gzip.compress(data) if zipped else data)
    (home / "README").write_text("not a range")
    return home


@pytest.mark.slow
@pytest.mark.covers("A-6.2.12")
@pytest.mark.parametrize("form", ["list", "list, CRLF", "list.gz", "bare list", "ranges", "zipped ranges"])
def test_all_that_leaked_is_found(tmp_path: Path, form: str) -> None:
    match form:
        case "list":
            source = as_list(tmp_path)
        case "list, CRLF":
            source = as_list(tmp_path, "abcde.txt", end="\r\n")
        case "list.gz":
            source = tmp_path / "leak.gz"
            source.write_bytes(gzip.compress(as_list(tmp_path).read_bytes()))
        case "bare list":
            source = tmp_path / "leak"
            source.write_text("\n".join(sha1(p).upper() for p in LEAKED))
        case _:
            source = as_ranges(tmp_path, zipped=form.startswith("zipped"))
    built = build(tmp_path / "out", source)
    leaked = BreachFile(tmp_path / "out")
    assert built.read == len(LEAKED)
    assert len(leaked) == built.count
    assert all(p in leaked for p in LEAKED)
    assert leaked.verify()
    assert repr(leaked) == f"BreachFile({built.count} entries)"
    leaked.close()


def test_padding_of_ranges_is_no_entry(tmp_path: Path) -> None:
    source = tmp_path / "21BD1"
    source.write_text("0" * 35 + ":0\n" + "1" * 35 + ":1\n")
    assert build(tmp_path / "out", source).read == 1


def test_what_two_sources_have_counts_once(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    one = build(once, as_list(tmp_path))
    two = build(twice, as_list(tmp_path), as_ranges(tmp_path))
    assert two.read == 2 * one.read
    assert two.count <= one.read
    assert two.count >= one.count


@pytest.mark.slow
@pytest.mark.parametrize("fp", [1e-2, 1e-3, 1e-4, 1e-6])
def test_false_positives_are_as_said(tmp_path: Path, fp: float) -> None:
    source = as_list(tmp_path)
    built = build(tmp_path / "out", source, fp=fp)
    leaked, tries, dice = BreachFile(tmp_path / "out"), 60_000, random.Random(7)
    wrong = sum(leaked.holds(dice.getrandbits(64)) for _ in range(tries))
    assert built.false_positives <= fp
    assert wrong <= 3 + 1.5 * fp * tries
    leaked.close()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=300),
    st.lists(st.integers(0, 2**64 - 1), max_size=50),
    st.sampled_from([1e-2, 1e-4, 1e-6]),
)
def test_a_file_holds_exactly_the_places_that_went_in(numbers: list[int], others: list[int], fp: float) -> None:
    numbers += [0, 2**64 - 1, *numbers[:3]]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        with BreachBuilder(out, fp) as builder:
            builder.take(numbers)
            builder.write(0)
        leaked = BreachFile(out)
        place = leaked.header.shape.place
        places = {place(n) for n in numbers}
        assert leaked.header.count == len(places)
        assert all(leaked.holds(n) for n in numbers)
        assert [leaked.holds(n) for n in others] == [place(n) in places for n in others]
        leaked.close()


def test_memory_stays_bounded_by_spooling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breach_build, "_HELD", 100)
    with BreachBuilder(tmp_path / "out") as builder:
        for i in range(20):
            builder.take([random.Random(i).getrandbits(64) for _ in range(60)])
            assert sum(map(len, builder._parts)) <= 160
        builder.write(0)
    assert [p.name for p in tmp_path.iterdir()] == ["out"], "spool files are gone"


# ── what is refused ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        b"hunter2\n",
        b"g" * 40 + b"\n",
        b"a" * 32 + b":4\n",  # NTLM
        b"a" * 40 + b":many\n",
        (b"a" * 40 + b"\n") * 3 + b"my secret password\n",
        b"\x00" * (3 << 20),
    ],
)
def test_something_else_is_refused_and_never_quoted(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "passwords.txt"
    source.write_bytes(content)
    with pytest.raises(BadSource, match=r"passwords\.txt, line \d") as refused:
        build(tmp_path / "out", source)
    assert "hunter2" not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cut", [30, 500])
def test_a_gzip_file_that_was_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    source = tmp_path / "leak.gz"
    source.write_bytes(gzip.compress(as_list(tmp_path).read_bytes())[:-cut])
    with pytest.raises(BadSource, match="cut off"):
        build(tmp_path / "out", source)


def test_nothing_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank").write_text("\n\n")
    for source, words in [("empty", "no range files"), ("absent", "no such file"), ("blank", "no entry")]:
        with pytest.raises(BadSource, match=words):
            build(tmp_path / "out", tmp_path / source)


def test_entries_that_are_not_spread_are_refused(tmp_path: Path) -> None:
    with BreachBuilder(tmp_path / "out") as builder:
        builder.take([(1 << 63) + (i << 36) for i in range(200_000)])
        with pytest.raises(BadSource, match="spread"):
            builder.write(0)


def test_a_failed_build_leaves_the_older_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(out, as_list(tmp_path))
    before = out.read_bytes()
    (tmp_path / "bad").write_text("no hash\n")
    with pytest.raises(BadSource):
        build(out, tmp_path / "bad")
    assert out.read_bytes() == before


def damaged(raw: bytes, how: str) -> bytes:
    middle = HEADER_BYTES + 100
    return {
        "empty": b"",
        "foreign": b"PK\x03\x04" + raw[4:],
        "as text": raw.replace(b"\r\n", b"\n"),
        "cut off": raw[:-1],
        "cut in the header": raw[: HEADER_BYTES - 1],
        "longer": raw + b"\0",
        "newer": raw[:8] + b"\x02" + raw[9:],
        "count": raw[:24] + b"\x01" + raw[25:],
        "header": raw[:50] + bytes([raw[50] ^ 1]) + raw[51:],
        "end": raw[:-4] + b"\xff\xff\xff\x7f",
        "middle": raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :],
    }[how]


HOWS = ("empty", "foreign", "as text", "cut off", "cut in the header", "longer", "newer", "count", "header", "end")


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS)
def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    build(out, as_list(tmp_path))
    out.write_bytes(damaged(out.read_bytes(), how))
    with pytest.raises(BadBreachFile):
        BreachFile(out)


def test_the_checksum_notices_a_single_bit_in_the_middle(tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(out, as_list(tmp_path))
    out.write_bytes(damaged(out.read_bytes(), "middle"))
    leaked = BreachFile(out)
    assert not leaked.verify()
    leaked.close()


def test_only_text_is_looked_up(tmp_path: Path) -> None:
    build(tmp_path / "out", as_list(tmp_path))
    leaked = BreachFile(tmp_path / "out")
    assert 7 not in leaked
    assert "\ud800" not in leaked
    leaked.close()


def test_a_newer_file_takes_the_place_of_one_in_use(tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(out, as_list(tmp_path))
    before = BreachFile(out)
    (tmp_path / "other").write_text(sha1("walnut harbour"))
    build(out, tmp_path / "other")
    assert LEAKED[0] in before
    after = BreachFile(out)
    assert "walnut harbour" in after
    assert LEAKED[0] not in after
    before.close()
    after.close()
