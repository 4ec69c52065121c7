"""A real Tryton server on 127.0.0.1, with a new SQLite database: for tests of the Tryton connector and for trying it.

Takes the packages `trytond` and `trytond-party` beside this Python, or another series from a folder of programs: an
environment of its own (`keyback.testing.environments`), or `/usr/bin` with Debian's `tryton-server`. A new database
takes about seven seconds.
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from keyback.domain.secret import Secret

CONFIG = """[database]
uri = sqlite://
path = {path}
[web]
listen = 127.0.0.1:{port}
[password]
length = {length}
entropy = 0
[session]
timeout = {timeout}
max_attempt = {max_attempt}
"""
# Where email-validator is installed, Tryton asks the DNS about every address; invented domains must do here.
WITHOUT_DNS = (
    "import runpy, sys; sys.modules['email_validator'] = None; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


class TrytonFault(Exception):
    """The server did not start, or answered a set-up call with an error."""


@dataclass(slots=True)
class TrytonServer:
    """A running server.

    Args:
        url: base address, such as `http://127.0.0.1:18602`.
        database: name of the database, part of the RPC path.
        admin_login, admin_password: a Tryton administrator.
        process: the server's process; `stop` ends it.
        path: of the calls below the database, `rpc/` from 8.0 on and empty before.
        workdir: holds `trytond.conf`, `trytond.log` and, under `tryton/`, the SQLite file of the database.
    """

    url: str
    database: str
    admin_login: str
    admin_password: Secret
    process: subprocess.Popen[bytes]
    workdir: Path
    path: str = "rpc/"
    _session: str = field(default="", repr=False)

    def rpc(self, method: str, params: list[Any], session: str | None = None) -> tuple[int, Any]:
        """One JSON-RPC call: HTTP status, and the result or `{"error": …}`."""
        headers = {"Authorization": f"Session {session}"} if session else {}
        body = {"id": 1, "method": method, "params": params}
        url = f"{self.url}/{self.database}/{self.path}"
        r = httpx2.post(url, json=body, headers=headers, timeout=60, trust_env=False)
        if r.headers.get("content-type", "").split(";")[0] != "application/json":
            return r.status_code, None
        answer = r.json()
        if isinstance(answer, Mapping):
            answer = {"error": answer["error"]} if answer.get("error") else answer.get("result")
        return r.status_code, answer

    def login(self, login: str, password: str) -> str | None:
        """Sign in; the value of the Authorization header's `Session`, or None. A wrong password counts as a bad try."""
        status, answer = self.rpc("common.db.login", [login, {"password": password}])
        if status != 200 or not isinstance(answer, list):
            return None
        return base64.b64encode(f"{login}:{answer[0]}:{answer[1]}".encode()).decode()

    def admin(self, method: str, *params: Any) -> Any:
        """A call as administrator. Raises `TrytonFault` when Tryton refuses it."""
        if not self._session:
            self._session = self.login(self.admin_login, self.admin_password.reveal()) or ""
        status, answer = self.rpc(method, [*params, {}], self._session)
        if status != 200 or (isinstance(answer, dict) and "error" in answer):
            raise TrytonFault(f"{method}: {status}")
        return answer

    def create_user(self, login: str, email: str, password: str, **more: Any) -> str:
        """Add a user; `more` are further fields of `res.user`, such as `administrator=True`. Gives the record id."""
        if not self.path and more.pop("administrator", False):  # before 8.0 it is a group
            more["groups"] = [["add", self.admin("model.res.group.search", [["name", "=", "Administration"]])]]
        values = {"name": login.title(), "login": login, "email": email, "password": password, **more}
        return str(self.admin("model.res.user.create", [values])[0])

    def model(self, name: str) -> Any:
        """What access rights say for a model: its name, and before 8.0 its number."""
        return name if self.path else self.admin("model.ir.model.search", [["model", "=", name]])[0]

    @property
    def keeps_sessions(self) -> bool:
        """Whether it leaves a user's sessions alive when the password is set, as 6.0 does."""
        if self.path:
            return False
        body = {"id": 1, "method": "common.server.version", "params": []}
        version = httpx2.post(f"{self.url}/", json=body, timeout=60, trust_env=False).json()["result"]
        return int(str(version).partition(".")[0]) < 7

    def alive(self, session: str) -> bool:
        """Whether a session of `login` still works."""
        return self.rpc("model.res.user.get_preferences", [True, {}], session)[0] == 200

    def stop(self) -> None:
        """End the server; safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start_tryton(
    workdir: Path,
    port: int = 0,
    admin_password: str = "",
    *,
    database: str = "crm",
    min_length: int = 10,
    lock_seconds: int = 300,
    max_attempt: int = 5,
    programs: Path | None = None,
) -> TrytonServer:
    """Make a database in `workdir` and start a server for it on 127.0.0.1.

    Args:
        port: TCP port; 0 takes a free one.
        admin_password: of the user `admin`; a random one when empty.
        min_length: characters that Tryton asks of a password.
        lock_seconds, max_attempt: after more bad tries than this Tryton answers 429 for so long.
        programs: folder with `trytond`, `trytond-admin` and the `python3` that runs them; None for this environment.

    Raises `TrytonFault` when it does not come up.
    """
    port = port or _free_port()
    admin_password = admin_password or secrets.token_urlsafe(18)
    data = workdir / "tryton"
    data.mkdir(parents=True, exist_ok=True)
    (data / f"{database}.sqlite").touch()  # trytond-admin only fills a database that exists
    conf, passfile = workdir / "trytond.conf", workdir / "tryton-admin-password"
    conf.write_text(
        CONFIG.format(path=data, port=port, length=min_length, timeout=lock_seconds, max_attempt=max_attempt)
    )
    passfile.touch(mode=0o600)
    passfile.write_text(admin_password + "\n")
    args = ["-c", str(conf), "-d", database]
    try:
        made = subprocess.run(
            [
                *_command("trytond-admin", programs),
                "-c",
                conf,
                "-d",
                database,
                "--all",
                "--email",
                "admin@example.com",
                "-l",
                "en",
            ],
            env={**os.environ, "TRYTONPASSFILE": str(passfile)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=180,
            check=False,
        )
    finally:
        passfile.unlink()
    if made.returncode:
        raise TrytonFault(f"trytond-admin ended with {made.returncode}: {made.stderr[-500:].decode(errors='replace')}")
    with (workdir / "trytond.log").open("ab") as log:
        process = subprocess.Popen(
            [*_command("trytond", programs), *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    server = TrytonServer(f"http://127.0.0.1:{port}", database, "admin", Secret(admin_password), process, workdir)
    _wait(server)
    return server


def _wait(server: TrytonServer, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.process.poll() is None:
        try:
            status = server.rpc("common.db.login", ["", {}])[0]
            if status in {200, 401, 403}:
                return
            if status in {404, 405}:
                server.path = ""
        except httpx2.TransportError:
            time.sleep(0.1)
    server.stop()
    raise TrytonFault(f"trytond did not come up: see {server.workdir / 'trytond.log'}")


def _command(name: str, programs: Path | None) -> list[str]:
    """The console script by its own Python, without the optional e-mail check that asks the DNS."""
    python = programs / "python3" if programs else Path(sys.executable)
    path = python.parent / name
    if not path.exists():
        raise TrytonFault(f"{name} is not installed beside {python.name}; install trytond and trytond-party")
    return [str(python), "-c", WITHOUT_DNS, str(path)]


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
