"""`keyback check` on what the settings no longer reach: accounts of a system, passkeys of a host that was renamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback import serving
from keyback.domain.people.factor import Factor
from keyback.settings import Settings
from keyback.testing.authenticator import Authenticator
from tests.support.commands import Keyback, on_services, sql
from tests.support.kit import person

URL, HOST = "https://recover.example.com", "recover.example.com"


@pytest.fixture(params=["sqlite", "postgres"])
def used(
    request: pytest.FixtureRequest,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_database: Callable[[str], str],
) -> Path:
    monkeypatch.setenv("KEYBACK_DATABASE_URL", make_database(request.param))
    monkeypatch.setenv("KEYBACK_PUBLIC_URL", URL)
    return place


def found(keyback: Keyback, name: str) -> list[tuple[str, str, str]]:
    checks = json.loads(keyback("check", "--json", code=1).stdout)["checks"]  # the relay of this place is down
    return [(c["status"], c["detail"], c["next"]) for c in checks if c["name"] == name]


def people(*names: str) -> None:
    async def work(s: Any) -> None:
        await s.db.write(lambda tx: tx.people.save_imported([person(n) for n in names]))

    on_services(work)


def passkey(name: str, *, url: str = URL, said: bool = True, state: str = "active") -> None:
    """Adds a passkey that was made for the host of `url`; `said`: it says so itself, as earlier versions' do not."""

    async def work(s: Any) -> None:
        def save(tx: Any) -> None:
            (row, *_) = tx.people.sign_in_rows("builtin", name)
            host = url.partition("://")[2].partition(":")[0]
            device, maker = Authenticator(url, host), s.proofs["passkey"]
            maker = type(maker)(url)
            options = maker.registration_options(bytes(32), bytes(64), name, name, "Qingyu", ())
            made = maker.verify_registration(device.create(options), bytes(32), bytes(64))
            data = {k: v for k, v in made.data.items() if said or k != "rp_id"}
            tx.factors.add(Factor(tx.new_id(), row.person_id, "passkey", "", state, data, lookup=made.lookup))

        await s.db.write(save)

    on_services(work)


def start() -> None:
    async def go() -> None:
        async with serving.parts(Settings()):
            pass

    asyncio.run(go())


@pytest.mark.slow
def test_accounts_of_a_system_that_is_named_no_more_are_counted(used: Path, keyback: Keyback) -> None:
    people("maya", "omar", "wei")
    assert found(keyback, "systems") == []
    sql("UPDATE accounts SET system = 'old_crm' WHERE canonical IN ('maya', 'omar')")
    sql("UPDATE accounts SET system = 'hr' WHERE canonical = 'wei'")
    step = "Name it again (systems.{0}). To give it up, import its accounts as disabled while it is named."
    words = "{0} accounts belong to the system {1}, which the settings do not name: none of them can be recovered"
    assert found(keyback, "systems") == [
        ("warn", words.format(1, "hr"), step.format("hr")),
        ("warn", words.format(2, "old_crm"), step.format("old_crm")),
    ]
    sql("UPDATE accounts SET state = 'disabled' WHERE canonical IN ('maya', 'wei')")
    assert [f[1] for f in found(keyback, "systems")] == [words.format(1, "old_crm")]


@pytest.mark.slow
def test_passkeys_of_another_host_are_counted(used: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    people("maya", "omar", "wei")
    passkey("maya")
    passkey("omar", url="https://recover.example.com:8443")
    passkey("wei", state="removed")
    assert found(keyback, "passkeys") == []
    passkey("wei", url="https://login.example.com")
    words = "{0} passkeys were made for {1}, and browsers offer none of them on {2}"
    assert [f[:2] for f in found(keyback, "passkeys")] == [("warn", words.format(1, "login.example.com", HOST))]
    monkeypatch.setenv("KEYBACK_PUBLIC_URL", "https://login.example.com")
    ((status, said, step),) = found(keyback, "passkeys")
    assert (status, said) == ("warn", words.format(2, HOST, "login.example.com"))
    assert step.startswith(f"Set public_url back to {HOST}, or have their owners add new ones")


def test_passkeys_of_an_earlier_version_are_of_the_host_that_it_was_upgraded_with(
    used: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    people("maya")
    passkey("maya", said=False)
    start()
    assert found(keyback, "passkeys") == []
    monkeypatch.setenv("KEYBACK_PUBLIC_URL", "https://konto.example.com")
    start()  # what was noted stays
    assert [f[1] for f in found(keyback, "passkeys")] == [
        f"1 passkeys were made for {HOST}, and browsers offer none of them on konto.example.com"
    ]
