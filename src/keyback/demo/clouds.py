"""The four stand-ins of vendors' clouds in the demo: people sign in below its address, connectors call other ports."""

from __future__ import annotations

import contextlib
import re
import smtplib
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from keyback.application.ports.storage import ImportedAccount
from keyback.demo.company import DOMAIN, PROVIDER
from keyback.demo.vendors import Dynamics365, Fxiaoke, Mounted, Salesforce, Zoho, serve
from keyback.demo.vendors.dynamics365 import seed as dynamics365
from keyback.demo.vendors.fxiaoke import seed as fxiaoke
from keyback.demo.vendors.salesforce import seed as salesforce
from keyback.demo.vendors.vendor import Deliver, Vendor
from keyback.demo.vendors.zoho import seed as zoho
from keyback.settings_sections import System
from keyback.testing.mailbox import Mailbox
from keyback.testing.phone import Phone
from keyback.web.http.edge import RequestGuard


@dataclass(frozen=True, slots=True)
class Clouds:
    """The fakes.

    Args:
        addresses: by kind, of the API on the loopback address.
    """

    salesforce: Salesforce
    dynamics365: Dynamics365
    zoho: Zoho
    fxiaoke: Fxiaoke
    addresses: Mapping[str, str]

    @property
    def pages(self) -> tuple[tuple[str, str], ...]:
        """Names of the invented products with the path of their sign-in page below `/demo/`."""
        return tuple((v.brand.name, f"{kind}{v.brand.path}") for kind, v in self.by_kind().items())

    def systems(self, base: str) -> dict[str, System]:
        """Sections of the settings for the clouds that Keyback has a connector for."""
        app = salesforce.register(self.salesforce)
        mail, entra = zoho.register(self.zoho), dynamics365.register(self.dynamics365)
        person, at = fxiaoke.register(self.fxiaoke), self.addresses["zoho"]
        keys: dict[str, dict[str, object]] = {
            "salesforce": {"client_id": app.key, "secret": app.secret},
            "dynamics365": {
                "tenant": entra.tenant,
                "client_id": entra.client_id,
                "secret": entra.secret,
                "principal_id": entra.principal,
                "login_url": self.addresses["dynamics365"],
                "graph_url": self.addresses["dynamics365"],
                "federated_with": PROVIDER,
            },
            "fxiaoke": {
                "app_id": person.app_id,
                "secret": person.app_secret,
                "permanent_code": person.permanent_code,
                "user_id": person.user_id,
                "privileged_accounts": [self.fxiaoke.admin],
            },
            "zoho": {
                "client_id": mail.client_id,
                "secret": mail.client_secret,
                "refresh_token": mail.refresh_token,
                "zoid": mail.zoid,
                "accounts_url": at,
                "mail_url": at,
                "password_rules": {"min_length": 8, "classes": ["upper", "lower", "digit", "symbol"]},
            },
        }
        out = {}
        for kind, more in keys.items():
            brand = self.by_kind()[kind].brand
            section = {"kind": kind, "title": brand.name, "url": self.addresses[kind], **more}
            section["sign_in_url"] = f"{base}/demo/{kind}{brand.path}"
            out[kind] = System.model_validate(section)
        return out

    def accounts(self, username: str, systems: Collection[str]) -> list[ImportedAccount]:
        """What a person of the company has in these clouds, as an import of people would bring it."""
        clouds = {kind: cloud for kind, cloud in self.by_kind().items() if kind in systems}
        found = [
            (kind, cloud.accounts.first(lambda a: a.username.partition("@")[0] == username))
            for kind, cloud in clouds.items()
        ]
        return [
            ImportedAccount(
                kind,
                a.id.removeprefix("FSUID_"),  # 纷享销客 has one id for lists and one for objects
                a.username,
                "disabled" if not a.active else "locked" if a.locked else "active",
                privileged=a.privileged,
                provider=a.provider,
            )
            for kind, a in found
            if a is not None
        ]

    def by_kind(self) -> dict[str, Vendor]:
        return {
            "salesforce": self.salesforce,
            "dynamics365": self.dynamics365,
            "zoho": self.zoho,
            "fxiaoke": self.fxiaoke,
        }


def start(stack: contextlib.ExitStack, folder: Path, base: str, clock: Callable[[], int], deliver: Deliver) -> Clouds:
    """Starts all four, with the company's people in them.

    Args:
        stack: ends them.
        folder: where their state is kept.
        base: the demo's address, which "Can't get in?" leads to.
        deliver: takes what they send to people.
    """

    def options(kind: str) -> dict[str, object]:
        file = folder / f"{kind}.json"
        return {"clock": clock, "state_file": file, "recovery_url": f"{base}/forgot", "deliver": deliver}

    first, second = Salesforce(**options("salesforce")), Dynamics365(**options("dynamics365"))  # type: ignore[arg-type]
    third, fourth = Zoho(**options("zoho")), Fxiaoke(**options("fxiaoke"))  # type: ignore[arg-type]
    salesforce.seed(first)
    dynamics365.seed(second)
    zoho.seed(third)
    fxiaoke.seed(fourth)
    kinds = {"salesforce": first, "dynamics365": second, "zoho": third, "fxiaoke": fourth}
    addresses = {kind: stack.enter_context(serve(fake)) for kind, fake in kinds.items()}
    return Clouds(first, second, third, fourth, addresses)


class WithClouds:
    """Puts the sign-in pages beside the application, each behind a guard of its own; their APIs are elsewhere."""

    def __init__(self, app: ASGIApp, clouds: Clouds, public_url: str) -> None:
        self._app = app
        self._mounted = {
            f"/demo/{kind}": (fake, RequestGuard(Mounted(fake, f"/demo/{kind}"), public_url))
            for kind, fake in clouds.by_kind().items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for prefix, (fake, guarded) in self._mounted.items():
                path = str(scope["path"])
                if path.startswith(f"{prefix}/") and fake.pages.has(path.removeprefix(prefix)):
                    await guarded(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def delivery(mailbox: Mailbox, phone: Phone, clock: Callable[[], int]) -> Deliver:
    """Puts what a vendor sends where the demo shows it: mail by SMTP, the rest among the text messages."""

    def deliver(to: str, subject: str, text: str) -> None:
        if "@" in to:
            threading.Thread(target=_mail, args=(mailbox, to, subject, text), daemon=True).start()
            return
        number = int(phone.messages[-1]["id"]) + 1 if phone.messages else 1
        codes = re.findall(r"\d{6}", text)
        phone.keep(str(number), to, text, at=clock(), channel="sms", message_id="", codes=codes, links=[])

    return deliver


def _mail(mailbox: Mailbox, to: str, subject: str, text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"no-reply@{DOMAIN}", to, subject
    message.set_content(text)
    with smtplib.SMTP(mailbox.host, mailbox.port, timeout=10) as smtp:
        smtp.send_message(message)
