"""Makes the fixture of the upgrade test: a database in the middle of its work, as the installed version leaves it.

Run it in a checkout of the version that people upgrade from, and commit what it writes:

    .venv/bin/python -m tests.upgrade.make_fixture

Everybody and everything in it is invented; keys, passwords and codes are for this test alone.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pyotp
from cryptography.hazmat.primitives import serialization as ser
from sqlalchemy import Engine, event, select, text

from keyback.application.enrolment.reminders import plan
from keyback.application.people.import_csv import Systems, import_people
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Contact
from keyback.domain.secret import Secret
from keyback.storage.database import make_engine
from keyback.storage.keys.keyring import Keyring
from keyback.storage.migrate import migrate
from keyback.storage.sql.schema import metadata
from keyback.testing.authenticator import Authenticator
from tests.support.embedded_postgres import programs
from tests.upgrade.place import ELSEWHERE, FIXTURE, OFFICE, Browser, Place, link_in, opened

NOW = 1_795_000_000_000  # 2026-11-18, where the clock of the fixture stands
MONTH = 30 * 86_400_000
SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = "supper ladder teapot 7"
NEW = "walnut harbour sketch 31"
GUESSER = "203.0.113.9"
COOKIE = "__Host-keyback-recovery"
Held = dict[str, Any]


def main() -> None:
    write(FIXTURE / "keyring", Keyring.fresh_line())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/keyback.sqlite"
        with opened(folder, lambda: NOW, url, lambda: prepare(folder, url)) as place:
            secrets = Story(place).tell()
        write(FIXTURE / "secrets.json", json.dumps(secrets, indent=1, ensure_ascii=False, sort_keys=True))
        engine = make_engine(url)
        write(FIXTURE / "sqlite.sql", "\n".join([*sqlite_tables(engine), *rows(engine, "sqlite")]))
        with postgres() as server:
            write(FIXTURE / "postgres.sql", "\n".join([*postgres_tables(server), *rows(engine, "postgresql")]))
        engine.dispose()


def write(path: Path, content: str) -> None:
    path.write_text(content.rstrip("\n") + "\n", "utf-8")


def prepare(folder: Path, url: str) -> None:
    """The keyring and the tables, as `keyback init` makes them."""
    ring = folder / "keyring"
    ring.write_bytes((FIXTURE / "keyring").read_bytes())
    ring.chmod(0o600)
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()


# ── what goes on in it ──────────────────────────────────────────────────────


class Story:
    """Twenty people, each in the middle of something. `tell` gives what they know: links, codes, cookies."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.out: dict[str, Any] = {"now": NOW, "password": PASSWORD, "new": NEW, "seed": SEED}

    def tell(self) -> Mapping[str, Any]:
        self.bring_in()
        self.enrol_directly()
        for part in (
            self.link_and_code, self.on_hold, self.proven, self.second_step_asked, self.phones, self.colleague,
            self.backup_mailbox, self.in_review, self.security_centre, self.half_signed_in, self.guessed_at,
        ):  # fmt: skip
            part()
        self.tried_again()
        held = {who: self.mailed(who, OFFICE) for who in ("bea", "lena")}
        self.unsent_text(held["bea"])
        self.unsent()
        self.chosen(held["lena"])
        self.just_asked()  # from here on the worker does nothing
        return self.out

    def bring_in(self) -> None:
        s = self.place.settings
        titles = {name: system.title for name, system in s.systems.items()}
        systems = Systems(titles, frozenset(), s.default_locale, s.policy.groups)
        report = self.place.run(import_people(self.place.services.db, FIXTURE / "people.csv", systems, on_bad=print))
        assert (report.added, report.bad) == (20, 0), report
        phc = self.place.run(self.place.services.gate.hash(Secret(PASSWORD)))

        def fn(tx: Any) -> None:
            for name in ("hana", "lena", "tarek", "ivo", "juno", "kurt", "paul"):
                tx.people.set_credential(tx.people.account_by_username("builtin", name)[0].id, phc, "seed")

        self.place.write(fn)

    def enrol_directly(self) -> None:
        def fn(tx: Any) -> None:
            for name in ("tarek", "juno", "gina"):
                tx.factors.add(
                    Factor(tx.new_id(), pid(tx, name), "totp", "Phone", "active", {"seed": SEED}, added_at=NOW - MONTH)
                )
            for name, channel, address in (
                ("sami", "sms", "+8613800000009"),
                ("bea", "sms", "+8613800000010"),
                ("fay", "im", "fay.chen"),
            ):
                more = {"origin": "person", "added_at": NOW - MONTH}
                tx.contacts.add(Contact(tx.new_id(), pid(tx, name), channel, address, "backup", **more))
            helper = Contact(
                tx.new_id(), pid(tx, "cora"), "mail", "dora@qingyu.example", "recovery", origin="person",
                name="Dora Klein", added_at=NOW - MONTH,
            )  # fmt: skip
            tx.contacts.add(helper)
            plan(tx, helper)

        self.place.write(fn)

    # ── steps ───────────────────────────────────────────────────────────────

    def start(self, who: str, source: str = ELSEWHERE, **more: str) -> Held:
        answer = self.place.api("POST", "/recoveries", {"identifier": who, **more}, source=source)
        assert answer.status_code == 202, answer.text
        held = {"handle": answer.json()["handle"], "secret": answer.json()["secret"]}
        return {**held, "cookies": {COOKIE: f"{held['handle']}.{held['secret']}"}}

    def mailed(self, who: str, source: str = ELSEWHERE, **more: str) -> Held:
        held = self.start(who, source, **more)
        self.place.drain()
        mail = self.place.mails(f"{who}@qingyu.example")[-1]
        return {**held, "code": mail["codes"][0], "links": mail["links"]}

    def verify(self, held: Held, code: str, proof: str = "email_link", source: str = ELSEWHERE) -> dict[str, Any]:
        path = f"/recoveries/{held['handle']}/proofs/{proof}/verify"
        answer = self.place.api("POST", path, {"code": code}, secret=held["secret"], source=source)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def ask(self, held: Held, proof: str, source: str = ELSEWHERE) -> dict[str, Any]:
        path = f"/recoveries/{held['handle']}/proofs/{proof}"
        answer = self.place.api("POST", path, secret=held["secret"], source=source)
        assert answer.status_code == 202, answer.text
        return answer.json()  # type: ignore[no-any-return]

    # ── people ──────────────────────────────────────────────────────────────

    def link_and_code(self) -> None:
        """Mails that lie in mailboxes: nothing is proven yet."""
        self.out["link"] = self.mailed("maya")
        self.out["code"] = self.mailed("rosa")
        self.out["stop"] = self.mailed("dora")
        self.out["unlock"] = self.mailed("paul", OFFICE, journey="locked")

    def on_hold(self) -> None:
        for key, who in (("hold", "hana"), ("cancel", "hugo")):
            held = self.mailed(who)
            self.verify(held, held["code"])
            assert self.place.state(held)["reason"] == "hold"
            self.place.drain()
            self.out[key] = {**held, "mails": [m["links"] for m in self.place.mails(f"{who}@qingyu.example")]}

    def proven(self) -> None:
        held = self.mailed("ines", OFFICE)
        self.verify(held, held["code"], source=OFFICE)
        assert self.place.state(held)["state"] == "password_due"
        self.out["proven"] = held

    def second_step_asked(self) -> None:
        held = self.mailed("tarek", OFFICE)
        self.verify(held, held["code"], source=OFFICE)
        self.ask(held, "totp", OFFICE)
        assert self.place.state(held)["state"] == "need_more"
        self.out["totp"] = held

    def phones(self) -> None:
        for who, proof in (("sami", "sms_code"), ("fay", "im_message")):
            held = self.mailed(who)
            self.ask(held, proof)
            self.place.drain()
            self.out[proof] = {**held, "answer": self.place.phone.messages[-1]["codes"][0]}

    def colleague(self) -> None:
        held = self.mailed("cora")
        form = self.ask(held, "recovery_contact")["form"]
        self.place.drain()
        letter = self.place.mails("dora@qingyu.example")[-1]
        browser = Browser(self.place, held["cookies"])
        page = browser.get(f"/r/{held['handle']}/ways/recovery_contact").text
        digits = re.search(r'number-shown"><b>(\d{4})<', page)
        assert digits, form
        self.out["colleague"] = {**held, "link": link_in(letter), "digits": digits[1]}

    def backup_mailbox(self) -> None:
        held = self.mailed("eli")
        self.ask(held, "backup_email")
        self.place.drain()
        self.out["backup_email"] = {**held, "answer": self.place.mails("eli@mailbox.example")[-1]["codes"][0]}

    def in_review(self) -> None:
        held = self.mailed("gina", OFFICE)
        self.verify(held, held["code"], source=OFFICE)
        self.ask(held, "totp", OFFICE)
        self.verify(held, pyotp.TOTP(SEED).at(NOW // 1000), "totp", OFFICE)
        assert self.place.state(held)["reason"] == "review", self.place.state(held)
        self.out["review"] = held

    def security_centre(self) -> None:
        browser = Browser(self.place)
        assert browser("POST", "/sign-in", identifier="ivo", password=PASSWORD).headers["location"] == "/account"
        self.place.drain()
        lock = link_in(self.place.mails("ivo@qingyu.example")[-1])
        mine = browser("POST", "/account/contacts/add/mail", address="ivo@mailbox.example").headers["location"]
        browser("POST", "/account/contacts/add/helper", name="Juno Park", address="juno@qingyu.example")
        self.place.drain()
        code = re.search(r"(?m)^(\d{6})\r?$", self.place.mails("ivo@mailbox.example")[-1]["text"])
        assert code
        self.out["centre"] = {
            "lock": lock,
            "pending": mine,
            "code": code[1],
            "invitation": link_in(self.place.mails("juno@qingyu.example")[-1]),
            "answers": self.questions(browser),
            "codes": re.findall(r"<li>([0-9A-Z-]{20})</li>", browser("POST", "/account/codes").text),
            "passkey": self.passkey(browser),
            "app": self.app(browser),
            "cookies": browser.cookies,
        }
        session = self.place.api("POST", "/sign-in", {"identifier": "hana", "password": PASSWORD}).json()["session"]
        self.out["session"] = {"token": session}

    def questions(self, browser: Browser) -> dict[str, str]:
        page = browser.get("/account/questions").text
        keys = list(dict.fromkeys(re.findall(r'<option value="(\w+)"', page)))[:3]
        answers = dict(zip(keys, ("Biscuit the cat", "Harbour lane 12", "Aunt Philomena"), strict=True))
        values = {f"question_{i}": k for i, k in enumerate(answers, 1)}
        values |= {f"answer_{i}": a for i, a in enumerate(answers.values(), 1)}
        done = browser("POST", "/account/questions", **values)
        assert done.headers.get("location") == "/account/ways?done=questions_set", done.text
        return answers

    def passkey(self, browser: Browser) -> dict[str, str]:
        key = Authenticator("https://recover.qingyu.example", "recover.qingyu.example")
        at = browser("POST", "/account/passkeys").headers["location"]
        options = re.search(r"data-options='?\"?([^'\"]+)", browser.get(at).text)
        assert options
        done = browser("POST", at, label="Laptop", assertion=key.create(unescape(options[1])))
        assert done.headers["location"] == "/account/ways?done=passkey_added"
        pem = key._key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()).decode()
        return {"pem": pem, "credential_id": key.credential_id.hex(), "user_handle": key.user_handle.hex()}

    def app(self, browser: Browser) -> str:
        """A second step that was begun: its key is on the screen, and nobody has typed its code yet."""
        return browser("POST", "/account/totp").headers["location"]

    def half_signed_in(self) -> None:
        browser = Browser(self.place)
        assert (
            browser("POST", "/sign-in", identifier="juno", password=PASSWORD).headers["location"] == "/sign-in/second"
        )
        self.out["half"] = {"cookies": browser.cookies}

    def guessed_at(self) -> None:
        for n in range(6):
            wrong = {"identifier": "kurt", "password": f"not this one either {n}"}
            status = self.place.api("POST", "/sign-in", wrong, source=GUESSER).status_code
        assert status == 429
        self.out["guessed"] = {"identifier": "kurt", "source": GUESSER}

    # ── left undone ─────────────────────────────────────────────────────────

    def tried_again(self) -> None:
        """A mail that the relay wants later."""
        self.place.drain()
        held = self.start("paul", OFFICE)
        self.place.mailbox.greylist(1)
        self.place.drain()
        self.out["greylisted"] = held

    def chosen(self, held: Held) -> None:
        self.verify(held, held["code"], source=OFFICE)
        path = f"/recoveries/{held['handle']}/password"
        answer = self.place.api("POST", path, {"new_password": NEW}, secret=held["secret"], source=OFFICE)
        assert answer.status_code == 202, answer.text
        self.out["applying"] = held

    def unsent_text(self, held: Held) -> None:
        self.ask(held, "sms_code")
        self.place.run(self.place.worker._resolve())
        self.out["unsent_text"] = held

    def unsent(self) -> None:
        self.out["unsent"] = self.start("omar")
        self.place.run(self.place.worker._resolve())

    def just_asked(self) -> None:
        self.out["asked"] = self.start("noor")


def pid(tx: Any, name: str) -> str:
    return str(tx.people.account_by_username("builtin", name)[1].id)


# ── as text ─────────────────────────────────────────────────────────────────


def sqlite_tables(engine: Engine) -> Iterator[str]:
    with engine.connect() as conn:
        for (sql,) in conn.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")):
            yield " ".join(str(sql).split()) + ";"


def postgres_tables(server: str) -> Iterator[str]:
    """What this version's own migrations say to an empty PostgreSQL."""
    engine, said = make_engine(server), []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.split()[0] in ("CREATE", "ALTER", "DROP", "UPDATE", "INSERT"):
            said.append(" ".join(statement.split()))

    event.listen(engine, "before_cursor_execute", note)
    migrate(engine)
    engine.dispose()
    return (f"{s};" for s in said if "alembic_version" not in s or s.startswith("CREATE"))


def rows(engine: Engine, dialect: str) -> Iterator[str]:
    """Every row, columns by name; tables in the order in which they refer to each other."""
    with engine.connect() as conn:
        version = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        yield f"INSERT INTO alembic_version (version_num) VALUES ('{version}');"
        for table in metadata.sorted_tables:
            names = ", ".join(c.name for c in table.columns)
            yield f"DELETE FROM {table.name};"  # what a migration put there
            for row in conn.execute(select(table).order_by(*table.primary_key.columns)):
                values = ", ".join(literal(v, dialect) for v in row)
                yield f"INSERT INTO {table.name} ({names}) VALUES ({values});"


def literal(value: Any, dialect: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower() if dialect == "postgresql" else str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'" if dialect == "postgresql" else f"X'{value.hex()}'"
    assert "\n" not in value, value
    return "'" + str(value).replace("'", "''") + "'"


@contextmanager
def postgres() -> Iterator[str]:
    server = programs().get_server(Path(tempfile.mkdtemp(prefix="keyback-pg-")), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
