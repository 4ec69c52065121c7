"""The OpenAPI document: every problem of every operation with an example, and the schemas that no route names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from keyback.web.api import models as m
from keyback.web.http.problems import TITLES

REF = "#/components/schemas/{model}"
WORDS = {
    "unauthorized": "No secret was sent, or it does not hold this. The same whether there is such a thing or not.",
    "not_found": "Not an address of ours.",
    "not_json": "The body is not JSON in UTF-8.",
    "bad_idempotency_key": "16 to 255 printable ASCII characters.",
    "bad_if_match": "The `ETag` of the case as it was sent, with its quotes.",
    "unsupported_media_type": "Send `application/json`.",
    "too_long": "More than 64 KB.",
    "too_large": "The address is longer than any that is used here.",
    "too_slow": "The body did not come in time.",
    "invalid": "`errors` says which members aren’t right.",
    "repeated_field": "A member stands there twice.",
    "unknown_field": "A member that is not known.",
    "wrong_state": "Not now; `state` says where it stands.",
    "privileged_target": "An administrator's account: only another administrator changes it.",
    "not_removable": "Only an administrator of the system can remove it.",
    "refused": "The system did not take it; nothing was changed.",
    "set_in_vain": "A new password would be refused in one of these, or open nothing; `GET …/diagnosis` says why.",
    "already_chosen": "A password was chosen already; the one just sent was not used.",
    "wrong_code": "That code is not right.",
    "wrong_passkey": "What the browser made doesn't fit; ask for a new challenge.",
    "known_passkey": "This passkey is registered already.",
    "last_one": "The last second step of somebody who must have one stays.",
    "not_offered": "Not here: the policy takes none, or the address can have none.",
    "unknown_mailbox": "Not one of `mailboxes`.",
    "not_mail": "Not an email address.",
    "known": "This address is on record already.",
    "too_early": "Not now.",
    "code_over": "That code is right but has ended; `reason` says why. It did not count as a try.",
    "not_a_code": "Not eight digits; it did not count as a try.",
    "no_tries": "No tries are left here; the mailed link still works, or start again.",
    "password_refused": "`violations` has everything that speaks against it.",
    "no_accounts": "None of these accounts can get a new password now.",
    "wrong": "Login or password is wrong, whichever it is.",
    "second_factor_required": "The password is right; `second_step` says how to go on.",
    "wrong_second_step": "That is not right. It counted as a try.",
    "replayed": "That has been used before; wait for the next one.",
    "over": "Its time is over, or it is closed.",
    "own_work": "Whoever closed a request leaves its second round to somebody else.",
    "many_campaigns": "Twenty campaigns have not ended. Stop one first.",
    "not_a_message": "Other work cannot be sent again.",
    "forbidden": "Not among the key's scopes, or nothing that a key can have.",
    "step_up": "The session has to be confirmed: sign in again, then repeat this.",
    "rank": "This person is an operator of the same or a higher role.",
    "needs_person": "An operator has to do this, in the console. No key can.",
    "too_many": "More than a program may do in an hour, or than may be done for one person.",
    "asked_already": "The same waits for a second operator.",
    "locked_down": "The account is locked already.",
    "one_thing": "Something else was started for this person a short time ago.",
    "no_mailbox": "The person has no address to which a recovery could be mailed, or is switched off.",
    "yourself": "Nobody acts on themselves.",
    "claimed": "Another operator has claimed the case.",
    "version_changed": "The case is no longer what you read. Read it again.",
    "key_of_another_request": "This idempotency key came with another request before.",
    "slow_down": "Wait for the seconds of Retry-After.",
    "busy": "Many are signing in; try again in a moment.",
    "unavailable": "Nothing was changed; try again.",
    "unconfirmed": "The change may or may not have been saved. Read the state before you repeat it; a request with an "
    "idempotency key can be sent again as it is.",
    "error": "A fault of ours.",
}
EVERYWHERE = {500: ["error"], 503: ["unavailable", "unconfirmed"]}
WITH_BODY = {400: ["not_json"], 408: ["too_slow"], 413: ["too_long"], 415: ["unsupported_media_type"]}
MORE: dict[str, dict[str, Any]] = {
    "wrong_state": {"state": "waiting"},
    "wrong_code": {"tries_left": 4},
    "code_over": {"reason": "expired", "tries_left": 5},
    "not_a_code": {"tries_left": 5},
    "no_tries": {"tries_left": 0},
    "second_factor_required": {
        "second_step": {"token": "c2Vjb25kLXN0ZXAtdG9rZW4", "proofs": ["totp", "recovery_code"]}
    },
    "invalid": {"errors": [{"field": "code", "code": "not_a_string"}]},
    "no_accounts": {"field": "accounts"},
    "password_refused": {
        "field": "new_password",
        "violations": [
            {
                "code": "password_too_short",
                "text": "At least 15 characters; this has 8.",
                "suggestion": "One or two more words will do.",
            }
        ],
    },
}


def problems(by_status: Mapping[int, Sequence[str]], *, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for these codes and those that any operation may give.

    Args:
        by_status: status to the stable codes that come with it.
        body: the operation reads a body.
    """
    defaults: dict[int, list[str]] = {**EVERYWHERE, **(WITH_BODY if body else {})}
    if body:
        defaults[422] = ["unknown_field", "repeated_field", "not_an_object"]
    out: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*by_status, *defaults}):
        codes = list(dict.fromkeys([*by_status.get(status, ()), *defaults.get(status, ())]))
        words = [f"`{c}`: {WORDS[c]}" if c in WORDS else f"`{c}`" for c in codes]
        examples = {c: {"value": _example(status, c)} for c in codes}
        schema = {"$ref": REF.format(model="Problem")}
        response: dict[str, Any] = {
            "description": "  \n".join(words),
            "content": {"application/problem+json": {"schema": schema, "examples": examples}},
        }
        if status in (429, 503):
            response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        out[status] = response
    return out


def _example(status: int, code: str) -> dict[str, Any]:
    title = TITLES.get(status, "Error")
    return {"type": "about:blank", "title": title, "status": status, "code": code, **MORE.get(code, {})}


class Api(FastAPI):
    """FastAPI whose document holds the problem's schema and no other kind of error."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            doc = get_openapi(
                title=self.title,
                version=self.version,
                openapi_version="3.1.0",
                description=self.description,
                routes=self.routes,
                servers=self.servers,
                tags=self.openapi_tags,
            )
            schemas = doc["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):  # ours are problems
                schemas.pop(name, None)
            for operation in (o for path in doc["paths"].values() for o in path.values()):
                if "application/json" in operation["responses"].get("422", {}).get("content", ()):
                    del operation["responses"]["422"]
            for model in (m.Problem, m.Start):
                schema = model.model_json_schema(ref_template=REF)
                schemas.update(schema.pop("$defs", {}))
                schemas[model.__name__] = schema
            for member in (p for schema in schemas.values() for p in schema.get("properties", {}).values()):
                if member.get("default", ...) is None:  # generators read any default as "always there"
                    del member["default"]
            doc["components"]["schemas"] = dict(sorted(schemas.items()))
            self.openapi_schema = doc
        return self.openapi_schema
