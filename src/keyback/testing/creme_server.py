"""A real Crème CRM on 127.0.0.1, with a new SQLite database: for tests of the connector and for trying it.

Takes a folder of programs with creme-crm, an environment of its own (`keyback.testing.environments`). Filling a
database takes Crème a minute or more, so one is prepared beside the environment, once, and every server gets a copy
of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

SETTINGS = """
SECRET_KEY = "of a test, known to everybody, and of no use"
SITE_DOMAIN = "http://127.0.0.1"
DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": __import__("os").environ["CREME_DATABASE"],
    "OPTIONS": {"timeout": 30},
}}
JOBMANAGER_BROKER = f"unix_socket://{BASE_DIR}/"
ALLOWED_HOSTS = ["127.0.0.1"]
"""
# Serves on a free port, says which, and does what comes line by line.
PROGRAM = """
import json, os, socketserver, sys, threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from crm.wsgi import application
from creme.creme_core.models import CremeUser, UserRole

class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass

def role(name, special):
    made, new = UserRole.objects.get_or_create(name=name)
    if new:
        made.allowed_apps = {"creme_core", "persons"}
        made.raw_special_perms = special
        made.save()
    return made

def add(username, email, password, first_name, superuser=False, staff=False, special="", disabled=False, team=False):
    who = CremeUser(username=username, email=email, first_name=first_name, is_superuser=superuser, is_staff=staff)
    who.is_active, who.is_team = not disabled, team
    plain = None if superuser or team else role("Sales", "")
    who.role = plain
    if not team:
        who.set_password(password)
    who.save()
    if plain:
        who.roles.add(plain)
    if special:
        who.roles.add(role(special, special))
    return who.id

server = make_server("127.0.0.1", 0, application, Server, Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
print(json.dumps(server.server_port), file=answers, flush=True)
for line in sys.stdin:
    print(json.dumps(add(**json.loads(line))), file=answers, flush=True)
"""
USER_ADMINISTRATORS = "creme_config-user"
"""The special permission to administer users, which a role may have."""


class CremeFault(Exception):
    """The server did not start, or a set-up step failed."""


@dataclass(slots=True)
class CremeServer:
    """A running server.

    Args:
        url: base address, such as `http://127.0.0.1:18601`.
        database: the SQLite file.
        process: the server's process; `stop` ends it.
    """

    url: str
    database: Path
    process: subprocess.Popen[str]
    _open: list[httpx2.Client] = field(default_factory=list, repr=False)

    def section(self) -> dict[str, Any]:
        """Keys of a section of kind `creme`."""
        return {"url": f"sqlite://{self.database}", "sign_in_url": f"{self.url}/creme_login"}

    def add_user(
        self,
        login: str,
        mail: str,
        password: str,
        *,
        privileged: bool = False,
        disabled: bool = False,
        staff: bool = False,
        special: str = "",
        team: bool = False,
    ) -> str:
        """Add a person, as Crème itself does; gives the id.

        Args:
            privileged: a superuser.
            staff: marked as Crème's own staff.
            special: a special permission, which a second role of the person's has.
            team: no person, but a team.
        """
        said = {"username": login, "email": mail, "password": password, "first_name": "" if team else login.title()}
        more = {"superuser": privileged, "staff": staff, "disabled": disabled, "special": special, "team": team}
        return str(self._do({**said, **more}))

    def _do(self, what: dict[str, Any]) -> Any:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return _answer(self.process)

    def open_session(self, login: str, password: str) -> httpx2.Client | None:
        """Sign in by Crème's form; the browser that is signed in, or None."""
        client = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)
        self._open.append(client)
        page = client.get("/creme_login").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if token is None:
            raise CremeFault("the page of signing in has no form")
        sent = {"username": login, "password": password, "csrfmiddlewaretoken": token[1], "next": ""}
        answer = client.post("/creme_login", data=sent, headers={"Referer": f"{self.url}/creme_login"})
        return client if answer.status_code == 302 and self.session_lives(client) else None

    def session_lives(self, client: httpx2.Client) -> bool:
        """Whether its first page opens, and doesn't lead to the one of signing in."""
        return client.get("/").status_code == 200

    def signs_in(self, login: str, password: str) -> bool:
        return self.open_session(login, password) is not None

    def stop(self) -> None:
        """End the server; safe to call twice."""
        for client in self._open:
            client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()


def start_creme(workdir: Path, programs: Path) -> CremeServer:
    """Start a server with a database of its own in `workdir`.

    Args:
        programs: folder with `creme` and the `python` that runs it.

    Raises `CremeFault` when it does not come up.
    """
    project = _prepared(programs)
    database = workdir / "creme.sqlite"
    shutil.copy(project / "creme.sqlite", database)
    with (workdir / "creme.log").open("ab") as log:
        process = subprocess.Popen(
            [programs / "python", "-W", "ignore", "-c", PROGRAM],
            cwd=project,
            env=_environment(database),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        return CremeServer(f"http://127.0.0.1:{_answer(process)}", database, process)
    except CremeFault:
        raise CremeFault(f"Crème did not come up: see {workdir / 'creme.log'}") from None


def _answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise CremeFault(f"Crème ended with {process.wait(60)}")
    return json.loads(line)


def _prepared(programs: Path) -> Path:
    """The project with a database that is filled, made once for an environment."""
    folder = programs.parent / f"project-{hashlib.sha256(SETTINGS.encode()).hexdigest()[:12]}"
    made = folder / "made"
    with (programs.parent / "project.lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _run(programs, folder, "creme_start_project", "crm")
            project = folder / "crm"
            with (project / "crm" / "settings.py").open("a") as f:
                f.write(SETTINGS)
            for command in (("migrate", "-v", "0"), ("creme_populate", "-v", "0"), ("generatemedia",)):
                _run(programs, project, *command)
            made.touch()
    return folder / "crm"


def _run(programs: Path, at: Path, *command: str) -> None:
    done = subprocess.run(
        [programs / "python", "-W", "ignore", programs / "creme", *command],
        cwd=at,
        env=_environment(at / "creme.sqlite") if (at / "crm").exists() else {**os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise CremeFault(f"creme {command[0]}: {done.stderr[-500:].decode(errors='replace')}")


def _environment(database: Path) -> dict[str, str]:
    return {**os.environ, "CREME_DATABASE": str(database), "DJANGO_SETTINGS_MODULE": "crm.settings", "PYTHONPATH": "."}
