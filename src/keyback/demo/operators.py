"""The three operators of the demo's help desk, with sign-ins that are printed: nothing here is real."""

from __future__ import annotations

from dataclasses import dataclass

import pyotp

from keyback.application.desk import operators
from keyback.application.ports.storage import Tx
from keyback.application.services import Services
from keyback.demo.company import DOMAIN
from keyback.demo.enrolled import STEP_S, seed_of
from keyback.domain.operators.roles import Role
from keyback.domain.people.factor import Factor
from keyback.domain.secret import Secret
from keyback.web.demo.pages import DemoApp


@dataclass(frozen=True, slots=True)
class DemoOperator:
    """One of them; an authenticator app goes with the password."""

    name: str
    mail: str
    role: Role
    password: str


TEAM = (
    DemoOperator("Ines Moreau", f"ines.desk@{DOMAIN}", Role.AGENT, "violet tram orchard 41"),
    DemoOperator("Nadia Haas", f"nadia.desk@{DOMAIN}", Role.APPROVER, "copper kite harbour 62"),
    DemoOperator("林知夏", f"zhixia.desk@{DOMAIN}", Role.SECURITY_OFFICER, "lantern moss ferry 83"),
)


async def seed(services: Services) -> None:
    """Adds those who are not there yet."""
    missing = await services.db.read(lambda tx: [o for o in TEAM if tx.operators.by_mail(o.mail) is None])
    hashes = {o.mail: await services.gate.hash(Secret(o.password)) for o in missing}

    def write(tx: Tx) -> None:
        for o in missing:
            made = operators.add(tx, o.name, o.mail, o.role).operator
            tx.operators.activate(made.id, hashes[o.mail])
            app = {"seed": seed_of(o.mail)}
            tx.operators.add_factor(Factor(tx.new_id(), made.id, "totp", "", "active", app, added_at=tx.now))

    await services.db.write(write)


def apps(tx: Tx) -> tuple[DemoApp, ...]:
    """What their authenticator apps show now."""
    step, left = divmod(tx.now // 1000, STEP_S)
    out = []
    for o in tx.operators.listed():
        for f in tx.operators.factors(o.id):
            if f.kind == "totp":
                code = pyotp.TOTP(str(f.data["seed"])).generate_otp(step)
                out.append(DemoApp(o.name, o.mail, "", code, STEP_S - left, f.counter >= step))
    return tuple(out)
