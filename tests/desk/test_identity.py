"""An identity that a service verifies: consent, one answer, what it counts for, and answers that must not count."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from pydantic import ValidationError

from keyback.application.desk import documents, identity, keys
from keyback.application.recovery.start import Started
from keyback.cli.check_providers import look_at_identity
from keyback.domain.errors import Refusal
from keyback.domain.operators.identity import CHECKS
from keyback.domain.operators.roles import Role
from keyback.domain.policy.presets import PRESETS
from keyback.domain.policy.rules import Evidence, suffices
from keyback.domain.policy.search import search, ways_in
from keyback.settings_identity import Identity
from keyback.storage.maintenance import persons
from keyback.testing.openid_provider import LoopbackIssuer, Member, Registered
from keyback.testing.serving import served
from tests.support.api_client import Client
from tests.support.browser import Browser
from tests.support.console import URL, Console, Staff, staffed
from tests.support.each import each
from tests.support.enrolled import add_contact, add_totp
from tests.support.kit import Kit, person
from tests.support.steps import accept, ask, case_of, drain, secrets_of, types

Make = Callable[..., Kit]
CLIENT, SECRET = "keyback", "s3cret"
HIGH = "urn:level:high"


@dataclass
class Vendor:
    """A service that runs, and the settings section that names it."""

    issuer: LoopbackIssuer
    name: str

    def section(self, **over: Any) -> dict[str, Any]:
        words = {
            "title": {"en": "Harbour Verify", "zh_CN": "港湾核验"},
            "asks": {"en": "Your ID card and a picture of you", "zh_CN": "身份证和你的照片"},
            "goes": {"en": "Harbour Verify Ltd., Example City", "zh_CN": "港湾核验有限公司，示例市"},
        }
        keys = {"issuer": self.issuer.issuer, "client_id": CLIENT, "client_secret": SECRET, "levels": [HIGH]}
        return {**words, **keys, "assessment": "DPO folder", "timeout_s": 20, **over}


@contextmanager
def vendor(name: str = "harbour") -> Iterator[Vendor]:
    issuer = LoopbackIssuer("Harbour Verify")
    with served(issuer) as issuer.issuer:
        for key, says in (("omar", "Omar"), ("maya", "Maya"), ("other", "Omar Haddad"), ("low", "Omar")):
            acr = "urn:level:low" if key == "low" else HIGH
            issuer.members[key] = Member(f"id-{key}", "x", acr=acr, more={"name": says})
        issuer.clients[CLIENT] = Registered(SECRET, frozenset({f"{URL}/identity/{name}/back"}))
        yield Vendor(issuer, name)


Spoil = Callable[[LoopbackIssuer], Any]


def claims(**over: Any) -> Spoil:
    def spoil(issuer: LoopbackIssuer) -> None:
        issuer.claims = lambda said: {k: v for k, v in {**said, **over}.items() if v is not None}

    return spoil


def forged(algorithm: str) -> Spoil:
    """A token that nobody signed, or whoever knows our own secret."""

    def spoil(issuer: LoopbackIssuer) -> None:
        def swap(said: dict[str, Any]) -> dict[str, Any]:
            payload = said["id_token"].split(".")[1]
            head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).rstrip(b"=").decode()
            mac = hmac.digest(SECRET.encode(), f"{head}.{payload}".encode(), "sha256")
            tail = "" if algorithm == "none" else base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
            return {**said, "id_token": f"{head}.{payload}.{tail}"}

        issuer.tokens = swap

    return spoil


def nothing(issuer: LoopbackIssuer) -> None: ...


# name: (who answers, the word for why it is refused, what is wrong with the answer)
WRONG: dict[str, tuple[str, str, Spoil]] = {
    "lower level": ("low", "level", nothing),
    "no level": ("omar", "level_missing", claims(acr=None)),
    "level of a list": ("omar", "level", claims(acr=[HIGH])),
    "no name": ("omar", "name", claims(name=None)),
    "empty name": ("omar", "name", claims(name=" ")),
    "long name": ("omar", "name", claims(name="o" * 401)),
    "name with a line": ("omar", "name", claims(name="Omar\nOmar")),
    "mixed up": ("omar", "iss_mixed_up", nothing),
    "other issuer": ("omar", "iss", claims(iss="https://elsewhere.example.com")),
    "other audience": ("omar", "aud", claims(aud="somebody-else")),
    "other party": ("omar", "azp", claims(azp="somebody-else")),
    "expired": ("omar", "exp", claims(exp=1)),
    "old token": ("omar", "iat", claims(iat=1)),
    "other nonce": ("omar", "nonce", claims(nonce="another")),
    "no nonce": ("omar", "nonce", claims(nonce=None)),
    "old session": ("omar", "not_fresh", claims(auth_time=1_700_000_000)),
    "nobody knows when": ("omar", "auth_time", claims(auth_time=None)),
    "unsigned": ("omar", "alg", forged("none")),
    "signed with our secret": ("omar", "alg", forged("HS256")),
    "another key": ("omar", "key_unknown", lambda i: setattr(i, "jwks", lambda _: {"keys": []})),
    "no token": ("omar", "token", lambda i: setattr(i, "tokens", lambda _: {})),
    "down": ("omar", "unavailable", lambda i: i.moved.add("/token")),
}


@pytest.fixture(scope="module")
def there() -> Iterator[Vendor]:
    with vendor() as running:
        yield running


@pytest.fixture(autouse=True)
def _as_it_was(there: Vendor) -> Iterator[None]:
    before = dict(vars(there.issuer)) | {"members": dict(there.issuer.members), "moved": set(), "asked": {}}
    yield
    vars(there.issuer).update(before)


def desk(make_kit: Make, there: Vendor, url: str | None = None, **over: Any) -> Staff:
    """Omar signs in with an app that he has lost, and has a second address on record."""
    kit = make_kit(url=url, public_url=URL, identity={there.name: there.section(**over)})
    staff = staffed(kit)
    for who in ("omar", "maya"):
        add_totp(kit, who)
    add_contact(kit, "mail", "omar@home.example", "backup", "omar")
    kit.clock.forward(hours=73)
    return staff


def begun(staff: Staff, who: str = "omar") -> tuple[Started, Browser, str]:
    """They have opened the link in their mail, which is not enough."""
    kit = staff.kit
    started = ask(kit, who)
    drain(kit)
    assert accept(kit, secrets_of(staff.tray.to(f"{who}@example.com")[-1])[0]) is None
    return started, Browser(kit, started), f"/r/{started.handle}/identity/harbour"


def agreed(staff: Staff, who: str = "omar") -> tuple[Started, Browser, str]:
    started, browser, at = begun(staff, who)
    assert browser("POST", at, "agree=yes").headers["location"] == at
    return started, browser, at


def leaves(browser: Browser, at: str) -> str:
    left = browser("GET", f"{at}/go")
    assert left.status_code == 303, left.text
    return left.headers["location"]


def returns(browser: Browser, address: str) -> httpx2.Response:
    parts = urlsplit(address)
    return browser("GET", f"{parts.path}?{parts.query}")


def verified(staff: Staff, there: Vendor, member: str, who: str = "omar") -> tuple[Started, Browser, str]:
    started, browser, at = agreed(staff, who)
    assert returns(browser, there.issuer.sign_in(leaves(browser, at), member)).headers["location"] == at
    return started, browser, at


def check_of(staff: Staff, started: Started) -> Any:
    return staff.kit.read(lambda tx: tx.identity.of_page(started.handle))


def evidence_of(staff: Staff, started: Started) -> list[str]:
    case = case_of(staff.kit, started.handle)
    assert case
    return [e.kind for e in case.evidence]


@pytest.mark.covers("N-A1", "L-3", "N-R11", "I3", "D10")
@pytest.mark.both
def test_consent_an_answer_a_hold_and_nothing_kept(make_kit: Make, there: Vendor, database_url: str) -> None:
    staff = desk(make_kit, there, database_url)
    kit = staff.kit
    started, browser, at = begun(staff)
    assert f'href="{at}"' in browser("GET", f"/r/{started.handle}/ways").text
    page = browser("GET", at).text
    for words in ("Verify your identity with Harbour Verify", "Your ID card", "Example City", 'value="yes">'):
        assert words in page, words
    assert browser("GET", f"{at}/go").headers["location"] == at, "not before consent"
    assert browser("POST", at, "agree=").status_code == 422
    assert there.issuer.asked == {}
    assert browser("POST", at, "agree=yes").headers["location"] == at
    assert "Continue to Harbour Verify" in browser("GET", at).text
    left = leaves(browser, at)
    for part in ("code_challenge_method=S256", "acr_values=urn%3Alevel%3Ahigh", "prompt=login", "max_age=0"):
        assert part in left, part
    assert returns(browser, there.issuer.sign_in(left, "omar")).headers["location"] == at
    assert "Your identity was verified" in browser("GET", at).text
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "on_hold"
    assert case.hold_of(started.handle) - kit.clock() > 23 * 3_600_000
    assert [(e.proof, e.kind) for e in case.evidence] == [("email_link", "issued"), ("identity_service", "proofing")]
    drain(kit)
    for to in ("omar@example.com", "omar@home.example"):
        assert "identity_answered" in [m.content.what for m in staff.tray.to(to, "asked")]  # type: ignore[attr-defined]
    c = check_of(staff, started)
    assert (c.state, c.fits, c.level, c.name_digest) == ("agreed", "exact", HIGH, None)
    assert b"id-omar" not in (c.subject or b"")
    rows = kit.read(lambda tx: [str(h) for h in tx.audit.of_stream(case.id)])
    assert any("identity_answered" in r for r in rows)
    assert not any("id-omar" in r for r in rows)


def looks(console: Console, check: str) -> str:
    """An operator takes it and sees the page."""
    at = f"/console/documents/{check}"
    console.confirm()
    assert console.post(f"{at}/take").headers["location"] == at
    return console.get(at).text


def says(console: Console, check: str, verdict: str, *ticked: str) -> httpx2.Response:
    console.confirm()
    form = [("verdict", verdict), *(("checks", c) for c in ticked)]
    return console("POST", f"/console/documents/{check}/answer", urlencode(form))


@pytest.mark.slow
@pytest.mark.covers("N-A1", "N-A4", "I1", "SD-D6")
def test_where_names_differ_two_people_decide_who_never_see_the_name(make_kit: Make, there: Vendor) -> None:
    staff = desk(make_kit, there)
    kit = staff.kit
    agent, approver = staff.add(Role.AGENT), staff.add(Role.APPROVER)
    started, browser, at = verified(staff, there, "other")
    assert "Two people are looking at the answer" in browser("GET", at).text
    assert evidence_of(staff, started) == ["issued"], "nothing counts yet"
    c = check_of(staff, started)
    assert (c.state, c.fits) == ("waiting", "part")
    assert browser("POST", at, "agree=yes").status_code == 409, "one at a time"
    assert browser("GET", at.replace("identity/harbour", "document")).status_code == 200, (
        "which is no picture of theirs"
    )
    one = f"/console/documents/{c.id}"
    assert "Verified identity" in agent.get("/console/documents").text
    shown = looks(agent, c.id)
    for words in ("Harbour Verify", HIGH, "name has words that the record doesn’t have", "None on record"):
        assert words in shown, words
    assert "Haddad" not in shown
    assert agent.get(f"{one}/image").status_code == 404
    # A name of another record is compared; the verified one is nowhere to be read.
    agent.confirm()
    assert agent.post(f"{one}/name", name=" ").status_code == 422
    assert "That is the verified name" in agent.post(f"{one}/name", name="haddad  OMAR").text
    for _ in range(4):
        assert "That is not the verified name" in agent.post(f"{one}/name", name="Omar Hadda").text
    assert agent.post(f"{one}/name", name="Omar Haddad").status_code == 409, "not to be found out by trying"
    assert approver.post(f"{one}/name", name="Omar Haddad").status_code in (303, 404), "nobody who hasn't taken it"
    assert says(agent, c.id, "yes", *CHECKS[:-1]).status_code == 422
    assert says(agent, c.id, "yes", *CHECKS).status_code == 303
    assert evidence_of(staff, started) == ["issued"], "one is not enough"
    looks(approver, c.id)
    assert says(approver, c.id, "yes", *CHECKS).status_code == 303
    case = case_of(kit, started.handle)
    assert case
    assert (case.state, [e.kind for e in case.evidence]) == ("on_hold", ["issued", "proofing"])
    assert check_of(staff, started).name_digest is None
    assert kit.read(lambda tx: tx.desk.work(case.id)).worked_by == {o.id for o in staff.made.values()}
    page = staff.add(Role.SECURITY_OFFICER).get(f"/console/cases/{case.id}").text
    assert "Harbour" in page or "harbour" in page
    assert "typed a name from another record" in page
    token = kit.write(lambda tx: keys.add(tx, "Tickets", ["cases.view"], 9)).token
    told = Client(kit).call("GET", f"/admin/cases/{case.id}", secret=token)
    [one_check] = told.json()["identity_checks"]
    assert (one_check["name"], one_check["state"], one_check["level"]) == ("part", "agreed", HIGH)
    assert "Haddad" not in told.text


@pytest.mark.covers("N-A1", "I1")
def test_a_no_a_namesake_and_a_policy_that_has_people_look_at_all(make_kit: Make, there: Vendor) -> None:
    staff = desk(make_kit, there, counts="never")
    agent, approver = staff.add(Role.AGENT), staff.add(Role.APPROVER)
    started, browser, at = verified(staff, there, "omar")
    c = check_of(staff, started)
    assert (c.state, c.fits) == ("waiting", "exact")
    for who in (agent, approver):
        looks(who, c.id)
        assert says(who, c.id, "no").status_code == 303
    assert check_of(staff, started).state == "refused"
    assert evidence_of(staff, started) == ["issued"]
    page = browser("GET", at).text
    assert "It isn’t said which detail" in page


@pytest.mark.covers("N-A1")
def test_somebody_else_of_that_name_is_on_record(make_kit: Make, there: Vendor) -> None:
    staff = desk(make_kit, there)
    staff.kit.write(lambda tx: tx.people.save_imported([replace(person("omar2"), name="Omar")]))
    started, _, _ = verified(staff, there, "omar")
    c = check_of(staff, started)
    assert (c.state, c.fits, c.namesake) == ("waiting", "exact", True)
    assert evidence_of(staff, started) == ["issued"]


@pytest.mark.covers("N-A5", "H15")
def test_one_identity_for_two_people_raises_an_alarm(make_kit: Make, there: Vendor) -> None:
    staff = desk(make_kit, there)
    staff.add(Role.SECURITY_OFFICER, "officer@example.com")
    first, _, _ = verified(staff, there, "omar")
    assert check_of(staff, first).state == "agreed"
    again, _, _ = verified(staff, there, "omar")
    assert not check_of(staff, again).seen_before, "the same person again is nobody else"
    there.issuer.members["maya"] = replace(there.issuer.members["omar"], more={"name": "Maya"})  # whatever it says now
    second, _, _ = verified(staff, there, "maya", "maya")
    c = check_of(staff, second)
    assert (c.state, c.fits, c.seen_before) == ("waiting", "exact", True)
    assert evidence_of(staff, second) == ["issued"]
    drain(staff.kit)
    assert "identity_seen_before" in [m.content.what for m in staff.tray.to("officer@example.com", "desk")]  # type: ignore[attr-defined]


@pytest.mark.covers("D10", "C20", "N-A1")
def test_answers_of_another_time_page_browser_or_service_count_for_nothing(make_kit: Make, there: Vendor) -> None:
    staff = desk(make_kit, there)
    started, browser, at = agreed(staff)
    other, theirs, there_at = agreed(staff, "maya")
    answer = there.issuer.sign_in(leaves(browser, at), "omar")
    # In another browser, and as the answer to another check.
    assert returns(theirs, answer).status_code == 403
    mixed = answer.replace(check_of(staff, started).id, check_of(staff, other).id)
    assert returns(theirs, mixed).headers["location"] == there_at
    state = urlsplit(leaves(theirs, there_at)).query.partition("state=")[2].partition("&")[0]
    swapped = answer.partition("state=")[0] + f"state={state}&iss={there.issuer.issuer}"
    assert returns(theirs, swapped).headers["location"] == there_at, "the code of another check: no verifier, no nonce"
    assert check_of(staff, other).state == "failed"
    for changed in (answer.replace("state=", "state=x"), answer.partition("state=")[0] + "state=&iss="):
        assert returns(browser, changed).status_code == 303
    assert check_of(staff, started).state == "consented", "none of them used up the answer"
    answer = there.issuer.sign_in(leaves(browser, at), "omar")  # the code before was used up by now
    assert returns(browser, answer).headers["location"] == at
    assert check_of(staff, started).state == "agreed"
    calls = there.issuer.calls["/token"]
    assert returns(browser, answer).headers["location"] == at
    assert there.issuer.calls["/token"] == calls, "a replayed one isn't even asked about"
    assert evidence_of(staff, started) == ["issued", "proofing"]
    assert evidence_of(staff, other) == ["issued"]


@pytest.mark.slow
@pytest.mark.covers("D10", "A-6.8", "A-9.1.1", "A-9.1.2")
@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_answers_that_lie_are_refused_with_a_word_and_nothing_else(make_kit: Make, there: Vendor, wrong: str) -> None:
    member, reason, spoil = WRONG[wrong]
    staff = desk(make_kit, there)
    started, browser, at = agreed(staff)
    address = there.issuer.sign_in(leaves(browser, at), member)
    spoil(there.issuer)
    returns(browser, address.replace("iss=", "iss=x") if wrong == "mixed up" else address)
    c = check_of(staff, started)
    assert (c.state, c.reason) == ("failed", reason)
    assert evidence_of(staff, started) == ["issued"]
    page = browser("GET", at)
    assert page.status_code == 200
    assert 'id="identity-error"' in page.text
    assert 'name="agree"' in page.text, "it can be begun again"
    assert "identity_failed" in types(staff.kit)


@pytest.mark.covers("L-2", "D10")
def test_what_comes_after_consent_was_withdrawn_or_the_case_ended_counts_for_nothing(
    make_kit: Make, there: Vendor
) -> None:
    staff = desk(make_kit, there)
    kit = staff.kit
    started, browser, at = agreed(staff)
    answer = there.issuer.sign_in(leaves(browser, at), "omar")
    assert browser("POST", at, "act=withdraw").headers["location"] == at
    assert "You took your consent back" in browser("GET", at).text
    returns(browser, answer)
    assert check_of(staff, started).state == "withdrawn"
    assert browser("GET", f"{at}/go").headers["location"] == at
    # Again, and withdrawn while reviewers look at it.
    assert 'name="agree"' in browser("GET", f"{at}?new=1").text
    browser("POST", at, "agree=yes")
    returns(browser, there.issuer.sign_in(leaves(browser, at), "other"))
    waiting = check_of(staff, started)
    assert waiting.state == "waiting"
    browser("POST", at, "act=withdraw")
    agent = staff.add(Role.AGENT)
    agent.confirm()
    assert agent.post(f"/console/documents/{waiting.id}/take").status_code == 404
    # A case that has ended, and one that comes too late.
    for late in (False, True):
        browser("POST", at, "agree=yes")
        answer = there.issuer.sign_in(leaves(browser, at), "omar")
        if late:
            kit.clock.forward(minutes=61)
        else:
            browser("POST", f"/r/{started.handle}/cancel")
        returns(browser, answer)
        assert check_of(staff, started).state == "consented"
        assert evidence_of(staff, started) == ["issued"]
        started, browser, at = begun(staff, "maya") if not late else (started, browser, at)


@pytest.mark.covers("I6", "D10")
@pytest.mark.both
def test_of_two_answers_at_once_one_is_taken(make_kit: Make, there: Vendor, database_url: str) -> None:
    staff = desk(make_kit, there, database_url)
    started, _, _ = agreed(staff)
    check, policy = check_of(staff, started), staff.kit.services.policy

    async def both() -> list[Any]:
        db = staff.kit.services.db
        tries = (db.write(lambda tx: identity.claim(tx, check.id, policy)) for _ in range(20))
        return await asyncio.gather(*tries, return_exceptions=True)

    got = staff.kit.run(both())
    assert sum(not isinstance(x, Exception) for x in got) == 1
    assert {x.code for x in got if isinstance(x, Refusal)} == {"wrong_state"}


@pytest.mark.covers("N-R9", "N-R10")
def test_it_is_offered_to_nobody_whom_it_cannot_help(make_kit: Make, there: Vendor) -> None:
    staff = desk(make_kit, there)
    kit = staff.kit
    started = ask(kit, "omar")
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}/identity/harbour"
    assert browser("GET", at).headers["location"] == f"/r/{started.handle}", "nothing was shown yet"
    assert "Harbour" not in browser("GET", f"/r/{started.handle}/ways").text
    assert browser("POST", at, "agree=yes").status_code in (303, 409)
    assert check_of(staff, started) is None
    assert Browser(kit)("GET", at).status_code == 403
    kit.write(lambda tx: tx.people.save_imported([person("new")]))
    add_totp(kit, "new")
    fresh, theirs, new_at = begun(staff, "new")
    person_id = case_of(kit, fresh.handle).person_id  # type: ignore[union-attr]
    kit.write(
        lambda tx: tx.conn.exec_driver_sql(f"UPDATE people SET created_at = {kit.clock()} WHERE id = '{person_id}'")
    )
    assert "There was no record of you" in theirs("GET", new_at).text
    assert theirs("POST", new_at, "agree=yes").status_code == 409
    _, browser, at = begun(staff)
    for _ in range(5):
        assert browser("POST", at, "agree=yes").status_code == 303
    assert browser("POST", at, "agree=yes").status_code == 409, "not all day long"


@pytest.mark.slow
@pytest.mark.covers("L-1", "H12", "N-A1")
def test_what_is_left_of_a_name_goes_in_time_and_with_its_person(make_kit: Make, there: Vendor) -> None:
    staff = desk(make_kit, there)
    kit = staff.kit
    agent = staff.add(Role.AGENT)
    started, browser, _ = verified(staff, there, "other")
    c = check_of(staff, started)
    assert c.name_digest
    kit.write(documents.destroy_due)
    assert check_of(staff, started).name_digest, "while reviewers look at it"
    assert "Verified identity" in agent.get("/console/documents").text
    browser("POST", f"/r/{started.handle}/cancel")
    kit.write(documents.destroy_due)
    assert check_of(staff, started).name_digest is None
    assert "Verified identity" not in agent.get("/console/documents").text, "there is nothing left to decide"
    late, _, _ = verified(staff, there, "other", "maya")
    kit.clock.forward(hours=24 * 7 + 1)
    kit.write(documents.destroy_due)
    assert check_of(staff, late).name_digest is None
    counts = kit.write(lambda tx: persons.erase(tx, c.person_id, "Left."))
    assert (counts["identity_checks"], counts["documents"]) == (1, 1)
    kit.clock.forward(hours=24 * 181)
    kit.write(lambda tx: tx.identity.purge(tx.now))
    assert check_of(staff, late) is None


IDA = {
    "trust_framework": "eidas",
    "assurance_level": "high",
}
NAMES = {"given_name": "Omar", "family_name": "Haddad"}


@pytest.mark.slow
@pytest.mark.covers("N-A1", "A-9.1.1")
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"verification": IDA, "claims": NAMES}, ""),
        ([{"verification": {"trust_framework": "mine"}, "claims": {}}, {"verification": IDA, "claims": NAMES}], ""),
        ({"verification": {**IDA, "trust_framework": "mine"}, "claims": NAMES}, "trust_framework"),
        ({"verification": {**IDA, "assurance_level": "low"}, "claims": NAMES}, "level"),
        ({"verification": {"trust_framework": "eidas"}, "claims": NAMES}, "level_missing"),
        ({"verification": IDA, "claims": {"given_name": "Omar"}}, "name"),
        ({"verification": [IDA], "claims": NAMES}, "verified_claims"),
        ([], "verified_claims"),
        ("eidas", "verified_claims"),
        (None, "verified_claims"),
    ],
)
def test_verified_claims_of_identity_assurance(make_kit: Make, there: Vendor, said: Any, reason: str) -> None:
    parts = ["given_name", "family_name"]
    staff = desk(make_kit, there, trust_frameworks=["eidas"], levels=["high"], name_claims=parts)
    staff.kit.write(lambda tx: tx.conn.exec_driver_sql("UPDATE people SET name = 'Haddad Omar' WHERE name = 'Omar'"))
    started, browser, at = agreed(staff)
    left = leaves(browser, at)
    for part in ("verified_claims", "trust_framework", "eidas", "given_name"):
        assert part in left, part
    assert "acr_values" not in left
    member = there.issuer.members["omar"]
    there.issuer.members["omar"] = replace(member, more={"name": "Somebody Else", "verified_claims": said})
    returns(browser, there.issuer.sign_in(left, "omar"))
    c = check_of(staff, started)
    assert (c.state, c.reason, c.fits) == (("failed", reason, "") if reason else ("agreed", "", "exact"))


@pytest.mark.slow
@pytest.mark.covers("N-R11", "N-R10")
def test_the_policy_knows_it_where_a_section_names_a_service_and_can_do_without(make_kit: Make, there: Vendor) -> None:
    assert not make_kit().services.policy.takes("identity_service")
    kit = make_kit(public_url=URL, identity={there.name: there.section()})
    policy = kit.services.policy
    assert policy.class_of("identity_service") == "proofing"
    assert [f.claim.id for f in search(policy, PRESETS["nist"], most=2).broken()] == []
    assert ("email_link", "identity_service") in ways_in(policy, "mfa")
    staff = desk(make_kit, there)
    off = replace(staff.kit.services.policy, off=frozenset({"identity_service"}))
    staff.kit.services = replace(staff.kit.services, policy=off)
    _, browser, at = begun(staff)
    assert "Your company doesn’t use this" in browser("GET", at).text
    assert browser("POST", at, "agree=yes").status_code == 409


@pytest.mark.covers("A-9.1.3")
def test_keyback_check_looks_at_its_metadata_and_keys(make_kit: Make, there: Vendor) -> None:
    def found(**over: Any) -> tuple[str, str]:
        kit = make_kit(public_url=URL, identity={there.name: there.section(**over)})
        [one] = kit.run(look_at_identity(kit.settings))
        return one.name, one.status

    assert found() == ("identity harbour", "ok")
    assert found(issuer=f"{there.issuer.issuer}/") == ("identity harbour", "bad")
    there.issuer.jwks = lambda _: {"keys": []}
    assert found() == ("identity harbour", "bad")


@each(
    ("over", "words"),
    [
        ({"levels": []}, "levels"),
        ({"levels": ["two words"]}, "no spaces"),
        ({"name_claims": []}, "name_claims"),
        ({"assessment": ""}, "assessment"),
        ({"title": "Harbour"}, "title"),
        ({"asks": {"zh_CN": "你的证件"}}, "en"),
        ({"hosts": ["https://example.com"]}, "not a name"),
        ({"counts": "always"}, "counts"),
        ({"client_secret_files": "x"}, "client_secret_files"),
    ],
)
def test_a_section_that_says_too_little_is_refused(over: dict[str, Any], words: str) -> None:
    section = Vendor(LoopbackIssuer(), "harbour").section(**{"issuer": "https://verify.example.com", **over})
    with pytest.raises(ValidationError, match=words):
        Identity(**section)


@pytest.mark.slow
@pytest.mark.covers("N-R11", "F7")
@pytest.mark.parametrize("by_phone", [True, False])
def test_a_service_that_the_phone_opens_counts_once_with_the_phone(
    make_kit: Make, there: Vendor, by_phone: bool
) -> None:
    staff = desk(make_kit, there, by_phone=by_phone)
    phone = add_contact(staff.kit, "sms", "+8613800138000", "backup", "omar")
    staff.kit.clock.forward(hours=73)
    started, _, _ = verified(staff, there, "omar")
    case = case_of(staff.kit, started.handle)
    assert case
    shown = case.evidence[-1]
    sms = Evidence("sms_code", "issued", f"phone:{phone}", 0)
    assert shown.proof == "identity_service"
    assert suffices([sms, shown], "mfa") is not by_phone
    assert case.state == "on_hold", "with the mail it is enough either way"
