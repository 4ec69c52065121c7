"""`keyback people photo`, `photos`: photos from HR's records, for reviewers of identity documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from keyback.application.desk import photos as use
from keyback.application.ports.images import BadImage
from keyback.cli.common import TakesId, echo_json, load, progress, run, safe, storage, usable
from keyback.cli.people_links import people
from keyback.cli.persons import one_person, with_db
from keyback.domain.operators.documents import MAX_BYTES
from keyback.outbound.images.decoder import Decoder, decoder
from keyback.settings import Settings
from keyback.storage.database import SqlDatabase

__all__ = ["people"]

BY = "server"
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".heic", ".heif"})
FAULTS = {
    "not_image": "This isn't a JPEG, PNG, or HEIC picture, or the package for HEIC (pi-heif) isn't installed.",
    "too_large": "The picture is too large: 12 MB and 40 megapixels at most.",
    "too_small": "The picture is too small to tell a face: each side needs 240 pixels.",
    "unreadable": "The picture can't be read.",
}
OFF = "Photos are for reviewers of identity documents, and none are taken here. See [documents] in the settings."
NO_PILLOW = "Pictures can't be read here. Install Keyback with: pip install 'keyback[evidence]'"


def _decoder(s: Settings) -> Decoder:
    if not s.documents.assessment:
        raise click.ClickException(OFF)
    found = decoder()
    if found is None:
        raise click.ClickException(NO_PILLOW)
    return found


@people.command("photo", cls=TakesId)
@click.argument("name")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--remove", is_flag=True, help="Remove the photo instead.")
def photo(name: str, file: Path | None, remove: bool) -> None:
    """Put a photo of one person on record, by username, email, or ID, in place of any before.

    Only operators who review an identity document of this person see it, beside the document, and only if it was on
    record for 3 days when the recovery began. Every look is in the audit log. No program compares faces.
    """
    if bool(file) == remove:
        raise click.UsageError("Give a picture, or --remove.")
    if file is None:
        gone = with_db(lambda tx: use.remove(tx, one_person(tx, name).id, BY), write=True)
        click.echo("Removed." if gone else "There was no photo.")
        return
    settings = load()
    usable(settings)
    pictures, data = _decoder(settings), _read(file)

    async def work() -> None:
        async with storage(settings) as db:
            await _put(db, pictures, name, data)

    try:
        run(work())
    except BadImage as e:
        raise click.ClickException(FAULTS[e.code]) from None
    click.echo("The photo is on record. Reviewers see it in recoveries that begin 3 days from now or later.")


async def _put(db: SqlDatabase, pictures: Decoder, name: str, data: bytes) -> None:
    person = await db.read(lambda tx: one_person(tx, name))
    made = await pictures.clean(data, side=use.SIDE)
    await db.write(lambda tx: use.put(tx, person.id, made, BY))


def _read(file: Path) -> bytes:
    if file.stat().st_size > MAX_BYTES:
        raise click.ClickException(FAULTS["too_large"])
    return file.read_bytes()


@dataclass(slots=True)
class Outcome:
    """What became of a folder: how many photos are on record, and by file why others aren't."""

    added: int = 0
    refused: dict[str, str] = field(default_factory=dict)


@people.command("photos")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def photos(folder: Path, as_json: bool) -> None:
    """Put a folder of photos on record. Each file is named after the username, email, or ID of one person, such as
    maya.jpg.

    Photos that are there already are replaced. As for one photo, see: keyback people photo --help
    """
    settings = load()
    usable(settings)
    pictures, files = _decoder(settings), sorted(_pictures(folder))
    done = Outcome()

    async def work() -> None:
        async with storage(settings) as db:
            with progress("Photos") as tell:
                for n, file in enumerate(files, 1):
                    try:
                        await _put(db, pictures, file.stem, _read(file))
                        done.added += 1
                    except BadImage as e:
                        done.refused[file.name] = FAULTS[e.code]
                    except click.ClickException as e:
                        done.refused[file.name] = e.message
                    tell(n, len(files))

    run(work())
    if as_json:
        echo_json({"added": done.added, "refused": done.refused})
    else:
        for name, why in done.refused.items():
            click.echo(f"{safe(name)}: {why}")
        click.echo(f"Photos on record: {done.added}. Refused: {len(done.refused)}.")
    if done.refused:
        raise SystemExit(1)


def _pictures(folder: Path) -> Iterator[Path]:
    return (f for f in folder.iterdir() if f.suffix.lower() in ENDINGS and f.is_file())
