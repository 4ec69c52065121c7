"""What `keyback check` finds of receivers of events: who takes nothing, and what was given up."""

from __future__ import annotations

from urllib.parse import urlsplit

from keyback.application.ports.storage import Tx
from keyback.application.webhooks.receivers import Listed, listed
from keyback.cli.check_syncs import Finding
from keyback.cli.common import at


def look(tx: Tx) -> list[Finding]:
    """A line for every receiver; no receivers, no lines."""
    return [_of(x) for x in listed(tx)]


def _of(x: Listed) -> Finding:
    r = x.receiver
    name, again = f"webhook {urlsplit(r.url).hostname}", f"keyback webhook resend {r.id}"
    if r.state == "off":
        return Finding(name, "warn", "it answered 410 Gone and was switched off", f"If it's there again: {again}")
    if r.failures:
        waiting = x.behind + x.undelivered.ready
        words = f"it has taken nothing since {at(r.failing_since)} ({r.last_code}); {waiting} events wait"
        return Finding(name, "warn", words, f"Mend it, then: keyback webhook test {r.id}")
    if x.undelivered.dead:
        return Finding(name, "warn", f"{x.undelivered.dead} events were given up", f"Send them again: {again}")
    return Finding(name, "ok", f"last took one at {at(r.taken_at)}" if r.taken_at else "has had no events yet")
