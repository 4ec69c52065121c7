"""What a sign-in elsewhere is evidence for, and for how long: its binding, its system, its mailboxes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from keyback.application.recovery import evidence
from keyback.domain.policy.rules import Evidence, suffices
from tests.support.enrolled import add_contact, answer_way, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.openid import Provider, at_home, begun, bind, bound, provider, returns
from tests.support.steps import accept, ask, case_of, drain, fit, secrets_of
from tests.support.systems import two_systems

Make = Callable[..., Kit]


def kit_of(make_kit: Make, there: Provider, **over: Any) -> Kit:
    kit = make_kit(providers=there.section(**over))
    fit(kit, person("maya"), person("omar"))
    return kit


@pytest.fixture
def there() -> Iterator[Provider]:
    with provider() as running:
        yield running


def crm_settings(there: Provider, **over: Any) -> dict[str, Any]:
    return {
        "providers": there.section(system="crm", mail_domains=["elsewhere.example"], **over),
        "systems": {
            "builtin": {"kind": "builtin", "title": "Keyback"},
            "crm": {"kind": "demo", "title": "CRM", "url": "http://127.0.0.1:9", "secret": "x"},
        },
    }


def only_in_the_crm(kit: Kit) -> None:
    """Keyback's own account cannot be chosen, so the CRM's is the only one."""
    with kit.services.db.engine.begin() as c:
        c.execute(text("UPDATE accounts SET state = 'disabled' WHERE system = 'builtin'"))


def _as_the_version_before(body: str) -> str:
    """What a node without `provider_sign_in` leaves of a case that it writes: five members of each piece of evidence
    and the keys that it knows."""
    before = {"tier", "accounts", "evidence", "aged", "results", "submission", "approved_for", "waiting", "remedied"}
    kept = {k: v for k, v in json.loads(body).items() if k in before}
    return json.dumps({**kept, "evidence": [e[:5] for e in kept["evidence"]]}, separators=(",", ":"))


@pytest.mark.covers("N-R11")
def test_a_node_of_the_version_before_loses_nothing_of_a_sign_in(make_kit: Make, there: Provider) -> None:
    kit = make_kit(**crm_settings(there))
    fit(kit)
    two_systems(kit)
    bound(kit, there)
    browser, at = begun(kit)
    assert returns(browser, there, f"{at}/sign-in-with/crm", "maya") == at
    before = case_of(kit, at.removeprefix("/r/"))
    with kit.services.db.engine.begin() as c:
        for row in c.execute(text("SELECT id, body FROM cases")).all():
            c.execute(
                text("UPDATE cases SET body = :b WHERE id = :i"), {"b": _as_the_version_before(row[1]), "i": row[0]}
            )
    assert case_of(kit, at.removeprefix("/r/")) == before
    page = browser("GET", at).text
    assert page.count('name="accounts"') == 1
    assert "Not for <bdi>maya.crm</bdi> in CRM" in page  # and why


@pytest.mark.covers("N-R11")
def test_evidence_that_names_no_binding_counts_for_nothing(make_kit: Make, there: Provider) -> None:
    kit = kit_of(make_kit, there)
    bound(kit, there)
    browser, at = begun(kit)
    assert returns(browser, there, f"{at}/sign-in-with/crm", "maya") == at
    with kit.services.db.engine.begin() as c:
        for row in c.execute(text("SELECT id, body FROM cases")).all():
            body = json.loads(row[1])
            body["evidence"] = [[*e[:2], "mail:x", *e[3:]] for e in body["evidence"]]
            c.execute(text("UPDATE cases SET body = :b WHERE id = :i"), {"b": json.dumps(body), "i": row[0]})
    assert "What you verified with no longer counts" in browser("GET", at).text


@pytest.mark.slow
@pytest.mark.covers("N-R11", "E2")
@pytest.mark.parametrize("other", [False, True])
def test_evidence_ends_with_its_own_binding(make_kit: Make, there: Provider, other: bool) -> None:
    kit = kit_of(make_kit, there)
    bound(kit, there)
    if other:
        bound(kit, there, "omar")  # another one of the same person, at the same provider
    pid = person_id(kit)
    browser, at = begun(kit)
    assert returns(browser, there, f"{at}/sign-in-with/crm", "maya") == at
    (used,) = {e.target for e in case_of(kit, at.removeprefix("/r/")).evidence}  # type: ignore[union-attr]
    with kit.services.db.engine.begin() as c:
        c.execute(text("UPDATE factors SET state = 'removed' WHERE id = :i"), {"i": used})
    assert len([f for f in kit.read(lambda tx: tx.factors.of_person(pid)) if f.kind == "provider"]) == int(other)
    page = browser("GET", at).text
    assert "What you verified with no longer counts" in page
    assert "Start again" in page


@pytest.mark.covers("N-R11")
def test_evidence_of_a_backup_mailbox_ends_with_it(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    add_contact(kit, "mail", "maya.backup@example.com", state="confirmed")
    started = ask(kit, "maya")
    drain(kit)
    assert ask_way(kit, started.handle, "backup_email")
    code = tray.to("maya.backup@example.com", "mail_code")[-1].content.code.reveal()  # type: ignore[union-attr]
    assert answer_way(kit, started.handle, "backup_email", code) == "accepted"
    case = case_of(kit, started.handle)
    assert case is not None
    (shown,) = case.evidence
    assert shown.channel.partition(":")[2] != shown.target  # it counts as the primary one of the same domain
    kit.write(lambda tx: tx.contacts.remove(shown.target))
    assert kit.read(lambda tx: evidence.still_holds(tx, case, started.handle)) == []


@pytest.mark.covers("F7", "INV-I3")
def test_every_mailbox_of_the_provider_is_the_same_channel(make_kit: Make, there: Provider) -> None:
    kit = kit_of(make_kit, there, mail_domains=["example.com", "example.org"])
    bound(kit, there, "rosa")
    backup = add_contact(kit, "mail", "maya@example.org", state="confirmed")
    browser, at = begun(kit)
    assert returns(browser, there, f"{at}/sign-in-with/crm", "rosa") == at
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    (shown,) = case.evidence
    assert shown.channels == {shown.channel, f"mail:{backup}"}
    mailed = Evidence("backup_email", "issued", f"mail:{backup}", 0, target=backup)
    assert not suffices([shown, mailed], "mfa")
    assert suffices([replace(shown, also=()), mailed], "mfa")  # as it would be, if only one mailbox led there


def test_the_only_account_is_in_the_system_that_was_signed_in_to(make_kit: Make, there: Provider) -> None:
    kit = make_kit(**crm_settings(there))
    fit(kit)
    tray, _, _ = two_systems(kit)
    bound(kit, there)
    browser, at = begun(kit)
    only_in_the_crm(kit)
    assert returns(browser, there, f"{at}/sign-in-with/crm", "maya") == at
    page = browser("GET", at).text
    assert "Verify in another way, too" in page
    assert "Open the link in the email" in page
    assert browser("GET", f"{at}/ways").status_code == 200
    token = next(secrets_of(x)[0] for x in tray.messages if x.content.kind == "recovery")
    assert accept(kit, token) is None  # no problem
    page = browser("GET", at).text
    assert "Choose a new password" in page
    assert 'name="accounts"' in page


def test_nothing_is_offered_that_is_connected(make_kit: Make, there: Provider) -> None:
    kit = kit_of(make_kit, there)
    home = at_home(kit)
    assert 'href="/account/providers"' in home("GET", "/account/ways").text
    assert bind(home, there) == "/account/ways?done=provider_added"
    assert 'href="/account/providers"' not in home("GET", "/account/ways").text
