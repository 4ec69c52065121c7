"""What is on the shelves: our own parts and those that installed packages bring, by entry points of one form.

`keyback.proofs` names a `ProofMaker`, usually the proof's class; the setting `proofs` switches a package's one on.
`keyback.connectors` names a factory `make(name, title, options) -> Connector`, where `options` are the further keys of
the section in `keyback.toml`. `keyback.gateways` names a `GatewayMaker`, usually the gateway's class (see
`channels/gateways/base.py`). Prove them with the contract suites in `keyback.testing`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from pydantic import ValidationError

from keyback import settings_faults
from keyback.application.ports.connectors import Connector
from keyback.application.ports.proofs import About, Given, Proof, ProofMaker
from keyback.channels.gateways.base import GatewayAbout, GatewayMaker, GatewayVerdict
from keyback.domain.challenges.challenge import CONTACT_LIFE, SHORT_LIFE
from keyback.domain.policy.rules import PROOFS as RULED
from keyback.domain.policy.rules import ProofClass
from keyback.locale import LOCALES, catalog, catalog_of
from keyback.locale.languages import SOURCE

CONNECTORS: Final = "keyback.connectors"
GATEWAYS: Final = "keyback.gateways"
PROOFS: Final = "keyback.proofs"
OWN: Final[Mapping[str, Mapping[str, str]]] = {
    # In the order in which pages offer them.
    PROOFS: {
        "email_link": "keyback.proofs.email_link.method:EmailLink",
        "passkey": "keyback.proofs.passkey.method:Passkey",
        "totp": "keyback.proofs.totp.method:Totp",
        "backup_email": "keyback.proofs.backup_email.method:BackupEmail",
        "sms_code": "keyback.proofs.sms_code.method:SmsCode",
        "im_message": "keyback.proofs.im_message.method:ImMessage",
        "recovery_code": "keyback.proofs.recovery_code.method:RecoveryCode",
        "recovery_contact": "keyback.proofs.recovery_contact.method:RecoveryContact",
        "provider_sign_in": "keyback.proofs.provider_sign_in.method:ProviderSignIn",
        "security_questions": "keyback.proofs.security_questions.method:SecurityQuestions",
    },
    # Besides `builtin`, which is Keyback's own and works on its database.
    CONNECTORS: {
        "active_directory": "keyback.connectors.directory.active_directory:ActiveDirectoryConnector.from_options",
        "creme": "keyback.connectors.sql:CremeConnector.from_options",
        "demo": "keyback.connectors.demo:DemoConnector.from_options",
        "dynamics365": "keyback.connectors.dynamics365:Dynamics365Connector.from_options",
        "fxiaoke": "keyback.connectors.fxiaoke:FxiaokeConnector.from_options",
        "guided": "keyback.connectors.guided:GuidedConnector.from_options",
        "http": "keyback.connectors.http:HttpConnector.from_options",
        "ldap": "keyback.connectors.directory.ldap:LdapConnector.from_options",
        "odoo": "keyback.connectors.odoo:OdooConnector.from_options",
        "salesforce": "keyback.connectors.salesforce:SalesforceConnector.from_options",
        "scim": "keyback.connectors.scim:ScimConnector.from_options",
        "sql": "keyback.connectors.sql:SqlConnector.from_options",
        "tryton": "keyback.connectors.tryton:TrytonConnector.from_options",
        "zoho": "keyback.connectors.zoho:ZohoConnector.from_options",
    },
    GATEWAYS: {
        "aliyun": "keyback.channels.gateways.aliyun:AliyunSms",
        "dingtalk": "keyback.channels.gateways.dingtalk:DingTalkIm",
        "feishu": "keyback.channels.gateways.feishu:FeishuIm",
        "http": "keyback.channels.gateways.webhook:WebhookGateway",
        "tencent": "keyback.channels.gateways.tencent:TencentSms",
        "twilio": "keyback.channels.gateways.twilio:TwilioSms",
        "wecom": "keyback.channels.gateways.wecom:WeComIm",
    },
}
"""What a package writes into `[project.entry-points]` of its pyproject.toml, of our own."""
EXTRAS: Final = {"ldap3": "ldap", **dict.fromkeys(("bcrypt", "psycopg", "pymysql", "pytds", "OpenSSL"), "sql")}
"""Which extra of ours brings a module."""
Factory = Callable[[str, str, Mapping[str, Any]], Connector]
ContactKind = Literal["", "mail", "sms", "im", "helper"]
_NAME = re.compile(r"[a-z][a-z0-9_]{1,19}\Z")  # 20 characters have room in the database


class BadPart(Exception):
    """A part that cannot be used; the text says of which package, why, and what to do."""


class Unknown(BadPart):
    """Nobody brings it."""


def packages(group: str, name: str) -> list[EntryPoint]:
    """Who brings something under this name: one at most, if all is well."""
    return list(entry_points(group=group, name=name))


def load(group: str, name: str) -> Any:
    """What is registered under this name.

    Raises:
        BadPart: nobody brings it, more than one does, or it cannot be imported.
    """
    if name in OWN.get(group, {}):
        try:
            return EntryPoint(name, OWN[group][name], group).load()
        except ModuleNotFoundError as e:
            extra = EXTRAS.get(str(e.name).partition(".")[0])
            if extra is None:
                raise
            raise BadPart(f"{name} needs a package that is not installed: pip install 'keyback[{extra}]'") from None
    found = packages(group, name)
    if not found:
        raise Unknown(f"{name} is not known and no installed package brings it")
    if len(found) > 1:
        raise BadPart(f"{name} comes from more than one package: {', '.join(map(_of, found))}. Remove all but one.")
    try:
        return found[0].load()
    except Exception as e:  # whatever a module of somebody else's does when it is imported
        why = f"{type(e).__name__}: {e}" if isinstance(e, ImportError | AttributeError) else type(e).__name__
        raise BadPart(f"{name}, which {_of(found[0])} brings, cannot be loaded ({why}). Install it again.") from None


def taken(group: str) -> list[str]:
    """A sentence for each package that brings something under a name of ours, which is left aside."""
    return [
        f"{_of(e)} brings {e.name}, which is the name of a built-in one. It is left aside; ask its author for another."
        for e in entry_points(group=group)
        if e.name in OWN.get(group, {})
    ]


def faults_of(e: Exception) -> str:
    """What is wrong with the keys of a table, without their values where pydantic found it."""
    if not isinstance(e, ValidationError):
        return str(e)
    return "; ".join(settings_faults.faults_of(e))


def file_fault(options: Mapping[str, Any], e: OSError) -> str:
    """Which key of a section names a file that can't be used, and what to do.

    Args:
        options: the section.
        e: what making the part ended in; without a file name where a library read it.
    """
    for key, value in options.items():
        if not key.endswith("_file") or not isinstance(value, str | Path):
            continue
        try:
            Path(value).read_bytes()
        except OSError as fault:
            why = (fault.strerror or type(fault).__name__).lower()
            return f"{key}: {value} can't be read ({why}). Check the path, and that Keyback's user may read it."
        if key == "ca_file" and isinstance(e, ssl.SSLError):
            return f"{key}: {value} holds no certificate in PEM form."
    return str(e)


def _of(e: EntryPoint) -> str:
    return f"{e.dist.name} {e.dist.version}" if e.dist else e.value


def make_connector(kind: str, name: str, title: str, options: Mapping[str, Any]) -> Connector:
    """A connector of this kind.

    Raises:
        ValueError, OSError: the section's keys are missing or wrong.
        BadPart: as `load`, or what a package made is no connector.
    """
    make: Factory = load(CONNECTORS, kind)
    if kind in OWN[CONNECTORS]:
        return make(name, title, options)
    package = _of(packages(CONNECTORS, kind)[0])
    try:
        made = make(name, title, options)
    except (ValueError, OSError):
        raise
    except Exception as e:
        raise BadPart(f"{kind}, which {package} brings: making it failed with {type(e).__name__}") from None
    lacking = [n for n in PORT if not hasattr(made, n)]
    if lacking:
        raise BadPart(f"{kind}, which {package} brings, cannot be used: it has no {', '.join(lacking)}")
    return made


PORT: Final = tuple(n for n in vars(Connector) if not n.startswith("_"))
"""What every connector has; `keyback.connectors.base.ConnectorBase` has it all."""


def load_gateway(kind: str) -> GatewayMaker:
    """What makes gateways of this kind.

    Raises:
        BadPart: as `load`, or it does not say what it is.
    """
    maker = load(GATEWAYS, kind)
    if kind in OWN[GATEWAYS]:
        return cast(GatewayMaker, maker)
    try:
        wrong = gateway_faults(maker)
    except Exception as e:
        wrong = [f"looking at it failed with {type(e).__name__}"]
    if wrong:
        raise BadPart(f"{kind}, which {_of(packages(GATEWAYS, kind)[0])} brings, cannot be used: {'; '.join(wrong)}")
    return cast(GatewayMaker, maker)


def gateway_faults(maker: Any) -> list[str]:
    """What is missing of what a gateway says of itself; empty when all is there."""
    about = getattr(maker, "about", None)
    if not isinstance(about, GatewayAbout) or not callable(getattr(maker, "from_options", None)):
        return ["it needs `about`, a GatewayAbout, and `from_options`"]
    out = [] if about.title.get(SOURCE) else [f"its title is missing in {SOURCE}"]
    if not about.carries or about.carries - {"sms", "im"}:
        out.append("it carries sms, im or both, and nothing else")
    statuses = get_args(get_args(GatewayVerdict)[0])
    bad = [code for code, verdict in about.errors.items() if verdict[0] not in statuses]
    if bad:
        out.append(f"its code {bad[0]} means none of {', '.join(statuses)}")
    return out


# ── proofs ──────────────────────────────────────────────────────────────────


def load_proof(name: str, given: Given) -> tuple[About, Proof | None]:
    """What people read of a proof, and the proof, or None where it cannot be here.

    Raises:
        BadPart: as `load`, or it is not what a proof has to be.
    """
    maker = cast(ProofMaker, load(PROOFS, name))
    if name in OWN[PROOFS]:
        return maker.about, maker.make(given)
    try:
        about, proof = maker.about, maker.make(given)
        wrong = about_faults(about) if isinstance(about, About) else ["its `about` is no keyback About"]
        wrong += _proof_faults(name, proof) if proof is not None else []
    except ValueError as e:
        wrong, about, proof = [f"proof_options.{name}: {faults_of(e)}"], None, None
    except Exception as e:
        wrong, about, proof = [f"making it failed with {type(e).__name__}"], None, None
    if wrong or about is None:
        raise BadPart(f"{name}, which {_of(packages(PROOFS, name)[0])} brings, cannot be used: {'; '.join(wrong)}")
    return about, proof


def own_abouts() -> Mapping[str, About]:
    """What people read of our own proofs."""
    return {name: load(PROOFS, name).about for name in OWN[PROOFS]}


def _proof_faults(name: str, proof: Proof) -> list[str]:
    out = []
    if proof.name != name or not _NAME.match(name):
        out.append(f"it calls itself {proof.name}; a name has 2 to 20 small letters, digits and underscores")
    if proof.kind not in get_args(ProofClass):
        out.append(f"the policy knows no class {proof.kind}, but {', '.join(get_args(ProofClass))}")
    if RULED.get(name, proof.kind) != proof.kind:
        out.append(f"the policy knows {name} as {RULED[name]}")
    if proof.carrier not in ("", "mail", "sms", "im"):
        out.append(f"nothing carries {proof.carrier}; there are mail, sms and im")
    longest = CONTACT_LIFE if proof.kind == "contact" else SHORT_LIFE  # N-R5, A-6.5.5
    if not 0 < proof.life_ms <= longest:
        out.append(f"a question waits {proof.life_ms} ms for its answer; at most {longest} are safe")
    return out


def about_faults(about: About) -> list[str]:
    """What is missing of what people see: the page, or a text in one of the languages. Empty when all is there."""
    from babel.messages.extract import extract  # here: our own proofs are not asked, and most have no others
    from jinja2 import Environment, TemplateSyntaxError

    out = [f"{what} is empty" for what in ("title", "note", "noun", "by") if not getattr(about, what)]
    if about.contact not in get_args(ContactKind):
        out.append(f"there is no kind of contact {about.contact}")
    page, texts = about.folder / about.page, list(about.texts)
    if not page.is_file():
        out.append(f"there is no page {about.page} in its folder")
    else:
        try:
            Environment(autoescape=True).parse(page.read_text("utf-8"))
            with page.open("rb") as f:
                options = {"encoding": "utf-8", "silent": "false"}
                texts += [str(t) for _, t, _, _ in extract("jinja2.ext:babel_extract", f, {"_": None}, (), options)]
        except (TemplateSyntaxError, UnicodeDecodeError) as e:
            out.append(f"the page {about.page} is no template ({e})")
    for locale in LOCALES:
        if not (about.folder / f"{locale}.po").is_file():
            continue  # it is shown in the language that this one falls back to
        own = catalog_of(about.folder, locale)
        lacking = [t for t in texts if t not in own and t not in catalog(locale)]
        if lacking:
            out.append(f"{locale}.po lacks {len(lacking)} texts, such as “{lacking[0]}”")
    return out
