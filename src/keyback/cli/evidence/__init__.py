"""`keyback evidence`: what an assessor asks for, in one folder."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import click
from jinja2 import Environment, PackageLoader, StrictUndefined

from keyback import __version__
from keyback.application import retention
from keyback.application.audit_log import ChainVerdict, SignedHead, plain_cell, sign_head, verify
from keyback.application.policy.coverage import Census, Offer, census
from keyback.application.policy.explain import explain, proof_words
from keyback.application.policy.report import check_words, claim_rows, people_words
from keyback.application.policy.standards import Requirement, requirements
from keyback.bootstrap import Proofs
from keyback.cli.common import Told, at, load, progress, revision, run, safe, storage, usable
from keyback.cli.evidence import standards
from keyback.cli.evidence.folder import Folder
from keyback.cli.evidence.inventory import bill_of_materials, versions
from keyback.cli.evidence.shown_settings import shown
from keyback.cli.policy import make_them, there
from keyback.domain.operators.documents import KEEP_DECIDED
from keyback.domain.passwords.rules import PRESETS
from keyback.domain.policy.search import search
from keyback.domain.units import HOUR
from keyback.settings import Settings
from keyback.settings_policy import make_policy, preset_of
from keyback.storage.database import make_engine
from keyback.storage.health import server_of
from keyback.storage.stores.audit import row_hash

DAY = 24 * HOUR
LANGUAGES: tuple[tuple[Literal["en", "zh_CN"], str], ...] = (("en", "en"), ("zh_CN", "zh"))
TEMPLATES = ("index", "data-map", "retention", "dpia", "pipia")
MOST = 100_000  # people without a way back that are listed


@dataclass(frozen=True, slots=True)
class _Found:
    """What the database says."""

    verdict: ChainVerdict
    head: SignedHead | None
    people: Census
    now: int


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--names", is_flag=True, help="Also list the people without a way back, by name.")
def evidence(folder: Path, names: bool) -> None:
    """Write what an assessor asks for into a new FOLDER.

    The policy in words and what it breaks; every requirement by clause; whether the audit log is whole, with its signed
    head; the settings without secrets; how many people have no way back; retention; versions and a bill of materials;
    and drafts of a data map and of impact assessments (GDPR, PIPL) in English and Chinese, filled with what Keyback
    knows. Changes nothing. Exit code 1 if the audit log is not whole or the policy breaks its preset; the folder is
    written all the same.
    """
    s = load()
    usable(s)
    try:
        into = Folder(folder)
    except FileExistsError:
        raise click.ClickException(f"{folder} is there already and is not changed. Give another name.") from None
    except OSError as e:
        raise click.ClickException(f"{folder} can't be made: {e.strerror}.") from None
    proofs = make_them(s)
    with progress("Checking the audit log") as tell:
        found = run(_ask(s, proofs, tell))
    rows, broken = _policy(s, proofs, into)
    into.write("requirements.csv", standards.table(rows))
    into.write("conformance.md", standards.document("conformance.md"))
    _audit(into, found)
    into.write("settings.txt", shown(s))
    _people(into, found.people, names)
    engine = make_engine(s.database)
    into.write("versions.json", _json(versions(revision(s), server_of(engine))))
    engine.dispose()
    into.write("bom.cdx.json", _json(bill_of_materials(found.now)))
    _texts(s, proofs, into, found, rows)
    into.close()
    click.echo(f"Written to {safe(folder)}: {len(into.sums)} files. Begin with index.en.md or index.zh.md.")
    if found.verdict.finding:
        raise click.ClickException(f"The audit log is not whole: {found.verdict.finding.words()}")
    if broken:
        raise click.ClickException("The policy breaks its preset; policy.en.md says where.")


async def _ask(s: Settings, proofs: Proofs, tell: Told) -> _Found:
    offer = Offer(make_policy(s, proofs.kinds, strict=False), proofs.offered)
    async with storage(s) as db:
        verdict = await verify(db, db.keyring, row_hash, progress=tell)
        now = await db.read(lambda tx: tx.now)
        head = None if verdict.finding else sign_head(db.keyring, verdict.seq, bytes.fromhex(verdict.hash), now)
        return _Found(verdict, head, await census(db, offer, None, listed=MOST), now)


def _policy(s: Settings, proofs: Proofs, into: Folder) -> tuple[list[Requirement], bool]:
    """Writes the policy in words and what the search found; requirements, and whether it breaks its preset."""
    ruled, preset = make_policy(s, proofs.kinds, strict=False), preset_of(s)
    with progress("Searching") as tell:
        result = search(ruled, preset, progress=tell)
    rows = claim_rows(result, ruled, preset)
    for locale, short in LANGUAGES:
        sections = explain(ruled, preset, locale, proofs.abouts, there(proofs))
        lines = [x for part in sections for x in (f"## {part.title}", "", *(f"- {line}" for line in part.lines), "")]
        checked = check_words(rows, preset, result.rulings, locale, proofs.abouts)
        title = "The policy in words" if short == "en" else "策略说明"
        into.write(f"policy.{short}.md", "\n".join([f"# {title}", "", *lines, "```", *checked, "```", ""]))
    return requirements(rows, ruled, PRESETS[s.password.preset]), any(r.state == "broken" for r in rows)


def _audit(into: Folder, found: _Found) -> None:
    v = found.verdict
    said = {"whole": v.finding is None, "rows": v.rows, "checked_at": at(found.now)}
    into.write("audit-verification.json", _json(said | ({"finding": v.finding.words()} if v.finding else {})))
    if found.head:
        into.write("audit-head.jsonl", found.head.line() + "\n")


def _people(into: Folder, people: Census, names: bool) -> None:
    counts: dict[str, int] = {"people": people.people, "one_address": people.one_address}
    counts.update({str(way): n for way, n in people.ways.items()})
    into.write("people.json", _json(counts))
    if names:
        out = io.StringIO()
        write = csv.writer(out, lineterminator="\n")
        write.writerow(("id", "name", "tier"))
        write.writerows((x.id, plain_cell(x.name), x.tier) for x in people.stranded)
        into.write("people-without-a-way-back.csv", out.getvalue())


def _texts(s: Settings, proofs: Proofs, into: Folder, found: _Found, rows: list[Requirement]) -> None:
    env = Environment(  # noqa: S701 - plain text for people, not HTML
        loader=PackageLoader("keyback.cli.evidence"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    env.filters["cell"] = lambda text: safe(text).replace("|", "\\|")
    for locale, short in LANGUAGES:
        values = _values(s, proofs, found, rows, locale)
        for name in TEMPLATES:
            into.write(f"{name}.{short}.md", env.get_template(f"{name}.{short}.md").render(values))


def _values(s: Settings, proofs: Proofs, found: _Found, rows: list[Requirement], locale: str) -> dict[str, Any]:
    """What the drafts are filled with."""
    keep = {name: value // DAY for name, value in vars(retention).items() if name.startswith("KEEP_")}
    return {
        "company": s.company.of(locale),
        "address": s.public_url,
        "version": __version__,
        "made": at(found.now),
        "keep": keep,
        "document_days": KEEP_DECIDED // DAY,
        "documents": bool(s.documents.assessment),
        "assessment": s.documents.assessment,
        "systems": [(name, system.title, system.kind) for name, system in s.systems.items()],
        "methods": [proof_words(locale, name, proofs.abouts) for name in proofs.offered],
        "identity": [(i.title.of(locale), i.asks.of(locale), i.goes.of(locale)) for i in s.identity.values()],
        "mail": s.mail.host,
        "sms": s.sms.kind,
        "chat": s.im.kind,
        "database": "PostgreSQL" if s.database.startswith("postgresql") else "SQLite",
        "people": found.people,
        "people_words": [line for line in people_words(found.people, locale)[:2] if line],
        "whole": found.verdict.finding is None,
        "audit_rows": found.verdict.rows,
        "not_kept": [r for r in rows if r.state == "not kept"],
        "given_up": [r for r in rows if r.state == "given up"],
    }


def _json(data: object) -> str:
    plain = asdict(data) if hasattr(data, "__dataclass_fields__") else data  # type: ignore[call-overload]
    return json.dumps(plain, ensure_ascii=False, indent=1) + "\n"
