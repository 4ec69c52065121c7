"""A whole recovery through the portal against a real directory: what worked before does not, what was chosen does."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from keyback.application.ports.storage import ImportedAccount
from keyback.bootstrap import make_connector
from keyback.settings import System
from keyback.testing.slapd_server import ADMINS, SERVICE, SERVICE_PASSWORD, SUFFIX, SlapdFault, SlapdServer, start_slapd
from tests.support.browser import Browser, choose, mailed
from tests.support.kit import Kit, person
from tests.support.steps import Tray, ask, drain, fit

Make = Callable[..., Kit]
BEFORE, CHOSEN = "Summer-in-Lisbon-4711", "supper ladder teapot 7"


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdServer]:
    try:
        server = start_slapd(tmp_path_factory.mktemp("slapd"))
    except SlapdFault as e:
        pytest.skip(str(e))
    yield server
    server.stop()


def recovering(kit: Kit, slapd: SlapdServer, uid: str, *, privileged: bool = False) -> tuple[Tray, Browser, str]:
    """Somebody with one login, in the directory, on the page where the new password is chosen."""
    address = f"{uid}@example.com"
    key = slapd.add_user(uid, address, BEFORE, privileged=privileged)
    section = {
        "kind": "ldap", "title": "Directory", "url": f"ldap://127.0.0.1:{slapd.port}", "bind_dn": SERVICE,
        "secret": SERVICE_PASSWORD, "base": SUFFIX, "privileged_groups": [ADMINS],
    }  # fmt: skip
    directory = make_connector("directory", System.model_validate(section), kit.services.db, kit.services.gate)  # type: ignore[arg-type]
    accounts = (ImportedAccount("directory", key, uid),)
    tray = fit(kit, replace(person(uid), mails=(address,), accounts=accounts))
    kit.services = replace(kit.services, connectors={"directory": directory}, titles={"directory": "Directory"})
    started = ask(kit, uid)
    browser = Browser(kit, started)
    browser.open(mailed(kit, tray, started.handle))
    browser("POST", "/link/accept")
    return tray, browser, f"/r/{started.handle}"


@pytest.mark.covers("INV-I12")
def test_the_new_password_binds_and_the_old_does_not(make_kit: Make, slapd: SlapdServer) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, slapd, "maya")
    assert slapd.signs_in("maya", BEFORE)
    said = choose(kit, browser, at, CHOSEN)
    assert "Directory" in said
    assert slapd.signs_in("maya", CHOSEN)
    assert not slapd.signs_in("maya", BEFORE)


def test_who_locked_themselves_out_is_let_in(make_kit: Make, slapd: SlapdServer) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, slapd, "omar")
    for _ in range(4):
        assert not slapd.signs_in("omar", "wrong")
    assert not slapd.signs_in("omar", BEFORE)
    choose(kit, browser, at, CHOSEN)
    assert slapd.signs_in("omar", CHOSEN)


def test_what_the_directory_refuses_is_said_in_its_words(make_kit: Make, slapd: SlapdServer) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, slapd, "lena")
    with slapd.admin() as c:
        policy = f"cn=default,ou=policies,{SUFFIX}"
        c.modify(policy, {"pwdMinLength": [("MODIFY_REPLACE", ["40"])]})
        try:
            said = choose(kit, browser, at, CHOSEN)
        finally:
            c.modify(policy, {"pwdMinLength": [("MODIFY_REPLACE", ["10"])]})
    assert "Password fails quality checking policy" in said
    assert slapd.signs_in("lena", BEFORE)
    choose(kit, browser, at, CHOSEN)
    assert slapd.signs_in("lena", CHOSEN)


@pytest.mark.covers("N9")
def test_an_administrator_of_the_directory_is_left_alone(make_kit: Make, slapd: SlapdServer) -> None:
    kit = make_kit()
    _, browser, at = recovering(kit, slapd, "root2", privileged=True)
    page = html.unescape(browser("GET", at).text)
    assert "an administrator’s account" in page
    assert "new_password" not in page
    account = kit.read(lambda tx: tx.people.sign_in_rows("directory", "root2"))[0]
    sent = [("new_password", CHOSEN), ("new_password_again", CHOSEN), ("submission", "s"), ("accounts", account.id)]
    assert browser("POST", f"{at}/password", urlencode(sent)).status_code == 422
    drain(kit)
    assert slapd.signs_in("root2", BEFORE)
    assert not slapd.signs_in("root2", CHOSEN)
