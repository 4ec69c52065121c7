"""A real 389 Directory Server on this machine, for tests of the LDAP connector and of whole recoveries.

Its installer starts the server by systemd and on every address, so it runs without the one and in a network namespace
of its own; afterwards the server is started on loopback alone. Needs root and the system's Python with lib389.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap3

NAME, SUFFIX = "keybacktest", "dc=example,dc=com"
ROOT, ROOT_PASSWORD = "cn=Directory Manager", "Root-pass-778899"
SERVICE, SERVICE_PASSWORD = f"cn=recovery,{SUFFIX}", "Dienst-pass-4711-lang"
ADMINS = f"cn=crm-owners,ou=groups,{SUFFIX}"
FOLDER = Path("/etc/dirsrv") / f"slapd-{NAME}"
INSTALLER = """import logging, sys
from lib389 import paths
paths.Paths.with_systemd = property(lambda self: False)
from lib389.instance.setup import SetupDs
SetupDs(log=logging.getLogger()).create_from_inf(sys.argv[1])
"""
ANSWERS = """[general]
config_version = 2
full_machine_name = localhost
strict_host_checking = False
selinux = False
systemd = False
[slapd]
instance_name = {name}
port = {port}
secure_port = {tls_port}
root_password = {password}
self_sign_cert = True
[backend-userroot]
suffix = {suffix}
sample_entries = no
create_suffix_entry = True
"""
ACIS = [
    f'(targetattr="userPassword || passwordExpirationTime || accountUnlockTime || passwordRetryCount")'
    f'(version 3.0; acl "recovery"; allow (write) userdn="ldap:///{SERVICE}";)',
    f'(targetattr!="userPassword")(version 3.0; acl "recovery reads"; allow (read,search,compare)'
    f' userdn="ldap:///{SERVICE}";)',
]


class DirsrvFault(Exception):
    """It is not installed, may not run here, or did not start; the text says what to do."""


@dataclass(slots=True)
class DirsrvServer:
    """A running server; `tls_port` is of `ldaps://localhost`, whose certificate `ca_file` vouches for."""

    port: int
    tls_port: int
    ca_file: Path
    process: subprocess.Popen[bytes]

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        """A connection as directory manager, whom no policy binds."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        c = ldap3.Connection(server, ROOT, ROOT_PASSWORD, auto_bind=True, raise_exceptions=True)
        try:
            yield c
        finally:
            c.unbind()

    def add_user(self, uid: str, mail: str, password: str, *, privileged: bool = False) -> str:
        """Add a person; gives the nsUniqueId."""
        dn = self.dn(uid)
        with self.admin() as c:
            person = {"cn": uid.title(), "sn": uid, "uid": uid, "mail": mail, "userPassword": password}
            c.add(dn, "inetOrgPerson", person)
            if privileged:
                c.modify(ADMINS, {"member": [(ldap3.MODIFY_ADD, [dn])]})
            c.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["nsUniqueId"])
            return str(c.entries[0].nsUniqueId.value)

    @staticmethod
    def dn(uid: str) -> str:
        return f"uid={uid},ou=people,{SUFFIX}"

    def signs_in(self, uid: str, password: str) -> bool:
        """As any program of the company would: a bind. A wrong password counts."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        c = ldap3.Connection(server, self.dn(uid), password)
        try:
            return bool(c.bind())
        finally:
            c.unbind()

    def stop(self) -> None:
        """End the server and take its instance away; safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        _remove()


def start_dirsrv(folder: Path) -> DirsrvServer:
    """Install an instance and start it on loopback. Raises `DirsrvFault`."""
    slapd, unshare = shutil.which("ns-slapd", path="/usr/sbin:/usr/bin"), shutil.which("unshare")
    if not slapd or not unshare or not Path("/usr/bin/python3").exists():
        raise DirsrvFault("389 Directory Server is not installed: apt-get install 389-ds-base")
    if os.geteuid() != 0:
        raise DirsrvFault("389 Directory Server has to be installed as root")
    _remove()
    port, tls_port = _free_port(), _free_port()
    answers, installer, pid = folder / "answers.inf", folder / "installer.py", folder / "slapd.pid"
    answers.write_text(ANSWERS.format(name=NAME, port=port, tls_port=tls_port, password=ROOT_PASSWORD, suffix=SUFFIX))
    installer.write_text(INSTALLER)
    command = f"ip link set lo up; exec /usr/bin/python3 {installer} {answers}"
    done = subprocess.run([unshare, "-n", "sh", "-c", command], capture_output=True, timeout=180, check=False)
    first = Path("/run/dirsrv") / f"slapd-{NAME}.pid"
    if done.returncode or not first.exists():
        raise DirsrvFault(f"the installer ended with {done.returncode}: {done.stderr[-500:].decode(errors='replace')}")
    _end(int(first.read_text()))
    config = FOLDER / "dse.ldif"
    bound = "dn: cn=config\nnsslapd-listenhost: 127.0.0.1\nnsslapd-securelistenhost: 127.0.0.1\n"
    config.write_text(config.read_text().replace("dn: cn=config\n", bound, 1))
    with (folder / "slapd.log").open("ab") as log:
        process = subprocess.Popen([slapd, "-D", str(FOLDER), "-i", str(pid), "-d", "0"], stdout=log, stderr=log)
    server = DirsrvServer(port, tls_port, FOLDER / "ca.crt", process)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", tls_port)) == 0:
                _fill(server)
                return server
        time.sleep(0.1)
    server.stop()
    raise DirsrvFault(f"389 Directory Server did not come up: see {folder / 'slapd.log'}")


def _fill(server: DirsrvServer) -> None:
    """People, the service account with the least permission, and a password policy."""
    with server.admin() as c:
        for unit in ("people", "groups"):
            c.add(f"ou={unit},{SUFFIX}", "organizationalUnit")
        c.add(ADMINS, "groupOfNames", {"member": ROOT})
        account = {"cn": "recovery", "sn": "recovery", "userPassword": SERVICE_PASSWORD}
        c.add(SERVICE, ["person"], account)
        c.modify(SUFFIX, {"aci": [(ldap3.MODIFY_ADD, ACIS)]})
        policy = {"passwordLockout": "on", "passwordMaxFailure": "3", "passwordCheckSyntax": "on"}
        policy |= {"passwordMinLength": "10", "passwordMinCategories": "2"}
        c.modify("cn=config", {k: [(ldap3.MODIFY_REPLACE, [v])] for k, v in policy.items()})


def _remove() -> None:
    """Takes an instance of an earlier run away."""
    for path in (FOLDER, Path("/var/lib/dirsrv") / f"slapd-{NAME}", Path("/var/log/dirsrv") / f"slapd-{NAME}"):
        shutil.rmtree(path, ignore_errors=True)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 30
    while time.monotonic() < end and Path(f"/proc/{pid}").exists():
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
