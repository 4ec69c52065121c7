"""A stand-in tenant of Dynamics 365 for tests of the connector: served, held to the contract, with app and people."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc.jwk import RSAKey

from keyback.connectors.dynamics365 import Dynamics365Connector, Dynamics365Options
from keyback.demo.vendors import Dynamics365, serve
from keyback.demo.vendors.accounts import Account, hashed
from keyback.demo.vendors.dynamics365.seed import ELEVATOR, Credentials, register
from keyback.testing.connectors import OLD
from tests.support.held import Held

PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEY_PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
KEY = RSAKey.import_key(KEY_PEM)
MONTH_MS = 86_400_000 * 30


def certificate(days: int = 400) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keyback")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(PRIVATE.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=500))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(PRIVATE, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@dataclass(repr=False)
class Tenant:
    """`slept` notes what the connector waited, in seconds; nothing really waits."""

    fake: Dynamics365
    held: Held
    address: str
    app: Credentials
    elevator: Credentials | None
    folder: Path
    slept: list[float] = field(default_factory=list)

    def add(self, username: str, mail: str | None, **more: Any) -> Account:
        account = Account(str(uuid.uuid4()), username, mail, username.title(), hashed(OLD), **more)
        account.changed_at = self.fake.clock() - MONTH_MS
        account.extra = {"modified_at": self.fake.clock(), "crm_modified_at": self.fake.clock(), **account.extra}
        self.fake.accounts.add([account])
        return account

    def options(self, url: str = "", **more: Any) -> dict[str, Any]:
        at = url or self.address
        out: dict[str, Any] = {
            "url": at,
            "login_url": at,
            "graph_url": at,
            "tenant": self.app.tenant,
            "client_id": self.app.client_id,
            "private_key_file": str(self.folder / "app.key"),
            "certificate_file": str(self.folder / "app.crt"),
            "principal_id": self.app.principal,
            "timeout_s": 20,
        }
        if self.elevator:
            out["elevator"] = {"client_id": self.elevator.client_id, "secret": self.elevator.secret}
        return {k: v for k, v in (out | more).items() if v is not None}

    def connector(self, url: str = "", **more: Any) -> Dynamics365Connector:
        options = Dynamics365Options.model_validate(self.options(url, **more))
        return Dynamics365Connector("dynamics365", "Dynamics 365", options, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def roles(self) -> set[str]:
        """Roles of Keyback's app that are not on their way out."""
        return {a.role for a in self.fake.roles.all if a.principal == self.app.principal and not a.gone}


@contextmanager
def tenant(
    folder: Path, *, role: str = "", hardened: bool = False, cloud: Literal["global", "21vianet"] = "global"
) -> Iterator[Tenant]:
    """Args: role: the app has all the time; hardened: there is an elevator, and changes of roles take a while."""
    fake = Dynamics365(cloud=cloud)
    app = register(fake, role=role, key=KEY)
    elevator = register(fake, ELEVATOR, role="", dataverse=False, key=KEY) if hardened else None
    fake.roles.lag = 2 if hardened else 0
    (folder / "app.key").write_bytes(KEY_PEM)
    (folder / "app.crt").write_bytes(certificate())
    held = Held(fake, "dynamics365.yaml")
    with serve(held) as address:
        yield Tenant(fake, held, address, app, elevator, folder)
    assert held.faults == [], f"a call or an answer was not as the vendor documents it: {held.faults}"
