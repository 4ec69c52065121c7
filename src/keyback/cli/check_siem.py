"""What `keyback check` finds of the SIEM: whether it takes lines, what waits for it, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator

from keyback.application.audit_log import log_of
from keyback.application.ports.siem import Away
from keyback.application.ports.storage import Tx
from keyback.cli.check_syncs import Finding
from keyback.cli.common import at
from keyback.outbound.syslog import SyslogLink
from keyback.settings import Settings

CURES = {
    "unreachable": ("it can't be reached", "Check siem.host and siem.port, and that this machine may reach it."),
    "certificate": (
        "its certificate isn't trusted",
        "Name your authority in siem.ca_file, and its name in siem.host.",
    ),
    "no_tls": ("it doesn't speak TLS there, or refuses our certificate", "Check siem.port and siem.certificate_file."),
    "stalled": ("it doesn't acknowledge what is sent", "See whether it is overloaded or out of space."),
    "closed": ("it closes the connection", "See its log; it may want a certificate (siem.certificate_file)."),
    "unusable": ("a file of certificates or keys can't be used", "Check siem.ca_file, certificate_file and key_file."),
}


def look(s: Settings, tx: Tx) -> Iterator[Finding]:
    """How far the stream is; no SIEM, no lines."""
    position = tx.siem.position()
    if not s.siem.host or position is None:
        return
    behind = log_of(tx).head()[0] - position.read_to
    if position.failures:
        words, cure = CURES.get(position.last_code, (position.last_code, "See the log."))
        detail = f"it has taken nothing since {at(position.failing_since)} ({words}); {behind} events wait"
        yield Finding("siem stream", "warn", detail, cure)
    elif position.skipped:
        detail = f"{behind} events wait; {position.skipped} were left out while it was away"
        yield Finding("siem stream", "warn", detail, "Send them again with: keyback siem resend --since SEQ")
    else:
        words = f"last took events at {at(position.sent_at)}" if position.sent_at else "has had no events yet"
        yield Finding("siem stream", "ok", f"{words}; {behind} wait")


async def reach(s: Settings) -> list[Finding]:
    """Whether it takes a connection now."""
    if not s.siem.host:
        return []
    try:
        await SyslogLink(s.siem.server()).try_out()
    except Away as e:
        words, cure = CURES[e.code]
        return [Finding("siem", "bad", f"{s.siem.host}:{s.siem.port}: {words}", cure)]
    return [Finding("siem", "ok", f"{s.siem.host}:{s.siem.port} takes connections")]
