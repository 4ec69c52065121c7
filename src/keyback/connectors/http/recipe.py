"""The format of a recipe. Every key is described here; `checking` turns mistakes into sentences with a line.

A recipe names no address and no file: `url` and secrets are of the section in `keyback.toml` alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from keyback.connectors.base import RulesOptions
from keyback.connectors.http import pointers
from keyback.connectors.http.pointers import Scalar
from keyback.connectors.http.transforms import Digest, Kind, Output
from keyback.connectors.http.wording import wrong
from keyback.locale import N_

FORMAT = 1
Means = Literal[
    "policy_rejected", "not_permitted", "privileged_target", "not_found", "ambiguous", "locked", "auth_expired",
    "quota_missing", "synced_elsewhere", "unavailable", "uncertain", "wrong_password",
]  # fmt: skip
RequestName = Literal[
    "find", "list", "read", "roles", "set", "unlock", "must_change", "sessions", "revoke", "verify", "sign_out", "key",
    "sign_in", "before_sign_in", "after_sign_in",
]  # fmt: skip
CHANGING: Final = frozenset({"set", "unlock", "must_change", "revoke"})
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


def _pointer(value: str) -> str:
    if fault := pointers.fault_of(value):
        raise wrong(fault)
    return value


def _listed(value: Any) -> Any:
    """One thing where a list of them may stand."""
    return value if isinstance(value, list) else [value]


def _names(value: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in value:
        if not NAME.match(name):
            raise wrong(N_("{name} is no name: small letters, digits, and _, 40 at most"), name=name)
    return value


OURS: Final = frozenset(
    {"login", "secret", "password", "id", "username", "mail", "identifier", "job", "must_change", "salt", "page",
     "offset", "size", "cursor"}
)  # fmt: skip


def _theirs(value: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in _names(value):
        if name in OURS:
            raise wrong(N_("{name} is a name of Keyback's own; choose another one, such as their_{name}"), name=name)
    return value


Pointer = Annotated[str, Field(max_length=200), AfterValidator(_pointer)]
Scalars = Annotated[list[Scalar], BeforeValidator(_listed), Field(max_length=100)]
Wanted = Annotated[Scalars, Field(min_length=1)]  # of an empty list nothing is one, and nobody would be privileged
Statuses = Annotated[list[Annotated[int, Field(ge=100, le=599)]], BeforeValidator(_listed), Field(min_length=1)]
Template = Annotated[str, Field(max_length=2000)]
Read = Annotated[dict[str, Pointer], AfterValidator(_theirs), Field(max_length=20)]
Extra = Annotated[dict[str, Pointer], AfterValidator(_names), Field(max_length=20)]
Location = Annotated[str, Field(pattern=r"^/[^?#\s]*$", max_length=200)]
FieldName = Annotated[str, Field(min_length=1, max_length=100)]
CookieName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)


class Condition(Part):
    """`at` points somewhere; it holds if anything there is one of `is`, anything there is none of `is_not`, or one of
    `has` is among the words of a text there."""

    at: Pointer
    wanted: Wanted | None = Field(None, alias="is")
    unwanted: Wanted | None = Field(None, alias="is_not")
    part: Wanted | None = Field(None, alias="has")
    missing: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> Condition:
        if [self.wanted, self.unwanted, self.part].count(None) != 2:
            raise wrong(N_("say one of is = […], is_not = […] and has = […]"))
        return self

    def filled(self, fill: Callable[[str], str]) -> Condition:
        """With its placeholders filled in; a value may be several, separated by commas."""

        def each(wanted: list[Scalar] | None) -> list[Scalar] | None:
            if wanted is None:
                return None
            out: list[Scalar] = []
            for w in wanted:
                out += [t.strip() for t in fill(w).split(",")] if isinstance(w, str) and "{" in w else [w]
            return out

        update = {"wanted": each(self.wanted), "unwanted": each(self.unwanted), "part": each(self.part)}
        return self.model_copy(update=update)

    def holds(self, document: Any, missing: bool) -> bool:
        """Whether it holds of an answer; `missing` where nothing is there and the recipe doesn't say."""
        found = pointers.holds(document, self.at, self.wanted, self.unwanted, self.part)
        return found if found is not None else missing if self.missing is None else self.missing


Conditions = Annotated[list[Condition], BeforeValidator(_listed), Field(max_length=20)]


class Request(Part):
    """One call. `path` is below the section's `url`; placeholders are encoded for where they stand.

    Pages of HTML are no answers, but for two things: `read_fields` reads fields of a form, or meta tags, by their name,
    and `location` is where a redirect leads that means done.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Template
    query: dict[str, Any] = {}
    headers: dict[str, Template] = {}
    cookies: Annotated[dict[CookieName, Template], Field(max_length=10)] = {}
    body: Any = Field(None, alias="json")
    form: dict[str, Template] | None = None
    auth: bool = True
    repeatable: bool = False
    status: Statuses | None = None
    done: Scalars | None = None
    ok: Conditions = []
    items: Pointer | None = None
    item: Pointer | None = None
    next: Pointer | None = None
    read: Read = {}
    read_cookies: Annotated[dict[str, CookieName], AfterValidator(_theirs), Field(max_length=10)] = {}
    read_fields: Annotated[dict[str, FieldName], AfterValidator(_theirs), Field(max_length=10)] = {}
    location: Location | None = None

    def reads(self) -> set[str]:
        """Names of what its answer gives to later requests."""
        return {*self.read, *self.read_cookies, *self.read_fields}

    @property
    def of_pages(self) -> bool:
        """Whether its answer is a page or a redirect, in which no code and no words are looked for."""
        return bool(self.read_fields) or self.location is not None

    def says_done(self, body: Any) -> bool:
        """Whether one of the conditions in `ok` holds of the answer; without any it does."""
        return not self.ok or any(c.holds(body, False) for c in self.ok)

    @model_validator(mode="after")
    def _of_pages(self) -> Request:
        if self.of_pages and (self.items or self.item or self.read or self.ok):
            raise wrong(N_("read_fields and location are for pages, which have no items, item, read, or ok"))
        if self.read_fields and self.location:
            raise wrong(N_("a redirect has no page with fields: read_fields or location, not both"))
        return self

    @model_validator(mode="after")
    def _one_body(self) -> Request:
        if self.body is not None and self.form is not None:
            raise wrong(N_("a request has json or form, not both"))
        if self.method == "GET" and (self.body is not None or self.form is not None):
            raise wrong(N_("a GET has no body; use query, or another method"))
        return self


class ListRequest(Request):
    """One that answers with a list. `total` says how many there are on all pages."""

    items: Pointer
    total: Pointer | None = None


class SetRequest(Request):
    """The one that sets the password.

    Args:
        remembers_job: the system keeps `{job}` and does nothing when it comes again.
        ends_sessions: it ends the person's sessions by itself.
        unlocks: it unlocks by itself.
    """

    remembers_job: bool = False
    ends_sessions: bool = False
    unlocks: bool = False


class SessionsRequest(ListRequest):
    """Lists a person's sessions: `id` points to `{session}`, `owner` to what must be the person's `owner_is`."""

    id: Pointer
    owner: Pointer | None = None
    owner_is: Literal["id", "username"] = "id"


class Requests(Part):
    """What can be asked of the system, and what done in it. `set` and one of `find` and `list` have to be there."""

    find: Annotated[list[ListRequest], BeforeValidator(_listed), Field(max_length=5)] | None = None
    everybody: ListRequest | None = Field(None, alias="list")
    read: Request | None = None
    roles: ListRequest | None = None
    change: SetRequest = Field(alias="set")
    unlock: Request | None = None
    must_change: Request | None = None
    sessions: SessionsRequest | None = None
    revoke: Request | None = None
    verify: Request | None = None
    sign_out: Request | None = None
    key: Request | None = None

    @model_validator(mode="after")
    def _whole(self) -> Requests:
        if not (self.find or self.everybody):
            raise wrong(N_("find is missing (or list, for a system without a look-up): nobody could be found"))
        if self.sessions and not self.revoke:
            raise wrong(N_("sessions lists them, so revoke has to end one: {session}"))
        if self.sign_out and not self.verify:
            raise wrong(N_("sign_out ends what verify began, and there is no verify"))
        return self


class Auth(Part):
    """How Keyback signs in. `headers` and `query` go along with every call, `{token}` and what was `read` in them."""

    kind: Literal["none", "basic", "bearer", "headers", "token", "cookie"]
    headers: dict[str, Template] = {}
    query: dict[str, Template] = {}
    before: Request | None = None
    request: Request | None = None
    after: Request | None = None
    cookies: Annotated[list[CookieName], Field(max_length=10)] = []
    lifetime_s: int = Field(600, ge=1, le=86_400)
    expires_in: Pointer | None = None

    @model_validator(mode="after")
    def _whole(self) -> Auth:
        signs_in = self.kind in {"token", "cookie"}
        if not signs_in and {"expires_in", "lifetime_s"} & self.model_fields_set:
            raise wrong(N_("expires_in and lifetime_s are for kinds token and cookie"))
        if signs_in and self.request is None:
            raise wrong(N_("kind {kind} needs a request that signs in"), kind=self.kind)
        if not signs_in and (self.request or self.before or self.after):
            raise wrong(N_("kind {kind} makes no request; token and cookie do"), kind=self.kind)
        if self.kind == "token" and self.request and "token" not in self.request.reads():
            raise wrong(N_('read = { token = "/…" } is missing: where the answer has the token'))
        if (self.kind == "cookie") != bool(self.cookies):
            raise wrong(N_("cookies = […] names the cookies to keep, and is for kind cookie alone"))
        if self.kind == "headers" and not (self.headers or self.query):
            raise wrong(N_("kind headers needs headers, such as { X-Api-Key = '{secret}' }"))
        return self


class Answers(Part):
    """What holds for every answer: where its code and its words are, and which codes mean done.

    `text_header` is a header that has words too.
    """

    code: Pointer | None = None
    done: Scalars = []
    text: Annotated[list[Pointer], BeforeValidator(_listed)] = []
    text_header: Annotated[str, Field(max_length=100)] = ""


class ErrorRule(Part):
    """What an error means to Keyback; all that is given has to fit, and the first rule that fits counts. `says` is for
    people, in place of the system's words."""

    on: Annotated[list[RequestName], BeforeValidator(_listed)] | None = None
    status: Statuses | None = None
    code: Scalars | None = None
    text: Annotated[list[str], BeforeValidator(_listed)] | None = None
    location: Location | None = None
    means: Means
    says: Annotated[str, Field(max_length=300)] = ""

    @model_validator(mode="after")
    def _something(self) -> ErrorRule:
        if (self.status, self.code, self.text, self.location) == (None, None, None, None):
            raise wrong(N_("give at least one of status, code, text, and location"))
        return self


class AccountPart(Part):
    """Where one user's JSON has what Keyback needs. `id` must never change; the username may. `mobile` is for numbers
    that get text messages, and `groups` for names of groups or departments; both may point to several."""

    id: Pointer
    username: Pointer
    mail: Pointer | None = None
    name: Pointer | None = None
    mobile: Pointer | None = None
    groups: Pointer | None = None
    disabled: Conditions = []
    locked: Conditions = []
    sso_only: Conditions = []
    privileged: Annotated[Conditions, Field(min_length=1)]
    extra: Extra = {}


class Paging(Part):
    """How `list` and `find` go on. `{page}`, `{offset}`, `{size}`, `{cursor}` are placeholders for it."""

    kind: Literal["page", "offset", "cursor"]
    size: int = Field(100, ge=1, le=5000)
    first: int = Field(1, ge=0, le=1)


class TransformPart(Part):
    """A filter for the password: `{password|name}`."""

    kind: Kind
    before: Template = ""
    after: Template = ""
    output: Output = "hex"
    rounds: int = Field(1, ge=1, le=100_000)
    key: Annotated[str, Field(max_length=5000)] = ""
    first: str | None = None

    @model_validator(mode="after")
    def _keyed(self) -> TransformPart:
        if self.rounds > 1 and self.kind not in get_args(Digest):
            raise wrong(N_("rounds are for digests: md5, sha1, sha256, sha512"))
        if self.kind.startswith(("rsa_", "hmac_")) != bool(self.key):
            raise wrong(N_("key is for kinds rsa_… and hmac_…, which need it"))
        return self


class Recipe(Part):
    """A whole recipe."""

    format: Literal[1]
    title: Annotated[str, Field(max_length=200)] = ""
    values: Annotated[dict[str, str], AfterValidator(_names), Field(max_length=50)] = {}
    find_in_list: bool = False
    read_found: bool = False
    auth: Auth
    answers: Answers = Answers()
    errors: Annotated[list[ErrorRule], Field(max_length=200)] = []
    account: AccountPart
    paging: Paging | None = None
    transforms: Annotated[dict[str, TransformPart], AfterValidator(_names), Field(max_length=20)] = {}
    password_rules: Annotated[RulesOptions, Field(strict=False)] | None = None
    requests: Requests

    def by_name(self) -> dict[str, Request]:
        """Every request that there is, by the path of its key."""
        out: dict[str, Request] = {}
        for field, info in Requests.model_fields.items():
            name, found = info.alias or field, getattr(self.requests, field)
            if isinstance(found, list):
                out |= {
                    f"requests.{name}.{n}" if len(found) > 1 else f"requests.{name}": r for n, r in enumerate(found)
                }
            elif found is not None:
                out[f"requests.{name}"] = found
        if self.auth.before:
            out["auth.before"] = self.auth.before
        if self.auth.request:
            out["auth.request"] = self.auth.request
        if self.auth.after:
            out["auth.after"] = self.auth.after
        return out


REQUESTS: Final = tuple(get_args(RequestName))
