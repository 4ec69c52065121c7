"""A connector to an invented ledger, which keeps its users in one JSON file: name, mail, password, and whether they
are administrators or gone."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keyback.application.ports.connectors import (
    Capabilities,
    FoundAccount,
    Guide,
    Means,
    Outcome,
    Plan,
    Step,
    Unavailable,
)
from keyback.connectors.base import CommonOptions, ConnectorBase
from keyback.domain.secret import Secret

SHORTEST = 12  # characters that the ledger asks of a password

STEPS = {
    "en": ("Start the ledger.", "Sign in with the new password."),
    "zh_CN": ("打开账本。", "用新密码登录。"),
}


class LedgerOptions(CommonOptions):
    """Keys of the section; `file` is the ledger's."""

    file: Path


class Ledger(ConnectorBase):
    """Claims what the ledger has, and leaves everything else to `ConnectorBase`."""

    capabilities = Capabilities(
        lookup=Means.NATIVE, verify=Means.COMPOSED, set_password=Means.NATIVE, deep_link=Means.GUIDED
    )

    def __init__(self, name: str, title: str, file: Path) -> None:
        self.name, self.title, self._file = name, title, file

    @classmethod
    def from_options(cls, name: str, title: str, options: Mapping[str, Any]) -> Ledger:
        o = LedgerOptions.model_validate(options)
        made = cls(name, title, o.file)
        made.configured(o)  # sign_in_url and password_rules, which every system may have
        return made

    def guide(self, locale: str) -> Guide:
        return Guide(STEPS.get(locale, STEPS["en"]), self.url)

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        wanted = identifier.casefold()
        return [
            FoundAccount(
                key,
                user["name"],
                user["mail"],
                state="disabled" if user.get("gone") else "active",
                privileged=bool(user.get("admin")),
            )
            for key, user in self._users().items()
            if wanted and wanted in (user["name"].casefold(), user["mail"].casefold())
        ]

    async def verify(self, username: str, password: Secret) -> bool:
        kept = [str(u["password"]) for u in self._users().values() if u["name"] == username]
        return any(hmac.compare_digest(k.encode(), password.reveal().encode()) for k in kept)

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        try:
            users = self._users()
        except Unavailable as e:
            return [Outcome(Step.GUARD, "retry", e.code)]
        user = users.get(plan.external_id)
        if user is None:
            return [Outcome(Step.GUARD, "refused", "not_found")]
        if user.get("gone"):
            return [Outcome(Step.GUARD, "refused", "not_permitted")]
        if user.get("admin") and not plan.allow_privileged:
            return [Outcome(Step.GUARD, "refused", "privileged_target")]
        done = [Outcome(Step.GUARD, "done"), Outcome(Step.UNLOCK, "unsupported")]
        if plan.new_password is None:
            return done
        if len(plan.new_password.reveal()) < SHORTEST:
            return [*done, Outcome(Step.SET, "refused", "policy_rejected", f"The ledger wants {SHORTEST} characters.")]
        user["password"] = plan.new_password.reveal()
        self._file.write_text(json.dumps(users), "utf-8")
        return [
            *done,
            Outcome(Step.SET, "done"),
            Outcome(Step.MUST_CHANGE, "unsupported"),
            Outcome(Step.REVOKE, "unsupported"),
            Outcome(Step.CONFIRM, "done"),
        ]

    def _users(self) -> dict[str, dict[str, Any]]:
        try:
            return dict(json.loads(self._file.read_text("utf-8")))
        except (OSError, ValueError):
            raise Unavailable("unavailable", "the ledger's file cannot be read") from None
