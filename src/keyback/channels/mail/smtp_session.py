"""The beginning of an SMTP session: hello and sign-in (RFC 5321 section 4.1.1.1, RFC 4954), also with names and
passwords that smtplib takes in ASCII only."""

from __future__ import annotations

import base64
import smtplib
import socket

import idna

from keyback.application.ports.channels import Receipt
from keyback.channels.mail.smtp_replies import Down, clean

NO_EHLO = (500, 502, 504)  # the command is not known; 501 and 550 are about the name in it


def host_name(name: str) -> str:
    """A host name as DNS and SMTP know it; one in other scripts becomes its A-label (RFC 5891).

    Raises:
        ValueError: it cannot be one.
    """
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as e:
        raise ValueError(f"{name!r} is not a host name ({e})") from None


def own_name(configured: str) -> str:
    """The name for EHLO: the configured one, else this machine's own, else an address literal (RFC 5321 4.1.3)."""
    try:
        return host_name(configured or socket.gethostname()) or "[127.0.0.1]"
    except ValueError:
        if configured:
            raise
        return "[127.0.0.1]"


def greet(smtp: smtplib.SMTP) -> None:
    """Says EHLO, or HELO to a relay that does not know it.

    Raises:
        Down: the relay does not take the name.
    """
    code, text = smtp.ehlo()
    if code in NO_EHLO:
        code, text = smtp.helo()
    if not 200 <= code <= 299:
        status = "relay_refuses_us" if code >= 500 else "busy" if code >= 400 else "unreachable"
        raise Down(Receipt("temporary", status, f"EHLO {smtp.local_hostname}: {code} {clean(text)}"))


def sign_in(smtp: smtplib.SMTP, username: str, password: str) -> None:
    """AUTH. Where name or password goes beyond ASCII, as UTF-8 by PLAIN (RFC 4616) or LOGIN.

    Raises:
        smtplib.SMTPException: refused, or no way that both sides know.
    """
    if username.isascii() and password.isascii():
        smtp.login(username, password)
        return
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in offered:
        code, text = smtp.docmd("AUTH", f"PLAIN {_encoded(f'{chr(0)}{username}{chr(0)}{password}')}")
    elif "LOGIN" in offered:
        code, text = smtp.docmd("AUTH", f"LOGIN {_encoded(username)}")
        if code == 334:
            code, text = smtp.docmd(_encoded(password))
    else:
        raise smtplib.SMTPNotSupportedError("no way to sign in that takes UTF-8")
    if code not in (235, 503):  # 503: signed in already
        raise smtplib.SMTPAuthenticationError(code, text)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
