"""Samples of the login doctor's pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from keyback.application.doctor.diagnosis import StaleSource
from keyback.application.ports.connectors import Finding, FindingCode
from keyback.locale import Locale
from keyback.web.portal.pages import AccountChoice, Aside, Password
from keyback.web.portal.pages_diagnosis import Diagnosis, FactorRow, SystemCheck, SystemFactors, SystemFactorsOf
from keyback.web.ui.findings import self_checks, shown
from keyback.web.ui.page import Page


def samples(handle: str, at: int, locale: Locale, password: Password) -> Iterator[tuple[str, Page]]:
    stale = (StaleSource("203.0.113.9", "Safari 18 · iOS", 12, at), StaleSource("198.51.100.4", "", 3, at))

    def row(title: str, *findings: Finding, **more: object) -> SystemCheck:
        words = tuple(shown(f, locale) for f in findings)
        state = "found" if words else "fine"
        return SystemCheck(title, "maya@example.com", state, words, url="https://crm.example.com/", **more)  # type: ignore[arg-type]

    rows = (
        row("Ridgeline", Finding("frozen")),
        row("Tidewater 365", Finding("minimum_age", until=at), Finding("stale_password"), stale=stale),
        row("Keyback", second_step="a1"),
        replace(row("Kontor"), state="slow"),
        replace(row("远客"), state="silent", url=""),
    )
    page = Diagnosis(handle, rows, self_checks(locale), can_choose=True)
    yield "diagnosis", page
    yield "diagnosis-over", replace(page, systems=rows[:1], can_choose=False, over=True)
    yield "diagnosis-too-often", replace(page, systems=(), can_choose=False, too_often=True)
    words = {
        f.code: shown(f, locale) for f in (Finding("frozen"), Finding("minimum_age", until=at), Finding("no_license"))
    }
    aside = tuple(Aside("Ridgeline", "maya@example.com", words[code]) for code in ("frozen", "minimum_age"))
    choice = AccountChoice("a2", "Tidewater 365", "maya@example.com")
    accounts = (AccountChoice("a1", "Keyback", "maya"), replace(choice, findings=(words["no_license"],)))
    yield "password-aside", replace(password, accounts=accounts, aside=aside, in_vain=True)
    yield "password-aside-one", replace(password, accounts=accounts[1:], aside=aside[:1])
    yield "password-aside-all", replace(password, accounts=(), aside=aside)
    rows_of = (
        FactorRow("f1", "totp", "Old phone", True),
        FactorRow("f2", "passkey", "", True),
        FactorRow("f3", "phone", "+1 •••43", False),
    )
    lost = SystemFactors(
        handle,
        "maya@example.com",
        (
            SystemFactorsOf("a1", "Tidewater 365", "maya@example.com", rows_of, True, "https://crm.example.com/"),
            SystemFactorsOf("a2", "Ridgeline", "maya@example.com", (), False),
            SystemFactorsOf("a3", "Kontor", "maya@example.com", None, False),
        ),
    )
    yield "system-factors", lost
    yield "system-factors-none", replace(lost, systems=())
    yield "system-factors-pass", replace(lost, said="pass", about="Tidewater 365", secret="Xy7-kq2-Lm9", until=at)
    for said in ("removed", "uncertain", "desk", "refused", "away", "too_many", "privileged"):
        yield f"system-factors-{said}", replace(lost, said=said, about="Tidewater 365")
    every = row("Ridgeline", *(Finding(code) for code in get_args(FindingCode)))
    yield "diagnosis-every-finding", replace(page, systems=(every,), can_choose=False)
