"""What a relay's reply means for a letter (RFC 5321 section 4.2, RFC 3463).

4xx                                temporary: greylisted, busy
5xx about the recipient            permanent: refused_recipient
5xx about the message              permanent: refused_message
5xx about us (greeting, AUTH,      temporary: relay_refuses_us; the configuration is wrong, not the address
  MAIL FROM, relaying denied)
connection lost after the content  temporary: reply_lost; the next attempt carries the same Message-ID
"""

from __future__ import annotations

import re
import smtplib
import ssl

from keyback.application.ports import Receipt

_TELLING = re.compile(r"\S+@\S+|https?:\S+|\d{4} ?\d{4}")  # relays quote addresses, and now and then the message


class Down(Exception):
    """No letter can go now; the receipt says why."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.code)
        self.receipt = receipt


def refused(stage: int, code: int, text: str) -> Receipt:
    """What a refusal of MAIL (0), RCPT (1) or DATA (2) means. Raises `Down` when it is about us."""
    said = f"{code} {text}"
    if code < 500:
        return Receipt("temporary", "greylisted" if stage == 1 else "busy", said)
    if stage == 0:
        raise Down(Receipt("temporary", "relay_refuses_us", said))
    # A relay that carries nothing for us says so at RCPT; the address is not to blame.
    if stage == 1 and (code in (530, 535) or "relay" in text.lower()):
        return Receipt("temporary", "relay_refuses_us", said)
    return Receipt("permanent", "refused_recipient" if stage == 1 else "refused_message", said)


def after_content(code: int, text: str) -> Receipt:
    """What the reply after the final dot means."""
    said = f"{code} {text}"
    if code < 300:
        return Receipt("sent", "ok", said)
    return Receipt("temporary", "busy", said) if code < 500 else Receipt("permanent", "refused_message", said)


def why(error: Exception) -> Receipt:
    """Why no connection came about, in words without address or secret."""
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        code = {5: "relay_refuses_us", 4: "busy"}.get(error.smtp_code // 100, "unreachable")
        return Receipt("temporary", code, f"{error.smtp_code} {clean(text)}")
    if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
        return Receipt("temporary", "relay_refuses_us", "the relay offers no way to sign in that we know")
    if isinstance(error, ssl.SSLError):
        return Receipt("temporary", "tls_failed", clean(str(error).encode()))
    if isinstance(error, TimeoutError):
        return Receipt("temporary", "timeout", "no answer in time")
    return Receipt("temporary", "unreachable", type(error).__name__)


def clean(text: bytes) -> str:
    """The server's words without control characters, addresses, links and codes, cut to 200 characters."""
    shown = text.decode("ascii", "replace")
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else " " for c in shown)
    return _TELLING.sub("…", shown)[:200]
