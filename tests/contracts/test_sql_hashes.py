"""Hashes of applications: known ones fit, new ones fit and are as strong, and none makes us compute for long."""

from __future__ import annotations

import bcrypt
import pytest

from keyback.connectors.sql.hashes import Format, hashed, matches, too_long
from keyback.domain.secret import Secret
from tests.support.cheaper import real_hashes

# Written by others: the test cases of phpass itself, of Django's documents' format, and of the libraries' own tests.
KNOWN: list[tuple[Format, str, str]] = [
    ("phpass", "test12345", "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"),
    ("bcrypt", "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("bcrypt", "U*U*", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
    ("pbkdf2_sha256", "password", "pbkdf2_sha256$1$salt$Eg+2z/z4syxD5yJSVsT4N6hlSMkszDVICAWYfLcL4Xs="),
    (
        "argon2id",
        "password",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    ),
]

MD5 = "5f4dcc3b5aa765d61d8327deb882cf99"


@pytest.mark.parametrize("form, password, stored", KNOWN)
def test_hashes_that_others_wrote_fit_their_password_only(form: Format, password: str, stored: str) -> None:
    assert matches(form, stored, Secret(password)) is True
    assert matches(form, stored, Secret(password + "x")) is False
    assert matches(form, stored, Secret("")) is False


@pytest.mark.parametrize("form, before", [(form, stored) for form, _, stored in KNOWN] + [(k[0], "") for k in KNOWN])
def test_a_new_hash_is_of_its_form_with_a_salt_of_its_own(form: Format, before: str) -> None:
    chosen = Secret("Größe-长城-7788 '%s\"")
    first, second = hashed(form, chosen, before), hashed(form, chosen, before)
    assert first != second
    assert matches(form, first, chosen) is True
    assert matches(form, first, Secret("another")) is False
    assert chosen.reveal() not in first


@pytest.mark.slow
def test_strength_is_kept_and_never_below_the_least_of_today() -> None:
    with real_hashes():
        _strength_is_kept()


def _strength_is_kept() -> None:
    weak = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    assert hashed("bcrypt", Secret("a"), weak).startswith("$2y$12$")
    assert hashed("bcrypt", Secret("a"), "$2a$13$" + "." * 53).startswith("$2a$13$")
    assert hashed("bcrypt", Secret("a"), "$2a$31$" + "." * 53).startswith("$2a$12$")
    assert hashed("bcrypt", Secret("a"), "5f4dcc3b5aa765d61d8327deb882cf99").startswith("$2b$12$")
    assert hashed("pbkdf2_sha256", Secret("a"), KNOWN[3][2]).startswith("pbkdf2_sha256$1000000$")
    assert hashed("pbkdf2_sha256", Secret("a"), KNOWN[3][2].replace("$1$", "$1200000$")).split("$")[1] == "1200000"
    assert "m=65536,t=3" in hashed("argon2id", Secret("a"), KNOWN[4][2].replace("m=65536", "m=1024"))
    assert "m=65536,t=4" in hashed("argon2id", Secret("a"), KNOWN[4][2].replace("t=2", "t=4"))


@pytest.mark.parametrize(
    "form, stored",
    [
        ("bcrypt", "$2b$31$" + "." * 53),
        ("bcrypt", "$2b$99$" + "." * 53),
        ("pbkdf2_sha256", "pbkdf2_sha256$99999999$salt$Eg+2z/z4syxD5yJSVsT4N6hlSMkszDVICAWYfLcL4Xs="),
        ("phpass", "$P$U" + "." * 30),
        ("argon2id", "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"),
        ("argon2id", "$argon2id$v=19$m=65536,t=9999,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"),
        ("argon2id", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"),
        *(
            (form, other)
            for form, _, _ in KNOWN
            for other in ("", "!", "5f4dcc3b5aa765d61d8327deb882cf99", "$", "x" * 999)
        ),
    ],
)
def test_what_is_of_another_form_or_costs_too_much_is_not_known(form: Format, stored: str) -> None:
    assert matches(form, stored, Secret("password")) is None


def test_bcrypt_takes_no_password_that_it_would_not_look_at_whole() -> None:
    assert not too_long("bcrypt", Secret("x" * 72))
    assert too_long("bcrypt", Secret("x" * 73))
    assert not too_long("argon2id", Secret("x" * 999))
    for wrong in ("x" * 73, "a\0b"):
        with pytest.raises(ValueError):
            hashed("bcrypt", Secret(wrong))
