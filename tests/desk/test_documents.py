"""An identity document: consent, two blind reviewers, a wait, and the owner's cancel; and how it is destroyed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from keyback.application.desk import document_review, documents
from keyback.domain.errors import Refusal
from keyback.domain.operators.documents import Review, outcome
from keyback.domain.operators.roles import Role
from keyback.locale import gettext
from keyback.storage.keys.keyring import Unsealable
from keyback.storage.maintenance import backup, persons
from keyback.web.portal.document import WATERMARK
from tests.support.browser import Browser
from tests.support.console import URL, staffed
from tests.support.kit import Kit
from tests.support.sent_documents import ALL, begun, desk, looks, photo, says, sent, upload
from tests.support.steps import ask, case_of, drain, types

Make = Callable[..., Kit]


@pytest.mark.slow
@pytest.mark.covers("SD-D6", "N-A1", "N-A4", "N-A5", "N-A6", "L-3", "L-8", "N-R11", "I3")
def test_two_blind_reviewers_a_hold_and_the_owner_s_cancel(make_kit: Make, database_url: str) -> None:
    staff = desk(make_kit, database_url)
    kit = staff.kit
    agent, approver, officer = (staff.add(r) for r in (Role.AGENT, Role.APPROVER, Role.SECURITY_OFFICER))
    started, browser, at = begun(staff)
    assert f'href="{at}"' in browser("GET", f"/r/{started.handle}/ways").text
    page = browser("GET", at).text
    assert "Destroyed 7 days after the decision" in page
    assert 'value="yes">' in page, "the box is not ticked"
    got = browser("POST", at, urlencode({"kind": "id_card", "agree": ""}))
    assert got.status_code == 422
    assert upload(browser, at, photo()).headers["location"] == at
    assert kit.read(lambda tx: tx.documents.of_page(started.handle)) is None, "nothing is taken before consent"
    browser("POST", at, urlencode({"kind": "id_card", "agree": "yes"}))
    assert 'capture="environment"' in browser("GET", at).text
    assert upload(browser, at, b"<svg/>").status_code == 422
    assert upload(browser, at, photo()).status_code == 303
    first = browser("GET", f"{at}/image")
    assert first.headers["content-type"] == "image/jpeg"
    assert first.headers["cache-control"] == "no-store"
    assert (
        browser(
            "POST", f"{at}/send", urlencode([("act", "cover"), *(("cells", str(n)) for n in range(30, 36))])
        ).status_code
        == 303
    )
    assert browser("GET", f"{at}/image").content != first.content
    assert agent.get("/console/documents").text.count("/console/documents/") == 0, "it was not sent yet"
    assert browser("POST", f"{at}/send", "act=send").status_code == 303
    assert "Two people are looking" in browser("GET", at).text
    assert browser("GET", f"{at}/image").status_code == 404, "from then on it is the reviewers'"
    drain(kit)
    for to in ("omar@example.com", "omar@home.example"):
        assert [m.content.what for m in staff.tray.to(to, "asked")] == ["document_sent"]  # type: ignore[attr-defined]
    document = kit.read(lambda tx: tx.documents.of_page(started.handle)).id
    one = f"/console/documents/{document}"
    # Nobody sees the picture before they have taken it, and never without a second factor just now.
    kit.clock.forward(minutes=6)
    assert agent.get(f"{one}/image").headers["location"].startswith("/console/confirm")
    agent.confirm()
    assert agent.get(f"{one}/image").status_code == 404
    shown = looks(agent, document)
    assert "Omar" in shown
    assert "Not for" not in shown
    assert agent.get(f"{one}/image").content[:3] == b"\xff\xd8\xff"
    looks(approver, document)
    officer.confirm()
    assert officer.get(one).status_code == 404, "two are enough"
    assert officer.get(f"{one}/image").status_code == 404
    # A yes takes every item; what one found the other never sees.
    agent.confirm()
    got = agent("POST", f"{one}/answer", urlencode([("verdict", "yes"), *ALL[:-1]]))
    assert got.status_code == 422
    assert "every item" in got.text
    assert says(agent, document, "yes").headers["location"] == "/console/documents"
    assert agent.get(f"{one}/image").status_code == 404, "answered: no more looks"
    theirs = approver.get(one).text
    assert "Agent" not in theirs.split("<main")[1]
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "proving"
    assert says(agent, document, "yes").status_code == 409
    assert says(approver, document, "yes").status_code == 303
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "on_hold"
    assert case.hold_of(started.handle) - kit.clock() > 23 * 3_600_000
    assert [e.kind for e in case.evidence] == ["issued", "proofing"]
    views = [h for h in kit.read(lambda tx: list(tx.audit.of_stream(case.id))) if h["type"] == "document_viewed"]
    assert len(views) == 1, "each look is on record"
    work = kit.read(lambda tx: tx.desk.work(case.id))
    assert len(work.worked_by) == 2, "and none of the two approves the case"
    # The owner reads of the hold and cancels it: the picture goes with the case.
    drain(kit)
    stop = staff.tray.to("omar@home.example", "hold")[-1].content.stop_link  # type: ignore[attr-defined]
    other = Browser(kit)
    other("GET", stop.reveal().removeprefix(URL))
    assert other("POST", "/stop").status_code in (200, 303)
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "cancelled"
    assert kit.read(lambda tx: tx.documents.picture(document)) is not None
    kit.write(documents.destroy_due)
    assert kit.read(lambda tx: tx.documents.picture(document)) is None


@pytest.mark.slow
@pytest.mark.covers("N-A3", "N-A7", "H15")
def test_differing_reviews_a_refusal_that_says_nothing_and_the_appeal(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    agent, approver, officer = (staff.add(r) for r in (Role.AGENT, Role.APPROVER, Role.SECURITY_OFFICER))
    texts = []
    for verdicts in (("no", "no"), ("yes", "no")):
        started, browser, at, document = sent(staff, photo(len(texts) + 10))
        for who, verdict in zip((agent, approver), verdicts, strict=True):
            looks(who, document)
            assert says(who, document, verdict).status_code == 303
        if verdicts[0] != verdicts[1]:
            assert "Two people are looking" in browser("GET", at).text
            looks(officer, document)
            assert says(officer, document, "no").status_code == 303
        texts.append(browser("GET", at).text.replace(started.handle, "H"))
        assert "It isn’t said which detail" in texts[-1]
        browser("POST", f"/r/{started.handle}/cancel")
    assert texts[0] == texts[1], "the same text whatever was wrong"
    started, browser, at, document = sent(staff, photo(77))
    for who in (agent, approver):
        looks(who, document)
        says(who, document, "no")
    assert browser("POST", f"{at}/send", "act=appeal").status_code == 303
    approver.confirm()
    assert approver.get(f"/console/documents/{document}/image").status_code == 404
    assert "You decide" in officer.get("/console/documents").text
    looks(officer, document)
    assert says(officer, document, "yes").status_code == 303
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "on_hold", "somebody else found that it is them"
    assert browser("POST", f"{at}/send", "act=appeal").status_code == 409, "once"


@pytest.mark.slow
@pytest.mark.covers("L-1", "H12", "C-10")
def test_pictures_are_destroyed_in_time_and_backups_have_none_that_can_be_opened(
    make_kit: Make, sqlite_url: str, tmp_path: Path
) -> None:
    staff = desk(make_kit, sqlite_url)
    kit = staff.kit
    agent, approver = staff.add(Role.AGENT), staff.add(Role.APPROVER)
    _, browser, at, document = sent(staff)
    copy = tmp_path / "copy.db"
    backup.copy_to(Path(sqlite_url.removeprefix("sqlite:///")), copy)
    with sqlite3.connect(copy) as db:
        assert db.execute("SELECT count(*) FROM document_keys").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM documents WHERE image IS NOT NULL").fetchone() == (0,)
    for who in (agent, approver):
        looks(who, document)
        says(who, document, "no")
    kit.clock.forward(hours=24 * 7 - 1)
    kit.write(documents.destroy_due)
    assert kit.read(lambda tx: tx.documents.picture(document)) is not None, "for an appeal"
    kit.clock.forward(hours=1.1)
    kit.write(documents.destroy_due)
    assert kit.read(lambda tx: tx.documents.picture(document)) is None
    d = kit.read(lambda tx: tx.documents.get(document))
    assert d.destroyed_at
    assert d.destroyed_at - d.decided_at <= 7 * 24 * 3_600_000 + 3_600_000
    assert types(kit).count("document_destroyed") == 1
    assert "Have someone else" not in browser("GET", at).text, "there is nothing left to look at"


@pytest.mark.slow
@pytest.mark.covers("L-2", "L-7")
def test_consent_that_is_taken_back_destroys_at_once(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    agent = staff.add(Role.AGENT)
    _, browser, at, document = sent(staff)
    looks(agent, document)
    assert browser("POST", f"{at}/send", "act=withdraw").status_code == 303
    assert "Your document was destroyed" in browser("GET", at).text
    assert kit.read(lambda tx: tx.documents.picture(document)) is None
    assert agent.get(f"/console/documents/{document}/image").status_code == 404
    assert says(agent, document, "yes").status_code in (404, 409)
    pid = kit.read(lambda tx: tx.cases.get(tx.documents.get(document).case_id)).person_id
    counts = kit.write(lambda tx: persons.erase(tx, pid, "left"))
    assert counts["documents"] == 1
    assert counts["document_reviews"] == 1
    assert kit.read(lambda tx: tx.documents.get(document)) is None


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("H10")
def test_a_copy_of_a_picture_in_another_recovery_is_an_alarm(make_kit: Make, database_url: str) -> None:
    from tests.support.cards import card, cut, saved

    staff = desk(make_kit, database_url)
    kit = staff.kit

    def again(data: bytes) -> bool:
        started, browser, _, document = sent(staff, data)
        browser("POST", f"/r/{started.handle}/cancel")
        kit.clock.forward(hours=25)
        return bool(kit.read(lambda tx: tx.documents.get(document)).seen_before)

    shown = card(1)
    assert not again(saved(shown))
    assert not again(saved(card(2))), "another card of the same kind"
    copy = cut(shown, 2, 2, 2, 2)
    assert again(saved(copy.resize((copy.width // 2, copy.height // 2)), quality=40))
    assert types(kit).count("document_seen_before") == 1
    rows = kit.read(lambda tx: tx.conn.exec_driver_sql("SELECT document_id, sealed FROM document_looks").all())
    assert len(rows) == 3
    for document, sealed in rows:
        assert kit.read(lambda tx, d=document: tx.documents.look(d)) not in (b"", bytes(sealed))
    omar = kit.read(lambda tx: tx.people.match(["omar"]))["omar"][0].person.id
    kit.write(lambda tx: persons.erase(tx, omar, "asked"))
    assert kit.read(lambda tx: tx.conn.exec_driver_sql("SELECT count(*) FROM document_looks").scalar()) == 0


@pytest.mark.slow
@pytest.mark.covers("H10", "A-8.2.2")
def test_the_same_picture_twice_is_an_alarm_and_nobody_looks_at_their_own(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    agent, officer = staff.add(Role.AGENT), staff.add(Role.SECURITY_OFFICER, "omar@example.com")
    started, browser, _, first = sent(staff)
    assert not kit.read(lambda tx: tx.documents.get(first)).seen_before
    browser("POST", f"/r/{started.handle}/cancel")
    kit.clock.forward(hours=2)
    _, _, _, second = sent(staff)
    assert kit.read(lambda tx: tx.documents.get(second)).seen_before
    assert "document_seen_before" in types(kit)
    drain(kit)
    assert "document_seen_before" in [m.content.what for m in staff.tray.to("omar@example.com", "desk")]  # type: ignore[attr-defined]
    for console, mail in ((officer, "omar@example.com"), (agent, "agent@example.com")):
        console.sign_in(mail)
    officer.confirm()
    assert "your own document" in officer.get(f"/console/documents/{second}").text
    assert officer.post(f"/console/documents/{second}/take").status_code == 403
    agent.confirm()
    assert "higher role" in agent.get(f"/console/documents/{second}").text
    assert agent.post(f"/console/documents/{second}/take").status_code == 403


@pytest.mark.covers("N-R9", "L-1", "L-9")
def test_no_document_is_taken_that_could_not_help(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    for who in ("omar", "nobody-here"):
        started = ask(kit, who)
        drain(kit)
        browser, at = Browser(kit, started), f"/r/{started.handle}/document"
        assert browser("GET", at).headers["location"] == f"/r/{started.handle}", "before a first proof, for nobody"
        assert at not in browser("GET", f"/r/{started.handle}/ways").text
        assert browser("POST", at, urlencode({"kind": "id_card", "agree": "yes"})).status_code in (303, 409)
        assert upload(browser, at, photo()).status_code == 303
        assert kit.read(lambda tx, h=started.handle: tx.documents.of_page(h)) is None
    started, browser, at = begun(staff)
    policy = kit.services.policy
    kit.write(lambda tx: tx.conn.exec_driver_sql("UPDATE people SET created_at = 9999999999999"))  # type: ignore[attr-defined]
    assert kit.read(lambda tx: documents.look(tx, started.handle, policy)).closed == "no_record"
    assert "nothing to compare" in browser("GET", at).text
    with pytest.raises(Refusal, match="no_record"):
        kit.write(lambda tx: documents.consent(tx, started.handle, "passport", policy))
    off = staffed(make_kit(public_url=URL))
    assert off.kit.services.images is None, "without an impact assessment there is no such page"


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10", "N-A4", "L-12")
def test_of_fifty_operators_two_look_at_a_document(make_kit: Make, database_url: str) -> None:
    staff = desk(make_kit, database_url)
    kit = staff.kit
    _, _, _, document = sent(staff)
    actors = [staff.actor(Role.AGENT, f"agent{n}") for n in range(50)]
    got = []

    async def one(actor: Any) -> str:
        try:
            await kit.services.db.write(lambda tx: document_review.take(tx, actor, document))
        except Refusal as e:
            return e.code
        return "taken_on"

    async def go() -> list[str]:
        return list(await asyncio.gather(*map(one, actors)))

    got = kit.run(go())
    assert sorted(set(got)) == ["taken", "taken_on"]
    assert got.count("taken_on") == 2
    assert len(kit.read(lambda tx: tx.documents.get(document)).reviews) == 2


def test_what_reviews_come_to() -> None:
    def r(verdict: Any, third: bool = False) -> Review:
        return Review("o", 1, verdict, third=third)

    assert outcome([]) == outcome([r("yes")]) == outcome([r("yes"), r("")]) == "waits"
    assert outcome([r("yes"), r("no")]) == "third"
    assert outcome([r("yes"), r("yes")]) == "agreed"
    assert outcome([r("no"), r("no")]) == "refused"
    assert outcome([r("yes"), r("no"), r("no", True)]) == "refused"
    assert outcome([r("no"), r("no"), r("yes", True)]) == "agreed"
    assert outcome([r("yes"), r("no"), r("", True)]) == "third"
    mark = gettext("zh_CN", WATERMARK, name="张伟", company="青屿仪器", day="2026-11-28")
    assert mark == "仅供青屿仪器找回张伟的账号使用 2026-11-28"


@pytest.mark.covers("N-A6")
def test_a_picture_opens_with_its_own_key_alone(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    _, _, _, first = sent(staff)
    row = kit.read(
        lambda tx: tx.conn.exec_driver_sql(f"SELECT image FROM documents WHERE id = '{first}'").scalar()  # type: ignore[attr-defined]
    )
    assert b"\xff\xd8\xff" not in bytes(row)[:40]
    kit.write(lambda tx: tx.conn.exec_driver_sql("UPDATE document_keys SET sealed = x'0102'"))  # type: ignore[attr-defined]
    with pytest.raises(Unsealable):
        kit.read(lambda tx: tx.documents.picture(first))


@pytest.mark.covers("A-5.2.1", "A-5.2.4", "A-5.3.1", "A-5.3.2", "O-U1", "H5")
def test_uploads_are_bounded_in_size_number_and_shape(make_kit: Make) -> None:
    staff = desk(make_kit)
    started, browser, at = begun(staff)
    browser("POST", at, urlencode({"kind": "id_card", "agree": "yes"}))
    assert upload(browser, at, b"\xff" * (13 << 20)).status_code == 413
    assert upload(browser, at, b"").status_code == 422
    assert upload(browser, at, photo(), name="other").status_code == 422
    assert browser("POST", f"{at}/image", "picture=x").status_code == 415
    assert browser("POST", f"/r/{started.handle}/code", "code=" + "9" * (70 << 10)).status_code == 413, "elsewhere"
    for n in range(4):
        browser("POST", f"{at}/send", "act=withdraw")
        got = browser("POST", at, urlencode({"kind": "passport", "agree": "yes"}))
        assert got.status_code == (303 if n < 2 else 409), n
