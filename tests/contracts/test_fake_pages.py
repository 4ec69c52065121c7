"""Sign-in pages of the vendors' fakes, as people use them: without scripts, in both languages, below any path."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from starlette.testclient import TestClient

from keyback.demo.company import DOMAIN, STAFF
from keyback.demo.enrolled import seed_of
from keyback.demo.vendors import Dynamics365, Fxiaoke, Mounted, Salesforce, Zoho
from keyback.demo.vendors.dynamics365 import seed as dynamics365
from keyback.demo.vendors.fxiaoke import seed as fxiaoke
from keyback.demo.vendors.salesforce import seed as salesforce
from keyback.demo.vendors.vendor import Vendor
from keyback.demo.vendors.zoho import seed as zoho
from tests.support.each import each
from tests.support.vendor_support import Clock

PASSWORDS = {s.username: s.password for s in STAFF}
RECOVERY = "https://keyback.example.com/forgot"
NEW = "Harbor2040lights!"


def salesforce_fake() -> Salesforce:
    fake = Salesforce(clock=Clock(), recovery_url=RECOVERY)
    salesforce.seed(fake)
    return fake


def dynamics365_fake() -> Dynamics365:
    fake = Dynamics365(clock=Clock(), recovery_url=RECOVERY)
    dynamics365.seed(fake)
    return fake


def zoho_fake() -> Zoho:
    fake = Zoho(clock=Clock(), recovery_url=RECOVERY)
    zoho.seed(fake)
    return fake


def fxiaoke_fake() -> Fxiaoke:
    fake = Fxiaoke(clock=Clock(), recovery_url=RECOVERY)
    fxiaoke.seed(fake)
    return fake


class Person:
    """A browser without scripts."""

    def __init__(self, fake: Vendor, prefix: str = "", lang: str = "en") -> None:
        app: Any = Mounted(fake, prefix) if prefix else fake
        self.http: Any = TestClient(app, base_url="http://fake")
        self.at, self.lang = f"{prefix}{fake.brand.path}", lang
        self.page: str = self.http.get(f"{self.at}?lang={lang}").text

    def send(self, path: str = "", **form: str) -> str:
        self.page = self.http.post(f"{self.at}{path}?lang={self.lang}", data=form).text
        return self.page

    def sign_in(self, username: str, password: str) -> str:
        if 'name="password"' not in self.page:
            self.send(username=username)
        return self.send(username=username, password=password)


CASES: list[tuple[Callable[[], Vendor], str, str]] = [
    (salesforce_fake, f"chenyu@{DOMAIN}", "chenyu"),
    (dynamics365_fake, f"chenyu@{DOMAIN}", "chenyu"),
    (zoho_fake, f"nadia.rossi@{DOMAIN}", "nadia.rossi"),
    (fxiaoke_fake, "zhaoyang", "zhaoyang"),
]


@each("make,username,login", CASES)
def test_signing_in_and_being_signed_out(make: Callable[[], Vendor], username: str, login: str) -> None:
    fake = make()
    person = Person(fake, "/demo/there")
    assert RECOVERY in person.page
    assert 'role="alert"' in person.sign_in(username, "wrong")
    page = person.sign_in(username, PASSWORDS[login])
    account = fake.find_login(username)
    assert account
    assert f"Signed in as {account.name}" in page
    account.sessions = []
    page = person.http.get(person.at).text
    assert "You have been signed out" in page
    person.page = page
    person.sign_in(username, PASSWORDS[login])
    assert account.sessions
    person.send("/out")
    assert account.sessions == []


@each("make,username,login", CASES)
def test_both_languages_need_no_script_and_stay_below_their_path(
    make: Callable[[], Vendor], username: str, login: str
) -> None:
    fake = make()
    for lang, words in (("en", "Sign in"), ("zh", "登录")):
        page = Person(fake, "/demo/there", lang).page
        assert words in page
        assert not re.search(r"<script|<style| style=| on\w+=", page)
        own = [x for x in re.findall(r'(?:href|src|action)="([^"?]*)', page) if x and x != RECOVERY]
        assert own
        assert all(x.startswith("/demo/there/") for x in own)
        for path in set(own) - {f"/demo/there{fake.brand.path}/forgot", f"/demo/there{fake.brand.path}"}:
            assert Person(fake, "/demo/there").http.get(path).status_code == 200, path


@each("make,username,login", CASES)
def test_unknown_names_get_as_far_as_known_ones(make: Callable[[], Vendor], username: str, login: str) -> None:
    page = Person(make()).sign_in("nobody@example.com", "wrong")
    assert 'name="password"' in page
    assert 'role="alert"' in page


@each("make,username,login", CASES[2:])
def test_the_vendors_own_way_back(make: Callable[[], Vendor], username: str, login: str) -> None:
    fake = make()
    person = Person(fake)
    person.http.get(f"{person.at}/forgot")
    assert "sent a code" in person.send("/forgot", username="nobody@example.com")
    assert fake.sent == []
    other = Person(fake)
    other.http.get(f"{other.at}/forgot")
    other.send("/forgot", username=username)
    found = re.search(r"\d{6}", fake.sent[-1].text)
    assert found
    assert 'role="alert"' in other.send("/forgot", code="000000" if found[0] != "000000" else "000001")
    assert 'name="again"' in other.send("/forgot", code=found[0])
    assert 'role="alert"' in other.send("/forgot", password="short", again="short")
    assert "Signed in as" in other.send("/forgot", password=NEW, again=NEW)
    assert fake.sign_in(username, NEW) == "ok"


def test_a_second_factor_and_a_new_password() -> None:
    fake = salesforce_fake()
    person = Person(fake)
    assert 'name="code"' in person.sign_in(f"oliver.brandt@{DOMAIN}", PASSWORDS["oliver.brandt"])
    assert 'role="alert"' in person.send(code="００００００")
    code = pyotp.TOTP(seed_of("oliver.brandt")).at(fake.clock() // 1000)
    assert "Signed in as Oliver Brandt" in person.send(code=code)
    expired = Person(fake)
    assert 'name="again"' in expired.sign_in(f"tangwen@{DOMAIN}", PASSWORDS["tangwen"])
    assert "Signed in as 唐雯" in expired.send(password=NEW, again=NEW)
    passkey = Person(fake).sign_in(f"carlos.ibanez@{DOMAIN}", PASSWORDS["carlos.ibanez"])
    assert "security key or passkey" in passkey


def test_who_is_signed_in_elsewhere_is_told_where() -> None:
    person = Person(salesforce_fake())
    assert "Harbour ID" in person.send(username=f"tomas.novak@{DOMAIN}")
    assert 'name="username"' in person.send(back="1")


def test_another_site_cannot_sign_somebody_in() -> None:
    person = Person(salesforce_fake())
    headers = {"sec-fetch-site": "cross-site"}
    assert person.http.post(person.at, data={"username": "x"}, headers=headers).status_code == 403


def test_state_is_kept_over_a_restart(tmp_path: Any) -> None:
    file = tmp_path / "salesforce.json"
    fake = Salesforce(clock=Clock(), state_file=file)
    salesforce.seed(fake)
    account = fake.find_login(f"chenyu@{DOMAIN}")
    assert account
    account.set_password(NEW, fake.clock())
    fake.accounts.save()
    again = Salesforce(clock=Clock(), state_file=file)
    salesforce.seed(again)
    assert again.sign_in(f"chenyu@{DOMAIN}", NEW) == "ok"
    assert NEW not in file.read_text("utf-8")
    with pytest.raises(ValueError, match="taken"):
        again.accounts.add([account])
