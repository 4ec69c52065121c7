"""`keyback people photo` and `photos`: pictures of HR's records, put on record one by one or from a folder."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Keyback
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import fit, types

Image = pytest.importorskip("PIL.Image", reason="the extra evidence")
pytestmark = [pytest.mark.both, pytest.mark.slow]


def picture(into: Path, size: tuple[int, int] = (900, 1200)) -> Path:
    out = io.BytesIO()
    Image.new("RGB", size, (180, 160, 140)).save(out, "JPEG")
    into.write_bytes(out.getvalue())
    return into


@pytest.fixture
def kit(place: Path, make_kit: Callable[..., Kit], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Kit:
    kit = make_kit(url=database_url)
    monkeypatch.setenv("KEYBACK_DATABASE_URL", kit.settings.database)
    assert kit.settings.keyring is not None
    monkeypatch.setenv("KEYBACK_KEYRING", kit.settings.keyring.get_secret_value())
    monkeypatch.setenv("KEYBACK_DOCUMENTS__ASSESSMENT", "a file of the company")
    fit(kit, person("maya"), person("omar"))
    return kit


def test_one_photo_is_put_on_record_made_small_and_removed(kit: Kit, keyback: Keyback, tmp_path: Path) -> None:
    pid = person_id(kit, "maya")
    got = keyback("people", "photo", "maya", str(picture(tmp_path / "a.jpg")))
    assert "on record" in got.output
    kept = kit.read(lambda tx: tx.photos.jpeg(pid))
    assert Image.open(io.BytesIO(kept)).size == (450, 600)
    assert "Removed" in keyback("people", "photo", "maya", "--remove").output
    assert "no photo" in keyback("people", "photo", "maya", "--remove").output
    assert kit.read(lambda tx: tx.photos.jpeg(pid)) is None
    assert [types(kit).count(k) for k in ("photo_added", "photo_removed")] == [1, 1]
    assert "--remove" in keyback("people", "photo", "maya", code=2).output


def test_a_folder_of_photos_names_what_it_refuses(kit: Kit, keyback: Keyback, tmp_path: Path) -> None:
    for name in ("maya.jpg", "omar@example.com.JPG", "nobody.jpg"):
        picture(tmp_path / name)
    picture(tmp_path / "small.png", (100, 100)).rename(tmp_path / f"{person_id(kit, 'omar')}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    got = json.loads(keyback("people", "photos", str(tmp_path), "--json", code=1).stdout)
    assert got["added"] == 2
    assert {n.partition(".")[2]: why.split(":")[0] for n, why in got["refused"].items()} == {
        "jpg": "No one has this username, email address, or ID. List people with",
        "png": "The picture is too small to tell a face",
    }
    pid = person_id(kit, "omar")
    assert kit.read(lambda tx: tx.photos.jpeg(pid))


def test_without_documents_there_are_no_photos(
    kit: Kit, keyback: Keyback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYBACK_DOCUMENTS__ASSESSMENT", "")
    got = keyback("people", "photo", "maya", str(picture(tmp_path / "a.jpg")), code=1)
    assert "[documents]" in got.output
    assert "photo_added" not in types(kit)
