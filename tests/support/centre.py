"""The security centre of a running Keyback, and a browser in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pyotp

from keyback.application.origin import Origin
from keyback.testing.mailbox import Mailbox
from tests.support.live import Live

PASSWORD = "supper ladder teapot 7"
NEW = "walnut harbour sketch 31"
HERE = Origin("127.0.0.1", "Firefox")


@dataclass
class Centre:
    """A running Keyback, its mailbox, and a browser in it."""

    at: Live
    mailbox: Mailbox
    browser: httpx2.Client
    seed: str = ""
    made: list[httpx2.Client] = field(default_factory=list)

    def get(self, path: str) -> httpx2.Response:
        return self.browser.get(path)

    def post(self, path: str, **values: str) -> httpx2.Response:
        return self.browser.post(path, data=values)

    def another(self) -> httpx2.Client:
        self.made.append(self.at.client())
        return self.made[-1]

    def sign_in(self, who: str = "maya", password: str = PASSWORD, client: httpx2.Client | None = None) -> str:
        answer = (client or self.browser).post("/sign-in", data={"identifier": who, "password": password})
        return answer.headers.get("location", str(answer.status_code))

    def add_app(self) -> None:
        self.get("/account/totp")
        where = self.post("/account/totp").headers["location"]
        page = self.get(where).text
        key = re.search(r'secret-key"[^>]*>([A-Z2-7 ]+)<', page)
        assert key, page
        self.seed = key[1].replace(" ", "")
        assert self.post(where, code=self.digits(-1)).headers["location"] == "/account/ways?done=totp_added"

    def digits(self, steps: int = 0) -> str:
        now = self.at.read(lambda tx: tx.now) // 1000
        return pyotp.TOTP(self.seed).at(now + 30 * steps)

    def mails(self, to: str, n: int) -> list[dict[str, Any]]:
        return self.mailbox.wait_for(to, n)

    def who(self, name: str = "maya") -> Any:
        return self.at.read(lambda tx: tx.people.account_by_username("builtin", name))[1]


def later(centre: Centre, minutes: float) -> None:
    """Makes the session look older than it is."""
    ago = int(minutes * 60_000)

    def fn(tx: Any) -> None:
        from keyback.storage.sql.schema import sessions

        moved = {"created_at": sessions.c.created_at - ago, "proven_at": sessions.c.proven_at - ago}
        tx.conn.execute(sessions.update().values(moved))

    centre.at.run(centre.at.services.db.write(fn))


def centre_id(tx: Any) -> str:
    return str(tx.people.account_by_username("builtin", "maya")[1].id)


def note() -> Any:
    from keyback.domain.recovery.events import Note

    return Note("signed_out", {})
