"""A real Samba as domain controller on 127.0.0.1: for tests of the Active Directory connector and for trying it.

Needs root, the ports 389 and 636, the extra `ldap`, and of Debian `samba`, `python3-samba`, `samba-dsdb-modules`,
`samba-ad-provision` and `samba-vfs-modules`. A new domain takes about ten seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import ldap3

BASE = "DC=corp,DC=example,DC=com"
REALM = "corp.example.com"
SERVICE, SERVICE_PASSWORD = f"svc-recovery@{REALM}", "Dienst-pass-4711-lang"
ADMIN_PASSWORD = "Adm1n-pass-778899"  # noqa: S105 - of a domain of tests
SERVER_NAME = f"DC1.{REALM}"
# Reset password, lockoutTime and pwdLastSet of people: all that the service account may change.
RIGHTS = (
    "CR;00299570-246d-11d0-a768-00aa006e0529",
    "RPWP;28630ebf-41d5-11d1-a9c1-0000f80367c1",
    "RPWP;bf967a0a-0de6-11d0-a285-00aa003049e2",
)


class SambaFault(Exception):
    """It is not installed, may not run here, or did not start; the text says what to do."""


@dataclass(slots=True)
class SambaServer:
    """A running domain controller; `ca_file` is the authority of its own certificate, which names `SERVER_NAME`."""

    folder: Path
    ca_file: Path
    process: subprocess.Popen[bytes]
    alone: IO[str] = field(repr=False)  # a locked file, while it has the ports

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        """A connection as administrator of the domain, without TLS, on this machine."""
        server = ldap3.Server("127.0.0.1", 389, get_info=ldap3.NONE)
        user = f"Administrator@{REALM}"
        c = ldap3.Connection(server, user, ADMIN_PASSWORD, auto_bind=True, raise_exceptions=True)
        try:
            yield c
        finally:
            c.unbind()

    def add_user(self, name: str, mail: str, password: str, *, privileged: bool = False, disabled: bool = False) -> str:
        """Add a person; gives the objectGUID. A privileged one is in a group that is in Domain Admins."""
        dn = self.dn(name)
        with self.admin() as c:
            attributes = {
                "sAMAccountName": name,
                "userPrincipalName": f"{name}@{REALM}",
                "mail": mail,
                "displayName": "Somebody",
                "unicodePwd": f'"{password}"'.encode("utf-16-le"),
                "userAccountControl": "514" if disabled else "512",
            }
            c.add(dn, ["top", "person", "organizationalPerson", "user"], attributes)
            if privileged:
                c.modify(f"CN=crm-owners,CN=Users,{BASE}", {"member": [(ldap3.MODIFY_ADD, [dn])]})
            c.search(dn, "(objectClass=user)", ldap3.BASE, attributes=["objectGUID"])
            return str(uuid.UUID(bytes_le=c.response[0]["raw_attributes"]["objectGUID"][0]))

    @staticmethod
    def dn(name: str) -> str:
        return f"CN={name},CN=Users,{BASE}"

    def signs_in(self, name: str, password: str) -> bool:
        """As any program of the company would: a bind. A wrong password counts."""
        c = ldap3.Connection(ldap3.Server("127.0.0.1", 389, get_info=ldap3.NONE), f"{name}@{REALM}", password)
        try:
            return bool(c.bind())
        finally:
            c.unbind()

    def stop(self) -> None:
        """End the server; safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.alone.close()


def start_samba(folder: Path) -> SambaServer:
    """Make a domain in `folder` and start its controller; one that runs already is waited for. Raises `SambaFault`."""
    tool, samba = (shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("samba-tool", "samba"))
    if not tool or not samba:
        raise SambaFault("Samba is not installed: apt-get install samba samba-ad-provision samba-vfs-modules")
    if os.geteuid() != 0:
        raise SambaFault("Samba has to be started as root, since it listens on port 389")
    alone = (Path(tempfile.gettempdir()) / "keyback-samba.lock").open("w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX)
        return _start(folder, tool, samba, alone)
    except BaseException:
        alone.close()
        raise


def _start(folder: Path, tool: str, samba: str, alone: IO[str]) -> SambaServer:
    for port in (389, 636):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                raise SambaFault(f"port {port}, which Samba cannot do without, is taken")
    folder.mkdir(parents=True, exist_ok=True)
    loopback = ("--option=interfaces=lo", "--option=bind interfaces only=yes")
    _run(tool, "domain", "provision", f"--realm={REALM.upper()}", "--domain=CORP", "--host-name=DC1",
         f"--adminpass={ADMIN_PASSWORD}", "--server-role=dc", "--dns-backend=NONE", "--host-ip=127.0.0.1",
         f"--targetdir={folder}", *loopback)  # fmt: skip
    conf = folder / "etc" / "smb.conf"
    lines = [line for line in conf.read_text().splitlines() if "server services" not in line and "log file" not in line]
    at = lines.index("[global]") + 1
    # Without TLS on this machine alone, so that tests can break what they see.
    lines[at:at] = ["server services = ldap", "ldap server require strong auth = no", f"log file = {folder}/samba.log"]
    conf.write_text("\n".join(lines) + "\n")
    own = ("-H", str(folder / "private" / "sam.ldb"), "-s", str(conf))
    _run(tool, "domain", "passwordsettings", "set", "--account-lockout-threshold=3", "--min-pwd-length=10",
         "--history-length=5", "--min-pwd-age=0", *own)  # fmt: skip
    _run(tool, "user", "create", "svc-recovery", SERVICE_PASSWORD, *own)
    _run(tool, "group", "add", "crm-owners", *own)
    _run(tool, "group", "addmembers", "Domain Admins", "crm-owners", *own)
    shown = _run(tool, "user", "show", "svc-recovery", "--attributes=objectSid", *own)
    sid = next(line.split()[1] for line in shown.splitlines() if line.startswith("objectSid:"))
    for right in RIGHTS:
        _run(tool, "dsacl", "set", "--action=allow", f"--objectdn=CN=Users,{BASE}",
             f"--trusteedn=CN=svc-recovery,CN=Users,{BASE}",
             f"--sddl=(OA;CIIO;{right};bf967aba-0de6-11d0-a285-00aa003049e2;{sid})", *own)  # fmt: skip
    with (folder / "samba.out").open("ab") as log:
        process = subprocess.Popen(
            [samba, "-s", conf, "--foreground", "--model=single", "--debug-stdout"], stdout=log, stderr=log
        )
    server = SambaServer(folder, folder / "private" / "tls" / "ca.pem", process, alone)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", 636)) == 0:
                return server
        time.sleep(0.1)
    server.stop()
    raise SambaFault(f"Samba did not come up: see {folder / 'samba.out'}")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    if done.returncode:
        # Not the whole command: a password is in it.
        said = done.stderr[-600:].decode("utf-8", "replace")
        raise SambaFault(f"{command[1]} {command[2]} ended with {done.returncode}: {said}")
    return done.stdout.decode("utf-8", "replace")
