"""What fingers, keyboards, clipboards and mail programs make of identifiers, codes and links, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx2
import pytest

from keyback.storage.database import make_engine
from keyback.storage.migrate import migrate
from keyback.testing.mailbox import Mailbox, Message
from keyback.web.app import make_app, make_context
from tests.support import gallery
from tests.support.browser import call
from tests.support.drawn import Tree, draw
from tests.support.kit import Kit, person
from tests.support.live import Live, add_person, live
from tests.support.steps import OLD, fit, set_password


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as m:
        yield m


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("pasted")
    url = f"sqlite:///{folder / 'pasted.sqlite'}"
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()
    with live(url, folder, mail_port=mailbox.port) as s:
        yield s


@contextmanager
def asked(site: Live, mailbox: Mailbox, key: str, typed: str = "") -> Iterator[tuple[httpx2.Client, str, Message]]:
    """A browser that asked for `key`, its page, and the mail that came."""
    add_person(site, key)
    with site.client() as client:
        r = client.post("/forgot", data={"identifier": typed or key})
        assert r.status_code == 303, r.text
        (mail,) = mailbox.wait_for(f"{key}@example.com")
        yield client, r.headers["location"], mail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "typed"),
    [
        ("ida", "mailto:ida@example.com"),
        ("ines", "Ines Roth <ines@example.com>"),
        ("ivo", "ivo@example.com；"),
        ("isa", "\u202aisa＠example.com\u202c"),
        ("ian", "<ian>"),
    ],
)
def test_pasted_identifiers_bring_the_mail(site: Live, mailbox: Mailbox, key: str, typed: str) -> None:
    with asked(site, mailbox, key, typed) as (client, page, _):
        assert client.get(page).status_code == 200


def test_pasted_identifiers_sign_in(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    app = make_app(make_context(kit.settings, kit.services))
    for typed in (
        "maya;",
        "Maya Lin <maya@example.com>",
        "mailto:maya@example.com",
        "\u200emaya\u200e",
        "ｍａｙａ＠example.com",
    ):
        fields = {"identifier": typed, "password": OLD.reveal()}
        got = call(kit, app, "POST", "/sign-in", data=fields, headers={"sec-fetch-site": "same-origin"})
        assert got.status_code == 303, typed
        got = call(
            kit,
            app,
            "POST",
            "/api/v1/sign-in",
            content=json.dumps(fields),
            headers={"content-type": "application/json"},
        )
        assert got.status_code == 200, typed


@pytest.mark.covers("A1")
def test_what_is_odd_is_told_by_its_form_alone(site: Live) -> None:
    add_person(site, "odette")
    with site.client() as client:
        for known in ("odette@example.com", "nobody@example.com"):
            two = client.post("/forgot", data={"identifier": f"{known}; other@example.net"})
            assert two.status_code == 422
            assert "more than one address" in two.text
            words = client.post("/find", data={"identifier": f"{known} please"})
            assert words.status_code == 422
            assert "Type the address alone" in words.text
            said = client.post("/api/v1/recoveries", json={"identifier": f"{known}, other@example.net"})
            assert (said.status_code, said.json()["code"]) == (422, "identifier_several")
        chinese = client.post(
            "/forgot", data={"identifier": "a@b.example c@d.example"}, headers={"accept-language": "zh"}
        )
        assert "不止一个地址" in chinese.text


@pytest.mark.parametrize(
    ("key", "how"), [("cara", "\u200e{}\u200e"), ("cleo", "　{}。"), ("carl", "full"), ("cody", "\ufeff{}\u200b")]
)
def test_mailed_codes_count_as_they_were_pasted(site: Live, mailbox: Mailbox, key: str, how: str) -> None:
    with asked(site, mailbox, key) as (client, page, mail):
        code = str(mail["codes"][0])
        full = "".join(chr(ord(c) + 0xFEE0) for c in code)
        typed = f"{full[:4]}　{full[4:]}" if how == "full" else how.format(code)
        r = client.post(f"{page}/code", data={"code": typed})
        assert (r.status_code, r.headers.get("location")) == (303, page)
        assert "new_password" in client.get(page).text


def test_the_number_may_be_full_width(site: Live, mailbox: Mailbox) -> None:
    with asked(site, mailbox, "nora") as (client, page, mail):
        number = client.get(page).text.partition("<output")[2].partition(">")[2][:2]
        with site.client() as phone:
            at = phone.get(str(mail["links"][0]).replace(site.url, ""), follow_redirects=True)
            shown = at.text.partition('name="of" value="')[2].partition('"')[0]
            wrong = phone.post("/link/accept", data={"number": "4", "of": shown})
            assert wrong.status_code == 422
            wide = "".join(chr(ord(c) + 0xFEE0) for c in number)
            done = phone.post("/link/accept", data={"number": f"\u200e{wide[0]} {wide[1]}。", "of": shown})
            assert done.status_code == 200, done.text


BEHIND = [*".,。，/>)）\"';!”」*\u200b -_", "./", ">."]


def test_a_mailed_link_works_with_what_stands_behind_it(site: Live, mailbox: Mailbox) -> None:
    with asked(site, mailbox, "lena") as (client, _, mail):
        path = str(mail["links"][0]).replace(site.url, "")
        plain = client.get(path)
        assert plain.status_code == 303
        for more in BEHIND:
            r = client.get(path + quote(more, safe="/"))
            assert (r.status_code, r.headers["location"]) == (303, plain.headers["location"]), more
        for other in (path[:-1], path + "a", path + ".a", path + "/" + "a" * 22, "/l/", "/l/..", "/l//"):
            r = client.get(other)
            assert r.headers.get("location") != plain.headers["location"], other


def test_the_api_takes_language_tags_and_a_byte_order_mark(site: Live) -> None:
    with site.client() as client:
        for tag in ("en", "en-US", "en_GB", "EN-au", "zh", "zh-CN", "zh_CN", "zh-Hans-CN", "zh-Hant-TW", "ZH-hans"):
            r = client.post("/api/v1/recoveries", json={"identifier": "nobody", "locale": tag})
            assert r.status_code == 202, tag
        for tag in ("fr", "i-klingon", "zh_Hant_TW.UTF-8", "C.UTF-8", "english", "en-", "-", "en US", "zh\n", "ｚｈ"):
            r = client.post("/api/v1/recoveries", json={"identifier": "nobody", "locale": tag})
            assert r.status_code == 202, tag
        for odd in (5, ["zh"], True, "a" * 5000):
            r = client.post("/api/v1/recoveries", json={"identifier": "nobody", "locale": odd})
            assert r.status_code == 422, odd
        kind = {"content-type": "application/json"}
        body = '{"identifier": "nobody"}'.encode("utf-8-sig")
        assert client.post("/api/v1/recoveries", content=body, headers=kind).status_code == 202
        check = '{"password": "copper lantern orchard 5"}'.encode("utf-8-sig")
        assert client.post("/api/v1/passwords/check", content=check, headers=kind).status_code == 200
        for encoding in ("utf-16", "utf-16-le", "utf-32", "latin-1"):
            wide = client.post("/api/v1/recoveries", content='{"identifier": "é"}'.encode(encoding), headers=kind)
            assert (wide.status_code, wide.json()["code"]) == (400, "not_json"), encoding
            assert "UTF-8" in wide.json()["detail"]
        twice = b"\xef\xbb\xbf" + body
        assert client.post("/api/v1/recoveries", content=twice, headers=kind).json()["code"] == "not_json"


@pytest.mark.slow
def test_no_field_of_a_code_or_an_identifier_stops_a_keyboard_or_a_paste() -> None:
    found = set()
    for name, page, shell in gallery.samples("en"):
        for a in Tree(draw(page, shell)).all("input"):
            if a.get("name") in ("code", "number", "identifier", "address"):
                found.add(a["name"])
                assert "pattern" not in a, name
                assert "maxlength" not in a, name
                assert a.get("type") in ("text", "tel", "hidden"), name
    assert found == {"code", "number", "identifier", "address"}
