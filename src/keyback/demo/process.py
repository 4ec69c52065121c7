"""Runs the demo: database, mailbox, phones, CRM, pages and worker in one process on the loopback address."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import click
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from starlette.types import ASGIApp

from keyback import serving
from keyback.application.recovery.evidence import release
from keyback.application.services import Services
from keyback.bootstrap import build, close
from keyback.demo import clouds, company, operators, photos, provider
from keyback.demo.clock import DemoClock
from keyback.demo.enrolled import passkeys
from keyback.demo.enrolled import shown as enrolled
from keyback.demo.seed import seed
from keyback.observability import configure
from keyback.settings import Settings
from keyback.settings_providers import Provider
from keyback.settings_sections import Documents, Im, Limits, Mail, Password, Sms, System, Tasks
from keyback.settings_texts import InLanguages
from keyback.storage.database import SqlDatabase
from keyback.storage.keys import keyfile
from keyback.storage.migrate import migrate
from keyback.testing.demo_crm import DemoCrm
from keyback.testing.mailbox import Mailbox
from keyback.testing.phone import Phone
from keyback.web.demo.pages import DemoApp, DemoCodes
from keyback.web.demo.routes import DemoWorld, Shown, WithCrm, demo_routes
from keyback.web.ui.sign_in_link import below_sign_in

PLENTY = 100_000  # a class room behind one address tries the demo at once
TRY = (
    ("maya.okafor", "one login, one email"),
    ("chenyu", "reads Chinese; three systems at once"),
    ("oliver.brandt", "a mail and his authenticator app"),
)


class DemoSettings(Settings):
    """The demo's settings are its own: neither the environment nor a `keyback.toml` lying around counts."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def run(port: int = 8080, data: Path | None = None, host: str = "127.0.0.1") -> int:
    """Serves the demo on `http://HOST:PORT` until Ctrl-C.

    Args:
        port: Port; 0 picks a free one.
        host: what browsers call it; they make passkeys for `localhost` but for no bare address (WebAuthn level 3,
            section 5.1.3). It listens on 127.0.0.1 in any case.
        data: folder whose state is used again next time; None takes a temporary one, gone at the end.

    Returns:
        0, or 1 when it could not start; the cause is one line on stderr.
    """
    configure("warning")
    os.umask(0o077)  # whatever it leaves in its folder is its owner's alone
    return serving.run(lambda: _demo(port, data, host))


async def _demo(port: int, data: Path | None, host: str) -> None:
    sock = serving.bound(f"127.0.0.1:{port}", "--port")
    port = sock.getsockname()[1]
    base = f"http://{host}:{port}"
    with contextlib.ExitStack() as stack:
        stack.callback(sock.close)
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyback-demo-")))
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)  # also one that was there before
        except OSError as e:
            raise serving.Refused(f"cannot use {folder}: {e.strerror}. Give another --data.") from None
        stack.enter_context(_alone(folder))
        token = secrets.token_urlsafe(24)
        clock = DemoClock(folder / "ahead")
        crm = DemoCrm(folder / "crm.json", token)
        crm.help_link = lambda locale: below_sign_in(base, locale)
        phone = Phone(lambda: clock() / 1000, folder / "phone.jsonl")
        gateway = stack.enter_context(phone.serving())
        async with _mailbox(clock, folder / "mailbox.jsonl") as mailbox:
            deliver = clouds.delivery(mailbox, phone, clock)
            vendors = clouds.start(stack, folder, base, clock, deliver)
            harbour = provider.HarbourId(base)
            settings = demo_settings(
                base, folder, token, mailbox, phone, gateway, vendors.systems(base), harbour.sections
            )
            if not settings.keyring_path.exists():
                keyfile.create(settings.keyring_path)
            services = build(settings, clock=clock)
            try:
                assert isinstance(services.db, SqlDatabase)
                await asyncio.to_thread(migrate, services.db.engine)
                await seed(services, crm, vendors)
                await operators.seed(services)
                await photos.seed(services)
                world = DemoWorld(
                    people=shown(vendors, services.connectors),
                    mailbox=mailbox,
                    phone=phone,
                    crm=crm,
                    titles=services.titles,
                    enrolled=lambda: _apps(services),
                    passkeys=passkeys(),
                    clock=clock,
                    catch_up=lambda: services.db.write(release),
                    clouds=vendors.pages,
                )

                def outer(app: ASGIApp) -> ASGIApp:
                    inner = clouds.WithClouds(WithCrm(app, crm, base), vendors, base)
                    return provider.WithProvider(inner, harbour, base)

                await serving.hold(
                    settings,
                    services,
                    more=demo_routes(world),
                    outer=outer,
                    sock=sock,
                    ready=lambda: _greet(base, data, vendors.pages),
                )
            finally:
                await close(services)
    click.echo("Stopped.")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds a folder for this demo. Raises Refused where another one has it: they would take each other's mail."""
    with (folder / "demo.lock").open("a+", encoding="ascii") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            f.seek(0)
            where = f.read().strip() or "elsewhere"
            words = f"another demo is running on {folder} ({where}). Stop it, or give this one another --data."
            raise serving.Refused(words) from None
        f.truncate(0)
        f.write(f"process {os.getpid()}")
        f.flush()
        yield


@contextlib.asynccontextmanager
async def _mailbox(clock: DemoClock, keep: Path) -> AsyncIterator[Mailbox]:
    mailbox = await Mailbox(clock=clock, keep=keep).astart()
    try:
        yield mailbox
    finally:
        await mailbox.astop()


def demo_settings(
    base: str,
    folder: Path,
    token: str,
    mailbox: Mailbox,
    phone: Phone,
    gateway: str,
    more: Mapping[str, System] = MappingProxyType({}),
    providers: Mapping[str, Provider] = MappingProxyType({}),
) -> Settings:
    """Settings of a demo at `base` that keeps its state in `folder`; `token` opens the CRM's API, `gateway` is where
    the phones are, `more` are further systems, `providers` those that people can sign in with."""
    service = {"kind": "http", "url": gateway, "secret": phone.secret}
    systems = {
        "builtin": System(kind="builtin", title=company.TITLES["builtin"]),
        "demo": System.model_validate(
            {
                "kind": "http",
                "recipe": "demo",
                "title": company.TITLES["demo"],
                "url": f"{base}/demo/crm",
                "sign_in_url": f"{base}/demo/crm/sign-in",
                "secret": token,
            }
        ),
        "guided": System.model_validate(
            {
                "kind": "guided",
                "title": company.TITLES["guided"],
                "url": company.GUIDED_URL,
                "steps": company.GUIDED_STEPS,
            }
        ),
    }
    return DemoSettings(
        demo=True,
        public_url=base,
        listen=f"127.0.0.1:{urlsplit(base).port}",
        data_dir=folder,
        company=InLanguages(**company.COMPANY),
        helpdesk=InLanguages(**company.HELPDESK),
        mail=Mail(host=mailbox.host, port=mailbox.port, security="plain", sender=f"keyback@{company.DOMAIN}"),
        password=Password(argon2_t=2, argon2_m_kib=19456, memory_budget_mib=48, queue=200),
        sms=Sms.model_validate(
            {**service, "prefixes": ["+86", "+1", "+44", "+49"], "daily_per_person": 100, "hourly_per_person": 100}
        ),
        im=Im.model_validate(service),
        limits=Limits(recoveries=PLENTY, proofs=PLENTY, sign_ins=PLENTY, checks=PLENTY),
        documents=Documents(assessment="invented, for the demo"),
        tasks=Tasks(administrators=[f"crm-admin@{company.DOMAIN}"], at_once=False),
        systems={**systems, **more},
        providers=dict(providers),
        log_level="warning",
    )


def shown(vendors: clouds.Clouds, systems: Collection[str]) -> tuple[Shown, ...]:
    """The people as `/demo` and `/demo/people.json` list them."""
    return tuple(
        Shown(
            name=s.name,
            locale=s.locale,
            identifiers=s.identifiers,
            systems=(*s.systems, *(a.system for a in vendors.accounts(s.username, systems))),
            tier=s.tier,
            enrolled=s.enrolled,
            password=s.password,
            hint=s.hint,
        )
        for s in company.STAFF
    )


async def _apps(services: Services) -> tuple[tuple[DemoApp, ...], tuple[DemoCodes, ...]]:
    """For the page `/demo/authenticator`: the operators' apps first."""
    apps, codes = await enrolled(services)
    return (*await services.db.read(operators.apps), *apps), codes


def _greet(base: str, data: Path | None, pages: Sequence[tuple[str, str]]) -> None:
    lines = [
        f"Keyback demo: {company.COMPANY['en']}, {len(company.STAFF)} people who do not exist.",
        "",
        f"  Start here     {base}/",
        f"  The people     {base}/demo",
        f"  Their mailbox  {base}/demo/mailbox",
        f"  Their phones   {base}/demo/phone",
        f"  Their apps     {base}/demo/authenticator",
        f"  Their CRM      {base}/demo/crm/sign-in",
        *(f"  {name:<14} {base}/demo/{path}" for name, path in pages),
        "",
        f"Help desk: {base}/console (its codes are shown at {base}/demo/authenticator)",
        *(f"  {o.role.value.replace('_', ' '):<18} {o.mail}  {o.password}" for o in operators.TEAM),
        "",
        "Forget the password of:",
        *(f"  {username:<14} {words}" for username, words in TRY),
        "",
        f"Kept in {data}. Ctrl-C ends it." if data else "Nothing is kept. Ctrl-C ends it.",
    ]
    click.echo("\n".join(lines))
