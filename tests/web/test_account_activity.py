"""The page of what happened names what keeps failing with an old password, to its owner and to nobody else (J1, J5)."""

from __future__ import annotations

import pytest

from tests.support.centre import NEW, PASSWORD, Centre, centre_id, note

MAIL_PROGRAM = {"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"}
SAID = "Something keeps trying a wrong password"


@pytest.mark.slow
@pytest.mark.covers("J1", "J5")
def test_it_names_the_device_that_still_has_the_old_password(centre: Centre) -> None:
    centre.sign_in()
    assert SAID not in centre.get("/account/activity").text
    changed = centre.post(
        "/account/password", current_password=PASSWORD, new_password=NEW
    )  # fmt: skip
    assert changed.status_code == 200
    phone = centre.another()
    for _ in range(4):
        answer = phone.post("/sign-in", data={"identifier": "maya", "password": PASSWORD}, headers=MAIL_PROGRAM)
        assert answer.status_code == 401
        assert SAID not in answer.text, "who cannot sign in learns nothing"
    page = centre.get("/account/activity").text
    assert SAID in page
    assert "iOS" in page
    assert "This looks like your previous password." in page
    assert "Enter your current password there" in page
    assert 'href="/account/password"' in page
    other = centre.another()
    centre.sign_in("omar", client=other)
    assert SAID not in other.get("/account/activity").text


def test_older_pages_hold_what_happened_only(centre: Centre) -> None:
    centre.sign_in()
    for _ in range(4):
        centre.sign_in(password="of another system", client=centre.another())
    assert SAID in centre.get("/account/activity").text
    seq = 2**40
    for _ in range(35):
        centre.at.run(centre.at.services.db.write(lambda tx: tx.audit.record(centre_id(tx), [note()])))
    assert SAID not in centre.get(f"/account/activity?before={seq}").text
