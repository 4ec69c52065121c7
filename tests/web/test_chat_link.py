"""Linking a work chat by signing in there, on the pages of the security center."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from keyback.application.ports.storage import Tx
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.people.person import Contact
from keyback.domain.secret import Secret
from keyback.settings_file import Unsafe
from keyback.testing.chat_sign_in import DingTalkSignIn, FeishuSignIn, WeComSignIn
from keyback.testing.mailbox import Mailbox
from keyback.testing.serving import served
from tests.support.centre import PASSWORD, Centre
from tests.support.enrolled import SMS
from tests.support.live import add_person, live

ADD, START = "/account/contacts/add/im", "/account/chat"
KINDS: dict[str, Any] = {
    "wecom": (WeComSignIn, lambda f, url: {"corp_id": f.corp_id, "agent_id": f.agent_id, "in_app_url": url}),
    "dingtalk": (DingTalkSignIn, lambda f, url: {"app_key": f.app_key, "agent_id": f.agent_id, "notices_url": url}),
    "feishu": (FeishuSignIn, lambda f, url: {"app_id": f.app_id}),
}


@dataclass
class Chat:
    """A security center, and the chat service of its company."""

    site: Centre
    service: Any

    def leave(self, client: httpx2.Client | None = None) -> str:
        """Where the service sends the browser back to, on our side."""
        browser = client or self.site.browser
        page = browser.post(START, data={}).headers["location"]
        away = browser.get(f"{page}/go")
        assert away.status_code == 303
        with httpx2.Client() as outside:
            home = outside.get(away.headers["location"].partition("#")[0]).headers["location"]
        parts = urlsplit(home)
        return f"{parts.path}?{parts.query}"

    def contacts(self, who: str = "maya") -> list[Contact]:
        def load(tx: Tx) -> list[Contact]:
            hit = tx.people.account_by_username("builtin", who)
            assert hit
            found = tx.contacts.of_person(hit[1].id, states=("confirmed", "pending"))
            return [c for c in found if c.channel == "im"]

        return self.site.at.read(load)


@pytest.fixture(params=["wecom"])
def chat(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[Chat]:
    made, options = KINDS[request.param]
    service = made()
    with Mailbox() as mailbox, served(service) as url:
        im = {"kind": request.param, "url": url, "secret": service.secret, "sign_in_url": url, "sign_in": True}
        im |= options(service, url)
        with live(sqlite_url, tmp_path, mail_port=mailbox.port, im=im) as at, at.client() as browser:
            phc = at.run(at.services.gate.hash(Secret(PASSWORD)))
            for key in ("maya", "noor"):
                add_person(at, key, f"{key}@example.com")

                def seed(tx: Tx, key: str = key) -> None:
                    hit = tx.people.account_by_username("builtin", key)
                    assert hit
                    tx.people.set_credential(hit[0].id, phc, "seed")

                at.run(at.services.db.write(seed))
            site = Centre(at, mailbox, browser)
            yield Chat(site, service)
            for client in site.made:
                client.close()


@pytest.mark.covers("E20", "F1", "N-R12")
@pytest.mark.slow
@pytest.mark.parametrize("chat", list(KINDS), indirect=True)
def test_a_chat_is_linked_by_signing_in_and_told_like_any_new_contact(chat: Chat) -> None:
    site = chat.site
    site.sign_in()
    page = site.get(ADD).text
    assert 'action="/account/chat"' in page
    assert 'name="address"' not in page, "nobody types an ID"
    assert site.get(chat.leave()).headers["location"] == "/account/contacts?done=linked"
    (linked,) = chat.contacts()
    now = site.at.read(lambda tx: tx.now)
    assert (linked.address, linked.state, linked.origin) == ("maya.okafor", "confirmed", "person")
    assert now < linked.usable_from <= now + COOLING_OFF
    assert "work chat was added" in str(site.mails("maya@example.com", 1)[0])
    assert "Linked." in site.get("/account/contacts?done=linked").text
    assert site.get(chat.leave()).headers["location"] == "/account/contacts?done=known"
    assert len(chat.contacts()) == 1


@pytest.mark.covers("E20")
def test_a_sign_in_that_another_session_began_links_nothing(chat: Chat) -> None:
    """Whoever sends somebody a link to their own sign-in would get the codes of that person."""
    site, other = chat.site, chat.site.another()
    site.sign_in()
    site.sign_in("noor", client=other)
    theirs = chat.leave(other)
    assert site.get(theirs).headers["location"] == "/account/contacts"
    assert chat.contacts() == chat.contacts("noor") == []
    again = site.another()
    site.sign_in(client=again)
    mine = chat.leave(again)
    assert site.get(mine).headers["location"] == "/account/contacts", "of the same person, in another session"
    assert again.get(mine).headers["location"] == "/account/contacts?done=linked"
    assert again.get(mine).headers["location"] == "/account/contacts", "once"
    assert len(chat.contacts()) == 1


@pytest.mark.covers("E20")
def test_a_state_that_is_not_ours_calls_nobody(chat: Chat) -> None:
    site = chat.site
    site.sign_in()
    back = chat.leave()
    state = back.partition("state=")[2].partition("&")[0]
    for bad in ("", state[:-1], state + "0", "0" * 96, "x" * 96, "a.b", state[:32], "é" * 20, "9" * 5000):
        answer = site.browser.get("/account/chat/back", params={"code": "c", "state": bad})
        assert answer.headers.get("location", "") in ("/account/contacts", ""), bad
    assert "/cgi-bin/auth/getuserinfo" not in chat.service.calls
    older = chat.leave()
    newer = chat.leave()
    assert site.get(older).headers["location"] == "/account/contacts", "a newer one took its place"
    assert site.get(newer).headers["location"] == "/account/contacts?done=linked"


def test_what_goes_wrong_there_is_told_and_changes_nothing(chat: Chat) -> None:
    site, service = chat.site, chat.service
    site.sign_in()
    service.signed_in = "outside-eve"
    where = site.get(chat.leave()).headers["location"]
    assert where == "/account/chat/failed/stranger"
    page = site.get(where).text
    assert "one of your company’s" in page
    assert "Nothing was changed." in page
    service.signed_in = ""
    assert site.get(chat.leave()).headers["location"] == "/account/chat/failed/denied"
    service.signed_in = "maya.okafor"
    home = chat.leave()
    service.trouble = "busy"
    assert site.get(home).headers["location"] == "/account/chat/failed/away"
    service.trouble = ""
    assert chat.contacts() == []


@pytest.mark.covers("E20")
def test_an_id_is_not_typed_where_people_sign_in_and_the_app_goes_straight_through(chat: Chat) -> None:
    site = chat.site
    assert site.get(START + "/x/go").headers["location"] == "/sign-in", "nobody signed in"
    site.sign_in()
    assert site.post(ADD, address="somebody.else").headers["location"] == ADD
    assert chat.contacts() == []
    page = site.post(START).headers["location"]
    assert "Continue to WeCom" in site.get(page).text
    inside = site.browser.get(f"{page}/go", headers={"user-agent": "Mozilla/5.0 wxwork/4.1.36 Mobile"})
    assert "/connect/oauth2/authorize?" in inside.headers["location"]
    assert inside.headers["location"].endswith("#wechat_redirect")
    desk = site.get(f"{page}/go").headers["location"]
    assert "/wwlogin/sso/login?" in desk


def test_a_service_that_signs_nobody_in_is_no_choice(make_kit: Any) -> None:
    im = {k: v for k, v in SMS.items() if k != "prefixes"}
    with pytest.raises(Unsafe, match=r"im\.sign_in"):
        make_kit(im={**im, "sign_in": True})
