"""A whole Keyback for browsers: pages, worker, mail server and a demo CRM on 127.0.0.1, with people to recover."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from keyback.application.clock import wall_clock
from keyback.application.ports.storage import Imported, ImportedAccount
from keyback.application.services import Services
from keyback.bootstrap import build, close
from keyback.domain.secret import Secret
from keyback.settings import Settings
from keyback.storage.database import make_engine
from keyback.storage.migrate import migrate
from keyback.testing.connectors import served
from keyback.testing.demo_crm import DemoCrm
from keyback.testing.mailbox import Mailbox
from keyback.testing.phone import Phone
from keyback.web.app import make_app, make_context
from keyback.web.http.server import bind, make_server
from keyback.web.ui.context import AppContext
from keyback.worker import Worker
from tests.support.cheaper import CHEAP, cheap_hashing

T = TypeVar("T")
OLD = "autumn kettle window 4"
NEW = "supper ladder teapot 7"


@dataclass
class Clock:
    """The wall clock, which can be set ahead, never back."""

    ahead: int = 0

    def __call__(self) -> int:
        return wall_clock() + self.ahead


@dataclass
class Someone:
    """A person of a site. `key` is also the user name."""

    key: str
    mail: str
    locale: str


@dataclass
class Site:
    """A running Keyback.

    Args:
        url: its only origin.
        crm: the demo CRM that is the system `crm`.
    """

    url: str
    folder: Path
    mailbox: Mailbox
    phone: Phone
    crm: DemoCrm
    services: Services = field(repr=False)
    loop: asyncio.AbstractEventLoop = field(repr=False)
    clock: Clock
    _made: int = 0
    _hash: str = ""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def write(self, fn: Callable[[Any], T]) -> T:
        return self.run(self.services.db.write(fn))

    def read(self, fn: Callable[[Any], T]) -> T:
        return self.run(self.services.db.read(fn))

    def person(
        self,
        locale: str = "en",
        *,
        tier: Any = "standard",
        crm: bool = False,
        guided: bool = False,
        more: Mapping[str, tuple[str, str]] | None = None,
    ) -> Someone:
        """A new person, whose built-in password is `OLD`: everybody starts with an empty mail budget.

        Args:
            crm: has an account in the demo CRM as well, with the same password.
            more: further accounts, system to (external id, user name).
        """
        self._made += 1
        key = f"person{self._made}"
        mail = f"{key}@example.com"
        accounts = [ImportedAccount("builtin", key, key)]
        if crm:
            accounts.append(ImportedAccount("crm", self.crm.add_user(key, mail, key, OLD), key))
        if guided:
            accounts.append(ImportedAccount("partner", f"p-{key}", key))
        accounts += [ImportedAccount(system, ext, name) for system, (ext, name) in (more or {}).items()]
        name = f"陈屿{self._made}" if locale == "zh_CN" else f"Maya {self._made}"
        who = Imported(key, name, locale, tier, "active", (mail,), tuple(accounts))
        if not self._hash:
            self._hash = self.run(self.services.gate.hash(Secret(OLD)))

        def fn(tx: Any) -> None:
            tx.people.save_imported([who])
            account, _ = tx.people.account_by_username("builtin", key)
            tx.people.set_credential(account.id, self._hash, "seed")

        self.write(fn)
        return Someone(key, mail, locale)

    def mail(self, who: Someone, n: int = 1) -> dict[str, Any]:
        """The `n`th message to somebody."""
        return self.mailbox.wait_for(who.mail, n)[n - 1]

    def later(self, *, minutes: float) -> None:
        """Lets so much time pass. It never goes back, for Keyback would not follow.

        What is being sent is waited for: a leap past its lease would send it once more, as a second message."""
        sending = "SELECT 1 FROM outbox WHERE kind = 'mail' AND state = 'ready' AND attempts > 0 AND last_code = ''"
        self.until(lambda: not self.sql(sending), "sent and noted as sent")
        self.clock.ahead += int(minutes * 60_000)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """A look straight into the database."""
        with contextlib.closing(sqlite3.connect(self.folder / "keyback.sqlite", timeout=10)) as db, db:
            return db.execute(statement, values).fetchall()

    def until(self, true: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Waits for something that happens behind the pages."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise AssertionError(f"still not: {what}")
            time.sleep(0.02)

    def looked_up(self, handle: str) -> None:
        """Waits until the worker has been at a request, found or not."""
        gone = "SELECT 1 FROM intakes WHERE handle = ? AND state = 'new'"
        self.until(lambda: not self.sql(gone, handle), "looked up")

    def applied(self) -> None:
        """Waits until every new password has its result, and every letter is on its way but for later reminders."""
        due = "SELECT 1 FROM outbox WHERE state = 'ready' AND body NOT LIKE '%\"letter\":\"reminder\"%'"
        self.until(lambda: not self.sql(due), "outbox empty")

    def changes(self, handle: str) -> int:
        """How often a password was taken for the recovery `handle`."""
        case = self.sql("SELECT case_id FROM intakes WHERE handle = ?", handle)[0][0]
        return int(self.sql("SELECT count(*) FROM events WHERE stream = ? AND type LIKE '%hosen%'", case)[0][0])


@contextlib.contextmanager
def running(
    folder: Path, systems: Mapping[str, Any] | None = None, host: str = "localhost", **over: Any
) -> Iterator[Site]:
    """A site until the block ends; `systems` are added to the three that it has. Passkeys need `localhost` as host."""
    token = secrets.token_urlsafe(24)
    sock = bind("127.0.0.1:0")
    listen = f"127.0.0.1:{sock.getsockname()[1]}"
    url = f"http://{host}:{listen.rpartition(':')[2]}"
    clock = Clock()
    crm, phone = DemoCrm(None, token), Phone(lambda: clock() / 1000)
    ring = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    with Mailbox() as mailbox, served(crm) as crm_url, phone.serving() as gateway:
        secret = folder / "crm-token"
        secret.touch(mode=0o600)
        secret.write_text(token)
        values: dict[str, Any] = {
            "public_url": url,
            "listen": listen,
            "data_dir": folder,
            "keyring": f"k1:{ring}",
            "mail": {"host": "127.0.0.1", "port": mailbox.port, "security": "plain", "sender": "keyback@example.com"},
            "password": CHEAP,
            "sms": {
                "kind": "http",
                "url": gateway,
                "secret": phone.secret,
                "prefixes": ["+1"],
                "daily_per_prefix": 100000,
            },
            "im": {"kind": "http", "url": gateway, "secret": phone.secret},
            "limits": {"recoveries": 10000, "proofs": 10000, "sign_ins": 10000, "checks": 10000},
            "company": {"en": "Qingyu Instruments", "zh_CN": "青屿仪器"},
            "helpdesk": {"en": "extension 8100, weekdays 8:30 to 18:00", "zh_CN": "公司分机8100，工作日8:30–18:00"},
            "systems": {
                "builtin": {"kind": "builtin", "title": "Keyback"},
                "crm": {
                    "kind": "demo",
                    "title": "Demo CRM",
                    "url": crm_url,
                    "sign_in_url": "https://crm.example.com/login",
                    "secret_file": str(secret),
                },
                "partner": {
                    "kind": "guided",
                    "title": "Partner desk",
                    "url": "https://partner.example.com/reset",
                    "steps": {
                        "en": ["Open Partner desk and choose “Forgot password”", "Set the same password there"],
                        "zh_CN": ["打开Partner desk，点“忘记密码”", "设成你刚才的新密码"],
                    },
                },
                **(systems or {}),
            },
        }
        settings = Settings(**(values | over))
        engine = make_engine(settings.database)
        migrate(engine)
        engine.dispose()
        with _serving(settings, sock, clock) as (services, loop):
            yield Site(url, folder, mailbox, phone, crm, services, loop, clock)


@contextlib.contextmanager
def _serving(
    settings: Settings, sock: socket.socket, clock: Clock
) -> Iterator[tuple[Services, asyncio.AbstractEventLoop]]:
    """Pages and worker in a thread and loop of their own."""
    up: list[tuple[Services, asyncio.AbstractEventLoop, uvicorn.Server]] = []
    failed: list[BaseException] = []

    async def main() -> None:
        with cheap_hashing():
            services = build(settings, clock=clock)

        @contextlib.asynccontextmanager
        async def beside(desk: AppContext) -> AsyncIterator[None]:
            worker = Worker(services)
            worker.start()
            yield
            await worker.stop()

        server = make_server(make_app(make_context(settings, services), lifespan=beside))
        server.config.timeout_graceful_shutdown = 1
        up.append((services, asyncio.get_running_loop(), server))
        try:
            await server.serve([sock])
        finally:
            await close(services)

    def thread() -> None:
        try:
            asyncio.run(main())
        except BaseException as e:
            failed.append(e)

    runner = threading.Thread(target=thread, name="site", daemon=True)
    runner.start()
    end = time.monotonic() + 60
    while not (up and up[0][2].started):
        if failed or time.monotonic() > end:
            raise RuntimeError("the site did not start") from (failed[0] if failed else None)
        time.sleep(0.02)
    services, loop, server = up[0]
    try:
        yield services, loop
    finally:
        server.should_exit = True
        runner.join(20)


SOON = 60_000  # ms that a page may take
