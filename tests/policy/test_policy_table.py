"""Every set of evidence, every tier and preset, against a table written by hand from NIST SP 800-63B-4 4.2.2."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyback.domain.errors import Refusal
from keyback.domain.people.person import Tier
from keyback.domain.policy.claims import PIECES, Piece, every_set
from keyback.domain.policy.presets import PRESETS, PresetName
from keyback.domain.policy.rules import TIERS, Evidence, Holds, Journey, Policy, Risk, Ruling, rule
from keyback.domain.recovery.case import Case, decide, evolve, fold
from keyback.domain.recovery.commands import AcceptProof, ChoosePassword, Open, Release, SendChallenge
from tests.support.each import each

HOUR, MINUTE = 3_600_000, 60_000
SHORT = {
    "mail": "email_link (mail:primary)",
    "twin": "backup_email (mail:primary)",  # a second mailbox at the primary one's domain
    "other": "backup_email (mail:elsewhere)",
    "sms": "sms_code (phone:1)",
    "sms2": "sms_code (phone:2)",
    "im": "im_message (im:1)",
    "im2": "im_message (im:2)",
    "code": "recovery_code (saved:1)",
    "code2": "recovery_code (saved:2)",
    "friend": "recovery_contact (contact:1)",
    "friend2": "recovery_contact (contact:2)",
    "app": "totp (totp:1)",
    "app2": "totp (totp:2)",
    "key": "passkey (passkey:1)",
    "key2": "passkey (passkey:2)",
    "paper": "id_document (desk:document)",
    "call": "caller_check (phone:1)",
    "boss": "caller_check (manager:1)",
    "quiz": "security_questions (questions:1)",
}
ONE = {n: next(p for p in PIECES if str(p) == words) for n, words in SHORT.items()}

# Anything of the left column together with anything of the right one. "-" stands for nothing more.
BOOK = {
    "standard": """
        mail twin other sms sms2 im im2 code code2 friend friend2   -
    """,
    "mfa": """
        mail twin other sms sms2 im im2   code code2 friend friend2 app app2 key key2 paper
        mail twin other sms2 im im2       call
        mail twin other sms sms2 im im2   boss
        code code2                        friend friend2 app app2 key key2
        friend friend2                    app app2 key key2
    """,
    "privileged": """
        mail twin other im im2            code code2 friend friend2 app app2 key key2 paper call boss
        code code2                        friend friend2 app app2 key key2
        friend friend2                    app app2 key key2
    """,
}
TWO_CODES = """
        mail twin other   sms sms2 im im2
        sms sms2          im im2
"""  # what `two_issued_codes` adds


BIT = {**{n: 1 << i for i, n in enumerate(ONE)}, "-": 0}
OF_PIECE = {p: BIT[n] for n, p in ONE.items()}


def minimal(text: str) -> list[int]:
    """The smallest sets of a table, a bit for each piece."""
    out = []
    for line in text.strip().splitlines():
        left, right = line.strip().split("   ", 1)
        out += [BIT[a] | BIT[b] for a in left.split() for b in right.split()]
    return out


def enough(pieces: tuple[Piece, ...], book: list[int]) -> bool:
    known = sum(OF_PIECE[p] for p in pieces)
    return any(m & known == m for m in book)


def shown(*wanted: str) -> list[Evidence]:
    return [ONE[n].evidence for n in wanted]


def test_the_table_knows_every_piece() -> None:
    assert set(ONE.values()) == set(PIECES)


@pytest.mark.slow
@pytest.mark.covers("E2", "N-R10", "N-R11", "INV-I3", "G1", "F7", "SD-D5", "C-4")
@each("preset", PRESETS)
def test_every_set_of_evidence_in_every_preset(preset: PresetName) -> None:
    policy = Policy(off=frozenset(), floor=PRESETS[preset].floor)
    for tier in {max(t, policy.floor, key=TIERS.index) for t in TIERS}:
        book, wrong = minimal(BOOK[tier]), []
        for pieces in every_set(policy, 99 if preset == "nist" else 4):
            opens = rule([p.evidence for p in pieces], tier, Risk(), policy).kind != "more"
            if opens != enough(pieces, book):
                wrong.append([str(p) for p in pieces])
        assert wrong == []


@pytest.mark.covers("SD-D5")
def test_two_issued_codes_add_what_travels_differently_and_nothing_else() -> None:
    policy = Policy(off=frozenset(), loose=frozenset({"two_issued_codes"}))
    book = minimal(BOOK["mfa"]) + minimal(TWO_CODES)
    for pieces in every_set(policy, 4):
        opens = rule([p.evidence for p in pieces], "mfa", Risk(), policy).kind != "more"
        assert opens == enough(pieces, book), [str(p) for p in pieces]


TENS = Holds(privileged=10, proofing=5)
HELD = Holds(stranger=1, new_device=2, privileged=30, mailbox=4, proofing=5)
KNOWN, STRANGE = Risk(known_device=True), Risk()


@each(
    ("evidence", "tier", "risk", "journey", "holds", "expected"),
    [
        # Knowledge is no second proof, neither for opening nor for the wait.
        ("mail quiz", "standard", STRANGE, "password", HELD, Ruling("hold", 1, "stranger")),
        ("mail code quiz", "mfa", STRANGE, "password", HELD, Ruling("hold", 2, "new_device")),
        # SMS is no third proof for an administrator.
        ("mail code sms", "privileged", STRANGE, "password", HELD, Ruling("hold", 30, "privileged")),
        ("mail code im", "privileged", STRANGE, "password", HELD, Ruling("go")),
        ("mail code sms", "mfa", STRANGE, "password", HELD, Ruling("go")),
        # A new mailbox waits for itself, or longer.
        ("mail code", "standard", KNOWN, "mailbox", HELD, Ruling("hold", 4, "mailbox")),
        ("mail app", "standard", KNOWN, "mailbox", HELD, Ruling("go")),
        ("mail code", "privileged", STRANGE, "mailbox", HELD, Ruling("hold", 30, "privileged")),
        ("mail code", "privileged", STRANGE, "mailbox", Holds(privileged=7, mailbox=7), Ruling("hold", 7, "mailbox")),
        # An identity check waits as long as it says, or as the rest would.
        ("mail paper", "mfa", KNOWN, "password", HELD, Ruling("hold", 5, "proofing")),
        ("mail paper", "privileged", KNOWN, "password", HELD, Ruling("hold", 30, "privileged")),
        ("mail paper", "privileged", KNOWN, "password", TENS, Ruling("hold", 10, "proofing")),
        (
            "mail paper",
            "mfa",
            KNOWN,
            "mailbox",
            Holds(new_device=2, mailbox=9, proofing=5),
            Ruling("hold", 9, "mailbox"),
        ),
        ("mail code paper", "mfa", KNOWN, "password", HELD, Ruling("hold", 2, "new_device")),
        # One who shows a factor from a known browser does not wait, from another does.
        ("mail key", "privileged", KNOWN, "password", HELD, Ruling("go")),
        ("mail key", "privileged", STRANGE, "password", HELD, Ruling("hold", 30, "privileged")),
    ],
)
def test_waits(evidence: str, tier: Tier, risk: Risk, journey: Journey, holds: Holds, expected: Ruling) -> None:
    policy = Policy(off=frozenset(), holds=holds)
    assert rule(shown(*evidence.split()), tier, risk, policy, journey, approved=True) == expected


def test_a_factor_on_the_channel_of_the_code_is_no_second_channel() -> None:
    """Nothing enrolls so today; the rule does not rely on it."""
    both = [Evidence("email_link", "issued", "mail:1", 0), Evidence("totp", "bound", "mail:1", 0)]
    assert rule(both, "mfa", KNOWN, Policy()).kind == "more"
    assert rule(both, "standard", KNOWN, Policy(), "mailbox").reason == "mailbox"


@pytest.mark.covers("C-12", "A-2.3.5")
@each(
    ("when", "evidence", "tier", "kind"),
    [
        ("without_passkey", "mail app", "privileged", "review"),
        ("without_passkey", "mail key", "privileged", "go"),
        ("always", "mail key", "privileged", "review"),
        ("always", "mail app", "privileged", "review"),
        ("always", "mail app", "mfa", "go"),
        ("always", "mail", "standard", "go"),
        ("never", "mail app", "privileged", "go"),
        ("never", "mail app", "mfa", "go"),
    ],
)
def test_second_operator(when: str, evidence: str, tier: Tier, kind: str) -> None:
    policy = Policy(second_operator=when)  # type: ignore[arg-type]
    assert rule(shown(*evidence.split()), tier, KNOWN, policy).kind == kind
    assert rule(shown(*evidence.split()), tier, KNOWN, policy, approved=True).kind == "go"


def test_off_is_off_for_everybody_or_for_one_tier() -> None:
    policy = Policy(off=frozenset({"sms_code"}), off_for=frozenset({("mfa", "totp")}))
    assert policy.takes("totp")
    assert policy.takes("totp", "standard")
    assert not policy.takes("totp", "mfa")
    assert not policy.takes("sms_code")
    assert not policy.takes("sms_code", "standard")
    assert not policy.takes("telepathy")
    assert rule(shown("mail", "app"), "mfa", KNOWN, policy).kind == "more"
    assert rule(shown("mail", "key"), "mfa", KNOWN, policy).kind == "go"


@pytest.mark.covers("N-O4")
def test_sms_for_privileged_counts_for_opening_and_for_the_wait() -> None:
    policy = Policy(loose=frozenset({"sms_for_privileged"}), holds=HELD)
    assert rule(shown("sms", "key"), "privileged", KNOWN, policy) == Ruling("go")
    assert rule(shown("sms", "code", "mail"), "privileged", STRANGE, policy, approved=True) == Ruling("go")
    assert rule(shown("sms", "key"), "privileged", KNOWN, Policy()).kind == "more"


def _case(policy: Policy, *proofs: str) -> Case:
    """A case of tier `mfa` in which these proofs were accepted on the page h1, a day later."""
    commands = [Open("p", "password", "mfa", ("a",)), SendChallenge("c", "h1", "k")]
    commands += [  # type: ignore[arg-type]
        AcceptProof(ONE[p].proof, ONE[p].evidence.kind, ONE[p].channel, "c", "h1", "", "mfa", "password", KNOWN, policy)
        for p in proofs
    ]
    case = fold("x", [])
    for now, command in enumerate(commands, 1):
        for event in decide(case, command, now):
            case = evolve(case, event, now)
    for event in decide(case, Release(), 23 * HOUR) if case.waiting else ():
        case = evolve(case, event, 23 * HOUR)
    return case


@pytest.mark.covers("SD-D5", "INV-I2")
def test_what_was_given_up_reaches_the_password_and_what_was_not_does_not() -> None:
    loose = Policy(loose=frozenset({"two_issued_codes"}))
    choose = ChoosePassword((("a", "j"),), "s", "h1")
    case = _case(loose, "mail", "sms")
    assert case.open_to("h1")
    assert decide(case, replace(choose, loose=loose.loose), 23 * HOUR + MINUTE)
    with pytest.raises(Refusal, match="not_enough_evidence"):
        decide(case, choose, 23 * HOUR + MINUTE)  # the reason was taken back meanwhile
    assert not _case(Policy(), "mail", "sms").open_to("h1")
