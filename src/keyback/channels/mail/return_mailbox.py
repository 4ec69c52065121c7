"""The mailbox for returned mail, read by IMAP over TLS (RFC 9051), by the standard library.

What was read is marked as such, and deleted where the settings say so, only after it has had its effect: a crash in
between has it read twice, which changes nothing.
"""

from __future__ import annotations

import asyncio
import imaplib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from keyback.application.ports.returned_mail import MailboxAway, ReturnedMail
from keyback.channels.mail.delivery_reports import MAX_REPORT, read_report
from keyback.channels.mail.smtp_replies import clean
from keyback.domain.secret import Secret

T = TypeVar("T")
AT_ONCE = 100  # mails of one look


@dataclass(frozen=True, slots=True)
class MailboxSettings:
    """Where the mailbox is. `delete`: whether what was read goes; else it stays, marked as read."""

    host: str
    port: int
    username: str
    password: Secret
    folder: str = "INBOX"
    delete: bool = False
    ca_file: str | None = None
    timeout_s: float = 30.0


class ImapMailbox:
    """Reads it, in a thread of its own.

    Raises:
        OSError, ssl.SSLError: `ca_file` cannot be used.
    """

    def __init__(self, settings: MailboxSettings) -> None:
        self._settings = settings
        self._tls = ssl.create_default_context(cafile=settings.ca_file)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    async def read(self, take: Callable[[Sequence[ReturnedMail]], Awaitable[object]]) -> int:
        numbers, news = await asyncio.to_thread(self._told, self._fetch)
        if news:
            await take(news)
        if numbers:
            await asyncio.to_thread(self._told, lambda box: self._put_aside(box, numbers))
        return len(numbers)

    async def check(self) -> None:
        """Raises MailboxAway where it cannot be opened."""
        await asyncio.to_thread(self._told, lambda box: box.noop())

    def _told(self, act: Callable[[imaplib.IMAP4_SSL], T]) -> T:
        s = self._settings
        try:
            with imaplib.IMAP4_SSL(s.host, s.port, ssl_context=self._tls, timeout=s.timeout_s) as box:
                box.login(s.username, s.password.reveal())
                status, _ = box.select(_quoted(s.folder))
                if status != "OK":
                    raise MailboxAway("the folder cannot be opened")
                return act(box)
        except (imaplib.IMAP4.error, UnicodeError) as e:
            raise MailboxAway(clean(str(e).encode())) from None
        except ssl.SSLError as e:
            raise MailboxAway(f"no trusted connection: {clean(str(e).encode())}") from None
        except (OSError, EOFError) as e:
            raise MailboxAway(type(e).__name__) from None

    def _fetch(self, box: imaplib.IMAP4_SSL) -> tuple[list[str], list[ReturnedMail]]:
        _, found = box.uid("SEARCH", "UNSEEN")
        numbers = (found[0] or b"").decode("ascii", "ignore").split()[:AT_ONCE] if found else []
        news = []
        for n in numbers:
            _, answer = box.uid("FETCH", n, f"(BODY.PEEK[]<0.{MAX_REPORT}>)")
            raw = next((part[1] for part in answer or () if isinstance(part, tuple)), b"")
            report = read_report(raw)
            if report is not None:
                news.append(report)
        return numbers, news

    def _put_aside(self, box: imaplib.IMAP4_SSL, numbers: list[str]) -> None:
        flags = r"(\Seen \Deleted)" if self._settings.delete else r"(\Seen)"
        box.uid("STORE", ",".join(numbers), "+FLAGS.SILENT", flags)
        if self._settings.delete:
            box.expunge()


def _quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
