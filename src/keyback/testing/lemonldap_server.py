"""A real LemonLDAP::NG 2.16 on 127.0.0.1 as an OpenID provider: for tests of signing in with it, and for trying that.

Needs Debian's `liblemonldap-ng-portal-perl`, `lemonldap-ng-fastcgi-server` (which is not started; the package asks for
a server), `libplack-perl`, `libcrypt-openssl-bignum-perl`, `libio-string-perl` and `libstring-random-perl`. Up within
about two seconds; all that it keeps is in one folder. Its people are those of its own demonstration mode, each with the
user name as the password; `dwho` is asked for a second factor.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import rsa

PORTAL: Final = Path("/usr/share/lemonldap-ng/portal/htdocs/index.psgi")
PLAIN, TWO_FACTORS = "rtyler", "dwho"  # people of the demonstration mode
CODE: Final = "135790"  # the second factor of TWO_FACTORS
LEVELS: Final = {"loa-1": 1, "loa-2": 2, "loa-5": 5}  # `acr` by level; a password alone is 1
TWO_FACTORS_ACR: Final = "loa-5"
OTHER_CLIENT: Final = ("another-application", "another-secret")  # of somebody who knows where people are sent back to
INI: Final = """[all]
logLevel = warn
[configuration]
type = File
dirName = {folder}/conf
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
"""


class LemonFault(Exception):
    """It is not installed or did not start; the text says what to do."""


@dataclass(slots=True)
class LemonServer:
    """A running portal.

    Args:
        issuer: as in its metadata.
        names: puts people's names into the ID token, for clients that ask for the scope `profile`.
    """

    folder: Path
    port: int
    client_id: str
    secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    names: bool = False
    process: subprocess.Popen[bytes] | None = None
    _keys: int = 0

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it with a new signing key. Raises `LemonFault`."""
        self.stop()
        self._keys += 1
        conf = self.folder / "conf" / "lmConf-1.json"
        conf.write_text(json.dumps(self._conf(), indent=1), "utf-8")
        conf.chmod(0o600)
        plackup = shutil.which("plackup")
        if plackup is None or not PORTAL.exists():
            raise LemonFault("LemonLDAP::NG is not installed: see the packages in keyback.testing.lemonldap_server")
        at = ["--host", "127.0.0.1", "--port", str(self.port)]
        command = [plackup, "-E", "deployment", "-s", "HTTP::Server::PSGI", *at]
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "LLNG_DEFAULTCONFFILE": str(self.folder / "lemon.ini")}
        with (self.folder / "portal.log").open("ab") as log:
            self.process = subprocess.Popen([*command, str(PORTAL)], stdout=log, stderr=log, env=env, cwd=self.folder)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{self.issuer}/.well-known/openid-configuration", trust_env=False).status_code == 200:
                    return
                break
            time.sleep(0.05)
        self.stop()
        raise LemonFault(f"LemonLDAP::NG did not come up: see {self.folder / 'portal.log'}")

    def rotate(self) -> None:
        """Signs with another key from now on; the one before is no longer listed."""
        self.start()

    def age_sessions(self, seconds: int) -> None:
        """Everybody who is signed in has been so for longer: of the last five seconds it asks nobody again."""
        for path in (p for p in (self.folder / "sessions").iterdir() if p.is_file()):
            earlier = lambda m: f"{m[1]}{int(m[2]) - seconds}"  # noqa: E731
            path.write_text(re.sub(r'("_(?:utime|lastAuthnUTime)":"?)(\d+)', earlier, path.read_text("utf-8")), "utf-8")

    def stop(self) -> None:
        """Ends it; safe to call twice."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def _conf(self) -> dict[str, Any]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.TraditionalOpenSSL, ser.NoEncryption()).decode()
        spki = ser.PublicFormat.SubjectPublicKeyInfo
        kept = {name: self._store(name) for name in ("sessions", "psessions")}
        clients = {"keyback": (self.client_id, self.secret), "another": OTHER_CLIENT}
        return {
            "cfgNum": 1, "cfgAuthor": "keyback", "cfgDate": 1, "cfgVersion": "2.16.1",
            "portal": f"{self.issuer}/", "domain": "127.0.0.1", "cookieName": "lemonldap", "securedCookie": 0,
            "key": os.urandom(16).hex(), "captcha": "::Lib::OneTimeToken",  # one has to be named; none is shown
            "captcha_mail_enabled": 0, "captcha_register_enabled": 0,
            "authentication": "Demo", "userDB": "Same", "passwordDB": "Null", "registerDB": "Null",
            "portalDisplayResetPassword": 0, "portalDisplayRegister": 0, "portalCheckLogins": 0,
            "demoExportedVars": {"uid": "uid", "mail": "mail", "cn": "cn"}, "exportedVars": {}, "macros": {},
            "whatToTrace": "uid", "groups": {}, "applicationList": {}, "locationRules": {}, "exportedHeaders": {},
            "globalStorage": "Apache::Session::File", "globalStorageOptions": kept["sessions"],
            "persistentStorage": "Apache::Session::File", "persistentStorageOptions": kept["psessions"],
            "localSessionStorage": "",
            "ext2fActivation": f'$uid eq "{TWO_FACTORS}"', "ext2fAuthnLevel": LEVELS[TWO_FACTORS_ACR],
            "ext2fCodeActivation": "", "ext2FSendCommand": "/bin/true",
            "ext2FValidateCommand": f"/usr/bin/test $code = {CODE}",
            "issuerDBOpenIDConnectActivation": 1, "issuerDBOpenIDConnectPath": "^/oauth2/",
            "issuerDBOpenIDConnectRule": 1,
            "oidcServiceMetaDataIssuer": self.issuer, "oidcServiceMetaDataAuthnContext": LEVELS,
            "oidcServicePrivateKeySig": private,
            "oidcServicePublicKeySig": key.public_key().public_bytes(ser.Encoding.PEM, spki).decode(),
            "oidcServiceKeyIdSig": f"key-{self._keys}",
            "oidcRPMetaDataExportedVars": {name: {"name": "cn"} for name in clients},
            "oidcRPMetaDataOptions": {
                name: {
                    "oidcRPMetaDataOptionsClientID": client_id,
                    "oidcRPMetaDataOptionsClientSecret": secret,
                    "oidcRPMetaDataOptionsRedirectUris": " ".join(self.redirect_uris),
                    "oidcRPMetaDataOptionsIDTokenSignAlg": "RS256",
                    "oidcRPMetaDataOptionsRequirePKCE": 1,
                    "oidcRPMetaDataOptionsBypassConsent": 1,
                    "oidcRPMetaDataOptionsUserIDAttr": "uid",
                    "oidcRPMetaDataOptionsIDTokenForceClaims": int(self.names),
                }
                for name, (client_id, secret) in clients.items()
            },
        }  # fmt: skip

    def _store(self, name: str) -> dict[str, str]:
        folder = self.folder / name
        (folder / "lock").mkdir(parents=True, exist_ok=True)
        return {"Directory": str(folder), "LockDirectory": str(folder / "lock")}


def start_lemonldap(folder: Path, client_id: str, secret: str, *redirect_uris: str, names: bool = False) -> LemonServer:
    """Makes a portal in `folder` with one client, and starts it on a free port. `names` as in `LemonServer`.

    Raises `LemonFault` when it is not installed or does not come up.
    """
    (folder / "conf").mkdir(parents=True)
    (folder / "lemon.ini").write_text(INI.format(folder=folder), "utf-8")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = int(s.getsockname()[1])
    server = LemonServer(folder, port, client_id, secret, redirect_uris, names)
    server.start()
    return server
