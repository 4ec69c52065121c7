"""What the API takes and gives. Requests are strict: known members, text where text is due, nothing converted (B1)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

from keyback.web.portal.pages import SystemState

HANDLE = "^[A-Za-z0-9_-]{22}$"
MAX_SECRET = 5000
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-22T09:30:00Z"])]
Journey = Literal["password", "locked", "second_factor", "mailbox", "username", "still_locked_out"]
State = Literal[
    "waiting", "password_due", "second_step_due", "mailbox_due", "need_more", "applying", "done", "ended", "signed_in"
]
Handle = Annotated[str, Field(pattern=HANDLE, examples=["Zk3vTq8mW0aYx1LrB7uJdA"])]


class Given(BaseModel):
    """A request's body. Values are never shown in an error or a `repr`."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    @field_validator("*")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        """Refuses lone surrogates, which JSON can spell and nothing else can write (B15)."""
        for text in value if isinstance(value, list) else [value]:
            plain = text.get_secret_value() if isinstance(text, SecretStr) else text
            try:
                (plain if isinstance(plain, str) else "").encode()
            except UnicodeEncodeError:
                raise ValueError("not text") from None
        return value


class Start(Given):
    """Who is locked out. The answer is the same whether anybody is meant or not."""

    identifier: Annotated[str, StringConstraints(min_length=1, max_length=254)] = Field(
        description="Registered mail address, username, or phone number, as typed.", examples=["maya@example.com"]
    )
    journey: Journey | None = Field(
        None,
        description="What was lost. `locked`: the password is known, but the account is locked. `second_factor`: the "
        "phone or key for the second step. `mailbox`: the address that mails go to; nothing is mailed there. "
        "`username` mails the logins and asks for nothing more; `still_locked_out` is about why signing in fails. "
        "Default: `password`.",
    )
    system: str | None = Field(
        None, max_length=40, description="Only this system, by its name in the configuration.", examples=["builtin"]
    )
    locale: str | None = Field(
        None,
        description="Language in which you go on, as a language tag (BCP 47) or a locale: English, "
        "Chinese (`zh-CN`, `zh-TW`) or Japanese. For others, and by default, Accept-Language decides.",
        examples=["zh-CN"],
    )


class Code(Given):
    """The code of the mail, or what answers another proof; spaces and hyphens in digits do not count."""

    code: str = Field(
        max_length=8192, examples=["40718263"], description="For `passkey`: the credential as JSON, in a string."
    )


class NewPassword(Given):
    """The new password, for all accounts or for some of them."""

    new_password: SecretStr = Field(max_length=MAX_SECRET, examples=["copper lantern orchard 5"])
    accounts: list[Annotated[str, StringConstraints(max_length=64)]] | None = Field(
        None,
        min_length=1,
        max_length=50,
        description="Ids out of `accounts` of the recovery. Default: all in which a new password is of use.",
    )


class SignIn(Given):
    """Login and password of the built-in system."""

    identifier: str = Field(max_length=1000, examples=["maya"])
    password: SecretStr = Field(max_length=MAX_SECRET, examples=["copper lantern orchard 5"])


class Candidate(Given):
    """A password to judge before it is sent. Nothing of it is kept."""

    password: SecretStr = Field(max_length=MAX_SECRET, examples=["maya2026"])
    handle: Annotated[str, StringConstraints(pattern=HANDLE)] | None = Field(
        None,
        description="With the recovery's secret as Bearer, the person's own names count as well.",
        examples=["Zk3vTq8mW0aYx1LrB7uJdA"],
    )


# ── answers ─────────────────────────────────────────────────────────────────


class Started(BaseModel):
    """A recovery was written down. `secret` is given once and holds it."""

    handle: Handle
    secret: str = Field(
        description="Send it as `Authorization: Bearer`.", examples=["bXk2c2VjcmV0LW9mLXRoZS1yZWNvdmVy"]
    )
    status_url: str = Field(examples=["https://recover.example.com/api/v1/recoveries/Zk3vTq8mW0aYx1LrB7uJdA"])
    expires_at: Instant


class Account(BaseModel):
    """An account that may get the new password."""

    id: str
    system: str = Field(description="Name in the configuration.", examples=["builtin"])
    title: str = Field(description="What people call the system.", examples=["Tryton"])
    username: str = Field(examples=["maya"])


class Rule(BaseModel):
    """One rule for new passwords, in the language of the request."""

    code: str = Field(examples=["password_too_short"])
    text: str = Field(examples=["At least 15 characters"])


class Task(BaseModel):
    """What only an administrator, or the person in the system itself, can do."""

    id: str
    state: Literal["open", "done", "declined", "over"]
    asked: bool = Field(description="Administrators were mailed.")
    may_ask: bool = Field(description="They can be asked now (`act` `ask`).")
    reason: str = Field("", description="Why it was declined, in an administrator's words.")


class Result(BaseModel):
    """What became of one account. Only `done` means that the new password was seen to work."""

    account_id: str
    system: str
    title: str
    username: str
    result: SystemState = Field(
        description="`waiting`, `working`: Keyback is on it. `yours`: follow `steps`. `desk`: an administrator does "
        "it. `unsure`: it may have been changed. `refused`: nothing was changed, `code` says why. With the code "
        "`choose_again` the system was away for ten minutes, and another password can be sent for it. `done` with the "
        "code `sessions_open`: the password was set, but other devices may still be signed in."
    )
    code: str = Field("", description="Why, for `refused` and what is not done yet.", examples=["policy_rejected"])
    vendor_text: str = Field("", description="The system's own words, untrusted text.")
    at: Instant | None = Field(None, description="When it was confirmed.")
    steps: list[str] = Field(default_factory=list, description="For `yours`, in the language of the request.")
    url: str = Field("", description="For `yours`: where to go on.")
    signed_out: bool = Field(False, description="All devices were signed out there.")
    task: Task | None = Field(
        None, description="For `yours` and `desk`: what waits for the person or an administrator."
    )


class Way(BaseModel):
    """A way to prove who you are. `hint` is masked, and untrusted text; before anything is proven there is none."""

    proof: str = Field(examples=["totp"])
    title: str = Field(description="What people call it.", examples=["Your authenticator app"])
    target: str = Field(description="Send it to choose among several of a kind; empty before anything is proven.")
    hint: str = Field("", examples=["•••• 34"])


class Waiting(BaseModel):
    """Nothing is proven yet. The same whether anybody is meant or not."""

    state: Literal["waiting"] = "waiting"
    journey: Journey
    tries_left: int = Field(ge=0, description="Codes that may still be tried here.", examples=[5])
    resend_at: Instant = Field(description="From when on a further mail may be asked for.")
    code_expires_at: Instant
    expires_at: Instant
    number: int | None = Field(
        description="Show it: whoever opens the mailed link elsewhere types this number. None for `username` and "
        "`mailbox`, which mail no link.",
        examples=[47],
    )
    proofs: list[Way] = Field(
        default_factory=list,
        description="What can be tried beside the mail: the same for everybody, so it says nothing about anyone.",
    )


class PasswordDue(BaseModel):
    """Proven: choose a new password now, for `accounts`. `results` are those of an earlier try, if a system refused its
    password or was away until its time was over (`choose_again`)."""

    state: Literal["password_due"] = "password_due"
    expires_at: Instant
    name: str = Field(examples=["Maya Lindqvist"])
    accounts: list[Account]
    requirements: list[Rule]
    results: list[Result] = Field(default_factory=list)
    unlockable: list[str] = Field(
        default_factory=list,
        description="For `locked`: ids of accounts that `unlockAccounts` opens again without a new password.",
    )


class NeedMore(BaseModel):
    """Something is proven, but the policy asks for more: a further proof, a wait, or somebody at the help desk."""

    state: Literal["need_more"] = "need_more"
    reason: Literal["proof", "hold", "review"] = Field(
        "proof", description="`hold`: it goes on by itself at `hold_until`. `review`: a second operator has to approve."
    )
    hold_until: Instant | None = None
    proofs: list[Way] = Field(
        default_factory=list, description="What can be shown next; without any, only a person helps."
    )
    expires_at: Instant


class Applying(BaseModel):
    """The new password is on its way into the systems. Ask again in a second or two."""

    state: Literal["applying"] = "applying"
    results: list[Result]


class Ended(BaseModel):
    """Over. Start again, if need be. After `failed` every system's result says why."""

    state: Literal["ended"] = "ended"
    reason: Literal["cancelled", "expired", "failed", "rejected", "closed"]
    results: list[Result] = Field(default_factory=list)


class Proven(BaseModel):
    """The code was right."""

    state: Literal["password_due", "second_step_due", "mailbox_due", "need_more"]
    new_code: str | None = Field(
        None, description="For `recovery_code`: takes the place of the one that was used. Shown once."
    )


class Asked(BaseModel):
    """Asked; if it was too early, nothing is sent and the time stays as it was. The same for everybody."""

    state: Literal["waiting"] = "waiting"
    resend_at: Instant
    form: dict[str, Any] | None = Field(
        None,
        description="What to show: `options` for `passkey`; `digits` to be read out, for `recovery_contact`.",
    )


MustChange = Annotated[
    Literal["due", "breached"] | None,
    Field(
        description="Why this session is good for nothing but choosing a new password by a recovery: its time is over, "
        "or it is in a public leak. Null: it is a full session."
    ),
]


class SignedIn(BaseModel):
    """A session of the built-in system."""

    session: str = Field(description="Send it as `Authorization: Bearer`.", examples=["c2Vzc2lvbi1leGFtcGxl"])
    expires_at: Instant
    password_due_in_days: int | None = Field(
        None, description="Days until a new password is due, 0 when it is; null where age is no reason for one."
    )
    must_change: MustChange = None
    new_code: str | None = Field(
        None, description="Replaces the recovery code that was the second step. Show it once: it can’t be shown again."
    )


class SecondStepNeeded(BaseModel):
    """With `second_factor_required`: the password was right, and `POST /sign-in/second-step` goes on from here."""

    token: str = Field(description="Good for ten minutes and for nothing else.", examples=["c2Vjb25kLXN0ZXA"])
    proofs: list[str] = Field(description="What may answer, the best first.", examples=[["totp", "recovery_code"]])
    passkey: dict[str, Any] | None = Field(
        None, description="For `passkey`: what `PublicKeyCredential.parseRequestOptionsFromJSON` takes."
    )


class SecondStep(Given):
    """The second step of a sign-in."""

    token: Annotated[str, StringConstraints(min_length=20, max_length=64)] = Field(
        description="As `POST /sign-in` gave it.", examples=["c2Vjb25kLXN0ZXA"]
    )
    proof: Literal["passkey", "totp", "recovery_code"]
    answer: SecretStr = Field(
        min_length=1,
        max_length=8192,
        description="The digits, the recovery code, or the JSON of an `AuthenticationResponseJSON`.",
        examples=["482719"],
    )


class SessionInfo(BaseModel):
    """Whose session it is. One hour without use ends it."""

    name: str = Field(examples=["Maya Lindqvist"])
    username: str = Field(examples=["maya"])
    signed_in_at: Instant
    expires_at: Instant
    must_change: MustChange = None


class PasswordViolation(BaseModel):
    """One reason against a password, in the language of the request."""

    code: str = Field(examples=["password_too_short"])
    text: str = Field(examples=["At least 15 characters; this has 8."])
    suggestion: str = Field(examples=["One or two more words will do."])


class Judged(BaseModel):
    """Everything that speaks against a password, and how hard it is to guess."""

    violations: list[PasswordViolation]
    strength: int = Field(ge=0, le=4, description="0 is guessed at once, 4 very hard to guess.")
    strength_text: str = Field(examples=["Easy to guess"])


class FieldError(BaseModel):
    """One member that does not fit. `field` is empty for a member that is not known."""

    field: str
    code: str = Field(examples=["not_a_string"])


class Problem(BaseModel):
    """RFC 9457. `code` is stable; what was sent is never echoed."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["about:blank"]
    title: str
    status: int
    code: str
    detail: str | None = None
    field: str | None = None
    state: State | None = Field(None, description="With `wrong_state`: where the recovery stands.")
    tries_left: int | None = None
    reason: str | None = Field(None, description="With `code_over`: why.", examples=["expired"])
    second_step: SecondStepNeeded | None = None
    errors: list[FieldError] | None = None
    violations: list[PasswordViolation] | None = None
