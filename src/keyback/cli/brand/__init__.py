"""`keyback brand preview`: the main pages and emails with the company's face, as pictures."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import click

from keyback.cli.brand.drawn import Sheet, sheets
from keyback.cli.common import load
from keyback.locale import LOCALES

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
WAIT_S = 60.0


@click.group()
def brand() -> None:
    """Show the company's face."""


@brand.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option(
    "--lang",
    "langs",
    type=click.Choice(LOCALES),
    multiple=True,
    help="Language; can be given several times. [default: all]",
)
@click.option("--html", "html_only", is_flag=True, help="Write HTML files alone, even where Chromium is there.")
def preview(folder: Path, langs: tuple[str, ...], html_only: bool) -> None:
    """Write the main pages and emails with this brand into DIR: light and dark, on a phone and on a desk.

    Every page becomes an HTML file that needs nothing else, and a picture where Chromium or Chrome is on the PATH.
    index.html shows all of them. Nothing is sent, and no database is needed.
    """
    s = load()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    made = list(sheets(s, langs or LOCALES))
    for sheet in made:
        (folder / f"{sheet.name}.html").write_text(sheet.html, "utf-8")
    (folder / "index.html").write_text(_index(made), "utf-8")
    browser = None if html_only else next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        click.echo(f"Wrote {len(made)} pages and emails. Open {folder / 'index.html'} in a browser.")
        if not html_only:
            click.echo("There are no pictures: install chromium for them.")
        return
    failed = asyncio.run(_pictures(browser, folder, made))
    click.echo(f"Wrote {len(made) - len(failed)} pictures. Open {folder / 'index.html'}, or look at the PNG files.")
    if failed:
        raise click.ClickException(f"{browser} made no picture of {', '.join(failed)}. The HTML files are there.")


async def _pictures(browser: str, folder: Path, made: list[Sheet]) -> list[str]:
    """Has the browser draw each of our files; names of those that it drew nothing of."""
    at_once = asyncio.Semaphore(2)
    with tempfile.TemporaryDirectory(prefix="keyback-brand-") as profiles:

        async def one(n: int, sheet: Sheet) -> str:
            picture = folder / f"{sheet.name}.png"
            page = folder / f"{sheet.name}.html"
            picture.unlink(missing_ok=True)
            more = [f"--user-data-dir={profiles}/{n}", f"--window-size={sheet.width},{sheet.height}"]
            more += ["--blink-settings=preferredColorScheme=0"] if sheet.dark else []
            more += ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it doesn't start otherwise
            async with at_once:
                process = await asyncio.create_subprocess_exec(
                    browser, *QUIET, *more, f"--screenshot={picture}", page.as_uri(),
                    stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
                try:
                    async with asyncio.timeout(WAIT_S):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
                shutil.rmtree(f"{profiles}/{n}", ignore_errors=True)
            return "" if picture.is_file() else sheet.name

        return [name for name in await asyncio.gather(*(one(n, sheet) for n, sheet in enumerate(made))) if name]


def _index(made: list[Sheet]) -> str:
    frames = "\n".join(
        f'<figure><figcaption><a href="{x.name}.html">{x.name}</a></figcaption>'
        f'<iframe src="{x.name}.html" width="{x.width}" height="{x.height}" loading="lazy" title="{x.name}"></iframe>'
        "</figure>"
        for x in made
    )
    style = (
        "body{font:14px sans-serif;display:flex;flex-wrap:wrap;gap:24px}figure{margin:0}iframe{border:1px solid #999}"
    )
    return f'<!DOCTYPE html>\n<meta charset="utf-8">\n<title>Brand</title>\n<style>{style}</style>\n{frames}\n'
