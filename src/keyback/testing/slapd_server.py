"""A real OpenLDAP on 127.0.0.1, with a password policy: for tests of the LDAP connector and for trying it.

Needs Debian's `slapd` and the extra `ldap`; a new directory takes about a second.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap3

SUFFIX = "dc=example,dc=com"
ADMIN, SERVICE = f"cn=admin,{SUFFIX}", f"cn=recovery,{SUFFIX}"
ADMIN_PASSWORD, SERVICE_PASSWORD = "Admin-pass-778899", "Dienst-pass-4711-lang"
ADMINS = f"cn=crm-admins,ou=groups,{SUFFIX}"
LOCKED_BY_HAND = "000001010000Z"
CONF = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {work}/slapd.pid
argsfile {work}/slapd.args
{tls}
access to attrs=userPassword,pwdHistory by self =xw by dn.exact="{service}" =wx by anonymous auth by * none
access to attrs=pwdAccountLockedTime,pwdReset,pwdFailureTime by dn.exact="{service}" manage by * none
access to * by dn.exact="{service}" read by * none
database mdb
maxsize 104857600
suffix "{suffix}"
rootdn "{admin}"
rootpw {admin_password}
directory {work}/db
index objectClass,uid,mail,entryUUID eq
lastbind on
overlay ppolicy
ppolicy_default "cn=default,ou=policies,{suffix}"
ppolicy_use_lockout
ppolicy_hash_cleartext
"""
INIT = f"""dn: {SUFFIX}
objectClass: domain
dc: example

dn: ou=people,{SUFFIX}
objectClass: organizationalUnit
ou: people

dn: ou=groups,{SUFFIX}
objectClass: organizationalUnit
ou: groups

dn: {ADMINS}
objectClass: groupOfNames
cn: crm-admins
member: {ADMIN}
member: cn=crm-owners,ou=groups,{SUFFIX}

dn: cn=crm-owners,ou=groups,{SUFFIX}
objectClass: groupOfNames
cn: crm-owners
member: {ADMIN}

dn: ou=policies,{SUFFIX}
objectClass: organizationalUnit
ou: policies

dn: cn=default,ou=policies,{SUFFIX}
objectClass: pwdPolicy
objectClass: device
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3
pwdLockoutDuration: 600
pwdFailureCountInterval: 300
pwdMinLength: 10
pwdCheckQuality: 2
pwdInHistory: 3
pwdMustChange: TRUE
pwdAllowUserChange: TRUE
pwdMaxAge: 7776000

dn: {SERVICE}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: recovery
userPassword: {SERVICE_PASSWORD}
"""


class SlapdFault(Exception):
    """The server is not installed or did not start; the text says what to do."""


@dataclass(slots=True)
class SlapdServer:
    """A running server.

    Args:
        port: of `ldap://127.0.0.1`; with a certificate it takes STARTTLS, too.
        tls_port: of `ldaps://127.0.0.1`; 0 without a certificate.
    """

    port: int
    tls_port: int
    process: subprocess.Popen[bytes]

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        """A connection as administrator, whom no policy binds."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        c = ldap3.Connection(server, ADMIN, ADMIN_PASSWORD, auto_bind=True, raise_exceptions=True)
        try:
            yield c
        finally:
            c.unbind()

    def add_user(self, uid: str, mail: str, password: str, *, privileged: bool = False, disabled: bool = False) -> str:
        """Add a person; gives the entryUUID."""
        dn = self.dn(uid)
        with self.admin() as c:
            person = {"cn": uid.title(), "sn": uid, "uid": uid, "mail": mail, "userPassword": password}
            c.add(dn, "inetOrgPerson", person)
            if privileged:
                c.modify(f"cn=crm-owners,ou=groups,{SUFFIX}", {"member": [(ldap3.MODIFY_ADD, [dn])]})
            if disabled:
                c.modify(dn, {"pwdAccountLockedTime": [(ldap3.MODIFY_REPLACE, [LOCKED_BY_HAND])]})
            c.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["entryUUID"])
            return str(c.entries[0].entryUUID.value).strip("{}")

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
        """End the server; safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


def start_slapd(workdir: Path, certificate: Path | None = None, key: Path | None = None) -> SlapdServer:
    """Make a directory in `workdir` and start a server for it on a free port.

    Args:
        certificate, key: PEM files for TLS.

    Raises `SlapdFault` when it is not installed or does not come up.
    """
    slapd, slapadd = (shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("slapd", "slapadd"))
    if not slapd or not slapadd:
        raise SlapdFault("OpenLDAP is not installed: apt-get install slapd")
    (workdir / "db").mkdir(parents=True)
    tls = f"TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}" if certificate else ""
    conf = workdir / "slapd.conf"
    conf.write_text(
        CONF.format(work=workdir, tls=tls, suffix=SUFFIX, admin=ADMIN, admin_password=ADMIN_PASSWORD, service=SERVICE)
    )
    (workdir / "init.ldif").write_text(INIT)
    made = subprocess.run(
        [slapadd, "-f", conf, "-l", workdir / "init.ldif"], capture_output=True, timeout=60, check=False
    )
    if made.returncode:
        raise SlapdFault(f"slapadd ended with {made.returncode}: {made.stderr[-500:].decode(errors='replace')}")
    port, tls_port = _free_port(), _free_port() if certificate else 0
    urls = f"ldap://127.0.0.1:{port}" + (f" ldaps://127.0.0.1:{tls_port}" if certificate else "")
    with (workdir / "slapd.log").open("ab") as log:
        process = subprocess.Popen([slapd, "-d", "0", "-f", conf, "-h", urls], stdout=log, stderr=log)
    server = SlapdServer(port, tls_port, process)
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server
        except OSError:
            time.sleep(0.05)
    server.stop()
    raise SlapdFault(f"slapd did not come up: see {workdir / 'slapd.log'}")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
