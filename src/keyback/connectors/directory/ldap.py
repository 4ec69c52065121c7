"""OpenLDAP with its password policy overlay, and 389 Directory Server.

Tried with slapd 2.5.13, and by hand with 389-ds 2.3.1. An administrator's set unlocks in OpenLDAP by itself, but marks
no password as one to be changed when it is a service account that sets it, so `pwdReset` is written here.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from keyback.application.ports.connectors import (
    Activity,
    Capabilities,
    CheckLine,
    Finding,
    FoundAccount,
    Means,
    Outcome,
    Plan,
    SignIn,
    Step,
    Unavailable,
)
from keyback.connectors.directory.common import DirectoryConnector, instant
from keyback.connectors.directory.listing import Known, fitting
from keyback.connectors.directory.options import LdapOptions
from keyback.connectors.directory.port import Change, Entry, escaped
from keyback.connectors.faults import fault
from keyback.domain.passwords.target_rules import TargetRules
from keyback.domain.secret import Secret
from keyback.outbound.http import OutboundRefusal

FOREVER = "000001010000Z"  # OpenLDAP: locked by an administrator, until an administrator opens it
CHANGE_NOW = "19700101000000Z"  # 389: to be changed at the next sign-in, where passwordMustChange is on
NOT_ASKED = "passwordMustChange is off in this directory, so it does not ask for another password"
OPENLDAP = (
    "entryUUID", "pwdAccountLockedTime", "pwdReset", "pwdChangedTime", "pwdFailureTime", "pwdLastSuccess",
    "authTimestamp", "pwdPolicySubentry",
)  # fmt: skip
DS389 = (
    "nsUniqueId", "nsAccountLock", "accountUnlockTime", "passwordExpirationTime", "passwordRetryCount", "lastLoginTime",
    "pwdUpdateTime",
)  # fmt: skip
POLICY = ("pwdMinLength", "pwdMinAge", "pwdMaxAge", "pwdInHistory", "pwdLockoutDuration")
_ID = re.compile(r"^[0-9a-fA-F]{8}(-?[0-9a-fA-F]+)+$")


class LdapConnector(DirectoryConnector):
    """Connector for one directory by LDAP; see `LdapOptions`."""

    capabilities = Capabilities(
        lookup=Means.NATIVE,
        list=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.NATIVE,
        must_change=Means.NATIVE,
        unlock=Means.NATIVE,
        activity=Means.NATIVE,
        status=Means.NATIVE,
    )
    _options: LdapOptions
    _ids = ("entryUUID", "nsUniqueId")

    def __init__(self, name: str, title: str, options: LdapOptions) -> None:
        super().__init__(name, title, options)
        self._server = options.server

    options_model = LdapOptions

    # ── reading ──

    async def _kind(self) -> str:
        if not self._server:
            root = await self._directory.read("", ["vendorName", "vendorVersion"])
            said = f"{root.text('vendorName')} {root.text('vendorVersion')}" if root else ""
            self._server = "389ds" if "389" in said else "openldap"
        return self._server

    async def _attributes(self) -> Sequence[str]:
        o = self._options
        own = DS389 if await self._kind() == "389ds" else OPENLDAP
        return (o.username_attribute, o.mail_attribute, o.name_attribute, *own)

    def _people(self) -> str:
        return self._options.user_filter

    def _named(self, value: str) -> str:
        return f"(|({self._options.username_attribute}={value})({self._options.mail_attribute}={value}))"

    def _naming(self) -> Sequence[str]:
        return self._options.username_attribute, self._options.mail_attribute

    def _with_id(self, external_id: str) -> str | None:
        if not _ID.match(external_id):
            return None
        return f"({'nsUniqueId' if self._server == '389ds' else 'entryUUID'}={escaped(external_id)})"

    def _account(self, entry: Entry) -> FoundAccount:
        o = self._options
        locked, disabled = self._state(entry)
        return FoundAccount(
            entry.text("nsUniqueId") or entry.text("entryUUID") or "",
            entry.text(o.username_attribute) or "",
            entry.text(o.mail_attribute),
            entry.text(o.name_attribute),
            state="disabled" if disabled else "locked" if locked else "active",
            password_changed_at=instant(entry.text("pwdChangedTime") or entry.text("pwdUpdateTime")),
            last_sign_in_at=_last_sign_in(entry),
        )

    async def _told(self, entry: Entry) -> FoundAccount:
        account = await super()._told(entry)
        off = self._options.disabled_filter
        if account.state != "disabled" and off and await self._directory.search(entry.dn, off, ["1.1"], 1):
            return replace(account, state="disabled")
        return account

    async def _known(self) -> Known:
        known, off = await super()._known(), self._options.disabled_filter
        return replace(known, off=await fitting(self._directory, self._options.base, off)) if off else known

    @staticmethod
    def _state(entry: Entry) -> tuple[bool, bool]:
        """Whether it is locked, and whether an administrator switched it off."""
        since = entry.text("pwdAccountLockedTime")
        if since == FOREVER or (entry.text("nsAccountLock") or "").lower() == "true":
            return False, True
        until = entry.text("accountUnlockTime")
        ends = instant(until)
        return since is not None or (until is not None and (not ends or ends > time.time() * 1000)), False

    # ── changing ──

    async def _open(self, entry: Entry) -> None:
        gone: Mapping[str, Change] = {
            name: ("replace", ())
            for name in ("pwdAccountLockedTime", "pwdFailureTime", "accountUnlockTime", "passwordRetryCount")
            if name.lower() in entry.attributes
        }
        if "pwdaccountlockedtime" in entry.attributes and "pwdFailureTime" in gone:
            # OpenLDAP lets them be written one after the other by whoever may manage them.
            await self._directory.modify(entry.dn, {"pwdAccountLockedTime": ("delete", ())})
            return
        if gone:
            await self._directory.modify(entry.dn, gone)

    async def _set(self, entry: Entry, plan: Plan, password: Secret) -> Sequence[Outcome]:
        await self._directory.set_password(entry.dn, password)
        return [Outcome(Step.SET, "done"), *await self._must_change(entry, plan)]

    async def _must_change(self, entry: Entry, plan: Plan) -> list[Outcome]:
        ds389 = await self._kind() == "389ds"
        was = (entry.text("pwdReset") or "").upper() == "TRUE" or entry.text("passwordExpirationTime") == CHANGE_NOW
        if not plan.must_change and not was:
            return []
        if ds389:
            value = (CHANGE_NOW.encode(),) if plan.must_change else ()
            change: Mapping[str, Change] = {"passwordExpirationTime": ("replace", value)}
        else:
            change = {"pwdReset": ("replace", (b"TRUE",)) if plan.must_change else ("replace", ())}
        try:
            await self._directory.modify(entry.dn, change)
        except OutboundRefusal as e:
            # The password is set and works; that it stays is less than was asked for, and said so.
            return [Outcome(Step.MUST_CHANGE, "unsupported", e.code, e.text)] if plan.must_change else []
        except Unavailable as e:
            return [fault(Step.MUST_CHANGE, e)] if plan.must_change else []
        if not plan.must_change:
            return []
        if ds389 and plan.new_password is not None:
            bound = await self._directory.bind(entry.dn, plan.new_password)
            if bound.why not in {"must_change", "expired"}:
                with contextlib.suppress(Unavailable):  # else it would look like an expired password from then on
                    await self._directory.modify(entry.dn, {"passwordExpirationTime": ("replace", ())})
                return [Outcome(Step.MUST_CHANGE, "unsupported", vendor_text=NOT_ASKED)]
        return [Outcome(Step.MUST_CHANGE, "done")]

    # ── looking after it ──

    async def password_rules(self, external_id: str | None = None) -> TargetRules | None:
        if self.rules:
            return self.rules
        entry = await self._by_id(external_id) if external_id else None
        policy = await self._policy(entry)
        if policy is None:
            return None
        return TargetRules(
            min_length=policy.number("pwdMinLength") or 0,
            history=policy.number("pwdInHistory") or 0,
            min_age_ms=(policy.number("pwdMinAge") or 0) * 1000,
            max_age_ms=(policy.number("pwdMaxAge") or 0) * 1000 or None,
            known="read",
        )

    async def _policy(self, entry: Entry | None) -> Entry | None:
        dn = (entry.text("pwdPolicySubentry") if entry else None) or self._options.policy_dn
        return await self._directory.read(dn, POLICY) if dn else None

    async def diagnose(self, username: str, external_id: str | None = None) -> Sequence[Finding]:
        found = list(await super().diagnose(username, external_id))
        accounts = [a for a in await self.find(username) if external_id in (None, a.external_id)]
        entry = await self._by_id(accounts[0].external_id) if len(accounts) == 1 else None
        if entry is None:
            return tuple(found)
        now = int(time.time() * 1000)
        expires = entry.text("passwordExpirationTime")
        if (entry.text("pwdReset") or "").upper() == "TRUE" or expires == CHANGE_NOW:
            found.append(Finding("must_change"))
        changed, policy = accounts[0].password_changed_at, await self._policy(entry)
        if changed and policy:
            oldest, youngest = (policy.number("pwdMaxAge") or 0) * 1000, (policy.number("pwdMinAge") or 0) * 1000
            if oldest and changed + oldest < now:
                found.append(Finding("password_expired"))
            if youngest and changed + youngest > now:
                found.append(Finding("minimum_age", until=changed + youngest))
        if expires and expires != CHANGE_NOW and (instant(expires) or 0) < now:
            found.append(Finding("password_expired"))
        return tuple(found)

    async def activity(self, external_id: str) -> Activity | None:
        """The last sign-in, and wrong passwords since, as far as the directory keeps them."""
        entry = await self._by_id(external_id)
        if entry is None:
            return Activity()
        last = _last_sign_in(entry)
        seen = [SignIn(last, True)] if last else []
        seen += [SignIn(at, False) for t in entry.texts("pwdFailureTime") if (at := instant(t))]
        return Activity(tuple(sorted(seen, key=lambda s: -s.at)))

    async def _looked_after(self) -> list[CheckLine]:
        kind = "389 Directory Server" if await self._kind() == "389ds" else "OpenLDAP, or speaks like it"
        lines = [CheckLine("read", "ok", kind)]
        if await self._kind() != "389ds" and await self.password_rules() is None:
            advice = "Name the default password policy in policy_dn, or its rules in password_rules."
            if dn := self._options.policy_dn:
                advice = f"Correct policy_dn, or let the service account read {dn}."
            lines.append(CheckLine("rules", "warn", "the password policy is not known", advice=advice))
        root = await self._directory.read("", ["supportedExtension"])
        if root is None or "1.3.6.1.4.1.4203.1.11.1" not in root.texts("supportedExtension"):
            text = "the server does not say that it takes new passwords (RFC 3062)"
            lines.append(
                CheckLine("permission", "warn", text, ("set_password",), "See that the root entry can be read.")
            )
        return lines


def _last_sign_in(entry: Entry) -> int | None:
    return instant(entry.text("pwdLastSuccess") or entry.text("authTimestamp") or entry.text("lastLoginTime"))
