"""SPF and DMARC of the sender's domain, asked of a real name server on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from keyback.cli import sender
from keyback.cli.sender import look

Zone = Mapping[str, list[str]]


class NameServer(asyncio.DatagramProtocol):
    """Answers TXT questions from a zone; NXDOMAIN for the rest, or nothing at all."""

    def __init__(self, zone: Zone, mute: bool = False) -> None:
        self._zone, self._mute = zone, mute
        self.asked: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.asked.append(name)
        if self._mute:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if texts := self._zone.get(name):
            answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", *texts))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), addr)


def ask(address: str, zone: Zone, *, mute: bool = False) -> tuple[dict[str, tuple[str, str]], list[str]]:
    async def go() -> tuple[list[sender.Finding], list[str]]:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(
            lambda: NameServer(zone, mute), local_addr=("127.0.0.1", 0)
        )
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = transport.get_extra_info("sockname")[1]
        resolver.lifetime = 1.0 if mute else 10.0
        try:
            return await look(address, resolver), server.asked
        finally:
            transport.close()

    found, asked = asyncio.run(go())
    return {f.name: (f.status, f.detail) for f in found}, asked


@pytest.mark.covers("O-W1")
def test_both_published_is_well_and_a_policy_above_counts() -> None:
    zone = {
        "mail.qingyu.corp": ['"v=spf1 ip4:192.0.2.1 " "include:relay.qingyu.corp -all"', '"some other text"'],
        "_dmarc.qingyu.corp": ['"v=DMARC1; p=reject; rua=mailto:d@qingyu.corp"'],
    }
    found, asked = ask("keyback@mail.qingyu.corp", zone)
    assert {n: s for n, (s, _) in found.items()} == {"SPF": "ok", "DMARC": "ok"}
    assert "p=reject" in found["DMARC"][1]
    assert asked == ["mail.qingyu.corp", "_dmarc.mail.qingyu.corp", "_dmarc.qingyu.corp"]


@pytest.mark.parametrize(
    ("spf", "dmarc", "statuses", "words"),
    [
        ([], [], ("warn", "warn"), ("no SPF", "no DMARC")),
        (['"v=spf1 -all"', '"v=spf1 ~all"'], ['"v=DMARC1"'], ("warn", "warn"), ("2 SPF", "no policy")),
        (['"v=spf1 +all"'], ['"v=DMARC1; p=none"'], ("warn", "ok"), ("everybody", "p=none")),
        (['"v=spf1 a all"'], ['"v=DMARC1; p=none"'] * 1, ("warn", "ok"), ("everybody", "dkim=pass")),
        (['"v=spf10 -all"'], ['"v=DMARC1; p=bogus"'], ("warn", "warn"), ("no SPF", "no policy")),
        (['"V=SPF1 mx ~all"'], ['"v=DMARC1;p=quarantine"'], ("ok", "ok"), ("publishes one", "quarantine")),
    ],
)
def test_what_is_missing_or_void_is_named(
    spf: list[str], dmarc: list[str], statuses: tuple[str, str], words: tuple[str, str]
) -> None:
    found, _ = ask("keyback@qingyu.corp", {"qingyu.corp": spf, "_dmarc.qingyu.corp": dmarc})
    assert tuple(s for s, _ in found.values()) == statuses
    for text, wanted in zip((d for _, d in found.values()), words, strict=True):
        assert wanted in text


def test_without_dns_it_is_a_note_and_for_nobodys_domain_nothing() -> None:
    found, asked = ask("keyback@qingyu.corp", {}, mute=True)
    assert {n: s for n, (s, _) in found.items()} == {"sender": "warn"}
    assert asked
    for address in ("keyback@example.com", "k@mail.example.org", "k@relay.test", "k@localhost", ""):
        assert ask(address, {}) == ({}, [])
