"""Samples of the security centre's pages."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from keyback.web import pages as p
from keyback.web import pages_account as a

AT = 1_795_500_120_000
CODES = tuple(f"K7QF2M-9X3B1T-ZZ81A{n}" for n in range(10))
FACTORS = (
    a.FactorLine("f1", "passkey", "Work laptop", AT, AT),
    a.FactorLine("f2", "totp", "", AT, 0, AT),
    a.FactorLine("f3", "recovery_codes", "", AT, AT, 0, 1),
)


def second_steps() -> Iterator[tuple[str, p.Page]]:
    """Seen before somebody is signed in, and before something is changed."""
    yield "second-passkey", a.SecondStep("passkey", ("totp", "recovery_code"), {"options": "{}"})
    for error in ("wrong", "not_a_code", "replayed", "no_tries", "busy"):
        yield f"second-{error}", a.SecondStep("totp", ("recovery_code",), {"digits": 6}, error)  # type: ignore[arg-type]
    yield "second-code", a.SecondStep("recovery_code", ("totp",), {"digits": 18}, "wrong")
    yield "confirm-password", a.SecondStep("", error="wrong", next="/account/totp")
    yield "confirm-passkey", a.SecondStep("passkey", ("totp",), {"options": "{}"}, "wrong", "/account/totp")


def factors() -> Iterator[tuple[str, p.Page]]:
    every = ("passkey", "totp", "recovery_code")
    yield "factors", a.Factors(FACTORS, every, "totp_added")
    yield "factors-none", a.Factors((), every)
    for done in ("passkey_added", "removed"):
        yield f"factors-{done}", a.Factors(FACTORS, every, done)
    yield "totp-start", a.TotpStart()
    yield "totp-setup", a.TotpSetup("f4", Markup("<svg></svg>"), "JBSW Y3DP EHPK 3PXP")
    yield "totp-wrong", a.TotpSetup("f4", Markup("<svg></svg>"), "JBSW Y3DP EHPK 3PXP", "wrong")
    yield "passkey-start", a.PasskeySetup()
    yield "passkey-impossible", a.PasskeySetup(possible=False)
    yield "passkey-ask", a.PasskeySetup("p1", "{}")
    yield "passkey-wrong", a.PasskeySetup(error="wrong")
    yield "passkey-known", a.PasskeySetup(error="known")
    yield "codes-first", a.Codes()
    yield "codes-some", a.Codes(left=3, made_at=AT)
    yield "codes-one", a.Codes(left=1, made_at=AT, busy=True)
    yield "codes-shown", a.Codes(CODES, 10, AT, "maya.okafor")


def inside() -> Iterator[tuple[str, p.Page]]:
    """All that a signed-in person sees."""
    yield from factors()
