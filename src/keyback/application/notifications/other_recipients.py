"""Messages to addresses that are no contact of anybody: administrators, people who were erased, who asks for help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from keyback.application.ports.channels import ChannelName, Message, Receipt
from keyback.application.ports.messages import (
    CONTENTS,
    ErasedMessage,
    HelpCodeMessage,
    HelpNewsMessage,
    MessageKind,
    TaskMessage,
)
from keyback.application.ports.storage import Job, Tx
from keyback.domain.operators.calls import HELP_CODE_LIFE, help_code
from keyback.domain.secret import Secret

BAD_MESSAGE = Receipt("permanent", "bad_letter")
TOO_LATE = Receipt("permanent", "expired")
CHANNELS: Mapping[str, ChannelName] = {c: c for c in get_args(ChannelName)}


def to_administrator(job: Job, now: int, titles: Mapping[str, str]) -> Message | Receipt:
    """A message to an address of the settings, which is no person's."""
    if now >= job.expires_at:
        return TOO_LATE
    try:
        content = CONTENTS[MessageKind(job.body["letter"])].read(job.body)
        if isinstance(content, TaskMessage):
            content = replace(content, system=titles.get(content.system, content.system))
        to, locale = str(job.body["administrator"]), str(job.body["locale"])
    except (LookupError, TypeError, ValueError):
        return BAD_MESSAGE
    return Message(job.id, to, "", locale, job.created_at, job.expires_at, content)


def to_the_erased(job: Job, now: int) -> Message | Receipt:
    """A message to an address of somebody of whom nothing is stored any more but this."""
    if now >= job.expires_at:
        return TOO_LATE
    try:
        content = ErasedMessage.read(job.body)
        to, name, locale = (str(job.body[k]) for k in ("to", "name", "locale"))
        channel = CHANNELS[job.body["channel"]]
    except (LookupError, TypeError, ValueError):
        return BAD_MESSAGE
    return Message(job.id, to, name, locale, job.created_at, job.expires_at, content, channel)


def to_requester(tx: Tx, job: Job) -> Message | Receipt | None:
    """A message to the address of a request for help; None where that is gone, or a newer code was sent."""
    q = tx.help_requests.get(str(job.body["request"]))
    if q is None:
        return None
    if tx.now >= job.expires_at:
        return TOO_LATE
    try:
        content = CONTENTS[MessageKind(job.body["letter"])].read(job.body)
    except (LookupError, TypeError, ValueError):
        return BAD_MESSAGE
    if isinstance(content, HelpCodeMessage):
        until = q.code_at + HELP_CODE_LIFE
        if q.state != "unconfirmed" or content.asked_at != q.code_at:
            return None
        content = replace(
            content, code=Secret(help_code(tx.seals.derive("help"), q.handle, q.code_at)), expires_at=until
        )
    elif not isinstance(content, HelpNewsMessage):
        return BAD_MESSAGE
    return Message(job.id, q.contact, "", q.locale, job.created_at, job.expires_at, content)
