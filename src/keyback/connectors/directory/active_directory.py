"""Active Directory and Samba's.

Tried with Samba 4.17. One reset is not enough: for up to an hour the password before it still signs in by NTLM, so a
throw-away one comes between. The chosen one goes first, since a refusal then leaves everything as it was. Resets by an
administrator know no history, so that the chosen one may be sent again; that is also why a try whose end nobody saw
is done again in full: that the password signs in does not show that the throw-away one came before it.
"""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Sequence

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
from keyback.connectors.directory.listing import Known, fitting, folded
from keyback.connectors.directory.options import ActiveDirectoryOptions
from keyback.connectors.directory.port import Bound, Change, Entry, escaped
from keyback.domain.passwords.target_rules import TargetRules
from keyback.domain.secret import Secret
from keyback.outbound.http import MaybeDone

DISABLED, NO_EXPIRY, LOCKED, EXPIRED = 0x2, 0x10000, 0x10, 0x800000
NEVER = {0, 0x7FFFFFFFFFFFFFFF}
CLOCK_SKEW_MS = 300_000
# Well-known groups and accounts that administer a domain (MS-ADTS, “protected groups” and their kin), by the last
# number of their security identifiers; those of the domain, and those of S-1-5-32.
OF_DOMAIN = {498, 500, 502, 512, 516, 518, 519, 520, 521, 526, 527}
BUILT_IN = {544, 548, 549, 550, 551, 552}
IN_CHAIN = "1.2.840.113556.1.4.1941"  # through groups in groups (MS-ADTS, LDAP_MATCHING_RULE_IN_CHAIN)
ATTRIBUTES = (
    "sAMAccountName", "userPrincipalName", "mail", "displayName", "objectGUID", "objectSid", "userAccountControl",
    "msDS-User-Account-Control-Computed", "lockoutTime", "pwdLastSet", "accountExpires", "adminCount",
    "lastLogonTimestamp", "primaryGroupID", "msDS-ResultantPSO",
)  # fmt: skip
_WORDS = {"775": "locked", "773": "must_change", "532": "expired", "533": "disabled", "701": "disabled"}
_DATA = re.compile(r"data ([0-9a-f]{3,4})\b")


class ActiveDirectoryConnector(DirectoryConnector):
    """Connector for one domain; see `ActiveDirectoryOptions`."""

    capabilities = Capabilities(
        lookup=Means.NATIVE,
        list=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.COMPOSED,
        must_change=Means.NATIVE,
        unlock=Means.NATIVE,
        activity=Means.NATIVE,
        status=Means.NATIVE,
    )
    _options: ActiveDirectoryOptions
    _ids = ("objectGUID",)
    _changed_attribute, _fraction = "whenChanged", ".0"
    _knows_administrators = True
    _signing_in_proves_the_set = False

    options_model = ActiveDirectoryOptions

    # ── reading ──

    async def _attributes(self) -> Sequence[str]:
        return ATTRIBUTES

    def _people(self) -> str:
        return self._options.user_filter

    def _naming(self) -> Sequence[str]:
        return "sAMAccountName", "userPrincipalName", "mail"

    def _named(self, value: str) -> str:
        return "(|" + "".join(f"({name}={value})" for name in self._naming()) + ")"

    def _with_id(self, external_id: str) -> str | None:
        try:
            raw = uuid.UUID(external_id).bytes_le
        except ValueError:
            return None
        return "(objectGUID=" + "".join(f"\\{b:02x}" for b in raw) + ")"

    def _account(self, entry: Entry) -> FoundAccount:
        guid, sids = entry.attributes.get("objectguid", (b"",))[0], entry.attributes.get("objectsid", ())
        control = entry.number("userAccountControl") or 0
        computed = entry.number("msDS-User-Account-Control-Computed")
        locked = bool(computed & LOCKED) if computed is not None else bool(entry.number("lockoutTime"))
        expires = entry.number("accountExpires") or 0
        gone = expires not in NEVER and (filetime(expires) or 0) < time.time() * 1000
        return FoundAccount(
            str(uuid.UUID(bytes_le=guid)) if len(guid) == 16 else "",
            entry.text(self._options.username_attribute) or entry.text("sAMAccountName") or "",
            entry.text("mail"),
            entry.text("displayName"),
            state="disabled" if control & DISABLED or gone else "locked" if locked else "active",
            privileged=entry.text("adminCount") == "1" or not sids or any(map(_administers, sids)),
            password_changed_at=filetime(entry.number("pwdLastSet")),
            last_sign_in_at=filetime(entry.number("lastLogonTimestamp")),
        )

    async def _privileged(self, entry: Entry) -> bool:
        """By all groups, nested and primary ones too, as the domain itself works them out for a sign-in."""
        own = {self._options.bind_dn.casefold(), self._options.bind_dn.rpartition("\\")[2].casefold()}
        if {entry.dn.casefold(), *(t.casefold() for n in self._naming() for t in entry.texts(n))} & own:
            return True
        held = await self._directory.read(entry.dn, ["tokenGroups"])
        sids = set(held.attributes.get("tokengroups", ())) if held else set()
        sids |= set(entry.attributes.get("objectsid", ()))
        if not sids or any(_administers(sid) for sid in sids):
            return True  # who cannot be judged is left alone
        for dn in self._options.privileged_groups:
            group = await self._directory.read(dn, ["objectSid"])
            if group and set(group.attributes.get("objectsid", ())) & sids:
                return True
        where = self._options.privileged_filter
        return bool(where and await self._directory.search(entry.dn, where, ["1.1"], 1))

    async def _known(self) -> Known:
        """By the groups that administer, with all that are in them; one of another domain shows in `_privileged`."""
        o = self._options
        named = {folded(dn) for dn in o.privileged_groups}
        own = {o.bind_dn.casefold(), o.bind_dn.rpartition("\\")[2].casefold()}
        names, groups = {folded(o.bind_dn)}, set[int]()
        every = self._directory.pages(self._domain(), "(objectClass=group)", ["objectSid"])
        for e in [e async for page in every for e in page]:
            sid = e.attributes.get("objectsid", (b"",))[0]
            if _administers(sid) or folded(e.dn) in named:
                groups.add(_number(sid))
                inside = f"(memberOf:{IN_CHAIN}:={escaped(e.dn)})"
                async for page in self._directory.pages(self._domain(), inside, ["objectSid"]):
                    names |= {folded(m.dn) for m in page}
                    groups |= {_number(m.attributes.get("objectsid", (b"",))[0]) for m in page}
        if o.privileged_filter:
            names |= await fitting(self._directory, o.base, o.privileged_filter)
        return Known(frozenset(names), frozenset(own), frozenset(groups))

    async def _bind(self, entry: Entry, password: Secret) -> Bound:
        """The right password of whoever has to change it is refused, but with a number that tells."""
        bound = await super()._bind(entry, password)
        if bound.ok:
            return bound
        data = _DATA.search(bound.text)
        why = _WORDS.get(data[1], "") if data else ""
        return Bound(why in {"must_change", "expired"}, bound.code, why, bound.text)

    # ── changing ──

    async def _open(self, entry: Entry) -> None:
        await self._directory.modify(entry.dn, {"lockoutTime": ("replace", (b"0",))})

    async def _set(self, entry: Entry, plan: Plan, password: Secret) -> Sequence[Outcome]:
        await self._put(entry.dn, password)
        last: dict[str, Change] = {"lockoutTime": ("replace", (b"0",))}
        if plan.must_change:
            last["pwdLastSet"] = ("replace", (b"0",))
        try:
            await self._put(entry.dn, Secret(secrets.token_urlsafe(24) + "aA1-"))
            await self._put(entry.dn, password, **last)
        except Unavailable as e:
            # Between the two nobody can sign in, so whatever it was, all of it is done again.
            raise MaybeDone(e.code, "the password was set once and not yet for good") from None
        done = [Outcome(Step.SET, "done")]
        return [*done, Outcome(Step.MUST_CHANGE, "done")] if plan.must_change else done

    async def _put(self, dn: str, password: Secret, **more: Change) -> None:
        value = f'"{password.reveal()}"'.encode("utf-16-le")
        await self._directory.modify(dn, {"unicodePwd": ("replace", (value,)), **more}, hide=password)

    # ── looking after it ──

    async def password_rules(self, external_id: str | None = None) -> TargetRules | None:
        if self.rules:
            return self.rules
        entry = await self._by_id(external_id) if external_id else None
        finer = entry.text("msDS-ResultantPSO") if entry else None
        if finer and (own := await self._directory.read(finer, _FINER)):
            # A finer policy that Keyback may not read leaves the domain's.
            return _rules(own, "msDS-MinimumPasswordLength", "msDS-PasswordHistoryLength", "msDS-MaximumPasswordAge",
                          (own.text("msDS-PasswordComplexityEnabled") or "").upper() == "TRUE")  # fmt: skip
        domain = await self._directory.read(self._domain(), _DOMAIN)
        if domain is None:
            return None
        complex_ = bool((domain.number("pwdProperties") or 0) & 1)
        return _rules(domain, "minPwdLength", "pwdHistoryLength", "maxPwdAge", complex_)

    def _domain(self) -> str:
        parts = [p.strip() for p in self._options.base.split(",")]
        return ",".join(p for p in parts if p.lower().startswith("dc="))

    async def diagnose(self, username: str, external_id: str | None = None) -> Sequence[Finding]:
        found = list(await super().diagnose(username, external_id))
        accounts = [a for a in await self.find(username) if external_id in (None, a.external_id)]
        entry = await self._by_id(accounts[0].external_id) if len(accounts) == 1 else None
        if entry is None:
            return tuple(found)
        if entry.text("pwdLastSet") == "0" and not (entry.number("userAccountControl") or 0) & NO_EXPIRY:
            found.append(Finding("must_change"))
        elif (entry.number("msDS-User-Account-Control-Computed") or 0) & EXPIRED:
            found.append(Finding("password_expired"))
        return tuple(found)

    async def activity(self, external_id: str) -> Activity | None:
        """The last sign-in, which the domain notes with a delay of up to two weeks."""
        entry = await self._by_id(external_id)
        last = filetime(entry.number("lastLogonTimestamp")) if entry else None
        return Activity((SignIn(last, True),) if last else ())

    async def _looked_after(self) -> list[CheckLine]:
        root = await self._directory.read("", ["currentTime", "defaultNamingContext"])
        now = instant(root.text("currentTime")) if root else None
        if now is None:
            advice = "For OpenLDAP, 389 Directory Server, and others, the kind is ldap."
            return [CheckLine("read", "warn", "this does not describe itself as Active Directory does", advice=advice)]
        apart = abs(now - time.time() * 1000)
        if apart > CLOCK_SKEW_MS:
            text = f"the clocks are {apart / 1000:.0f} seconds apart"
            return [CheckLine("clock", "warn", text, advice="Set the clock of this machine, or the domain's.")]
        return [CheckLine("clock", "ok", "the clocks agree")]


_DOMAIN = ("minPwdLength", "pwdHistoryLength", "maxPwdAge", "pwdProperties")
_FINER = (
    "msDS-MinimumPasswordLength", "msDS-PasswordHistoryLength", "msDS-MaximumPasswordAge",
    "msDS-PasswordComplexityEnabled",
)  # fmt: skip


def _rules(entry: Entry, length: str, history: str, age: str, complex_: bool) -> TargetRules:
    oldest = -(entry.number(age) or 0) // 10_000
    return TargetRules(
        min_length=entry.number(length) or 0,
        classes_of_four=3 if complex_ else 0,
        no_names=complex_,
        history=entry.number(history) or 0,
        max_age_ms=oldest if 0 < oldest < 10**12 else None,
        known="read",
    )


def filetime(value: int | None) -> int | None:
    """100 ns since 1601 as ms since 1970; None for nothing and never."""
    if not value or value in NEVER or value < 0:
        return None
    return value // 10_000 - 11_644_473_600_000


def _number(sid: bytes) -> int:
    """The last number of a security identifier; of a group, what `primaryGroupID` of its members says."""
    return int.from_bytes(sid[-4:], "little")


def _administers(sid: bytes) -> bool:
    """Whether this security identifier is one that administers a domain (MS-DTYP 2.4.2)."""
    if len(sid) < 12 or sid[1] * 4 + 8 != len(sid):
        return False
    numbers = [int.from_bytes(sid[8 + 4 * n : 12 + 4 * n], "little") for n in range(sid[1])]
    if numbers[0] == 32 and len(numbers) == 2:
        return numbers[1] in BUILT_IN
    return numbers[0] == 21 and numbers[-1] in OF_DOMAIN
