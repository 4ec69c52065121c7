"""A sample of every page in every state that it has. People and companies are invented."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, get_args

from markupsafe import Markup

from keyback.application.desk.help_request import Status
from keyback.application.ports.help_requests import HelpLine, HelpRequest
from keyback.application.recovery.mailed_link import Problem
from keyback.application.throttling.lockouts import Lock, StalePasswordSource
from keyback.locale import gettext
from keyback.proofs.security_questions.questions import QUESTIONS
from keyback.web.account.pages import SignIn
from keyback.web.demo import pages as d
from keyback.web.portal import pages as p
from keyback.web.portal import pages_again as pa
from keyback.web.portal import pages_link as pl
from keyback.web.portal import pages_methods as w
from keyback.web.portal import pages_remedy as r
from keyback.web.portal.pages_call import Call, CallHelp
from keyback.web.portal.pages_document import SendDocument
from keyback.web.portal.pages_help import AskForHelp, HelpForm, HelpStatus
from keyback.web.portal.pages_identity import Stage, VerifyElsewhere
from keyback.web.ui.page import ErrorPage, Page, PasswordRule, Shell
from tests.support import gallery_account, gallery_console, gallery_diagnosis

Lang = Literal["zh_CN", "en"]
AT = 1_795_500_120_000
HANDLE = "hR7mQ2xVd9Kp"
SYSTEMS = (("tryton", "Tryton"), ("crm", "青屿CRM"), ("partner", "Partner desk"))


def shell(locale: Lang) -> Shell:
    zh = locale == "zh_CN"
    return Shell(
        locale=locale,
        path="/forgot",
        company="青屿仪器" if zh else "Qingyu Instruments",
        helpdesk="公司分机8100，工作日8:30–18:00" if zh else "extension 8100, weekdays 8:30 to 18:00",
        sender="keyback@qingyu.example.com",
    )


def rules(zh: bool, state: Literal["idle", "met", "unmet"]) -> tuple[PasswordRule, ...]:
    length = {
        ("idle", True): "15个字符以上",
        ("met", True): "15个字符以上",
        ("unmet", True): "15个字符以上，现在10个",
        ("idle", False): "At least 15 characters",
        ("met", False): "At least 15 characters",
        ("unmet", False): "At least 15 characters; this has 10",
    }[state, zh]
    return (
        PasswordRule("too_short", length, state, "再接一两个词就够了。" if zh else "One or two more words will do."),
        PasswordRule(
            "blocklisted",
            "没在泄露过的密码里出现过" if zh else "Not among leaked passwords",
            "met" if state == "unmet" else state,
        ),
    )


def password(locale: Lang) -> p.Password:
    zh = locale == "zh_CN"
    return p.Password(
        handle=HANDLE,
        display_name="陈屿" if zh else "Maya",
        username="chenyu" if zh else "maya.okafor",
        minutes_left=18,
        min_length=15,
        requirements=rules(zh, "idle"),
        accounts=(
            p.AccountChoice("1", "Tryton", "chenyu" if zh else "maya.okafor"),
            p.AccountChoice("2", "青屿CRM", "chenyu@qingyu.example.com", "desk"),
            p.AccountChoice("3", "Partner desk", "cy-8841", "guided"),
        ),
        submission="c2FtcGxl",
    )


def results(locale: Lang) -> tuple[p.SystemResult, ...]:
    zh = locale == "zh_CN"
    steps = (
        ("打开青屿伙伴，点“忘记密码”", "填chenyu@qingyu.example.com", "设成你刚才的新密码")
        if zh
        else (
            "Open Partner desk and choose “Forgot password”",
            "Enter maya.okafor@qingyu.example.com",
            "Set the same one",
        )
    )
    return (
        p.SystemResult("Keyback", "done", at=AT, username="chenyu" if zh else "maya.okafor", signed_out=True),
        p.SystemResult("Tryton", "working"),
        p.SystemResult("Partner desk", "yours", steps=steps, url="https://partner.example.com/reset"),
        p.SystemResult("青屿CRM", "desk"),
    )


def ways(username: str) -> Iterator[tuple[str, Page]]:
    """Pages between the first proof and the remedy."""
    known = tuple(w.MethodOption(x) for x in ("sms_code", "totp", "passkey", "recovery_code", "recovery_contact"))
    mine = (w.MethodOption("sms_code", (("c1", "•••• 34"),)), w.MethodOption("totp", (("f1", "Pixel"),)))
    yield "ways", w.Methods(HANDLE, False, "password", known)
    yield "ways-mailbox", w.Methods(HANDLE, False, "mailbox", known)
    yield "ways-more", w.Methods(HANDLE, True, "password", mine, ("email_link",), username, refused="too_early")
    yield "ways-only-new", w.Methods(HANDLE, True, "second_factor", mine, ("email_link",), username, only_new=True)
    app = (w.MethodOption("totp", (("f1", "Pixel"),)),)
    yield "ways-lost-alone", w.Methods(HANDLE, True, "second_factor", app, ("email_link",), username, lost_alone=True)
    yield "ways-lost", w.Methods(HANDLE, True, "second_factor", mine, ("email_link",), username)
    own = replace(w.Methods(HANDLE, True, "password", mine, ("provider_sign_in",), username), own=("Harbour CRM",))
    yield "ways-own", own
    yield "ways-own-mail", replace(own, options=(), mailed=True)
    yield "ways-none", w.Methods(HANDLE, True, "password", (), ("email_link",), username)
    for proof in ("sms_code", "im_message", "backup_email", "totp", "recovery_code"):
        again = None if proof in ("totp", "recovery_code") else 20  # of what is sent
        yield (
            f"way-{proof}",
            w.OneMethod(HANDLE, proof, False, seconds_left=500, resend_in_seconds=again, sent=proof == "sms_code"),
        )
    yield (
        "way-known",
        w.OneMethod(HANDLE, "sms_code", True, hint="•••• 34", seconds_left=40, error="wrong", tries_left=1, sent=True),
    )
    for ended in ("expired", "replaced"):
        yield f"way-{ended}", w.OneMethod(HANDLE, "sms_code", False, resend_in_seconds=0, error=ended, tries_left=5)  # type: ignore[arg-type]
    for fate in ("refused", "returned"):
        yield (
            f"way-{fate}",
            w.OneMethod(HANDLE, "backup_email", True, hint="m•••@home.example", sent=True, undelivered=fate),  # type: ignore[arg-type]
        )
    yield (
        "ways-mail-came-back",
        w.Methods(HANDLE, True, "password", known, own=("Harbour CRM",), mailed=True, undelivered="returned"),
    )
    yield "way-passkey", w.OneMethod(HANDLE, "passkey", False, {"options": "{}"}, error="wrong", tries_left=3)
    yield (
        "way-no-tries",
        w.OneMethod(HANDLE, "sms_code", False, resend_in_seconds=0, error="no_tries", journey="mailbox", sent=True),
    )
    yield "way-contact", w.OneMethod(HANDLE, "recovery_contact", False, {"digits": "4711"})
    yield "way-question", w.OneMethod(HANDLE, "security_questions", True, {"question": "?"}, error="no_tries")
    there = {"providers": [("crm", "Sales CRM"), ("office", "Office")]}
    elsewhere = w.OneMethod(HANDLE, "provider_sign_in", False, there)
    yield "way-provider", elsewhere
    yield "way-provider-known", replace(elsewhere, proven=True, hint="Sales CRM")
    for said in ("away", "denied", "not_fresh", "wrong", "no_tries"):
        yield f"way-provider-{said}", replace(elsewhere, error=said)
    yield "held", w.Held(HANDLE, AT, "stranger", username, mine, seconds_left=290, since=AT - 900_000)
    yield "held-long", w.Held(HANDLE, AT, "mailbox", username, seconds_left=66_100, since=AT - 86_400_000)
    yield "in-review", w.InReview(HANDLE, username, (w.MethodOption("passkey", (("f2", "YubiKey"),)),))
    yield "in-review-called", w.InReview(HANDLE, username, called=True, due=AT)
    yield "call-help", CallHelp()
    yield "call-help-held", CallHelp(HANDLE)
    yield "call", Call(HANDLE)
    yield "call-refused", Call(HANDLE, "over", may_ask=False)
    yield "call-shown", Call(HANDLE, "shown", "480213", 590, refused=True, version="shown48")
    yield "call-begun", Call(HANDLE, "begun", "715902", 1700, version="begun71")
    yield from _help()
    yield from _document()
    yield from _identity()
    yield "new-code", w.NewCode(f"/r/{HANDLE}", "K7QF2M-9X3B1T-ZZ81AC")
    yield "new-code-due", w.NewCode("/forgot", "K7QF2M-9X3B1T-ZZ81AC", "due")
    yield "vouch", w.Confirm("陈伟", AT, "203.0.113.7", "Windows, Chrome", error="wrong", tries_left=2)
    yield "vouch-refuse", w.Refuse("陈伟")
    yield "unlock", r.Unlock(HANDLE, username, ("Keyback", "Demo CRM"), ("Demo CRM",))
    stale = StalePasswordSource("203.0.113.7", "iOS, Mobile Safari", 17, AT - 86_400_000, AT, True)
    why = (Lock("fixed", AT), Lock("off"), Lock("system"))
    yield (
        "unlock-failing",
        r.Unlock(
            HANDLE, username, ("Keyback",), (), why, (stale, StalePasswordSource("198.51.100.4", "", 3, AT, AT, False))
        ),
    )
    yield "unlock-none", r.Unlock(HANDLE, username, ())
    yield "replace-factor", r.ReplaceFactor(HANDLE, username, (("totp", "Pixel"), ("passkey", "")))
    yield (
        "replace-factor-scan",
        r.ReplaceFactor(HANDLE, username, (), "JBSW Y3DP", Markup("<svg></svg>"), gallery_account.APP, error="code"),
    )
    yield "replace-factor-passkeys", r.ReplaceFactor(HANDLE, username, (("totp", ""),), passkeys=True, error="passkey")
    yield "replace-factor-passkey", r.ReplaceFactor(HANDLE, username, (("totp", ""),), passkeys=True, options="{}")
    yield "replace-mailbox", r.ReplaceMailbox(HANDLE, username, (("c2", "m•••@example.net"),))
    waiting = r.ReplaceMailbox(HANDLE, username, (), "maya@example.net", error="wrong")
    yield "replace-mailbox-code", waiting
    yield "replace-mailbox-known", replace(waiting, waiting="", typed="x", error="known")
    for what in ("unlocked", "factor_replaced", "mailbox_replaced"):
        yield f"remedied-{what}", r.Remedied(what, HANDLE)  # type: ignore[arg-type]
    for problem in ("done", "refused"):
        yield f"vouch-{problem}", w.Confirm("陈伟", problem=problem)  # type: ignore[arg-type]


def samples(locale: Lang) -> Iterator[tuple[str, Page, Shell]]:
    """(name, page, shell) of every page and state."""
    zh = locale == "zh_CN"
    plain = shell(locale)
    one, two, three = (replace(plain, step=n) for n in (1, 2, 3))
    source = "203.0.113.24"
    device = "Windows电脑，Chrome" if zh else "Windows computer, Chrome"
    username = "chenyu" if zh else "maya.okafor"

    yield "triage", p.Triage(), plain
    yield "forgot", p.Forgot(systems=SYSTEMS), one
    yield "forgot-locked", p.Forgot(systems=SYSTEMS[:1], journey="locked"), one
    yield "forgot-second-factor", p.Forgot(systems=SYSTEMS, journey="second_factor"), one
    yield "forgot-mailbox", p.Forgot(systems=SYSTEMS, journey="mailbox"), one
    for i, error in enumerate(
        (p.IDENTIFIER_EMPTY, p.IDENTIFIER_LONG, p.IDENTIFIER_MALFORMED, p.IDENTIFIER_SEVERAL, p.IDENTIFIER_SPACES)
    ):
        yield f"forgot-error-{i}", p.Forgot(SYSTEMS, error=error, identifier="a b", system="tryton"), one
    yield "find", p.Find(), plain
    yield "find-error", p.Find(error=p.MAIL_MALFORMED, identifier="chenyu"), plain

    waiting = p.Waiting(HANDLE, 47, 552, 600, 98, version="3")
    yield "waiting-webmail", replace(waiting, webmail=("Gmail", "https://mail.google.com/mail/")), one
    yield "waiting", waiting, one
    yield "waiting-wrong", replace(waiting, error="wrong_code", tries_left=3), one
    yield "waiting-last", replace(waiting, error="wrong_code", tries_left=1), one
    yield "waiting-no-tries", replace(waiting, error="no_tries", resend_in_seconds=0), one
    yield "waiting-not-a-code", replace(waiting, error="not_a_code", code_seconds_left=48), one
    for ended in ("expired", "replaced", "overtaken", "changed", "off", "wrong_number", "over"):
        yield f"waiting-{ended}", replace(waiting, error=ended), one  # type: ignore[arg-type]
    yield "waiting-over-time", replace(waiting, code_seconds_left=0, resend_in_seconds=0), one
    yield "waiting-resent", replace(waiting, resent=True), one
    yield "waiting-username", replace(waiting, kind="username", number=None), plain

    link = pl.LinkPage(username, AT, source, device, same_browser=False)
    yield "link-number", link, one
    yield "link-number-error", replace(link, error=True), one
    yield "link-same", replace(link, same_browser=True, journey="locked"), one
    other = pl.LinkOther(username, AT, source, device, HANDLE, can_fetch=True)
    yield "link-other", other, plain
    yield "link-other-fetched", replace(other, can_fetch=False), plain
    for reason in (*get_args(Problem), "broken", "no_link"):
        yield f"link-{reason}", pl.LinkProblem(reason, can_renew=reason == "expired"), one  # type: ignore[arg-type]
    yield "link-expired-other", pl.LinkProblem("expired", own=HANDLE, can_fetch=True), one
    yield "link-wrong-other", pl.LinkProblem("wrong_number", own=HANDLE), one
    yield "link-overtaken-here", pl.LinkProblem("overtaken", can_renew=True, handle=HANDLE), one
    yield "link-renewed", pl.LinkRenewed(HANDLE), one
    yield "link-renewed-elsewhere", pl.LinkRenewed(), one
    yield "link-fetched", pl.LinkRenewed(HANDLE, fetched=True), one
    for problem in ("expired", "used", "changed", "off", "stopped", "overtaken", "no_link"):
        yield f"again-{problem}", pa.ChooseAgain(problem), plain  # type: ignore[arg-type]
    for journey in ("password", "locked", "second_factor", "mailbox"):
        yield f"started-{journey}", pa.StartedForYou("s" * 22, journey, "Ines Moreau"), plain  # type: ignore[arg-type]
    yield "started-over", pa.StartedForYou(), plain
    again = pa.ChooseAgain(None, username, ("Tryton", "青屿CRM"), alone=True)
    yield "again", again, two
    yield "again-other-browser", replace(again, systems=("Tryton",), alone=False), two
    yield "link-continue", pl.LinkContinue(HANDLE), one
    yield "stop", p.StopPage(username, AT, source, device), plain
    yield "stop-by-link", p.StopPage(username, AT, source, device, by_link=True), replace(plain, of="m4rk")
    yield "cancel", p.Cancel(HANDLE), one
    yield "stopped", p.Stopped(), plain
    yield "stopped-waiting", p.Stopped(proven=True), plain
    yield "stopped-here", p.Stopped(by_mail=False), plain
    yield "not-yours", p.NotYours(), plain
    yield from ((name, page, one) for name, page in ways(username))
    yield from ((name, page, two) for name, page in gallery_diagnosis.samples(HANDLE, AT, locale, password(locale)))

    form = password(locale)
    yield "password", form, two
    yield (
        "password-errors",
        replace(
            form,
            minutes_left=1,
            requirements=rules(zh, "unmet"),
            strength=0,
            mismatch=True,
            errors=(
                PasswordRule("too_short", rules(zh, "unmet")[0].text, "unmet"),
                PasswordRule(
                    "context_word",
                    "就是公司名加年份" if zh else "It is the company’s name and a year",
                    "unmet",
                    "这种最先被猜。" if zh else "That is guessed first.",
                ),
            ),
        ),
        two,
    )
    yield "password-again", replace(form, accounts=form.accounts[1:2], again=True), two
    yield "password-none", replace(form, none_chosen=True, min_length=8), two
    yield "password-busy", replace(form, busy=True, accounts=form.accounts[:1]), two

    rows = results(locale)
    refused = [
        p.SystemResult("Tryton", "refused", reason_code=code)
        for code in (
            "locked",
            "not_found",
            "not_permitted",
            "privileged_target",
            "synced_elsewhere",
            "unavailable",
            "other",
        )
    ]
    policy = p.SystemResult(
        "Tryton",
        "refused",
        reason_code="policy_rejected",
        vendor_text="密码里要有数字" if zh else "The password must contain a digit",
    )
    yield "results", p.Results(HANDLE, rows, False, version="8"), three
    yield "results-done", p.Results(HANDLE, rows[:1], True, passkey=True), three
    crm = p.SystemResult("Harbour CRM", "done", at=AT, username=username, open_url="https://crm.example.com/login")
    own = replace(rows[0], open_url="/sign-in")
    yield "results-crm", p.Results(HANDLE, (crm,), True, built_in=False), three
    yield "results-open", p.Results(HANDLE, (own, crm), True), three
    words = "会话只能由本人结束" if zh else "Sessions are ended by their owner only."
    kept = replace(crm, vendor_text=words, sessions_open=True)
    yield "results-sessions-open", p.Results(HANDLE, (kept,), True, built_in=False), three
    yield "results-own", p.Results(HANDLE, (own,), True), three
    yield "results-all-done", p.Results(HANDLE, rows[:1] * 2, True, built_in=False), three
    yield "results-refusals", p.Results(HANDLE, (*rows[:1], policy, *refused), True, can_retry=True), three
    late = p.SystemResult("青屿CRM", "refused", reason_code="choose_again")
    yield "results-again", p.Results(HANDLE, (*rows[:1], late), True, can_retry=True), three
    yield "results-again-unsure", p.Results(HANDLE, (replace(late, state="unsure"),), True, can_retry=True), three
    yield "results-again-elsewhere", p.Results(HANDLE, (*rows[:1], late), True), three
    yield "results-second", p.Results(HANDLE, rows[:2], False, ignored_second=True), three
    planted = (("f1", "totp", "", AT), ("f2", "passkey", "Work laptop", AT))
    yield "results-added", p.Results(HANDLE, rows[:1], True, added=planted), three
    live = ("waiting", "working", "unsure")
    for state in ("waiting", "working", "yours", "desk", "unsure", "refused"):
        yield f"results-{state}", p.Results(HANDLE, (p.SystemResult("Tryton", state),), state not in live), three
    partner = rows[2]
    for name, task in {
        "asked": p.Progress("t1", "open", "looking", asked=True),
        "later": p.Progress("t1", "open", "blind", may_ask=True),
        "again": p.Progress("t1", "done", "unseen", asked=True, may_ask=True),
        "declined": p.Progress("t1", "declined", "looking", reason="已离职" if zh else "You left the team in May"),
    }.items():
        yield f"results-task-{name}", p.Results(HANDLE, (replace(partner, task=task),), True), three
    said = replace(partner, state="done", task=p.Progress("t1", "done", "said"), open_url=partner.url)
    yield "results-task-said", p.Results(HANDLE, (said,), True, built_in=False), three
    seen = replace(partner, state="done", task=p.Progress("t1", "done", "seen", seen_at=AT), open_url=partner.url)
    yield "results-task-seen", p.Results(HANDLE, (seen,), True, built_in=False), three
    for end in ("cancelled", "expired", "failed", "closed", "rejected", "changed"):
        yield f"ended-{end}", p.Ended(end), plain  # type: ignore[arg-type]

    yield "sign-in", SignIn(), plain
    crms = (("Harbour CRM", "https://crm.example.com/login"), ("Partner desk", "https://partner.example.com"))
    yield "sign-in-systems", SignIn(error="wrong", identifier=username, systems=crms), plain
    yield "sign-in-wrong", SignIn(error="wrong", identifier=username), plain
    yield "sign-in-slow", SignIn(error="slow_down", wait_seconds=75, identifier=username), plain
    yield "sign-in-off", SignIn(error="off", identifier=username), plain
    yield "sign-in-busy", SignIn(error="busy"), plain
    yield "sign-in-due", SignIn(error="due", identifier=username), plain
    yield "sign-in-breached", SignIn(error="breached", identifier=username), plain
    inside = replace(plain, signed_in_as=username)

    yield "sign-in-passkey", SignIn(error="passkey", passkey_options="{}"), plain
    yield from gallery_console.samples(plain)
    yield from ((f"account-{name}", page, plain) for name, page in gallery_account.second_steps())
    yield from ((f"account-{name}", page, plain) for name, page in gallery_account.outside())
    yield from ((f"account-{name}", page, inside) for name, page in gallery_account.inside(zh))
    asked = tuple((key, gettext(locale, text)) for key, text in QUESTIONS.items())
    yield from ((f"account-{name}", page, inside) for name, page in gallery_account.questions(asked))

    yield "help", p.Help(), plain
    yield "help-with-recovery", p.Help(HANDLE), plain
    yield "help-with-questions", p.Help(questions=True), plain
    yield "help-mail-only", p.Help(other_ways=False), plain
    yield "privacy", p.Privacy(), plain
    yield "accessibility", p.Accessibility(), plain
    for status in (400, 403, 404, 405, 413, 414, 415, 422, 429, 500, 503):
        wait = 95 if status in (429, 503) else 0
        yield f"error-{status}", ErrorPage(status, wait, "/forgot" if status == 429 else "/"), plain
    yield "error-503-away", ErrorPage(503, 5, why="away"), plain
    yield "error-503-unsure", ErrorPage(503, 5, why="unsure"), plain

    demo = replace(plain, demo=True, path="/demo")
    people = (
        d.DemoPerson(
            "陈屿", ("chenyu", "chenyu@qingyu.example.com"), ("Keyback", "青屿CRM"), "standard", "青石 木桥 晚风 2"
        ),
        d.DemoPerson(
            "Maya Okafor",
            ("maya.okafor", "maya.okafor@qingyu.example.com"),
            ("Keyback", "Demo CRM", "Partner desk"),
            "privileged",
            "copper lantern orchard 7",
            "邮件不够，要找服务台" if zh else "Mail alone is not enough",
        ),
    )
    yield "demo", d.DemoHome(people, slow=True, now=AT), demo
    clouds = (("Cirrus Sales", "salesforce/login"), ("远客 Yuanke", "fxiaoke/login"))
    yield "demo-ahead", d.DemoHome(people[:1], now=AT, ahead=True, clouds=clouds), demo
    mail = d.DemoMessage(
        "m1",
        AT,
        "chenyu@qingyu.example.com",
        "找回你在青屿仪器的账号" if zh else "Get back into your Qingyu Instruments account",
        "https://id.qingyu.example.com/l/5pQxw2tEJm9RkA0cVb7dNs\n\n4827 1905\n",
        ("http://127.0.0.1:8080/l/5pQxw2tEJm9RkA0cVb7dNs",),
        ("48271905",),
    )
    yield "demo-mailbox", d.DemoMailbox((mail, mail), "m1"), demo
    yield "demo-mailbox-empty", d.DemoMailbox(()), demo
    said = (
        "青屿仪器：482719是你找回账号的验证码，10分钟内有效。不要告诉任何人。\n@id.qingyu.example.com #482719"
        if zh
        else "Qingyu Instruments: 482719 is your code to get back into your account, for 10 minutes. "
        "Never share it, not even with us.\n@id.qingyu.example.com #482719"
    )
    text = d.DemoText("1", AT, "+8613800138000", "sms", said, ("482719",))
    chat = d.DemoText("2", AT, "maya.okafor", "im", said.partition("\n")[0], ("482719",))
    yield "demo-phone", d.DemoPhone((chat, text), "2"), demo
    yield "demo-phone-empty", d.DemoPhone(()), demo
    apps = (
        d.DemoApp("陈屿", "chenyu", "", "482719", 17),
        d.DemoApp("Maya Okafor", "maya.okafor", "Old phone", "009104", 17, used=True),
        d.DemoApp("Maya Okafor", "maya.okafor", "", "330127", 17, pending=True),
    )
    saved = d.DemoCodes("陈屿", "chenyu", (("K7QF2M-9X3B1T-ZZ81AC", True), ("M2QF2M-9X3B1T-ZZ81AC", False)))
    key = d.DemoPasskey("Carlos Ibáñez", "carlos.ibanez", "localhost", "AAAA", "AAAA", "AAAA")
    yield "demo-authenticator", d.DemoAuthenticator(apps, (saved,), "a1", (key,)), demo
    yield "demo-passkeys-not-here", d.DemoHome(people[:1], passkeys=False, now=AT), demo


def _help() -> Iterator[tuple[str, Page]]:
    """Somebody asks the help desk for help."""
    why, to = "手机丢了，邮箱也在上面。", "omar.at.home@example.net"
    yield "ask", AskForHelp()
    yield "ask-empty", AskForHelp(p.IDENTIFIER_EMPTY, "maya okafor")
    yield "help-form", HelpForm(HANDLE, "password", (("mails", 2), ("codes", 1)), ("totp",))
    yield "help-form-error", HelpForm(HANDLE, "mailbox", (("no_mail", 1),), (), "has_code", "reason", why, to)
    yield "help-form-address", HelpForm(HANDLE, "mailbox", (("no_mail", 1),), (), "not_mail", "contact", why, "omar")
    asked = HelpRequest(HANDLE, b"", "omar", to, why, "en", code_at=AT, created_at=AT)
    yield "help-code", HelpStatus(HANDLE, Status(asked, AT, code_seconds_left=800, resend_in=90), "code_wrong")
    yield "help-code-again", HelpStatus(HANDLE, Status(asked, AT, code_seconds_left=800), resent=True)
    yield "help-code-over", HelpStatus(HANDLE, Status(asked, AT), "code_over")
    lines = (HelpLine(AT, "o1", "请拨打分机8100。"), HelpLine(AT, "", "打过了。"))
    waits = replace(asked, state="open", lines=lines, since=AT)
    yield "help-next", HelpStatus(HANDLE, Status(waits, AT, 1))
    yield (
        "help-waits",
        HelpStatus(HANDLE, Status(waits, AT, 4, 95 * 60_000, names=(("o1", "Lin Rui"),)), "has_link", "x"),
    )
    yield "help-answered", HelpStatus(HANDLE, Status(replace(waits, state="answered"), AT))
    closed = replace(waits, state="closed")
    yield "help-closed", HelpStatus(HANDLE, Status(closed, AT, may_reopen=True))
    yield "help-closed-for-good", HelpStatus(HANDLE, Status(replace(closed, reopened=True), AT))


def _identity() -> Iterator[tuple[str, Page]]:
    """Somebody has their identity verified by a service."""
    consent = VerifyElsewhere(
        HANDLE, "harbour", "港湾核验", "身份证和你的照片", "港湾核验有限公司（示例市），24小时后删除", "consent"
    )
    yield "identity-consent", consent
    for error in ("agree", "denied", "not_fresh", "level", "level_missing", "away", "too_many", "sent", "other"):
        yield f"identity-{error}", replace(consent, error=error)
    stages: tuple[Stage, ...] = ("ready", "waiting", "agreed", "refused", "withdrawn")
    for stage in stages:
        yield f"identity-{stage}", replace(consent, stage=stage, version=stage)
    for why in ("off", "no_record", "no_use"):
        yield f"identity-closed-{why}", replace(consent, stage="closed", why=why)


def _document() -> Iterator[tuple[str, Page]]:
    """Somebody sends an identity document."""
    yield "document-consent", SendDocument(HANDLE, "consent")
    yield "document-agree", SendDocument(HANDLE, "consent", error="agree", kind="passport")
    yield "document-upload", SendDocument(HANDLE, "upload", error="too_small")
    yield "document-cover", SendDocument(HANDLE, "cover", kind="id_card", picture="a1b2c3")
    yield "document-cover-none", SendDocument(HANDLE, "cover", error="no_cells", picture="a1b2c3")
    yield "document-waiting", SendDocument(HANDLE, "waiting", version="waiting0")
    yield "document-refused", SendDocument(HANDLE, "refused", may_appeal=True)
    yield "document-refused-again", SendDocument(HANDLE, "refused", error="over")
    yield "document-agreed", SendDocument(HANDLE, "agreed")
    yield "document-withdrawn", SendDocument(HANDLE, "withdrawn")
    for why in ("off", "no_record", "no_use"):
        yield f"document-closed-{why}", SendDocument(HANDLE, "closed", why)
