"""People and credentials for the 纷享销客 fake."""

from __future__ import annotations

from dataclasses import dataclass

from keyback.demo.vendors import seeds
from keyback.demo.vendors.fxiaoke.app import CORP, EA, Fxiaoke


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connector is given; `user_id` goes into `x-fs-userid`, `corp_id` into the bodies of legacy calls."""

    app_id: str
    app_secret: str
    permanent_code: str
    ea: str
    user_id: str
    corp_id: str


def new_id(what: str, n: int) -> str:
    return f"FSUID_{999 + n}" if what == "user" else f"{what}-{n}"


def seed(fake: Fxiaoke) -> None:
    """The company's people, each with a mobile number; a kept state is left as it is."""
    if not len(fake.accounts):
        people = seeds.people("fxiaoke", fake.clock(), new_id)
        for n, a in enumerate(people, 1):
            a.username = a.username.partition("@")[0]
            a.mobile = a.mobile.removeprefix("+86") or f"1390013{8200 + n}"
            for s in a.sign_ins:
                s.status = "Wrong password" if s.status == "Invalid Password" else s.status
        fake.accounts.add(people)
        for a in people:
            if a.active:
                fake.open_session(a, source="198.51.100.77")
    fake.admin = next(a.id for a in fake.accounts if a.privileged)


def register(fake: Fxiaoke) -> Credentials:
    """What the application of the fake is known by."""
    return Credentials(fake.app_id, fake.app_secret, fake.permanent_code, EA, fake.admin, CORP)
