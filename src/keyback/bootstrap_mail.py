"""What mail needs besides its channel: whom it trusts, and what tells us of mail that did not arrive."""

from __future__ import annotations

import ssl
from pathlib import Path

from keyback.application.ports.returned_mail import ReturnSources
from keyback.channels.mail.return_mailbox import ImapMailbox, MailboxSettings
from keyback.domain.secret import Secret
from keyback.domain.units import MINUTE
from keyback.settings import Settings, Unsafe, read_secret


def make_return_sources(s: Settings) -> ReturnSources:
    """Who tells us of mail that did not arrive.

    Raises:
        Unsafe: their settings cannot be used.
    """
    return ReturnSources(_mailbox(s), s.bounces.every_minutes * MINUTE, _hook_key(s))


def _mailbox(s: Settings) -> ImapMailbox | None:
    b = s.bounces
    if not b.host:
        return None
    try:
        password = b.mailbox_password(read_secret)
    except (OSError, ValueError) as e:
        raise Unsafe(f"bounces.password_file cannot be read: {getattr(e, 'strerror', None) or e}.") from None
    if not b.username or not password:
        raise Unsafe("bounces.host is set without username or password. Put the password into bounces.password_file.")
    if b.ca_file is not None:
        trusts("bounces.ca_file", b.ca_file)
    ca = str(b.ca_file) if b.ca_file else None
    return ImapMailbox(MailboxSettings(b.host, b.port, b.username, Secret(password), b.folder, b.delete, ca))


def _hook_key(s: Settings) -> bytes:
    try:
        return s.bounces.hook_key(read_secret)
    except (OSError, ValueError) as e:
        raise Unsafe(f"bounces.hook_secret: {getattr(e, 'strerror', None) or e}.") from None


def trusts(name: str, ca_file: Path) -> None:
    """Raises Unsafe where a file of authorities cannot be used. `name`: the setting."""
    try:
        ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise Unsafe(f"{name}: {ca_file} holds no certificate in PEM form.") from None
    except OSError as e:
        raise Unsafe(f"{name} cannot be read: {e.strerror}. Check the path and who may read it.") from None
