"""A whole recovery through the portal on real directories, a real Crème, a real Tryton, tables of users, and by SCIM:
the old password goes, the chosen one works.

One journey for all of them: a directory more is a `Place` more.
"""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import ldap3
import pytest

from keyback.application.ports.storage import ImportedAccount
from keyback.bootstrap import make_connector
from keyback.settings import System
from keyback.testing import dirsrv_server, samba_server, slapd_server
from keyback.testing.creme_server import USER_ADMINISTRATORS, CremeServer, start_creme
from keyback.testing.dirsrv_server import DirsrvFault, DirsrvServer, start_dirsrv
from keyback.testing.samba_server import SambaFault, SambaServer, start_samba
from keyback.testing.scim_server import ScimServer, start_scim
from keyback.testing.slapd_server import SlapdFault, SlapdServer, start_slapd
from keyback.testing.tryton_server import TrytonServer, start_tryton
from tests.support import creme, user_tables
from tests.support.browser import Browser, choose, mailed, submit
from tests.support.kit import Kit, person
from tests.support.steps import Tray, ask, drain, fit
from tests.support.tryton import programs
from tests.support.user_tables import TableServer

Make = Callable[..., Kit]
BEFORE, CHOSEN = "Summer-in-Lisbon-4711", "Supper ladder teapot 7"


@dataclass
class Place:
    """A real directory, or a table of users.

    Args:
        section: of the settings.
        strict: asks for passwords of forty characters, for a while.
        refusal: what the page says then, in the directory's words or by the rules that it publishes.
    """

    server: SlapdServer | SambaServer | DirsrvServer | ScimServer | TableServer | CremeServer | TrytonCrm
    section: dict[str, Any]
    strict: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    refusal: str = ""


def open_ldap(server: SlapdServer) -> Place:
    policy = f"cn=default,ou=policies,{slapd_server.SUFFIX}"

    @contextlib.contextmanager
    def strict() -> Iterator[None]:
        with server.admin() as c:
            c.modify(policy, {"pwdMinLength": [("MODIFY_REPLACE", ["40"])]})
            try:
                yield
            finally:
                c.modify(policy, {"pwdMinLength": [("MODIFY_REPLACE", ["10"])]})

    section = {
        "kind": "ldap", "title": "Directory", "url": f"ldap://127.0.0.1:{server.port}",
        "bind_dn": slapd_server.SERVICE, "secret": slapd_server.SERVICE_PASSWORD, "base": slapd_server.SUFFIX,
        "privileged_groups": [slapd_server.ADMINS],
    }  # fmt: skip
    return Place(server, section, strict, "Password fails quality checking policy")


def active_directory(server: SambaServer) -> Place:
    @contextlib.contextmanager
    def strict() -> Iterator[None]:
        with server.admin() as c:
            c.modify(samba_server.BASE, {"minPwdLength": [(ldap3.MODIFY_REPLACE, ["40"])]})
            try:
                yield
            finally:
                c.modify(samba_server.BASE, {"minPwdLength": [(ldap3.MODIFY_REPLACE, ["10"])]})

    section = {
        "kind": "active_directory", "title": "Directory", "url": "ldap://127.0.0.1:389",
        "bind_dn": samba_server.SERVICE, "secret": samba_server.SERVICE_PASSWORD, "base": samba_server.BASE,
    }  # fmt: skip
    return Place(server, section, strict, "40")


def directory_389(server: DirsrvServer) -> Place:
    @contextlib.contextmanager
    def strict() -> Iterator[None]:
        with server.admin() as c:
            c.modify("cn=config", {"passwordMinLength": [(ldap3.MODIFY_REPLACE, ["40"])]})
            try:
                yield
            finally:
                c.modify("cn=config", {"passwordMinLength": [(ldap3.MODIFY_REPLACE, ["10"])]})

    section = {
        "kind": "ldap", "title": "Directory", "url": f"ldaps://localhost:{server.tls_port}",
        "ca_file": str(server.ca_file), "bind_dn": dirsrv_server.SERVICE, "secret": dirsrv_server.SERVICE_PASSWORD,
        "base": dirsrv_server.SUFFIX, "privileged_groups": [dirsrv_server.ADMINS],
    }  # fmt: skip
    return Place(server, section, strict, "Failed to update password")


def scim(server: ScimServer) -> Place:
    return Place(server, {"kind": "scim", "title": "Directory", **server.section()})


def tables(server: TableServer) -> Place:
    server.make_tables()
    return Place(server, {"kind": "sql", "title": "Directory", **server.section()})


@dataclass
class TrytonCrm:
    """A Tryton as the journeys want it."""

    tryton: TrytonServer

    def add_user(
        self, uid: str, address: str, password: str, *, privileged: bool = False, disabled: bool = False
    ) -> str:
        key = self.tryton.create_user(uid, address, password, administrator=privileged)
        if disabled:
            self.tryton.admin("model.res.user.write", [int(key)], {"active": False})
        return key

    def signs_in(self, uid: str, password: str) -> bool:
        return self.tryton.login(uid, password) is not None

    def open_session(self, uid: str, password: str) -> str | None:
        return self.tryton.login(uid, password)

    def session_lives(self, session: str) -> bool:
        return self.tryton.alive(session)

    def stop(self) -> None:
        self.tryton.stop()


def tryton_crm(folder: Path) -> Place:
    server = start_tryton(folder, programs=programs("8"), min_length=20)
    section = {
        "kind": "tryton", "title": "Directory", "url": server.url, "database": server.database,
        "login": server.admin_login, "secret": server.admin_password.reveal(),
    }  # fmt: skip
    return Place(TrytonCrm(server), section)


def creme_crm(folder: Path) -> Place:
    server = start_creme(folder, creme.programs())
    return Place(server, {"kind": "creme", "title": "Directory", **server.section()})


STARTS: dict[str, Callable[[Path], Place]] = {
    "ldap": lambda folder: open_ldap(start_slapd(folder)),
    "active_directory": lambda folder: active_directory(start_samba(folder)),
    "389ds": lambda folder: directory_389(start_dirsrv(folder)),
    "scim": lambda folder: scim(start_scim()),
    "creme": creme_crm,
    "tryton": tryton_crm,
    **{f"sql-{kind}": lambda folder, start=start: tables(start(folder)) for kind, start in user_tables.STARTS.items()},  # type: ignore[misc]
}


def slow(*names: str) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


# SCIM knows no locks, and its server has no policy; tables have none either. Crème and Tryton have no locks.
WITH_A_POLICY = ["ldap", *slow("active_directory", "389ds")]
WITH_LOCKS = [*WITH_A_POLICY, "sql-sqlite", *slow("sql-postgresql", "sql-mysql")]
WITH_A_TABLE = ["sql-sqlite", *slow("sql-postgresql", "sql-mysql", "creme")]


@pytest.fixture(scope="module", params=[*WITH_LOCKS, "scim", *slow("creme", "tryton")])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    try:
        made = STARTS[request.param](tmp_path_factory.mktemp("directory"))
    except (SlapdFault, SambaFault, DirsrvFault) as e:
        pytest.skip(str(e))
    yield made
    made.server.stop()


def recovering(kit: Kit, place: Place, uid: str, **more: Any) -> tuple[Tray, Browser, str]:
    """Somebody with one login, in the directory, on the page where the new password is chosen."""
    address = f"{uid}@example.com"
    key = place.server.add_user(uid, address, BEFORE, **more)
    directory = make_connector("directory", System.model_validate(place.section), kit.services.db, kit.services.gate)  # type: ignore[arg-type]
    accounts = (ImportedAccount("directory", key, uid),)
    tray = fit(kit, replace(person(uid), mails=(address,), accounts=accounts))
    kit.services = replace(kit.services, connectors={"directory": directory}, titles={"directory": "Directory"})
    started = ask(kit, uid)
    browser = Browser(kit, started)
    browser.open(mailed(kit, tray, started.handle))
    browser("POST", "/link/accept")
    return tray, browser, f"/r/{started.handle}"


@pytest.mark.slow
@pytest.mark.covers("INV-I12")
def test_the_new_password_signs_in_and_the_old_does_not(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, place, "maya")
    assert place.server.signs_in("maya", BEFORE)
    said = choose(kit, browser, at, CHOSEN)
    assert "Your new password works" in said, said[said.index("<main") :][:3000]
    assert place.server.signs_in("maya", CHOSEN)
    assert not place.server.signs_in("maya", BEFORE)


@pytest.mark.slow
@pytest.mark.parametrize("place", WITH_LOCKS, indirect=True)
def test_who_locked_themselves_out_is_let_in(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, place, "omar")
    for _ in range(4):
        assert not place.server.signs_in("omar", "wrong")
    assert not place.server.signs_in("omar", BEFORE)
    choose(kit, browser, at, CHOSEN)
    assert place.server.signs_in("omar", CHOSEN)


@pytest.mark.parametrize("place", WITH_A_POLICY, indirect=True)
def test_what_the_directory_refuses_is_said_in_its_words_or_by_its_rules(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, place, "lena")
    with place.strict():
        said = choose(kit, browser, at, CHOSEN)
        assert place.refusal in said
        assert place.server.signs_in("lena", BEFORE)
    kit.clock.forward(minutes=1)
    choose(kit, browser, at, CHOSEN)
    assert place.server.signs_in("lena", CHOSEN)


@pytest.mark.parametrize("place", slow("tryton"), indirect=True)
def test_what_tryton_refuses_is_said_in_its_words(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, place, "lena")
    said = html.unescape(choose(kit, browser, at, "teapot ladder 77"))
    assert "The password must have at least 20 characters." in said
    assert place.server.signs_in("lena", BEFORE)
    kit.clock.forward(minutes=1)
    choose(kit, browser, at, CHOSEN)
    assert place.server.signs_in("lena", CHOSEN)


def stricter(server: SambaServer, uid: str) -> contextlib.AbstractContextManager[None]:
    """A finer password policy for one person, which Keyback's account may not read: only the server knows it."""
    dn = f"CN=recovery-{uid},CN=Password Settings Container,CN=System,{samba_server.BASE}"
    policy = {
        "msDS-PasswordSettingsPrecedence": "1", "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
        "msDS-PasswordHistoryLength": "0", "msDS-PasswordComplexityEnabled": "FALSE",
        "msDS-MinimumPasswordLength": "40",
        "msDS-MinimumPasswordAge": "0", "msDS-MaximumPasswordAge": "-9223372036854775808",
        "msDS-LockoutThreshold": "0", "msDS-LockoutObservationWindow": "-18000000000",
        "msDS-LockoutDuration": "-18000000000",
    }  # fmt: skip

    @contextlib.contextmanager
    def apply() -> Iterator[None]:
        with server.admin() as c:
            c.search(samba_server.BASE, f"(sAMAccountName={uid})", attributes=[])
            policy["msDS-PSOAppliesTo"] = c.entries[0].entry_dn
            assert c.add(dn, "msDS-PasswordSettings", policy), c.result
            try:
                yield
            finally:
                c.delete(dn)

    return apply()


@pytest.mark.parametrize("place", [pytest.param("active_directory", marks=pytest.mark.slow)], indirect=True)
def test_what_only_the_domain_controller_knows_is_refused_in_its_own_words(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    assert isinstance(place.server, SambaServer)
    _, browser, at = recovering(kit, place, "vera")
    with stricter(place.server, "vera"):
        page = html.unescape(browser("GET", at).text)
        assert "new_password" in page
        assert "40" not in re.findall(r"At least (\d+) characters", page), "the rule isn't known before"
        said = html.unescape(choose(kit, browser, at, CHOSEN))
        assert "0000052D: Constraint violation - check_password_restrictions: the password is too short" in said, said[
            said.index("<main") :
        ][:3000]
        assert place.server.signs_in("vera", BEFORE)
        assert not place.server.signs_in("vera", CHOSEN)
    kit.clock.forward(minutes=1)
    choose(kit, browser, at, CHOSEN)
    assert place.server.signs_in("vera", CHOSEN)


@pytest.mark.slow
def test_a_weak_password_goes_nowhere(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, place, "nora")
    assert submit(browser, at, "password1234").status_code == 422
    drain(kit)
    assert place.server.signs_in("nora", BEFORE)
    assert not place.server.signs_in("nora", "password1234")
    choose(kit, browser, at, CHOSEN)
    assert place.server.signs_in("nora", CHOSEN)


def left_alone(kit: Kit, browser: Browser, at: str, uid: str, words: str) -> None:
    """The page says why and has no form for it, and one that is sent all the same sets nothing."""
    page = html.unescape(browser("GET", at).text)
    assert words in page
    assert "new_password" not in page
    account = kit.read(lambda tx: tx.people.sign_in_rows("directory", uid))[0]
    sent = [("new_password", CHOSEN), ("submission", "s"), ("accounts", account.id)]
    assert browser("POST", f"{at}/password", urlencode(sent)).status_code == 422
    drain(kit)


@pytest.mark.slow
@pytest.mark.covers("N9")
def test_an_administrator_of_the_directory_is_left_alone(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, place, "root2", privileged=True)
    left_alone(kit, browser, at, "root2", "an administrator’s account")
    assert place.server.signs_in("root2", BEFORE)
    assert not place.server.signs_in("root2", CHOSEN)


@pytest.mark.covers("N9")
@pytest.mark.parametrize("place", slow("creme"), indirect=True)
def test_who_may_take_a_role_that_administers_users_is_left_alone(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, place, "vera", special=USER_ADMINISTRATORS)
    left_alone(kit, browser, at, "vera", "an administrator’s account")
    assert place.server.signs_in("vera", BEFORE)


def signed_in(server: TableServer | CremeServer | TrytonCrm, uid: str, password: str) -> Callable[[], bool]:
    """Whether somebody who signs in now still is."""
    assert server.signs_in(uid, password)
    table = isinstance(server, TableServer)
    session: Any = server.open_session(uid) if table else server.open_session(uid, password)  # type: ignore[call-arg]
    return lambda: server.session_lives(session)


@pytest.mark.slow
@pytest.mark.covers("E4")
@pytest.mark.parametrize("place", [*WITH_A_TABLE, *slow("tryton")], indirect=True)
def test_whoever_was_in_is_out(make_kit: Make, place: Place) -> None:
    server, kit = place.server, make_kit()
    assert isinstance(server, TableServer | CremeServer | TrytonCrm)
    _, browser, at = recovering(kit, place, "ines")
    lives = signed_in(server, "ines", BEFORE)
    assert lives()
    choose(kit, browser, at, CHOSEN)
    assert not lives()
    assert signed_in(server, "ines", CHOSEN)()


@pytest.mark.slow
@pytest.mark.parametrize("place", WITH_A_TABLE, indirect=True)
def test_who_was_switched_off_stays_so(make_kit: Make, place: Place) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, place, "otto", disabled=True)
    left_alone(kit, browser, at, "otto", "inactive")
    assert not place.server.signs_in("otto", BEFORE)
    assert not place.server.signs_in("otto", CHOSEN)
