"""`scripts/release`: everything that is published of a commit, the same bytes each time."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import click

from release import debian, sbom, wheels
from release.signing import SecretKey, new_key, read_secret_key
from release.source import Refused, Source, lay_out, refuse_dirty


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", type=click.Path(path_type=Path), default=Path("dist"), show_default=True, help="A new folder.")
@click.option("--commit", default="HEAD", show_default=True, help="What to build.")
@click.option("--key", type=click.Path(path_type=Path, exists=True), help="Secret key of minisign; signs the result.")
@click.option(
    "--wheels", "folder", type=click.Path(path_type=Path, exists=True), help="Has the lock's wheels: no network."
)
@click.option("--deb/--no-deb", default=True, show_default=True, help="Whether to build the Debian package.")
@click.option("--level", default=6, show_default=True, type=click.IntRange(0, 9), help="Compression of the package.")
@click.option("--sign-only", is_flag=True, help="Only sign what --out has.")
@click.option("--new-key", "made", type=click.Path(path_type=Path), help="Make a key pair there and do nothing else.")
def main(
    out: Path,
    commit: str,
    key: Path | None,
    folder: Path | None,
    deb: bool,
    level: int,
    sign_only: bool,
    made: Path | None,
) -> None:
    """Build wheel, sdist, Debian package, bills of materials and SHA256SUMS of a commit into a new folder.

    The tree has to be clean. The same commit gives the same bytes, with the same Python, dpkg and xz. Building
    fetches the wheels that the lock names, once; signing needs no network.
    """
    try:
        if made:
            click.echo(f"{made} signs: keep it offline. {new_key(made)} is for everybody.")
            return
        secret = read_secret_key(key) if key else None
        if sign_only:
            if secret is None:
                raise Refused("Name the secret key with --key.")
            sign_all(out, secret)
            return
        refuse_dirty()
        if out.exists() and any(out.iterdir()):
            raise Refused(f"{out} is not empty. Name a new folder with --out.")
        build(out, commit, folder=folder, deb=deb, level=level)
        if secret:
            sign_all(out, secret)
        for path in sorted(out.iterdir()):
            click.echo(path)
    except Refused as e:
        raise click.ClickException(str(e)) from None


def build(out: Path, commit: str, *, folder: Path | None = None, deb: bool = True, level: int = 6) -> Source:
    """Everything but signatures.

    Args:
        out: where to; is made if it is not there.
        commit: what.
        folder: wheels of the lock; None fetches them.
        deb: whether to make the Debian package, too.
        level: how hard the Debian package is compressed; 0 for not at all.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keyback-release-") as temporary:
        place = Path(temporary)
        source = lay_out(commit, place / f"keyback-{commit[:8]}")
        own, _ = wheels.build(source, place / "made")
        stem = f"keyback-{source.version}"
        for path in (place / "made").iterdir():
            shutil.copyfile(path, out / path.name)
        with zipfile.ZipFile(own.path) as z:
            record = next(n for n in z.namelist() if n.endswith(".dist-info/RECORD"))
            (out / f"{stem}.RECORD").write_bytes(z.read(record))
        sbom.write(out / f"{stem}.whl.cdx.json", sbom.of_wheel(source, own))
        if deb:
            used = wheels.needed(own, wheels.locked(source.tree / "requirements" / "run.txt", folder))
            package = debian.build(source, own, used, place / "stage", out, level)
            bill = sbom.of_package(source, own, used, debian.architecture(), debian.python())
            sbom.write(out / f"{package.name}.cdx.json", bill)
        write_sums(out)
        return source


def write_sums(out: Path) -> None:
    """SHA256SUMS of everything in the folder, for `sha256sum -c`."""
    sums = out / "SHA256SUMS"
    lines = [f"{_sha256(p)}  {p.name}" for p in sorted(out.iterdir()) if p != sums and p.suffix != ".minisig"]
    sums.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _check_sums(sums: Path) -> None:
    if not sums.is_file():
        raise Refused(f"{sums} is not there. Build first.")
    for line in sums.read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if not (sums.parent / name).is_file() or _sha256(sums.parent / name) != digest:
            raise Refused(f"{sums.parent / name} is not what {sums} says. Nothing was signed.")


def sign_all(out: Path, key: SecretKey) -> None:
    """Signs SHA256SUMS, which covers every file, and the list of the wheel's files for `keyback version`.

    Raises:
        Refused: a file is not what SHA256SUMS says.
    """
    _check_sums(out / "SHA256SUMS")
    for path in (out / "SHA256SUMS", *out.glob("*.RECORD")):
        # The digest binds the comment to the file where somebody reads it alone.
        click.echo(key.sign(path, f"{path.name} {_sha256(path)[:16]}"), err=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
