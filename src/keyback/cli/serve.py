"""`keyback serve`, `worker`, `demo`, `openapi`."""

from __future__ import annotations

import gc
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from keyback.cli.common import load, ready


def imported(module: str, name: str) -> Any:
    """Imported only when the command runs, so that `keyback --help` starts no web framework. Whatever is imported
    stays, so collecting garbage meanwhile only takes time."""
    gc.disable()
    try:
        return getattr(importlib.import_module(module), name)
    finally:
        gc.enable()


@click.command()
@click.option("--worker/--no-worker", default=True, show_default=True, help="Run the worker in the same process.")
def serve(worker: bool) -> None:
    """Serve the pages and the API until SIGTERM or Ctrl-C.

    Refuses to start with unsafe settings, without a keyring, or with a database that has not been migrated.
    """
    s = load()
    ready(s)
    sys.exit(imported("keyback.serving", "serve")(s, worker))


@click.command()
def worker() -> None:
    """Run only the worker: look up requests, send mail, apply passwords.

    You can run several. On SIGTERM or Ctrl-C it finishes what it has started.
    """
    s = load()
    ready(s)
    sys.exit(imported("keyback.serving", "work")(s))


@click.command()
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 picks a free one."
)
@click.option(
    "--data",
    default=Path("keyback-demo"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the database and keys.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    type=click.Choice(["127.0.0.1", "localhost"]),
    help="Host name in the address. Passkeys work with localhost only.",
)
def demo(port: int, data: Path, host: str) -> None:
    """Run an invented company on this machine, with a mailbox to read."""
    sys.exit(imported("keyback.demo", "run")(port, data, host))


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file instead of the terminal.")
def openapi(out: Path | None) -> None:
    """Write the API's OpenAPI document (JSON)."""
    text = json.dumps(imported("keyback.web.app", "openapi")(), ensure_ascii=False, indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
