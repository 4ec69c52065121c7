"""Puts the parts together; the only file that names concrete classes."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import structlog
from pydantic import ValidationError

from keyback import registry
from keyback.application.clock import wall_clock
from keyback.application.passwords.hashing import HashGate, pepper_id
from keyback.application.passwords.strength import load_blocklist
from keyback.application.people.scheduled_sync import Schedule
from keyback.application.people.sync_batch import SyncRules
from keyback.application.ports.channels import Channel
from keyback.application.ports.connectors import Connector, Unavailable
from keyback.application.ports.enrolment import SignsInElsewhere
from keyback.application.ports.hashing import Busy, HashingGate, PasswordHasher, Verified
from keyback.application.ports.proofs import About, Given, Proof
from keyback.application.ports.sign_in import SignInProvider
from keyback.application.ports.tasks import TaskRules
from keyback.application.services import Services
from keyback.application.throttling.mail_quota import InstallationQuota
from keyback.application.throttling.spraying import Thresholds
from keyback.channels.gateways.base import Gateway, PhoneChannel
from keyback.channels.gateways.missing import MissingGateway
from keyback.channels.gateways.texts import PhoneTexts
from keyback.channels.mail.composer import MailComposer
from keyback.channels.mail.smtp import SmtpChannel, SmtpSettings
from keyback.channels.router import Router
from keyback.connectors.base import CommonOptions
from keyback.connectors.builtin import BuiltinConnector
from keyback.connectors.missing import MissingConnector
from keyback.domain.passwords.rules import PRESETS
from keyback.domain.policy.rules import PROVIDER_SIGN_IN, ProofClass
from keyback.domain.secret import Secret
from keyback.domain.throttling.sms_quota import SpendRules
from keyback.domain.units import HOUR, MINUTE
from keyback.outbound.images.decoder import decoder
from keyback.settings import Settings, Unsafe, refuse_unsafe
from keyback.settings_policy import make_policy
from keyback.settings_providers import config_of
from keyback.settings_sections import System
from keyback.storage.breach.lookup import BadBreachFile, BreachFile
from keyback.storage.builtin_credentials import CredentialRows
from keyback.storage.database import PATIENCE_S, SqlDatabase
from keyback.storage.keys.keyring import Keyring, KeyringError
from keyback.storage.maintenance.key_check import Peppers

log = structlog.get_logger("keyback.bootstrap")


def load_keyring(s: Settings) -> Keyring:
    """The keyring of the settings.

    Raises:
        Unsafe: missing, readable by others, short, or not random (P1).
    """
    try:
        if s.keyring is not None:
            return Keyring.load(s.keyring.get_secret_value())
        path = s.keyring_path
        if path.exists() and path.stat().st_mode & 0o077:
            raise Unsafe(f"{path} can be read by others. Run: chmod 600 {path}")
        ring = Keyring.load(path.read_text(encoding="ascii"))
        ring.follow(path)
        return ring
    except FileNotFoundError:
        raise Unsafe(f"there is no keyring at {s.keyring_path}. Make one with: keyback init") from None
    except (KeyringError, UnicodeDecodeError) as e:
        raise Unsafe(f"the keyring cannot be used: {e}") from None


def make_gate(s: Settings) -> HashGate:
    p = s.password
    files = [*([p.pepper_file] if p.pepper_file else []), *p.old_pepper_files]
    try:
        peppers = [f.read_bytes() for f in files]
    except OSError as e:
        name = "pepper_file" if p.pepper_file and e.filename == str(p.pepper_file) else "old_pepper_files"
        raise Unsafe(f"password.{name} cannot be read: {e.strerror}. Check the path and who may read it.") from None
    now, old = (peppers[0], peppers[1:]) if p.pepper_file else (None, peppers)
    try:
        return HashGate(p.memory_budget_mib, p.argon2_t, p.argon2_m_kib, p.argon2_p, p.queue, now, old_peppers=old)
    except ValueError as e:
        raise Unsafe(f"password: {e}") from None


def named_peppers(s: Settings) -> list[str]:
    """Ids of the peppers that the settings name. Raises OSError: a file cannot be read."""
    files = [*([s.password.pepper_file] if s.password.pepper_file else []), *s.password.old_pepper_files]
    return [pepper_id(f.read_bytes()) for f in files]


def peppers_of(gate: HashingGate) -> Peppers:
    """What `storage.maintenance.key_check` compares with the database."""
    return Peppers(gate.check_values(), gate.pepper)


def load_leaked(s: Settings) -> Container[str]:
    """Passwords known from public leaks; nothing when no file is set.

    Raises:
        Unsafe: the file that is set cannot be used. Going on without it would take what it is there to refuse.
    """
    path = s.password.breach_file
    if path is None:
        return ()
    try:
        return BreachFile(path)
    except BadBreachFile as e:
        raise Unsafe(f"password.breach_file: {path} {e}") from None
    except OSError as e:
        raise Unsafe(f"password.breach_file: {path} cannot be read ({e.strerror})") from None


def make_channel(s: Settings, clock: Callable[[], int]) -> Channel:
    """The mail channel; without a relay (the demo before its mailbox is up) an address that refuses."""
    m = s.mail
    words = {"en": s.company.en, "zh_CN": s.company.zh_CN}
    desk = {"en": s.helpdesk.en, "zh_CN": s.helpdesk.zh_CN}
    try:
        password = s.mail_password()
    except OSError as e:
        raise Unsafe(f"mail.password_file cannot be read: {e.strerror}. Check the path and who may read it.") from None
    except ValueError as e:
        raise Unsafe(f"mail.password_file: {e}.") from None
    if m.host and m.username and password is None:
        raise Unsafe("mail.username is set without a password. Put it into a file and name that in mail.password_file.")
    if m.ca_file is not None:
        _trusts(m.ca_file)
    try:
        composer = MailComposer(words, m.sender or "keyback@localhost.localdomain", desk, s.timezone, s.public_url)
        settings = SmtpSettings(
            host=m.host or "127.0.0.1",
            port=m.port,
            security=m.security if m.host else "plain",
            username=m.username,
            password=Secret(password) if password is not None else None,
            timeout_s=m.timeout_s,
            pool=m.pool,
            local_hostname=m.local_hostname,
            ca_file=str(m.ca_file) if m.ca_file else None,
        )
        return SmtpChannel(composer, settings, clock)
    except (ValueError, OSError) as e:
        raise Unsafe(f"mail: {e}") from None


def _trusts(ca_file: Path) -> None:
    """Raises Unsafe where a file of authorities cannot be used."""
    try:
        ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise Unsafe(f"mail.ca_file: {ca_file} holds no certificate in PEM form.") from None
    except OSError as e:
        raise Unsafe(f"mail.ca_file cannot be read: {e.strerror}. Check the path and who may read it.") from None


def make_phone(s: Settings, name: Literal["sms", "im"], clock: Callable[[], int]) -> PhoneChannel | None:
    """The channel for SMS or chat messages; None when there is none.

    Raises:
        Unsafe: an unknown kind, one that carries something else, or keys that are missing or wrong.
        BadPart: the package that brings it cannot be used.
    """
    carrier = s.sms if name == "sms" else s.im
    if not carrier.kind:
        return None
    keys = ""
    try:
        maker = registry.load_gateway(carrier.kind)
        if name not in maker.about.carries:
            raise ValueError(f"kind: {carrier.kind} carries {' and '.join(sorted(maker.about.carries))} only")
        keys = f". Its keys are {', '.join(maker.about.keys)}"
        return phone_channel(s, name, maker.from_options(carrier.options, clock), clock)
    except registry.Unknown as e:
        raise Unsafe(f"{name}.kind: {e}") from None
    except ValidationError as e:
        raise Unsafe(f"{name}: {registry.faults_of(e)}{keys}") from None
    except OSError as e:
        raise Unsafe(f"{name}: {registry.file_fault(carrier.options, e)}") from None
    except ValueError as e:
        raise Unsafe(f"{name}: {e}") from None


def phone_channel(s: Settings, name: Literal["sms", "im"], gateway: Gateway, clock: Callable[[], int]) -> PhoneChannel:
    words = {"en": s.company.en, "zh_CN": s.company.zh_CN}
    return PhoneChannel(name, gateway, PhoneTexts(words, s.timezone, s.public_url), clock)


def make_router(s: Settings, clock: Callable[[], int]) -> Router:
    """Everything that messages travel by."""
    carriers: dict[str, Channel] = {"mail": make_channel(s, clock)}
    for name in ("sms", "im"):
        try:
            phone = make_phone(s, name, clock)
        except registry.BadPart as e:
            log.error("part_left_out", why=f"{name}: {e}")
            phone = phone_channel(s, name, MissingGateway(str(e)), clock)
        if phone:
            carriers[name] = phone
    return Router(carriers)


class PatientGate:
    """The hashing gate as a connector sees it: a full queue means "ask again later"."""

    def __init__(self, gate: HashGate) -> None:
        self._gate = gate

    async def hash(self, password: Secret) -> str:
        try:
            return await self._gate.hash(password)
        except Busy:
            raise Unavailable("unavailable") from None

    async def verify(self, phc: str | None, password: Secret) -> Verified:
        try:
            return await self._gate.verify(phc, password)
        except Busy:
            raise Unavailable("unavailable") from None


def make_connector(name: str, system: System, db: SqlDatabase, gate: HashGate, history: int = 0) -> Connector:
    """One configured system.

    Args:
        history: how many replaced passwords of a built-in account to remember (`Rules.history`).

    Raises:
        Unsafe: an unknown kind, or keys that are missing or wrong.
        BadPart: the package that brings it cannot be used.
    """
    options = system.options
    try:
        match system.kind:
            case "builtin":
                if unknown := sorted(set(options) - set(CommonOptions.model_fields)):
                    raise ValueError(f"a built-in system has no {', '.join(unknown)}; take it out")
                built_in = BuiltinConnector(name, system.title, PatientGate(gate), CredentialRows(db, name, history))
                built_in.configured(CommonOptions.model_validate(options))
                return built_in
            case kind:
                return registry.make_connector(kind, name, system.title, options)
    except registry.Unknown as e:
        raise Unsafe(f"systems.{name}.kind: {e}") from None
    except ValidationError as e:
        raise Unsafe(f"systems.{name}: {registry.faults_of(e)}") from None
    except OSError as e:
        raise Unsafe(f"systems.{name}: {registry.file_fault(options, e)}") from None
    except ValueError as e:
        raise Unsafe(f"systems.{name}: {e}") from None


def make_providers(s: Settings) -> dict[str, SignInProvider]:
    """The providers that people sign in with, by name.

    Raises:
        Unsafe: keys that are missing or wrong.
    """
    if not s.providers:
        return {}
    from keyback.outbound.openid.provider import OpenIdProvider  # with joserfc, which most do without

    out: dict[str, SignInProvider] = {}
    for name, section in s.providers.items():
        try:
            out[name] = OpenIdProvider(config_of(name, section))
        except (ValueError, OSError) as e:
            raise Unsafe(f"providers.{name}: {e}") from None
    return out


@dataclass(frozen=True, slots=True)
class Proofs:
    """Ways to prove who one is.

    Args:
        offered: by name, in the order in which pages offer them; without those that nothing carries.
        abouts: what people read of each, also of those that are not offered.
        bad: a sentence for each that cannot be used; the others go on without it.
    """

    offered: Mapping[str, Proof]
    abouts: Mapping[str, About]
    bad: tuple[str, ...] = ()

    @property
    def kinds(self) -> Mapping[str, ProofClass]:
        return {name: p.kind for name, p in self.offered.items()}


def make_proofs(s: Settings, gate: PasswordHasher) -> Proofs:
    """Our own proofs, and those of packages that the settings name."""
    providers = make_providers(s)

    def given(name: str) -> Given:
        return Given(gate, s.public_url, s.proof_options.get(name, {}), providers)

    carried = {"": True, "mail": True, "sms": bool(s.sms.kind), "im": bool(s.im.kind)}
    offered: dict[str, Proof] = {}
    abouts: dict[str, About] = {}
    bad = registry.taken(registry.PROOFS)
    for name in dict.fromkeys([*registry.OWN[registry.PROOFS], *s.proofs]):
        try:
            abouts[name], proof = registry.load_proof(name, given(name))
        except registry.BadPart as e:
            bad.append(str(e))
            continue
        if proof is not None and carried[proof.carrier]:
            offered[name] = proof
    return Proofs(offered, abouts, tuple(bad))


def sync_rules(s: Settings) -> SyncRules:
    p = s.people.sync
    return SyncRules(s.default_locale, p.max_off_percent, p.max_accounts, p.link_by_mail, p.full_every_hours * HOUR)


def build(s: Settings, *, clock: Callable[[], int] | None = None) -> Services:
    """All parts of a Keyback with these settings.

    Args:
        clock: for tests; None takes the database's time.

    Raises:
        Unsafe: the configuration would put people at risk; names the setting and the way out.
    """
    refuse_unsafe(s)
    keyring = load_keyring(s)
    if s.database.startswith("sqlite:///"):
        Path(s.database.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    db = SqlDatabase(s.database, keyring, clock=clock, patience_s=PATIENCE_S)
    gate = make_gate(s)
    proofs = make_proofs(s, gate)
    for words in proofs.bad:
        log.error("part_left_out", why=words)
    rules = PRESETS[s.password.preset]
    connectors: dict[str, Connector] = {}
    for name, system in s.systems.items():
        try:
            connectors[name] = make_connector(name, system, db, gate, rules.history)
        except registry.BadPart as e:
            log.error("part_left_out", why=f"systems.{name}: {e}")
            connectors[name] = MissingConnector(name, system.title, str(e))
    return Services(
        db=db,
        seals=keyring,
        gate=gate,
        channel=make_router(s, clock or wall_clock),
        connectors=connectors,
        titles={name: system.title for name, system in s.systems.items()},
        passwords_in={name: system.passwords_in for name, system in s.systems.items() if system.passwords_in},
        rules=rules,
        blocklist=load_blocklist(),
        public_url=s.public_url,
        company={"en": s.company.en, "zh_CN": s.company.zh_CN},
        context_words=tuple(s.password.context_words),
        leaked=load_leaked(s),
        policy=make_policy(s, proofs.kinds),
        proofs=proofs.offered,
        abouts=proofs.abouts,
        alarms=Thresholds(s.limits.failing_names, s.limits.locked_names),
        zone=ZoneInfo(s.timezone),
        people_sync=Schedule(s.people.sync.systems, s.people.sync.every_minutes * MINUTE, sync_rules(s)),
        mail_quota=InstallationQuota(s.mail.hourly, s.mail.daily),
        hours=s.help_desk.service_hours(s.timezone),
        images=decoder() if s.documents.assessment else None,
        tasks=TaskRules(tuple(s.tasks.administrators), s.default_locale, s.tasks.at_once),
        spend=SpendRules(
            tuple(s.sms.prefixes),
            s.sms.daily_per_prefix,
            s.sms.daily_per_person,
            s.sms.hourly_per_prefix,
            s.sms.hourly_per_person,
        ),
    )


async def close(services: Services) -> None:
    """Lets go of every connection, outside ones first."""
    for connector in services.connectors.values():
        await connector.close()
    await services.channel.close()
    signs_in = services.proofs.get(PROVIDER_SIGN_IN)
    if isinstance(signs_in, SignsInElsewhere):
        for provider in signs_in.providers.values():
            await provider.close()
    services.gate.close()
    await services.db.close()
