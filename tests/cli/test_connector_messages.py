"""What an administrator reads where a system's section is wrong: which key, why, and what to do about it."""

from __future__ import annotations

import gc
import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyback.bootstrap import make_connector
from keyback.connectors.base import unreachable
from keyback.outbound.http import NotDone, why_not
from keyback.settings import Unsafe
from keyback.settings_sections import System
from tests.support.each import each

SALESFORCE: dict[str, Any] = {"kind": "salesforce", "title": "Salesforce", "client_id": "key"}
SCIM: dict[str, Any] = {"kind": "scim", "title": "Directory"}
LDAP: dict[str, Any] = {"kind": "ldap", "title": "LDAP", "bind_dn": "cn=x", "base": "dc=x", "secret": "x"}


def made(section: dict[str, Any]) -> Any:
    return make_connector("crm", System.model_validate(section), None, None)  # type: ignore[arg-type]


@pytest.fixture
def closed() -> int:
    """A port where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@each(
    ("key", "section"),
    [
        ("secret_file", SALESFORCE),
        ("secret_file", SCIM),
        ("ca_file", {**SCIM, "secret": "x"}),
        ("private_key_file", {**SALESFORCE, "username": "keyback@example.com"}),
        ("refresh_token_file", {"kind": "zoho", "title": "Z", "client_id": "c", "secret": "x"}),
    ],
)
def test_a_file_that_is_not_there_is_named_by_its_key(tmp_path: Path, key: str, section: dict[str, Any]) -> None:
    missing = tmp_path / "none"
    with pytest.raises(Unsafe) as raised:
        made({"url": "https://crm.example.com", **section, key: str(missing)})
    said = str(raised.value)
    assert said.startswith(f"systems.crm: {key}: {missing} can't be read (no such file or directory). ")
    assert "Check the path" in said
    with pytest.raises(Unsafe, match=f"{key}: .* can't be read .is a directory."):
        made({"url": "https://crm.example.com", **section, key: str(tmp_path)})


def test_a_file_that_holds_no_certificate_is_named_by_its_key(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not one", encoding="ascii")
    with pytest.raises(Unsafe, match=r"systems\.crm: ca_file: .* holds no certificate in PEM form"):
        made({"url": "https://crm.example.com", **SCIM, "secret": "x", "ca_file": str(file)})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("section", "url"),
    [(SCIM | {"secret": "x"}, "http://127.0.0.1:{}"), (LDAP, "ldap://127.0.0.1:{}")],
    ids=["scim", "ldap"],
)
async def test_a_refused_connection_says_so_and_names_the_key(section: dict[str, Any], url: str, closed: int) -> None:
    connector = made({**section, "url": url.format(closed)})
    gc.collect()
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        line = (await connector.check())[0]
        gc.collect()
    assert not [str(w.message) for w in left if "unclosed" in str(w.message)]
    assert (line.what, line.status, line.text) == ("reach", "bad", "unavailable: not reachable (connection refused)")
    assert line.advice == "Correct host or port in url, or start the system."
    await connector.close()


@pytest.mark.anyio
async def test_a_host_name_that_is_none_says_so() -> None:
    connector = made({**SCIM, "secret": "x", "url": "https://no-such-host.invalid"})
    line = (await connector.check())[0]
    assert line.text == "unavailable: not reachable (no such host name)"
    assert line.advice == "Correct the host in url, or this machine's DNS."
    await connector.close()


@each(("text", "advice"), [("HTTP 404", "Something answers there"), ("HTTP 502", "The system answers with a fault")])
def test_a_stranger_is_told_from_a_fault(text: str, advice: str) -> None:
    assert unreachable(NotDone("unavailable", text)).advice.startswith(advice)


@each(
    ("cause", "words", "advice"),
    [
        (ssl.SSLError(1, "wrong version number"), "doesn't speak TLS", "Correct url: is it https"),
        (
            ssl.SSLCertVerificationError(1, "self-signed"),
            "certificate isn't trusted",
            "Name the authority that signed it",
        ),
        (OSError(113, "no route to host"), "ConnectError", "See that url is right"),
    ],
)
def test_what_lies_under_a_lost_connection_is_told(cause: OSError, words: str, advice: str) -> None:
    lost = httpx2.ConnectError("All connection attempts failed")
    lost.__cause__ = cause
    line = unreachable(NotDone("unavailable", f"not reachable ({why_not(lost)})"))
    assert words in line.text
    assert line.advice.startswith(advice)
