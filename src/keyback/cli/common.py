"""What every command shares: settings, refusals in words, progress, text that is safe for a terminal."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import re
import select
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keyback.application.ports.storage import StorageDown, StorageFull, Tx
from keyback.bootstrap_keys import load_keyring
from keyback.domain.characters import is_shown
from keyback.domain.errors import Refusal
from keyback.observability import configure
from keyback.settings import Settings, Unsafe, config_path, refuse_unsafe
from keyback.settings_faults import faults_of
from keyback.settings_safety import open_to_others, refuse_no_folder
from keyback.storage.database import SqlDatabase, make_engine
from keyback.storage.health import unfit
from keyback.storage.keys.keyring import Keyring
from keyback.storage.maintenance.key_check import misfits
from keyback.storage.migrate import current, head, knows

T = TypeVar("T")
ID = re.compile(r"-[A-Za-z0-9_-]{21}")
Told = Callable[[int, int], None]
READER_GONE = 141  # 128 + SIGPIPE, as shells say of `cat … | head`
NO_SETTINGS = (
    "No settings file was found: {} is not there, and KEYBACK_CONFIG names none. Run keyback init to make one."
)
BAD_URL = "database_url cannot be used ({}). Give postgresql://user@host/name, or leave it out for SQLite."
NO_DRIVER = (
    "PostgreSQL needs the package psycopg, which cannot be loaded here ({}). "
    "Install Keyback with it: pip install 'keyback[postgres]'"
)
REFUSALS = {
    "not_found": "No recovery has this ID.",
    "wrong_state": "It has ended, or its password is being set, so it can't be canceled any more.",
    "conflict": "Someone else just changed it. Check it and try again.",
}


def bad_url(e: Exception) -> str:
    """Why no connection to the database can be made at all: its driver is missing, or its address is none."""
    missing = isinstance(e, ImportError) and (e.name or "").partition(".")[0] in {"psycopg", "psycopg_binary", "libpq"}
    return NO_DRIVER.format(e) if missing else BAD_URL.format(type(e).__name__)


@contextmanager
def in_words(ctx: click.Context) -> Iterator[None]:
    """Turns what we refuse and what can fail in a command into one sentence."""
    try:
        configure("error")
        yield
    except Unsafe as e:
        missing = "" if ctx.invoked_subcommand == "demo" else no_settings()
        raise click.ClickException("\n".join(filter(None, (missing, str(e))))) from None
    except Refusal as e:
        raise click.ClickException(REFUSALS.get(e.code, e.code)) from None
    except StorageFull:
        raise click.ClickException("The database has no room left. Make room, then run this again.") from None
    except StorageDown as e:
        text = f"The database cannot be used ({e}). See that it runs and that database_url is right."
        raise click.ClickException(text) from None
    except OSError as e:
        if isinstance(e, BrokenPipeError) and _nobody_reads():
            leave()
        raise click.ClickException(f"{e.filename or 'a file'}: {e.strerror or type(e).__name__}") from None


def _nobody_reads() -> bool:
    """Whether standard output or error is a pipe whose reader has gone, as with `| head`."""
    poll = select.poll()  # a broken connection raises the same, and is a failure
    for fd in (1, 2):
        poll.register(fd, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def leave() -> NoReturn:
    """Ends without a word: whoever read has seen enough. What Python still wants to write at its end goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(nowhere, fd)
    raise SystemExit(READER_GONE)


class TakesId(click.Command):
    """A command whose argument may be an id; one in 64 begins with a hyphen, which is no option for that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ids = [a for a in args if ID.fullmatch(a)] if "--" not in args else []
        return super().parse_args(ctx, [*(a for a in args if a not in ids), *(["--", *ids] if ids else ())])


def load() -> Settings:
    """The settings of this place.

    Raises:
        Unsafe: something in them is wrong; the text names the settings, never their values.
    """
    path = config_path()
    if path is not None and path.is_dir():
        raise Unsafe(f"{path} is a folder, not a file of settings. Name the file in KEYBACK_CONFIG, or move it away.")
    if path is not None and not path.is_file():
        raise Unsafe(f"KEYBACK_CONFIG names {path}, and there is no such file. Make one with: keyback init")
    try:
        s = Settings()
    except ValidationError as e:
        raise Unsafe(wrong_settings(e)) from None
    except SettingsError as e:
        raise Unsafe(f"the settings cannot be read: {e}. Lists and tables in the environment are JSON.") from None
    refuse_no_folder(s)
    return s


def no_settings() -> str:
    """Where a file of settings was looked for and not found, and what to do; empty where there is one."""
    return "" if config_path() else NO_SETTINGS.format(Path("keyback.toml").absolute())


def wrong_settings(e: ValidationError) -> str:
    return "the settings are wrong:\n" + "\n".join(f"  {line}" for line in faults_of(e, Settings))


def sqlite_file(s: Settings) -> Path | None:
    return Path(s.database.removeprefix("sqlite:///")) if s.database.startswith("sqlite:///") else None


def revision(s: Settings) -> str | None:
    """The revision of the database's schema; None when it is empty or, for SQLite, not there.

    Raises:
        StorageDown: it cannot be reached. `Unsafe`: it could never do.
    """
    file = sqlite_file(s)
    if file is not None and not file.exists():
        return None
    try:
        engine = make_engine(s.database)
    except Exception as e:
        raise Unsafe(bad_url(e)) from None
    try:
        found = current(engine)
        problem = unfit(engine, to_migrate=found is None or (knows(found) and found != head()))
        if problem:
            raise Unsafe(problem)
        return found
    except (Unsafe, StorageDown):
        raise
    except Exception as e:  # whatever the driver raises
        raise StorageDown(type(e).__name__) from None
    finally:
        engine.dispose()


def schema_problem(found: str | None) -> tuple[str, str]:
    """What is wrong with a schema at this revision: (`ok`, `warn` or `bad`, words)."""
    if found == head():
        return "ok", f"revision {found}"
    if found is None:
        return "bad", "the database is empty. Run: keyback migrate"
    if knows(found):
        return "bad", f"the database is at revision {found}, this version needs {head()}. Run: keyback migrate"
    return "warn", f"the database is at revision {found}, newer than {head()}: a newer Keyback migrated it"


def ready(s: Settings) -> None:
    """Refuses to go on with unsafe settings, without keys or on an older schema; for what answers people or mails them.

    Raises:
        Unsafe: naming the cause and the way out.
    """
    refuse_unsafe(s)
    for words in open_to_others(s):
        raise Unsafe(words)
    usable(s)


def usable(s: Settings, *, fitting: bool = True) -> None:
    """The part of `ready` that commands need which send nothing and ask no system: keys, and this version's schema.

    Args:
        fitting: whether the keys have to be those that the database was written with.

    Raises:
        Unsafe: naming the cause and the way out.
    """
    ring = load_keyring(s)
    status, words = schema_problem(revision(s))
    if status == "bad":
        raise Unsafe(words)
    if status == "warn":
        click.echo(f"Warning: {words}.", err=True)
    if fitting:
        _fit(s, ring)


def _fit(s: Settings, ring: Keyring) -> None:
    found = misfits(s.database, ring)
    if found:
        raise Unsafe("\n".join(map(str, found)))


@asynccontextmanager
async def storage(s: Settings) -> AsyncIterator[SqlDatabase]:
    """The database with its keyring and nothing else, let go of at the end: no relay, no system has to be set up."""
    db = SqlDatabase(s.database, load_keyring(s))
    try:
        yield db
    finally:
        await db.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def in_database(fn: Callable[[Tx], T], *, write: bool = False) -> T:
    """Runs one transaction on the database of the settings; what it returns."""
    s = load()
    usable(s)

    async def work() -> T:
        async with storage(s) as db:
            return await (db.write(fn) if write else db.read(fn))

    return run(work())


def reason_of(text: str) -> str:
    """A reason for the audit log, on one line.

    Raises:
        click.UsageError: it is empty, too long, or not only text.
    """
    reason = " ".join(text.split())
    if not reason or len(reason) > 200 or not reason.isprintable():
        raise click.UsageError("--reason must be 1 to 200 printable characters.")
    return reason


def sure(question: str, yes: bool) -> None:
    """Asks on a terminal.

    Raises:
        click.UsageError: nobody can be asked.
    """
    can_ask(yes)
    if not yes:
        click.confirm(question, abort=True)


def can_ask(yes: bool) -> None:
    """For commands that look something up before they ask.

    Raises:
        click.UsageError: nobody can be asked.
    """
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(
            "Can't ask for confirmation: standard input is not a terminal. Use --yes to skip the prompt."
        )


def echo_json(data: object) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def safe(text: object) -> str:
    """Text from outside for a terminal: nothing that moves its cursor, hides or reverses (P6)."""
    return "".join(c if is_shown(c) else "�" for c in str(text))


def at(ms: int) -> str:
    """An instant for people, in UTC."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def columns(rows: list[tuple[str, ...]]) -> None:
    """Aligned by cells, since Chinese characters take two."""
    widths = [max(cell_len(r[n]) for r in rows) for n in range(len(rows[0]))] if rows else []
    for r in rows:
        click.echo("  ".join(t + " " * (w - cell_len(t)) for t, w in zip(r, widths, strict=True)).rstrip())


@contextmanager
def progress(words: str) -> Iterator[Told]:
    """Tells how far long work is, on standard error: a bar on a terminal, a line every tenth elsewhere."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(words, total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of)
        return
    last = 0

    def tell(done: int, of: int) -> None:
        nonlocal last
        tenth = 10 * done // of if of else 10
        if tenth > last:
            last = tenth
            click.echo(f"{words}: {done} of {of}", err=True)

    yield tell


def create_private(path: Path, text: str) -> None:
    """Writes a new file that only its owner can read. Raises FileExistsError rather than overwrite."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", newline="") as f:
        f.write(text)
