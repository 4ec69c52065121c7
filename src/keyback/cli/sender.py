"""What the sender's domain publishes about its mail: SPF (RFC 7208), DMARC (RFC 7489) and a word on DKIM (RFC 6376).

Mail to private addresses ends among the junk without them. Only `keyback check` looks, and only at public records.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import dns.asyncresolver
import dns.exception
import dns.resolver

PATIENCE_S = 4.0
# Names that are nobody's (RFC 2606, RFC 6761): nothing is published for them.
NOBODYS = re.compile(r"(^|\.)(example\.(com|net|org)|example|test|invalid|localhost|local|internal|localdomain)$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One record: `status`, what there is, and what to do about it."""

    name: str
    status: Literal["ok", "warn"]
    detail: str
    next: str = ""


def make_resolver() -> dns.asyncresolver.Resolver:
    """The machine's own. Raises dns.exception.DNSException where it has none."""
    found = dns.asyncresolver.Resolver()
    found.lifetime = PATIENCE_S
    return found


async def look(sender: str, resolver: dns.asyncresolver.Resolver | None = None) -> list[Finding]:
    """What is found for the domain of an address; nothing for domains that are nobody's. Never raises for the network's
    faults: a machine without DNS gets a note.

    Args:
        sender: the address that mail comes from.
        resolver: None takes the machine's own.
    """
    domain = sender.rpartition("@")[2].strip(".").lower()
    if not domain or NOBODYS.search(domain):
        return []
    try:
        asking = resolver or make_resolver()
        return [_spf(domain, await _texts(asking, domain)), _dmarc(domain, await _policy(asking, domain))]
    except (dns.exception.DNSException, OSError) as e:
        words = f"SPF and DMARC of {domain} could not be looked up from here ({type(e).__name__})"
        return [Finding("sender", "warn", words, "No fault of the mail. See it from a machine with DNS.")]


async def _texts(resolver: dns.asyncresolver.Resolver, name: str) -> list[str]:
    """TXT records of a name, each put together from its strings."""
    try:
        found = await resolver.resolve(name, "TXT", search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return [b"".join(r.strings).decode("utf-8", "replace") for r in found]


async def _policy(resolver: dns.asyncresolver.Resolver, domain: str) -> list[str]:
    """DMARC records that count for a domain: its own, else those of the nearest domain above that has some."""
    labels = domain.split(".")
    for n in range(max(1, len(labels) - 1)):
        texts = await _texts(resolver, "_dmarc." + ".".join(labels[n:]))
        if found := [t for t in texts if re.match(r"v\s*=\s*DMARC1\s*(;|$)", t)]:
            return found
    return []


def _spf(domain: str, texts: list[str]) -> Finding:
    found = [t for t in texts if re.match(r"v=spf1( |$)", t, re.I)]
    if not found:
        words = f"{domain} publishes no SPF: other mail servers cannot tell your relay from a forger's"
        return Finding(
            "SPF", "warn", words, f'Publish a TXT record for {domain}: "v=spf1 … -all" that names the relay.'
        )
    if len(found) > 1:
        return Finding("SPF", "warn", f"{domain} publishes {len(found)} SPF records, so none counts", "Make it one.")
    if re.search(r" \+?all( |$)", found[0], re.I):
        return Finding("SPF", "warn", f"the SPF of {domain} lets everybody send", "End it with -all or ~all.")
    return Finding("SPF", "ok", f"{domain} publishes one")


def _dmarc(domain: str, found: list[str]) -> Finding:
    dkim = "whether the relay signs (DKIM) shows in a mail that arrived: dkim=pass"
    if len(found) != 1:
        words = f"{domain} publishes {'no' if not found else 'more than one'} DMARC policy; {dkim}"
        return Finding("DMARC", "warn", words, f'Publish one TXT record for _dmarc.{domain}, first "v=DMARC1; p=none".')
    policy = re.search(r";\s*p\s*=\s*(\w+)", found[0], re.I)
    if policy is None or policy[1].lower() not in ("none", "quarantine", "reject"):
        return Finding("DMARC", "warn", f"the DMARC record for {domain} names no policy", "Give it p=none or stricter.")
    if policy[1].lower() == "none":
        words = f"{domain} has p=none: forgeries are counted and let through; {dkim}"
        return Finding("DMARC", "ok", words)
    return Finding("DMARC", "ok", f"{domain} has p={policy[1].lower()}; {dkim}")
