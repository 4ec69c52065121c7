"""Everything that faces and worker need, put together once by `bootstrap`."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from keyback.application.people.scheduled_sync import Schedule
from keyback.application.ports.bots import Bot
from keyback.application.ports.channels import Channel
from keyback.application.ports.chat_sign_in import ChatSignIn
from keyback.application.ports.connectors import Connector
from keyback.application.ports.hashing import HashingGate
from keyback.application.ports.identity import IdentityService
from keyback.application.ports.images import Images
from keyback.application.ports.proofs import About, Proof
from keyback.application.ports.returned_mail import ReturnSources
from keyback.application.ports.siem import Siem
from keyback.application.ports.storage import Database, Seals
from keyback.application.ports.tasks import TaskRules
from keyback.application.ports.webhooks import Posts
from keyback.application.throttling.mail_quota import NO_LIMIT, InstallationQuota
from keyback.application.throttling.spraying import Thresholds
from keyback.domain.brand.face import Face
from keyback.domain.operators.service_hours import ServiceHours
from keyback.domain.passwords.rules import Blocklist, Rules
from keyback.domain.people.phone_identifier import NONE_TAKEN, PhoneIdentifiers
from keyback.domain.policy.rules import Policy
from keyback.domain.throttling.sms_quota import SpendRules


@dataclass(frozen=True, slots=True)
class Services:
    """The application's parts.

    Args:
        titles: system name to what people call it, in the order of the configuration.
        passwords_in: system name to the name of the one that keeps the passwords of its accounts that are synced,
            federated or sign in by single sign-on.
        posts: what carries events to receivers.
        company: the company's name by locale.
        context_words: more words that a password may not consist of.
        policy: what is taken as proof and how long decided recoveries wait.
        proofs: ways to prove who one is, by name, in the order in which pages offer them.
        abouts: what people read of every proof, by name; also of those that cannot be offered here.
        leaked: passwords known from public leaks; empty when no breach file is set.
        numbers: whether people are found by phone numbers.
        chat: where people sign in to link their work chat; None where they type its ID, or there is none.
        spend: where SMS may go and how many.
        mail_quota: how many mails may be asked for, whoever they go to.
        people_sync: systems that people are synced from, and how often.
        hours: when the help desk works, and how long a case may wait.
        alarms: how much guessing is still no alarm.
        identity: services that verify identities, by name.
        images: what decodes pictures of documents; None where the extra `evidence` is not installed, or none are taken.
        tasks: which administrators are asked for what only they can do.
        face: logo, colors and texts of the company's own.
        siem: where every event of the audit log is sent; None where the settings name none.
        bots: the company's bots in chat services, by name.
        returns: who tells us of mail that did not arrive.
        zone: by whose clock people are asked, and days begin.
    """

    db: Database
    seals: Seals
    gate: HashingGate
    channel: Channel
    posts: Posts
    connectors: Mapping[str, Connector]
    titles: Mapping[str, str]
    rules: Rules
    blocklist: Blocklist
    public_url: str
    company: Mapping[str, str]
    context_words: tuple[str, ...] = field(default=())
    leaked: Container[str] = ()
    policy: Policy = field(default_factory=Policy)
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    abouts: Mapping[str, About] = field(default_factory=dict)
    numbers: PhoneIdentifiers = NONE_TAKEN
    chat: ChatSignIn | None = None
    spend: SpendRules = field(default_factory=lambda: SpendRules(()))
    mail_quota: InstallationQuota = NO_LIMIT
    alarms: Thresholds = field(default_factory=Thresholds)
    hours: ServiceHours = field(default_factory=ServiceHours)
    tasks: TaskRules = field(default_factory=TaskRules)
    people_sync: Schedule = field(default_factory=Schedule)
    identity: Mapping[str, IdentityService] = field(default_factory=dict)
    images: Images | None = None
    returns: ReturnSources = field(default_factory=ReturnSources)
    siem: Siem | None = None
    bots: Mapping[str, Bot] = field(default_factory=dict)
    passwords_in: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo = UTC
    face: Face = field(default_factory=Face)

    @property
    def sign_in_urls(self) -> dict[str, str]:
        """System name to where people sign in to it, our own page last; systems without an address are left out."""
        found = {name: c.url for name, c in self.connectors.items() if c.url and name != "builtin"}
        return {**found, "builtin": f"{self.public_url}/sign-in"} if "builtin" in self.connectors else found
