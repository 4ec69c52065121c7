"""Forms of the security centre are those drawn for this session (E11); cookies have our names exactly (O8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.signin.sessions import SignedIn, sign_out
from keyback.web.http.cookies import ALL, Cookies
from keyback.web.http.edge import RequestGuard
from keyback.web.ui.form_tokens import form_token
from tests.support.browser import call
from tests.support.forms import Site, filled, protection, ready, token_of
from tests.support.kit import Kit
from tests.support.steps import OLD, sign_in

Make = Callable[..., Kit]


def posted(site: Site, path: str, token: str | None, **form: str) -> Any:
    """What a form gets that carries this token (None: no field at all)."""
    cookie = "; ".join(f"keyback-{k}={v}" for k, v in site.cookies.items())
    body = "&".join(f"{k}={v}" for k, v in {**form, **({} if token is None else {"form_token": token})}.items())
    headers = {
        "sec-fetch-site": "same-origin", "cookie": cookie, "content-type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    return call(site.kit, site.app, "POST", path, content=body.encode(), headers=headers)


@pytest.mark.slow
@pytest.mark.covers("E11", "A-3.5.1")
def test_no_form_of_the_security_centre_does_anything_without_its_sessions_token(
    make_kit: Make, database_url: str
) -> None:
    kit, _ = ready(make_kit, database_url)
    site = Site(kit)
    mine, other, theirs = token_of(kit, "maya"), token_of(kit, "maya"), token_of(kit, "omar")
    site.cookies["session"] = mine
    before = protection(kit, "maya")
    inside = [p for p, _ in site.posts() if p.startswith(("/account", "/sign-out"))]
    assert len(inside) > 13
    wrong = (None, "", "x", form_token(other), form_token(theirs), mine, form_token(mine)[:-1], form_token(mine) + "A")
    for pattern in inside:
        for token in wrong:
            got = posted(site, filled(pattern), token)
            assert got.status_code == 403, (pattern, token)
            assert re.search("Nothing was (changed|sent yet)", got.text)
            assert "set-cookie" not in got.headers
    assert protection(kit, "maya") == before
    for pattern in inside:
        if pattern not in ("/sign-out", "/account/lock"):
            assert posted(site, filled(pattern), form_token(mine)).status_code != 403, pattern
    assert posted(site, "/sign-out", form_token(mine)).headers["location"] == "/sign-in"


@pytest.mark.covers("E11")
def test_every_form_that_the_centre_draws_carries_it_and_it_changes_with_the_session(
    make_kit: Make, sqlite_url: str
) -> None:
    kit, _ = ready(make_kit, sqlite_url)
    site = Site(kit)
    tokens = set()
    for _ in range(2):
        session = token_of(kit, "maya")
        drawn = 0
        for page in (
            "",
            "/contacts/add/mail",
            "/contacts/add/helper",
            "/devices",
            "/lock",
            "/totp",
            "/codes",
            "/password",
        ):
            got = call(kit, site.app, "GET", f"/account{page}", headers={"cookie": f"keyback-session={session}"})
            forms = re.findall(r'<form[^>]*method="post"[^>]*>(.*?)</form>', got.text, re.S)
            drawn += len(forms)
            for form in forms:
                assert f'<input type="hidden" name="form_token" value="{form_token(session)}">' in form, page
        assert drawn > 5
        tokens.add(form_token(session))
    assert len(tokens) == 2
    assert all(session not in t for t in tokens)
    public = call(kit, site.app, "GET", "/sign-in").text
    assert "form_token" not in public


@pytest.mark.covers("E11")
def test_what_was_typed_for_a_contact_stands_there_again_and_can_be_sent(make_kit: Make, sqlite_url: str) -> None:
    kit, _ = ready(make_kit, sqlite_url)
    site = Site(kit)
    old = form_token(token_of(kit, "maya"))
    site.cookies["session"] = token_of(kit, "maya")
    typed = {"address": "wei@example.net", "name": "Wei+Chen"}
    got = posted(site, "/account/contacts/add/helper", old, **typed)
    assert got.status_code == 403
    assert 'value="wei@example.net"' in got.text
    assert 'value="Wei Chen"' in got.text
    found = re.search(r'name="form_token" value="([^"]+)"', got.text)
    assert found
    again = posted(site, "/account/contacts/add/helper", found[1], **typed)
    assert again.headers["location"] == "/account/contacts?done=invited"
    # Passwords and codes never come back.
    secret = posted(site, "/account/password", old, current_password=OLD.reveal().replace(" ", "+"), new_password="n3w")
    assert secret.status_code == 403
    assert OLD.reveal() not in secret.text
    assert "n3w" not in secret.text


@pytest.mark.covers("E11", "O8")
@pytest.mark.parametrize(
    ("cookie", "ours"),
    [
        ("__Host-keyback-session=abc", True), ("a=b; __Host-keyback-language=en", True), ("", False),
        ("keyback-session=abc", False), ("xkeyback-session=abc", False), ("__Host-keyback-session2=abc", False),
        ("theme=keyback-", False), ("x=1; y=__Host-keyback-session", False), ("__host-keyback-session=abc", False),
        ("__Secure-keyback-session=abc", False), ("__Host-keyback-session", False), ("my__Host-keyback-link=1", False),
    ],
)  # fmt: skip
def test_a_form_whose_origin_is_hidden_needs_one_of_our_cookies_by_its_whole_name(cookie: str, ours: bool) -> None:
    front = RequestGuard(lambda *_: None, "https://recover.example.com")  # type: ignore[arg-type]
    assert front._ours("/sign-in", b"null", b"", cookie.encode()) is ours


@pytest.mark.covers("O8", "E11")
def test_our_cookies_are_told_by_their_whole_names_and_by_values_that_could_be_ours() -> None:
    cookies = Cookies(secure=True)
    line = "; ".join(
        [
            *(f"x{cookies.name(w)}=no; {cookies.name(w)}x=no; keyback-{w}=no" for w in ALL),
            "__Host-keyback-link=yes.~-_1",
        ]
    )
    assert cookies.read(line.encode()) == {"link": "yes.~-_1"}
    for value in ('"quoted"', "a b", "a%20", "é", "x" * 301, "a,b", "\x1b[2J"):
        assert cookies.read(f"__Host-keyback-session={value}".encode()) == {"session": ""}


@pytest.mark.covers("E11")
def test_a_session_over_means_the_way_to_sign_in_whatever_the_form_carries(make_kit: Make, sqlite_url: str) -> None:
    kit, _ = ready(make_kit, sqlite_url)
    site = Site(kit)
    done = sign_in(kit, "maya", OLD)
    assert isinstance(done, SignedIn)
    site.cookies["session"] = done.token
    kit.write(lambda tx: sign_out(tx, done.token))
    got = posted(site, "/account/totp", form_token(done.token))
    assert (got.status_code, got.headers["location"]) == (303, "/sign-in")
