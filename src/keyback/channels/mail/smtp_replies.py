"""What a relay's reply means for a message (RFC 5321 section 4.2, RFC 3463, RFC 5248, RFC 7505).

Who is at fault is read off the enhanced status code, then off the words, then off the command that was refused: relays
such as Postfix refuse client, HELO and sender only at RCPT.

4xx                                temporary: greylisted, busy; relay_refuses_us where it says that we are at fault
5xx, the recipient's fault         permanent: refused_recipient
5xx, the message's form            permanent: refused_message
5xx, ours (greeting, AUTH, sender, temporary: relay_refuses_us; settings or reputation are wrong, not the address
  relaying, block lists, filters)
connection lost after the content  temporary: reply_lost; the next attempt carries the same Message-ID
"""

from __future__ import annotations

import re
import smtplib
import ssl
from typing import Literal

from keyback.application.ports.channels import Receipt

Fault = Literal["ours", "recipient", "message", "unknown"]
MAIL, RCPT, DATA, CONTENT = range(4)  # what was refused
_TELLING = re.compile(r"\S+@\S+|https?:\S+|\d{4} ?\d{4}")  # relays quote addresses, and now and then the message
_STATUS = re.compile(r"\b[45]\.(\d{1,3})\.(\d{1,3})\b")

# Enhanced status codes by subject and detail; those that say too little are left to the words.
_RECIPIENT = {(1, 1), (1, 2), (1, 3), (1, 4), (1, 6), (1, 10), (2, 0), (2, 1), (2, 2), (2, 4), (4, 1), (4, 4)}
_RECIPIENT |= {(6, 7), (7, 2), (7, 17), (7, 18), (7, 124), (7, 129), (7, 133), (7, 134), (7, 135), (7, 136)}
_MESSAGE = {(2, 3), (3, 4), *((6, n) for n in range(10) if n != 7)}
_VAGUE = {(0, 0), (1, 0), (1, 9), (3, 0), (4, 0), (5, 0), (7, 0), (7, 1)}

# What can only be said of whoever sends, then the recipient's: "Recipient address rejected: User unknown" also says
# "rejected". What else a relay holds against the sender or the client comes before "does not exist", which is said of
# the sender's domain too. NetEase answers by codes such as `DT:SPM`; QQ limits by how often a domain or address sends.
_WORDS: tuple[tuple[Fault, re.Pattern[str]], ...] = tuple(
    (fault, re.compile("|".join(words)))  # type: ignore[misc]
    for fault, words in (
        (
            "ours",
            (
                r"\b(your|sender|sender's|sending|from) ((smtp|e?mail) )?(account|mailbox|user|domain)\b(?!.*recip)",
                r"\b(hl|mi|rp|dt|al|im|ml):[a-z]{3}\b",
                r"frequen|attack|reject by|behaviou?r|abuse|openspf|bad outbound|unusual sending|outgoing",
                r"发件|发信|发送|频率|频繁|过多|超限|垃圾|黑名单|认证|授权|登录|反垃圾",
            ),
        ),
        (
            "recipient",
            (
                r"(user|recipient|mailbox|account|address) (is )?(unknown|not found|disabled|inactive|suspended|full)",
                r"(unknown|no such|invalid|bad|nonexistent) (local )?(user|recipient|mailbox|account|destination|rcpt)",
                r"收件人|邮箱不存在|用户不存在|账号不存在",
                r"over ?quota",
                r"mailbox (is )?(unavailable|not available|over)",
                r"recipient (address )?rejected: (?!.*(relay|sender|client|policy|helo))",
                r"resolver\.rst",
            ),
        ),
        (
            "ours",
            (
                r"relay",
                r"sender",
                r"(client|helo|ehlo|host ?name|host) (\S+ )?(rejected|refused|denied|blocked|address|command|must)",
                r"helo|ehlo",
                r"send as|mail from|from address|return.path|authori[sz]ed user|has no permission",
                r"authenticat|not authori[sz]ed|unauthori[sz]ed|log ?in|credential",
                r"black ?list|block ?list|deny ?list|blocked|banned|spamhaus|rbl|dnsbl|reputation|listed",
                r"spf|dkim|dmarc|reverse dns|\bptr\b|your (ip|host|server|domain)|ip address",
                r"tls|encrypt|rate limit|too many|limit exceeded|exceeded the|spam|junk|virus|policy|content",
                r"not allowed|not permitted|permission|prohibit|rcpthosts|not accepted|access denied",
                r"denied|limited|restricted|credits|suspected",
            ),
        ),
        (
            "recipient",
            (
                r"(does not|doesn't) (exist|have)|not exist|unrout|undeliverable|not a known|unknown (address|domain)",
                r"no mailbox|not our (customer|user)|not local|moved",
                r"(user|recipient|mailbox|account|address) \S* ?(unknown|not found|does)",
            ),
        ),
    )
)
_LATER = re.compile(r"gr[ea]y ?list|try (again|later)|come back|temporar|too busy|later")


class Down(Exception):
    """No message can go now; the receipt says why."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.code)
        self.receipt = receipt


def fault_of(stage: int, code: int, text: str) -> Fault:
    """Whose fault a refusal is.

    Args:
        stage: what was refused: MAIL, RCPT, DATA or CONTENT.
        code: of the reply.
        text: its words.
    """
    status = _STATUS.search(text)
    if status:
        subject = int(status[1]), int(status[2])
        if subject in _RECIPIENT:
            return "recipient"
        if subject in _MESSAGE:
            return "message"
        if subject not in _VAGUE:
            return "ours"
    words = text.lower()
    for fault, pattern in _WORDS:
        if pattern.search(words):
            return fault
    if code in (530, 534, 535, 538) or stage in (MAIL, DATA):
        return "ours"
    about_policy = status is not None and status[1] == "7"
    return "recipient" if stage == RCPT and code in (550, 551, 552, 553, 556) and not about_policy else "unknown"


def refused(stage: int, code: int, text: str) -> Receipt:
    """What a refusal of MAIL, RCPT, DATA or the content means.

    Raises:
        Down: MAIL was refused for good and not for this message's form: no other message will fare better.
    """
    said = f"{code} {text}"
    if code < 500:
        if stage <= RCPT and not _LATER.search(text.lower()) and _blames_us(text):
            return Receipt("temporary", "relay_refuses_us", said)
        return Receipt("temporary", "greylisted" if stage == RCPT else "busy", said)
    fault = fault_of(stage, code, text)
    if fault == "message":
        return Receipt("permanent", "refused_message", said)
    if fault == "recipient":
        return Receipt("permanent", "refused_recipient", said)
    if stage == MAIL:
        raise Down(Receipt("temporary", "relay_refuses_us", said))
    # What nobody can tell is not held against the address either: the message waits until somebody has looked.
    return Receipt("temporary", "relay_refuses_us", said)


def after_content(code: int, text: str) -> Receipt:
    """What the reply after the final dot means."""
    return Receipt("sent", "ok", f"{code} {text}") if code < 300 else refused(CONTENT, code, text)


def _blames_us(text: str) -> bool:
    """Whether a 4xx says more than "later": Postfix with `soft_bounce`, or a sender's domain that cannot be found."""
    words = text.lower()
    return bool(re.search(r"4\.1\.[78]\b|relay|sender address rejected|client host rejected|helo", words))


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
    try:
        shown = text.decode()
    except UnicodeDecodeError:
        shown = text.decode("gb18030", "replace")  # as relays in China answer, whatever was agreed on
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else " " for c in shown)
    return _TELLING.sub("…", shown)[:200]
