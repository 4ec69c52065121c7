"""Samples of the security centre's pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from markupsafe import Markup

from keyback.application.account.readiness import MISHAPS, Outlook
from keyback.application.account.systems import SystemNow
from keyback.application.desk.manager import Asked
from keyback.application.enrolment.recently_added import Added
from keyback.application.ports.connectors import Grant, SignIn
from keyback.application.recovery.aftercare import STEPS
from keyback.application.throttling.lockouts import StalePasswordSource
from keyback.domain.people.person import Account
from keyback.locale.countries import countries
from keyback.web.account import pages as a
from keyback.web.account import pages_contacts as c
from keyback.web.account import pages_providers as pp
from keyback.web.account import pages_systems as ps
from keyback.web.portal.pages_link import LinkOver
from keyback.web.ui.page import Page, PasswordRule

AT = 1_795_500_120_000
CODES = tuple(f"K7QF2M-9X3B1T-ZZ81A{n}" for n in range(10))
APP = "otpauth://totp/Qingyu%20Instruments:maya.okafor?secret=JBSWY3DPEHPK3PXP&issuer=Qingyu%20Instruments"
OVER = {  # every reason that a link of this kind can be over by
    "vouch": (
        "unknown",
        "no_link",
        "own",
        "given",
        "refused",
        "spent",
        "replaced",
        "overtaken",
        "stopped",
        "over",
        "expired",
        "changed",
        "gone",
    ),
    "invited": ("unknown", "no_link", "accepted", "refused", "replaced", "stopped", "expired", "changed", "gone"),
    "lock": ("unknown", "no_link", "used", "expired", "gone", "off", "stopped"),
    "address": ("unknown", "no_link", "used", "gone", "in_effect", "off", "stopped"),
}
FACTORS = (
    a.FactorLine("f1", "passkey", "Work laptop", AT, AT),
    a.FactorLine("f2", "totp", "", AT, 0, AT),
    a.FactorLine("f3", "recovery_codes", "", AT, AT, 0, 1),
    a.FactorLine("f5", "security_questions", "", AT, 0, AT),
    a.FactorLine("f6", "provider", "Sales CRM", AT, 0, AT),
)


def second_steps() -> Iterator[tuple[str, Page]]:
    """Seen before somebody is signed in, and before something is changed."""
    yield "second-passkey", a.SecondStep("passkey", ("totp", "recovery_code"), {"options": "{}"}, username="chenyu")
    for error in ("wrong", "not_a_code", "replayed", "no_tries", "busy"):
        yield f"second-{error}", a.SecondStep("totp", ("recovery_code",), {"digits": 6}, error, username="chenyu")  # type: ignore[arg-type]
    yield "second-code", a.SecondStep("recovery_code", ("totp",), {"digits": 18}, "wrong", username="chenyu")
    yield "confirm-password", a.SecondStep("", error="wrong", next="/account/totp")
    yield "confirm-passkey", a.SecondStep("passkey", ("totp",), {"options": "{}"}, "wrong", "/account/totp")


def factors() -> Iterator[tuple[str, Page]]:
    every = ("passkey", "totp", "recovery_code", "provider_sign_in", "security_questions")
    yield "factors", a.Factors(FACTORS, every, "totp_added")
    yield "factors-none", a.Factors((), every)
    for done in ("passkey_added", "renamed", "provider_added", "questions_set", "removed"):
        yield f"factors-{done}", a.Factors(FACTORS, every, done)
    some = (("crm", "Sales CRM"), ("office", "Office"))
    yield "providers", pp.Providers(some)
    yield "providers-none", pp.Providers(())
    for problem in ("known", "denied", "not_fresh", "away", "too_many"):
        yield f"providers-{problem}", pp.Providers(some, problem)  # type: ignore[arg-type]
    yield "provider-start", pp.ProviderStart("c1", "Sales CRM")
    yield "stale-form", a.StaleForm("/account/password")
    yield "totp-start", a.TotpStart()
    yield "totp-setup", a.TotpSetup("f4", Markup("<svg></svg>"), "JBSW Y3DP EHPK 3PXP", APP)
    yield "totp-wrong", a.TotpSetup("f4", Markup("<svg></svg>"), "JBSW Y3DP EHPK 3PXP", APP, "wrong")
    yield "passkey-impossible", a.PasskeySetup(possible=False)
    yield "passkey-ask", a.PasskeySetup("p1", "{}")
    yield "name", a.NameOne("f1", "passkey", "Windows, Chrome")
    yield "passkey-wrong", a.PasskeySetup(error="wrong")
    yield "passkey-known", a.PasskeySetup(error="known")
    yield "codes-first", a.Codes()
    yield "codes-some", a.Codes(left=3, made_at=AT)
    yield "codes-one", a.Codes(left=1, made_at=AT, busy=True)
    yield "codes-shown", a.Codes(CODES, 10, AT, "maya.okafor", address="https://id.qingyu.example.com")


def questions(texts: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, Page]]:
    """All that can be wrong, three at a time."""
    yield "questions", a.Questions(texts)
    yield "questions-set", a.Questions(texts, set_at=AT)
    yield "questions-busy", a.Questions(texts, ("toy", "sea", "pay"), busy=True)
    wrong = (
        "no_question",
        "same_question",
        "too_short",
        "too_long",
        "too_easy",
        "about_you",
        "same_answer",
        "own_password",
    )
    for i in range(0, len(wrong), 3):
        some = dict(enumerate(wrong[i : i + 3]))
        yield f"questions-{wrong[i]}", a.Questions(texts, ("toy", "toy", ""), some)


LINES = (
    c.ContactLine("c1", "mail", "maya.okafor@qingyu.example.com", "", "primary", "confirmed", 0),
    *(
        c.ContactLine(f"a{n}", "sms", "+8613800138000", "", "backup", "confirmed", AT, 0, True, age)  # type: ignore[arg-type]
        for n, age in enumerate(("due", "aged", "over"))
    ),
    c.ContactLine("c2", "mail", "maya@example.net", "", "backup", "confirmed", AT, AT, True),
    c.ContactLine("c3", "sms", "+8613800138000", "", "backup", "pending", AT, 0, True),
    c.ContactLine("c6", "mail", "maya@old.example", "", "backup", "confirmed", AT, 0, True, "", "returned", AT),
    c.ContactLine("c7", "sms", "+8613800138001", "", "backup", "confirmed", AT, 0, True, "", "refused", AT),
    c.ContactLine("c4", "helper", "wei@qingyu.example.com", "陈伟", "recovery", "pending", AT, 0, True),
    c.ContactLine("c5", "im", "maya.okafor", "", "backup", "confirmed", AT, 0, True),
)
ADDED = (Added("f1", "passkey", "Work laptop", AT), Added("c2", "mail", "m•••@example.net", AT))
EVENTS = (
    a.Event("signed_in", AT, "203.0.113.24", "Windows, Chrome", "passkey"),
    a.Event("sign_in_failed", AT, "203.0.113.24"),
    a.Event("requested", AT),
    a.Event("proof_accepted", AT, proof="email_link"),
)
KINDS = ("mail", "sms", "im", "helper")
SIGN_INS = (
    SignIn(AT, True, "203.0.113.24", "Chrome, Windows"),
    SignIn(AT - 9_000_000, False, "198.51.100.7"),
)
GRANTS = (Grant("g/1", "Mail merge", AT - 86_400_000, AT), Grant("g2", "", None, AT), Grant("g3", "Data loader"))
SYSTEMS = (
    SystemNow(Account("s0", "p", "builtin", "1", "maya.okafor"), "Keyback", "maya.okafor", AT, AT + 86_400_000),
    SystemNow(
        Account("s1", "p", "crm", "1", "maya.okafor"), "Harbour CRM", "m.okafor", AT - 9**11, AT - 1, SIGN_INS, GRANTS,
        tells=True, ends=True,
    ),
    SystemNow(Account("s2", "p", "desk", "2", "maya"), "Partner desk", "maya", AT, tells=True),
    SystemNow(Account("s3", "p", "sso", "3", "maya", provider="Entra ID"), "Dynamics", "maya"),
    *(
        SystemNow(Account(f"q{n}", "p", "x", "4", "maya"), "Tryton", "maya", silence=why, ends=True)  # type: ignore[arg-type]
        for n, why in enumerate(("away", "slow", "broken", "unknown"))
    ),
)  # fmt: skip


def contacts() -> Iterator[tuple[str, Page]]:
    for done in ("", "confirmed", "removed", "invited"):
        yield f"contacts-{done or 'plain'}", c.Contacts(LINES, KINDS, done, done == "")
    errors = ("not_mail", "phone_not_understood", "not_im", "own_address")
    for kind, error in zip(KINDS, errors, strict=True):
        yield f"add-{kind}", c.AddContact(kind)
        yield f"add-{kind}-again", c.AddContact(kind, "stale_form", "wei@example.net", "Wei")
        yield f"add-{kind}-{error}", c.AddContact(kind, error, "x y", "陈伟")
    yield "add-im-link", c.AddContact("im", link="DingTalk")
    for error in ("denied", "stranger", "away", "too_many"):
        yield f"add-im-link-{error}", c.AddContact("im", error, link="DingTalk")
    yield "chat-start", c.ChatStart("c1", "DingTalk")
    for done in ("linked", "known"):
        yield f"contacts-{done}", c.Contacts(LINES[:3], KINDS, done, link="DingTalk")
    yield "add-sms-last", c.AddContact("sms", stronger=("passkey", "totp"))
    yield "add-sms-country", c.AddContact("sms", "phone_not_understood", "12", country="CN", countries=countries("en"))
    yield "add-sms-app-there", c.AddContact("sms", "known", "+86 1", stronger=("passkey",))
    for error in ("known", "too_many", "too_often", "phone_without_messages", "no_name"):
        yield f"add-{error}", c.AddContact("sms", error, "+86 1")
    confirm = c.ConfirmContact("c3", "sms", "+8613800138000", 500, 90)
    yield "confirm-contact", confirm
    for error in ("wrong", "no_tries", "too_often"):
        yield f"confirm-contact-{error}", replace(confirm, error=error, resend_in=0, seconds_left=0)
    yield "remove-factor", c.RemoveOne("f1", "passkey", "Work laptop")
    yield "remove-last", c.RemoveOne("f1", "passkey", "Work laptop", refused="last_one")
    yield "remove-contact", c.RemoveOne("c2", "mail", "maya@example.net", contact=True)
    yield "remove-imported", c.RemoveOne("c1", "mail", "maya.okafor@qingyu.example.com", True, "imported")


def outside() -> Iterator[tuple[str, Page]]:
    """Reached by mailed links."""
    for problem in ("", "accepted", "declined"):
        yield f"invited-{problem or 'open'}", c.Invited("陈伟", AT, problem)  # type: ignore[arg-type]
    yield "wasnt-me", a.Lock("/wasnt-me", False, "maya.okafor", ADDED)
    yield "wasnt-me-elsewhere", a.Lock("/wasnt-me", True, "maya.okafor", elsewhere=("Harbour CRM",))
    yield "wasnt-me-done", a.Lock("/wasnt-me", True, "maya.okafor")
    for of, reasons in OVER.items():
        for reason in reasons:
            yield f"over-{of}-{reason}", LinkOver(of, reason, "陈伟", "maya.okafor")  # type: ignore[arg-type]


def rest(zh: bool) -> Iterator[tuple[str, Page]]:
    moving = ("r•••@example.net", "m•••@example.com", True, AT, "maya.okafor")
    yield "new-address", c.NewAddress(False, *moving)
    yield "new-address-backup", c.NewAddress(False, "r•••@example.net", until=AT, username="maya.okafor")
    number = ("+86 ••• 01", "+86 ••• 00", False, AT, "maya.okafor", True)
    yield "new-address-phone", c.NewAddress(False, *number)
    yield "new-address-phone-done", c.NewAddress(True, *number)
    yield "new-address-done", c.NewAddress(True, *moving)
    yield "lock", a.Lock("/account/lock", False, "maya.okafor", elsewhere=("Harbour CRM", "Partner desk"))
    yield "end-session", a.EndDevice("session", "a" * 32, "Windows, Chrome", "203.0.113.7")
    yield "end-others", a.EndDevice("others", "others")
    yield "end-device", a.EndDevice("device", "b" * 32)
    sessions = (
        a.SessionLine("s1", "Windows, Chrome", "203.0.113.24", AT, AT, "passkey", True),
        a.SessionLine("s2", "", "198.51.100.7", AT, AT),
    )
    known = (a.DeviceLine("d1", "Windows, Chrome", "203.0.113.24", AT, AT, True),)
    yield "devices", a.Devices(sessions, known, True)
    yield "devices-one", a.Devices(sessions[:1], ())
    yield "activity", a.Activity(EVENTS, 7)
    yield "activity-none", a.Activity(())
    failing = (
        StalePasswordSource("203.0.113.9", "Thunderbird", 41, AT, AT, True),
        StalePasswordSource("2001:db8::7", "", 9, AT, AT, False),
    )
    yield "activity-failing", a.Activity(EVENTS, 0, failing)
    bad = Outlook("phone", advice="recovery_codes")
    mixed = (
        Outlook("password", ("email_link",)),
        bad,
        Outlook("computer", ("email_link", "totp"), AT),
        *(Outlook("mailbox", advice=x) for x in ("passkey", "totp", "mail", "helper", "")),
    )
    yield "overview", a.Overview("陈屿", "chenyu", mixed, EVENTS[:2], 9, True, True)
    good = tuple(Outlook(x, ("email_link", "passkey")) for x in MISHAPS)
    yield "overview-calm", a.Overview("陈屿", "chenyu", mixed, EVENTS[:2])
    yield "overview-good", a.Overview("陈屿", "chenyu", good, due_in_days=1, one_address=True)
    asked = tuple(replace(x, age="due") for x in LINES if x.role != "primary")[:3]
    yield "overview-asks", a.Overview("陈屿", "chenyu", good, ask_about=asked)
    yield "overview-soon", a.Overview("陈屿", "chenyu", (Outlook("phone", ("email_link", "passkey"), AT),))
    length = "15个字符以上" if zh else "At least 15 characters"
    rules = (PasswordRule("too_short", length),)
    leaked = PasswordRule("breached", "出现在公开泄露的密码中" if zh else "It’s in a public leak", "unmet")
    form = a.NewPassword("maya.okafor", 15, rules)
    yield "password", form
    yield "password-errors", replace(form, min_length=8, errors=(leaked,))
    yield "password-mismatch", replace(form, mismatch=True)
    both = (PasswordRule("too_short", length, "unmet"),)
    yield "password-current", replace(form, current="wrong", requirements=both, errors=both)
    yield "password-tries", replace(form, current="no_tries")
    yield "password-busy", replace(form, busy=True)
    yield "password-done", replace(form, done=True)
    asked = (Asked("k" * 22, "Omar Farouk", "Ines Moreau", AT, 3, "h" * 22),)
    for fresh in (False, True):
        yield f"callers-{'fresh' if fresh else 'ask'}", c.Callers(asked, fresh)
    for error in ("wrong", "failed", "own", "over"):
        yield f"callers-{error}", c.Callers(asked, True, error=error, of="k" * 22)
    for done in ("passed", "refused"):
        yield f"callers-{done}", c.Callers(done=done)
    yield "after", a.After(("contacts",), LINES, ADDED, EVENTS, "maya.okafor")
    yield "after-systems", a.After(("contacts",), LINES, (), EVENTS, "maya.okafor", SYSTEMS[1:], AT)
    for done in ("", "done", "refused", "unsure", "guided"):
        yield f"systems-{done or 'plain'}", ps.Systems(SYSTEMS if not done else SYSTEMS[:1], AT, done)  # type: ignore[arg-type]
    yield "systems-end", ps.EndAccess("s1", "Harbour CRM", "g1", "Mail merge")
    yield "systems-end-all", ps.EndAccess("s1", "Harbour CRM", "all")
    seen = (
        a.Event("system_signed_in", AT, "203.0.113.24", "Windows, Chrome", by="Harbour CRM"),
        a.Event("system_sign_in_failed", AT, by="Harbour CRM"),
    )
    yield "activity-systems", a.Activity((*seen, *EVENTS))
    yield "after-done", a.After(STEPS, LINES, (), (), "maya.okafor")


def inside(zh: bool) -> Iterator[tuple[str, Page]]:
    """All that a signed-in person sees."""
    yield from factors()
    yield from contacts()
    yield from rest(zh)
