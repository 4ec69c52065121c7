"""What an installed package brings works like our own, with nothing changed in the house."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyback.application.account.readiness import outlook
from keyback.application.clock import wall_clock
from keyback.application.policy.explain import explain
from keyback.application.ports.proofs import Enrolments, Given
from keyback.application.recovery import evidence
from keyback.bootstrap import make_phone
from keyback.domain.challenges.challenge import short_code
from keyback.domain.people.person import Contact
from keyback.domain.policy.presets import PRESETS
from keyback.domain.policy.rules import Ruling
from keyback.domain.policy.search import search
from keyback.registry import about_faults, load_gateway, load_proof
from keyback.settings import Unsafe
from keyback.testing.channels import short_letter
from keyback.testing.mailbox import Mailbox
from keyback.testing.proofs import somebody
from keyback.testing.serving import served
from keyback.web.account.contacts import offered
from keyback.web.app import make_context
from tests.support.api_client import Client, Recovery
from tests.support.commands import Keyback
from tests.support.enrolled import add_contact
from tests.support.kit import Clock, Kit, person
from tests.support.samples import FOB, SECRET, Pagers, installed


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with installed(tmp_path_factory.mktemp("sample")) as settings:
        yield settings


def shown_by_fob(digits: str, number: str = FOB) -> str:
    return short_code(hmac.digest(SECRET, number.encode(), "sha256"), digits.encode())


@pytest.mark.slow
def test_a_gateway_sends_a_code_and_says_what_its_answers_mean(make_kit: Any, sample: dict[str, Any]) -> None:
    pagers = Pagers()
    with served(pagers) as url:
        sms = {"kind": "pager", "url": url, "secret": "pager-secret-4711", "site": "qingyu", "prefixes": ["+1"]}
        kit: Kit = make_kit(clock=Clock(wall_clock()), sms=sms, **sample)
        client = Client(kit)
        client.people()
        add_contact(kit, "sms", "+12025550123")
        r = Recovery(client)
        r.post("/proofs/sms_code")
        client.drain()
        [message] = pagers.got
        assert (message["site"], message["to"]) == ("qingyu", "+12025550123")
        [code] = re.findall(r"(?<![\d#])\d{6}\b", message["text"])
        assert r.post("/proofs/sms_code/verify", {"code": code}).json()["state"] in ("password_due", "need_more")
        about = load_gateway("pager").about
        channel = make_phone(kit.settings, "sms", kit.clock)
        assert channel is not None
        for answer, (status, word) in about.errors.items():
            pagers.answer = answer
            [receipt] = kit.run(channel.send([short_letter(1, "sms", "+12025550123", kit.clock())]))
            assert (receipt.status, receipt.code) == (status, word)
        kit.run(channel.close())


@pytest.mark.slow
def test_a_gateway_carries_what_it_says_and_names_its_keys(make_kit: Any, sample: dict[str, Any]) -> None:
    with pytest.raises(Unsafe, match=r"im: kind: pager carries sms only"):
        make_kit(im={"kind": "pager"})
    sms = {"kind": "pager", "url": "https://pager.example.com", "secret": "x", "cite": "qingyu", "prefixes": ["+1"]}
    with pytest.raises(Unsafe, match=r"cite: .*Its keys are ca_file, secret, secret_file, site, timeout_s, url"):
        make_kit(sms=sms)


def test_everything_that_people_read_of_it_is_there(sample: dict[str, Any]) -> None:
    about, proof = load_proof("key_fob", Given(None, "", sample["proof_options"]["key_fob"]))  # type: ignore[arg-type]
    assert about_faults(about) == []
    assert proof is not None


def only_fob(shown: Any, *_: Any, **__: Any) -> Ruling:
    """As if a fob alone opened everything."""
    return Ruling("go" if [e.proof for e in shown] == ["key_fob"] else "more")


@pytest.mark.slow
def test_the_policy_weighs_and_tells_it(make_kit: Any, sample: dict[str, Any]) -> None:
    s = make_kit(**sample).services
    assert s.policy.brought == (("key_fob", "bound"),)
    said = {
        locale: " ".join(line for x in explain(s.policy, PRESETS["nist"], locale, s.abouts) for line in x.lines)
        for locale in ("en", "zh_CN")
    }
    assert "a code from the authenticator app, a passkey or a key fob" in said["en"]
    assert "口令牌" in said["zh_CN"]
    assert "key_fob" not in said["en"] + said["zh_CN"]
    result = search(s.policy, PRESETS["nist"], most=2)
    assert result.broken() == []
    loose = search(s.policy, PRESETS["nist"], most=1, ruling=only_fob)
    [broken] = [f for f in loose.broken() if f.claim.id == "factor_alone"]
    assert ("key_fob", "key_fob:1") in {(e.proof, e.channel) for p in broken.paths for e in p.evidence}


def test_it_counts_where_people_look_how_well_they_are_prepared(make_kit: Any, sample: dict[str, Any]) -> None:
    s = make_kit(**sample).services
    person = somebody(1)
    mail = Contact("m", person.id, "mail", "maya@example.com", "primary", "confirmed")
    fob = Contact("f", person.id, "im", FOB, "backup", "confirmed")
    for tier, ways in (("standard", {"email_link"}), ("mfa", {"email_link", "key_fob"})):
        found = outlook(Enrolments(person, (mail, fob)), s.proofs, s.policy, tier, 0)  # type: ignore[arg-type]
        assert set(found[0].ways) == ways
    assert outlook(Enrolments(person, (mail,)), s.proofs, s.policy, "mfa", 0)[0].ways == ()


def test_people_can_add_what_it_is_put_to(make_kit: Any, sample: dict[str, Any]) -> None:
    im = {"kind": "wecom", "corp_id": "x", "agent_id": 1, "secret": "y"}
    without = make_kit(im=im, policy={"off": ["im_message"]})
    assert "im" not in offered(make_context(without.settings, without.services))
    fobs = make_kit(im=im, policy={"off": ["im_message"]}, **sample)
    assert "im" in offered(make_context(fobs.settings, fobs.services))


@pytest.mark.slow
@pytest.mark.parametrize(("language", "title"), [("en", "Your key fob"), ("zh-CN", "你的口令牌")])
def test_a_whole_recovery_over_the_api(make_kit: Any, sample: dict[str, Any], language: str, title: str) -> None:
    with Mailbox() as mailbox:
        kit: Kit = make_kit(mail={"port": mailbox.port}, clock=Clock(wall_clock()), **sample)
        client = Client(kit)
        client.people(person("maya", tier="mfa"))
        add_contact(kit, "im", FOB)
        r = Recovery(client)
        r.prove(mailbox)
        now = r.see(accept_language=language)
        assert now["state"] == "need_more"
        [way] = [w for w in now["proofs"] if w["proof"] == "key_fob"]
        assert (way["title"], way["hint"]) == (title, "4•••")
        digits = r.post("/proofs/key_fob", accept_language=language).json()["form"]["challenge"]
        wrong = r.post("/proofs/key_fob/verify", {"code": shown_by_fob("123456", "0")})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong_code")
        done = r.post("/proofs/key_fob/verify", {"code": shown_by_fob(digits)})
        assert done.status_code == 200, done.text
        assert r.see()["reason"] == "hold"
        kit.clock.forward(minutes=16)
        kit.write(evidence.release)
        assert r.choose().json()["state"] == "done"


def test_names_that_nobody_registered_lead_nowhere(make_kit: Any, sample: dict[str, Any]) -> None:
    kit: Kit = make_kit(clock=Clock(wall_clock()), **sample)
    client = Client(kit)
    client.people()
    r = Recovery(client)
    for name in ("door_badge", "security_questions", "caller_check", "Key_Fob", "key_fob%20"):
        assert (name, r.post(f"/proofs/{name}").status_code) == (name, 404)
        assert r.post(f"/proofs/{name}/verify", {"code": "123456"}).status_code == 404
    asked = [r.post("/proofs/key_fob"), Recovery(client, "nobody@example.com").post("/proofs/key_fob")]
    assert [a.status_code for a in asked] == [202, 202]
    assert [{k: len(str(v)) for k, v in a.json()["form"].items()} for a in asked] == [{"challenge": 6}] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("language", "words"), [("en", "passkey or a key fob"), ("zh", "口令牌")])
def test_the_commands_tell_it(
    place: Path,
    keyback: Keyback,
    monkeypatch: pytest.MonkeyPatch,
    sample: dict[str, Any],
    language: str,
    words: str,
) -> None:
    monkeypatch.setenv("KEYBACK_PUBLIC_URL", "https://id.example.com")
    monkeypatch.setenv("KEYBACK_PROOFS", json.dumps(sample["proofs"]))
    monkeypatch.setenv("KEYBACK_PROOF_OPTIONS", json.dumps(sample["proof_options"]))
    assert words in keyback("policy", "explain", "--lang", language).stdout
    checks = json.loads(keyback("check", "--json", code=1).output)["checks"]  # the relay of this place is down
    assert {"name": "proof key_fob", "status": "ok", "detail": "Your key fob: bound", "next": ""} in checks
    monkeypatch.setenv("KEYBACK_PROOFS", "[]")
    assert "key_fob is not in proofs" in keyback("check", code=1).output
    monkeypatch.setenv("KEYBACK_PROOFS", json.dumps(sample["proofs"]))
    monkeypatch.delenv("KEYBACK_PROOF_OPTIONS")
    said = keyback("check", code=1).output
    assert "proof_options.key_fob: secret_file: name a file that can be read" in said
    assert "key fob" not in keyback("policy", "explain", "--lang", "en").stdout
