"""Rows of the outbox are data: what a version before wrote is sent by this one, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.ports.messages import CONTENTS, BadMessage, Content, MessageKind
from keyback.application.ports.storage import Job, Tx
from keyback.application.recovery import resolve
from keyback.channels.gateways.texts import PhoneTexts
from keyback.channels.mail.composer import MailComposer
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.secret import Secret
from keyback.testing.channels import BASE, COMPANY
from tests.support.each import each
from tests.support.enrolled import SMS, add_contact, person_id
from tests.support.kit import Kit, person
from tests.support.steps import Tray, ask, drain, fit

pytestmark = pytest.mark.both

AT = 1_795_500_120_000
SEEN = {"source": "203.0.113.7", "device": "Windows, Chrome"}
ASKED = {"asker": "stranger", "asked_at": AT, **SEEN}
CODE = {**ASKED, "username": "maya", "purpose": "recovery", "person_name": "Maya Okafor"}
CHANGE = {"username": "maya", "at": AT, "detail": "", **SEEN}
# A row of every kind as the version before wrote it, but for `letter`, `person`, `contact`, `challenge` and `prompt`.
# Nothing here changes with the code: rows like these lie in databases.
EARLIER: dict[str, dict[str, Any]] = {
    "recovery": {**ASKED, "username": "maya", "challenge": "", "case": "k1"},
    "logins": {**ASKED, "logins": [["builtin", "maya"], ["crm", "m.okafor"]]},
    "elsewhere": {**ASKED, "username": "maya", "provider": "Entra ID"},
    "mail_code": CODE,
    "sms_code": CODE,
    "im_code": CODE,
    "vouch": CODE,
    "invited": {**CODE, "asker": "proven", "purpose": "enrol"},
    "changed": {"username": "maya", "at": AT, "systems": [["builtin", "done"]], "case": "k1", **SEEN},
    "hold": {"username": "maya", "at": AT, "until": AT + 900_000, "over": False, **SEEN},
    "asked": {"username": "maya", "what": "part_shown", "at": AT, **SEEN},
    "stopped": {"username": "maya", "at": AT, "by": "owner"},
    "erased": {"username": "maya", "at": AT},
    "call": {"username": "maya", "operator": "Ines", "reason": "request", "number": 42, "at": AT},
    "rotation": {"username": "maya", "due_at": AT},
    "account_changed": {**CHANGE, "what": "totp_added", "until": AT},
    "moving": {**CHANGE, "what": "mail_moving", "detail": "m•••@example.net", "until": AT + 900_000},
    "signed_in": {**CHANGE, "what": "new_sign_in"},
    "tries": {"username": "maya", "off": True, "at": AT, **SEEN, "path": "/account"},
    "reminder": {"username": "maya", "what": "helpers", "path": "/account/contacts"},
    "choose_again": {"username": "maya", "at": AT, "systems": [["crm", "m.okafor"]]},
    "system": {"username": "maya", "system": "crm", "what": "done", "at": AT, "detail": ""},
    "task": {
        "username": "maya",
        "person_name": "Maya",
        "system": "crm",
        "task": "t1",
        "what": "reset",
        "again": False,
        "verified": [["email_link", str(AT)]],
        "at": AT,
    },
    "help_code": ASKED,
    "help_news": {"what": "answered", "path": "/r/k1/help", "at": AT},
    "campaign": {"username": "maya", "why": "leak", "must": True},
    "desk": {"what": "approved", "case": "k1", "person_name": "Maya", "operator": "Ines", "at": AT},
}
REQUESTERS = {"help_code", "help_news"}  # go to an address of a request for help: tests/desk/test_help_request.py
# What no text of the version before was made of, so it may be missing in what it reads.
UNREAD = {
    "vouch": {"username", "purpose"},
    "invited": {"username", "purpose"},
    "account_changed": {"until"},
}
UNREAD |= {kind: {"person_name", "purpose"} for kind in ("mail_code", "sms_code", "im_code")}
PROMPTS = {
    **dict.fromkeys(("mail_code", "sms_code", "im_code"), ("recovery", "sms_code")),
    "vouch": ("recovery", "recovery_contact"),
    "invited": ("enrol", "recovery_contact"),
    "choose_again": ("recovery", "choose_again"),
    **dict.fromkeys(("hold", "asked"), ("cancel", "notice")),
    **dict.fromkeys(("account_changed", "signed_in", "changed"), ("cancel", "account")),
    "moving": ("cancel", "address"),
}


def test_there_is_one_of_every_kind() -> None:
    assert set(EARLIER) == set(MessageKind) == set(CONTENTS)


@each("kind", list(EARLIER))
def test_what_this_version_writes_is_what_the_one_before_reads(kind: str) -> None:
    content = CONTENTS[MessageKind(kind)].read(EARLIER[kind])
    body = content.body()
    assert body.pop("letter") == kind
    earlier = {k: v for k, v in EARLIER[kind].items() if k not in UNREAD.get(kind, ())}
    assert {k: [list(x) for x in v] if isinstance(v, tuple) else v for k, v in body.items()} == earlier


@each("kind", list(EARLIER))
def test_a_row_with_a_field_missing_or_of_another_type_is_refused(kind: str) -> None:
    content = CONTENTS[MessageKind(kind)]
    for name in set(EARLIER[kind]) - UNREAD.get(kind, set()) - {"asker"}:
        with pytest.raises(TypeError):
            content.read({k: v for k, v in EARLIER[kind].items() if k != name})
        with pytest.raises(BadMessage, match=f"^{name} of the {kind} message"):
            content.read({**EARLIER[kind], name: {"not": "this"}})


@pytest.mark.covers("Q1", "INV-I7")
def test_rows_of_the_version_before_are_sent(database_url: str, make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(url=database_url, sms=SMS)
    tray: Tray = fit(kit, person("maya"))
    me = person_id(kit)
    for channel, address in (("sms", "+8613800138000"), ("im", "maya.okafor")):
        add_contact(kit, channel, address, "backup", "maya")
    ask(kit, "maya")
    kit.write(resolve.resolve)
    kit.write(lambda tx: _put(tx, me))
    drain(kit)
    assert sorted(x.kind.value for x in tray.messages) == sorted(set(EARLIER) - {"invited"} - REQUESTERS), (
        "nobody waits"
    )
    assert kit.read(lambda tx: tx.outbox.depth()) == {}
    mail = MailComposer(COMPANY, "keyback@example.com", {"en": "8100", "zh_CN": "8100"}, "Asia/Shanghai", BASE)
    phone = PhoneTexts(COMPANY, "Asia/Shanghai", BASE)
    for x in tray.messages:
        one = replace(x, content=_at(x.content))
        if x.channel == "mail":
            assert mail.compose(one).data
        else:
            assert phone.compose(one, AT).text


def _put(tx: Tx, me: str) -> None:
    """The rows, each to a contact of the kind that it goes to, with the prompt that it is about."""
    to = {c.channel: c.id for c in tx.contacts.of_person(me)}
    for kind, body in EARLIER.items():
        if kind == "recovery" or kind in REQUESTERS:
            continue  # is there already: its challenge belongs to a request; or goes to no contact of anybody
        contact = to[{"sms_code": "sms", "im_code": "im"}.get(kind, "mail")]
        row = {"letter": kind, "person": me, "contact": contact, **body}
        if kind in PROMPTS:
            purpose, proof = PROMPTS[kind]
            p = Challenge(tx.new_id(), purpose, proof, me, tx.random(32), 0, tx.now, tx.now + 9**6, target=contact)  # type: ignore[arg-type]
            tx.challenges.issue([p])
            row["prompt"] = p.id
        tx.outbox.put([Job(tx.new_id(), "mail", row, tx.now, tx.now + 9**6)])


def _at(content: Content) -> Content:
    """The same with links of the composers' own address; the kit has another."""
    links = {k: v for k, v in vars(content).items() if k in ("link", "stop_link") and v is not None}
    ours = {k: Secret(f"{BASE}/l/{v.reveal().rpartition('/')[2]}") for k, v in links.items()}
    return replace(content, **ours)  # type: ignore[type-var]
