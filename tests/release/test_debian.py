"""The Debian package in a clean Debian: installed, upgraded in the middle of its work, removed, purged."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import inspect, text

from keyback.storage.database import make_engine
from keyback.storage.migrate import head
from keyback.testing.mailbox import Mailbox
from release.__main__ import build
from tests.release import history
from tests.release.clean_root import Root, clean_root, wait_for
from tests.support.databases import BACKENDS, run_as_admin
from tests.support.user_tables import SERVICE, SERVICE_PASSWORD, STARTS, PostgresTables

EARLIER = "c1e806889301601afa18f12e3c8d1f4ec827331b"  # makes databases of revision 0005
TOOLS = ("debootstrap", "dpkg-deb", "unshare")
OLD, NEW, EVES = "supper ladder teapot 7", "walnut harbour sketch 31", "velvet orchard 58 kettle"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="not on this platform: a chroot takes root"),
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="not installed: apt-get install debootstrap"),
]


def package(folder: Path, commit: str) -> Path:
    history.needs(commit)
    build(folder, commit, level=0)
    return next(folder.glob("*.deb"))


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this commit."""
    return package(tmp_path_factory.mktemp("new"), "HEAD")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of an earlier commit, which a shallow clone doesn't have."""
    return package(tmp_path_factory.mktemp("old"), EARLIER)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """URL of an empty database of a cluster of its own, by a password and TLS, as the package reaches it."""
    server = STARTS["postgresql"](tmp_path)
    assert isinstance(server, PostgresTables)
    try:
        owner = f"postgresql://postgres:Owner-pass-4711@127.0.0.1:{server.port}"
        run_as_admin(owner, f"CREATE DATABASE keyback OWNER {SERVICE}")
        yield f"postgresql://{SERVICE}:{SERVICE_PASSWORD}@127.0.0.1:{server.port}/keyback"
    finally:
        server.stop()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with clean_root(tmp_path) as made:
        yield made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as s:
        return int(s.getsockname()[1])


def set_up(root: Root, port: int, relay: int, *more: str) -> str:
    options = ["--public-url", f"http://127.0.0.1:{port}", "--mail-host", "127.0.0.1", "--mail-port", str(relay)]
    options += ["--mail-security", "plain", "--mail-sender", "keyback@example.com"]
    told = root("keyback", "init", *options, *more)
    settings = root.folder / "etc/keyback/keyback.toml"
    changed = settings.read_text("utf-8").replace('# listen = "127.0.0.1:8080"', f'listen = "127.0.0.1:{port}"')
    settings.write_text(changed, "utf-8")
    return told


class Api:
    """A person's program."""

    def __init__(self, port: int) -> None:
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60)

    def __call__(self, method: str, path: str, body: Any = None, secret: str = "", status: int = 200) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        answer = self.http.request(method, f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json() if answer.content else {}  # type: ignore[no-any-return]

    def start(self, who: str) -> dict[str, Any]:
        return self("POST", "/recoveries", {"identifier": who}, status=202)

    def verify(self, held: dict[str, Any], code: str) -> str:
        path = f"/recoveries/{held['handle']}/proofs/email_link/verify"
        return str(self("POST", path, {"code": code}, held["secret"])["state"])

    def choose(self, held: dict[str, Any], password: str) -> None:
        path = f"/recoveries/{held['handle']}/password"
        headers = {"authorization": f"Bearer {held['secret']}"}
        answer = self.http.post(f"/api/v1{path}", json={"new_password": password}, headers=headers)
        assert answer.status_code in (200, 202), answer.text


def counted(url: str) -> dict[str, int]:
    """Rows of every table."""
    engine = make_engine(url)
    names = inspect(engine).get_table_names()
    with engine.connect() as conn:
        found = {n: conn.execute(text(f"SELECT count(*) FROM {n}")).scalar_one() for n in names}
    engine.dispose()
    return found


def test_it_installs_serves_and_goes_without_a_trace_but_for_data(root: Root, new: Path) -> None:
    said = root.install(new)
    assert "Next: keyback init" in said
    told = root("keyback", "version", "--verify")
    assert "files of" in told
    assert set(re.findall(r"^extra \w+ +(\w+)", told, re.M)) == {"yes"}, told
    port = free_port()
    said = set_up(root, port, 1)
    assert "console/set-up/" in said
    listed = root(
        "stat", "-c", "%a %U:%G %n", "/etc/keyback/keyback.toml", "/var/lib/keyback", "/var/lib/keyback/keyring"
    )
    assert listed.split() == [
        *("640", "root:keyback", "/etc/keyback/keyback.toml"),
        *("700", "keyback:keyback", "/var/lib/keyback"),
        *("600", "keyback:keyback", "/var/lib/keyback/keyring"),
    ]
    assert "ok    database: revision" in root("keyback", "check", code=None)
    with root.serving("keyback", "serve"):
        wait_for("/healthz", port, root)
        wait_for("/readyz", port, root)
    settings = (root.folder / "etc/keyback/keyback.toml").read_text("utf-8")
    (root.folder / "etc/keyback/keyback.env").write_text("SERVE_OPTIONS=--no-worker\n")

    root.install(new)  # the same once more overwrites nothing
    assert (root.folder / "etc/keyback/keyback.toml").read_text("utf-8") == settings
    assert (root.folder / "etc/keyback/keyback.env").read_text("utf-8") == "SERVE_OPTIONS=--no-worker\n"

    root("dpkg", "--remove", "keyback")
    assert (root.folder / "var/lib/keyback/keyring").exists()
    assert not (root.folder / "usr/bin/keyback").exists()
    said = root("dpkg", "--purge", "keyback")
    assert "To lose them for good: rm -r /etc/keyback /var/lib/keyback" in said
    assert (root.folder / "var/lib/keyback/keyback.sqlite").exists()
    assert not (root.folder / "etc/keyback/keyback.env").exists()
    assert not (root.folder / "usr/lib/keyback").exists()
    root("rm", "-r", "/etc/keyback", "/var/lib/keyback")
    root("deluser", "--system", "keyback")
    left = subprocess.run(["find", root.folder, "-xdev", "-name", "*keyback*"], capture_output=True, text=True).stdout
    assert [p for p in left.splitlines() if not p.endswith(".deb")] == []


def test_purging_what_was_never_set_up_leaves_nothing(root: Root, new: Path) -> None:
    root.install(new)
    assert "keyback" in (root.folder / "etc/passwd").read_text("utf-8")
    root("dpkg", "--purge", "keyback")
    assert "keyback" not in (root.folder / "etc/passwd").read_text("utf-8")
    assert not any((root.folder / p).exists() for p in ("etc/keyback", "var/lib/keyback", "usr/lib/keyback"))


@pytest.mark.parametrize("kind", BACKENDS)
def test_an_upgrade_in_the_middle_of_work_loses_nothing(
    kind: str, root: Root, old: Path, new: Path, request: pytest.FixtureRequest
) -> None:
    url, more = f"sqlite:///{root.folder}/var/lib/keyback/keyback.sqlite", []
    if kind == "postgres":
        url = request.getfixturevalue("postgres")
        more = ["--database-url", url]
    root.install(old)
    port = free_port()
    with Mailbox() as mailbox:
        set_up(root, port, mailbox.port, *more)
        rows = "".join(f"{n.title()} Li,{n}@example.com,{n}\n" for n in ("ann", "ben", "cleo", "dan", "eve"))
        (root.folder / "tmp/people.csv").write_text(f"name,email,username\n{rows}")
        root("keyback", "people", "import", "/tmp/people.csv")
        api = Api(port)
        request.addfinalizer(api.http.close)
        with root.serving("keyback", "serve"):
            wait_for("/readyz", port, root)
            done = api.start("ann")  # a whole recovery, and a session after it
            api.verify(done, mailbox.wait_for("ann@example.com")[0]["codes"][0])
            api.choose(done, OLD)
            mailbox.wait_for("ann@example.com", 2)
            session = api("POST", "/sign-in", {"identifier": "ann", "password": OLD})["session"]
            open_case = api.start("ben")  # its mail is in the mailbox, nothing is proven
            code = mailbox.wait_for("ben@example.com")[0]["codes"][0]
            chosen = api.start("eve")
            api.verify(chosen, mailbox.wait_for("eve@example.com")[0]["codes"][0])
    with root.serving("keyback", "serve"):  # the relay is away: a mail that is not sent
        wait_for("/readyz", port, root)
        unsent = api.start("cleo")
        for _ in range(600):
            if counted(url)["cases"] > 3:
                break
            time.sleep(0.1)
    with root.serving("keyback", "serve", "--no-worker"):  # asked, and nobody looked into it
        wait_for("/healthz", port, root)
        asked = api.start("dan")
        api.choose(chosen, EVES)  # a job that nobody took up
    before = counted(url)
    assert before["cases"] == 4
    assert before["outbox"] >= 1
    settings = (root.folder / "etc/keyback/keyback.toml").read_text("utf-8")

    said = root.install(new)
    assert f"Migrated from 0005 to revision {head()}." in said
    assert (root.folder / "etc/keyback/keyback.toml").read_text("utf-8") == settings
    after = counted(url)
    assert {n: after.get(n) for n in before if after.get(n, 0) < before[n]} == {}
    root("keyback", "version", "--verify")
    root("keyback", "audit", "verify")
    with Mailbox() as mailbox:
        changed = re.sub(r"(?m)^port = \d+", f"port = {mailbox.port}", settings)
        (root.folder / "etc/keyback/keyback.toml").write_text(changed, "utf-8")
        with root.serving("keyback", "serve"):
            wait_for("/readyz", port, root)
            assert api("GET", "/session", secret=session)["name"]
            assert api.verify(open_case, code) == "password_due"
            api.choose(open_case, NEW)
            for who, held in (("cleo", unsent), ("dan", asked)):
                assert api.verify(held, mailbox.wait_for(f"{who}@example.com", timeout=180)[0]["codes"][0])
            for who, password in (("ben", NEW), ("eve", EVES)):
                mailbox.wait_for(f"{who}@example.com", timeout=180)
                assert api("POST", "/sign-in", {"identifier": who, "password": password})["session"]
    root("keyback", "audit", "verify")
    root("dpkg", "--remove", "keyback")
    assert counted(url) != {}
