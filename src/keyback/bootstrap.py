"""Puts the parts together; the only file that names concrete classes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog
from pydantic import ValidationError

from keyback import registry
from keyback.application.clock import wall_clock
from keyback.application.passwords.hashing import HashGate
from keyback.application.passwords.strength import load_blocklist
from keyback.application.people.scheduled_sync import Schedule
from keyback.application.people.sync_batch import SyncRules
from keyback.application.ports.channels import Channel
from keyback.application.ports.chat_sign_in import ChatSignIn
from keyback.application.ports.connectors import Connector, Unavailable
from keyback.application.ports.enrolment import SignsInElsewhere
from keyback.application.ports.hashing import Busy, PasswordHasher, Verified
from keyback.application.ports.proofs import About, Given, Proof
from keyback.application.ports.siem import Siem
from keyback.application.ports.tasks import TaskRules
from keyback.application.services import Services
from keyback.application.throttling.mail_quota import InstallationQuota
from keyback.application.throttling.spraying import Thresholds
from keyback.bootstrap_bots import make_bots
from keyback.bootstrap_keys import load_keyring, make_gate
from keyback.bootstrap_mail import make_return_sources, trusts
from keyback.bootstrap_providers import make_identity, make_providers
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
from keyback.domain.people.phone_identifier import PhoneIdentifiers
from keyback.domain.policy.rules import PROVIDER_SIGN_IN, ProofClass
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR, MINUTE
from keyback.outbound.images.decoder import decoder
from keyback.outbound.syslog import SyslogLink
from keyback.outbound.webhooks import WebhookPosts
from keyback.settings import Settings, Unsafe, refuse_unsafe
from keyback.settings_policy import make_policy
from keyback.settings_sections import System
from keyback.storage.breach.lookup import BadBreachFile, BreachFile
from keyback.storage.builtin_credentials import CredentialRows
from keyback.storage.database import PATIENCE_S, SqlDatabase

log = structlog.get_logger("keyback.bootstrap")


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


def make_composer(s: Settings, public_url: str) -> MailComposer:
    """Makes mails with the company's face; their links lead to `public_url`.

    Raises:
        ValueError: the sender or the address cannot be used.
    """
    words, desk = s.company.texts(), s.helpdesk.texts()
    sender = s.mail.sender or "keyback@localhost.localdomain"
    return MailComposer(words, sender, desk, s.timezone, public_url, s.bounces.address, s.brand.face())


def make_channel(s: Settings, clock: Callable[[], int]) -> Channel:
    """The mail channel; without a relay (the demo before its mailbox is up) an address that refuses."""
    m = s.mail
    try:
        password = s.mail_password()
    except OSError as e:
        raise Unsafe(f"mail.password_file cannot be read: {e.strerror}. Check the path and who may read it.") from None
    except ValueError as e:
        raise Unsafe(f"mail.password_file: {e}.") from None
    if m.host and m.username and password is None:
        raise Unsafe("mail.username is set without a password. Put it into a file and name that in mail.password_file.")
    if m.ca_file is not None:
        trusts("mail.ca_file", m.ca_file)
    try:
        composer = make_composer(s, s.public_url)
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
    words = s.company.texts()
    return PhoneChannel(name, gateway, PhoneTexts(words, s.timezone, s.public_url), clock)


def make_chat_sign_in(s: Settings, clock: Callable[[], int]) -> ChatSignIn | None:
    """What people link their work chat by.

    Raises:
        Unsafe: this kind of service signs nobody in.
    """
    if not (s.im.kind and s.im.sign_in):
        return None
    try:
        found = registry.load_gateway(s.im.kind).from_options(s.im.options, clock)
    except registry.BadPart:
        return None
    if not isinstance(found, ChatSignIn):
        raise Unsafe(f"im.sign_in: people can't sign in with {s.im.kind}. Take it out")
    return found


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
    off, hours, without = p.max_off_percent, p.full_every_hours * HOUR, frozenset(p.no_phones_from)
    return SyncRules(s.default_locale, off, p.max_accounts, p.link_by_mail, hours, s.phone_country, without)


def phone_identifiers(s: Settings) -> PhoneIdentifiers:
    """Numbers are on record only where SMS is set up."""
    return PhoneIdentifiers(bool(s.sms.kind) and s.people.phone_identifiers, s.people.phone_country)


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
        company=s.company.texts(),
        context_words=tuple(s.password.context_words),
        leaked=load_leaked(s),
        policy=make_policy(s, proofs.kinds),
        proofs=proofs.offered,
        abouts=proofs.abouts,
        alarms=Thresholds(s.limits.failing_names, s.limits.locked_names),
        zone=ZoneInfo(s.timezone),
        face=s.brand.face(),
        people_sync=Schedule(s.people.sync.systems, s.people.sync.every_minutes * MINUTE, sync_rules(s)),
        mail_quota=InstallationQuota(s.mail.hourly, s.mail.daily),
        hours=s.help_desk.service_hours(s.timezone),
        returns=make_return_sources(s),
        identity=make_identity(s),
        images=decoder() if s.documents.assessment else None,
        tasks=TaskRules(tuple(s.tasks.administrators), s.default_locale, s.tasks.at_once),
        numbers=phone_identifiers(s),
        chat=make_chat_sign_in(s, clock or wall_clock),
        spend=s.sms.spending(),
        posts=WebhookPosts(s.webhooks.ca_file, s.webhooks.timeout_s),
        siem=make_siem(s),
        bots=make_bots(s),
    )


def make_siem(s: Settings) -> Siem | None:
    """What carries every event to the SIEM; None where the settings name none."""
    if not s.siem.host:
        return None
    return Siem(SyslogLink(s.siem.server()), s.siem.rules(urlsplit(s.public_url).hostname or "keyback"))


async def close(services: Services) -> None:
    """Lets go of every connection, outside ones first."""
    for connector in services.connectors.values():
        await connector.close()
    await asyncio.gather(services.channel.close(), services.posts.close())
    if services.chat is not None:
        await services.chat.close()
    signs_in = services.proofs.get(PROVIDER_SIGN_IN)
    if isinstance(signs_in, SignsInElsewhere):
        for provider in signs_in.providers.values():
            await provider.close()
    for service in services.identity.values():
        await service.close()
    await asyncio.gather(*(bot.close() for bot in services.bots.values()))
    services.gate.close()
    await services.db.close()
