"""Phone numbers in the security centre: their risk in plain words, stronger ways first (A-6.6.1)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyback.application.ports.storage import Tx
from keyback.domain.secret import Secret
from keyback.testing.mailbox import Mailbox
from keyback.testing.phone import Phone
from tests.support.centre import PASSWORD, Centre
from tests.support.live import add_person, live

ADD = "/account/contacts/add/sms"
NUMBER = "+12025550134"


@pytest.fixture
def centre(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[Centre, Phone]]:
    """As in `test_account_pages`, with a phone."""
    phone = Phone()
    with Mailbox() as mailbox, phone.serving() as gateway:
        sms = {"kind": "http", "url": gateway, "secret": phone.secret, "prefixes": ["+1"]}
        url = "http://localhost"  # a name that can have passkeys
        with live(sqlite_url, tmp_path, mail_port=mailbox.port, sms=sms, public_url=url) as at, at.client() as browser:
            add_person(at, "maya", "maya@example.com")
            phc = at.run(at.services.gate.hash(Secret(PASSWORD)))

            def seed(tx: Tx) -> None:
                hit = tx.people.account_by_username("builtin", "maya")
                assert hit
                tx.people.set_credential(hit[0].id, phc, "seed")

            at.run(at.services.db.write(seed))
            centre = Centre(at, mailbox, browser)
            yield centre, phone
            for client in centre.made:
                client.close()


def texts(phone: Phone, n: int) -> list[dict[str, Any]]:
    """What came to the number, as soon as it is `n`."""
    end = time.monotonic() + 60
    while len(found := [m for m in phone.messages if m["to"] == NUMBER]) < n:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


@pytest.mark.covers("A-6.6.1")
def test_a_phone_is_added_after_its_risk_was_told_and_something_stronger_offered(centre: tuple[Centre, Phone]) -> None:
    site, _ = centre
    site.sign_in()
    for page in (site.get(ADD).text, site.post(ADD, address="not a number").text):
        form, app = page.index(f'action="{ADD}"'), page.index('href="/account/totp"')
        assert page.index("Text messages are the weakest method") < app < form
        assert page.index('href="/account/passkeys"') < form
    assert "weakest" not in site.get("/account/contacts/add/mail").text
    site.add_app()
    page = site.get(ADD).text
    assert "Text messages are the weakest method" in page, "the risk is told to everybody"
    assert 'href="/account/totp"' not in page, "it is there already"
    assert 'href="/account/passkeys"' in page


@pytest.mark.slow
@pytest.mark.covers("A-6.6.1", "N-R7", "F2")
def test_nothing_goes_to_a_number_but_its_code_until_that_was_typed(centre: tuple[Centre, Phone]) -> None:
    site, phone = centre
    site.sign_in()
    where = site.post(ADD, address="+1 202 555 0134").headers["location"]
    (first,) = texts(phone, 1)
    site.add_app()
    started = site.another().post("/forgot", data={"identifier": "maya", "system": "", "journey": "password"})
    assert started.headers["location"].startswith("/r/")
    site.mails("maya@example.com", 2)  # the change and the recovery are told where that is due
    code = first["codes"][0]
    assert site.post(where, code=f"{(int(code) + 1) % 10**6:06}").status_code == 422
    assert [m["kind"] for m in texts(phone, 1)] == [first["kind"]]
    assert site.post(where, code=code).headers["location"] == "/account/contacts?done=confirmed"
    site.post("/account/codes")
    told = texts(phone, 2)
    assert len(told) == 2
    assert not told[1]["codes"]
