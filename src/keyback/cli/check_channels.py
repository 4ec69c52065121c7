"""`keyback check` on what carries messages: the relay, and the services for SMS and chat."""

from __future__ import annotations

import asyncio
from typing import Literal

from keyback.application.clock import wall_clock
from keyback.application.ports.channels import Receipt
from keyback.bootstrap import make_channel, make_phone
from keyback.cli.check_result import PATIENCE_S, Result
from keyback.locale import told
from keyback.registry import BadPart, load_gateway
from keyback.settings import Settings, Unsafe


async def mail(s: Settings) -> Result:
    if not s.mail.host:
        status: Literal["warn", "bad"] = "warn" if s.demo else "bad"
        return Result("mail", status, "no relay is set", "Set mail.host and mail.sender.")
    where = f"{s.mail.host}:{s.mail.port}"
    try:
        channel = make_channel(s, wall_clock)
    except (Unsafe, OSError) as e:
        return Result("mail", "bad", str(e))
    ask = getattr(channel, "check", None)
    try:
        receipt = await asyncio.wait_for(ask(), PATIENCE_S) if ask else None
    except TimeoutError:
        return Result("mail", "bad", f"{where} does not answer", "See that this machine may reach it.")
    finally:
        await channel.close()
    if receipt is None or receipt.status == "sent":
        return Result("mail", "ok", f"{where} takes mail by {receipt.detail if receipt else s.mail.security}")
    words = f"{where}: {receipt.code} {receipt.detail}".strip()
    return Result("mail", "bad", words, _mail_step(receipt))


def _mail_step(receipt: Receipt) -> str:
    """Which settings to look at, by what the relay refused."""
    said = receipt.detail
    if said.startswith("EHLO"):
        return "Set mail.local_hostname to this machine's full host name."
    if said.startswith("MAIL"):
        return "Have the relay accept mail from mail.sender, or change mail.sender."
    if said.startswith("RCPT"):
        return "Have the relay accept mail from this machine to addresses inside and outside the company."
    return "Check mail.host, mail.port, mail.security, mail.username and mail.password_file."


async def phone(s: Settings, name: Literal["sms", "im"]) -> Result:
    try:
        channel = make_phone(s, name, wall_clock)
    except (Unsafe, OSError, BadPart) as e:
        return Result(name, "bad", str(e))
    assert channel is not None
    title = told(load_gateway(getattr(s, name).kind).about.title, s.default_locale)
    try:
        receipt = await asyncio.wait_for(channel.check(), PATIENCE_S)
    except TimeoutError:
        return Result(name, "bad", "does not answer", "See that this machine may reach it.")
    finally:
        await channel.close()
    words = f"{title}: {receipt.detail}"
    if receipt.status == "sent":
        return Result(name, "ok", words)
    return Result(name, "bad", words, f"See {name}.url and the keys of {name} in the settings.")
