"""The demo: what it promises to people and to programs that try it out, and that none of it exists elsewhere."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyback.application.passwords.strength import load_blocklist
from keyback.demo.company import COMPANY, DOMAIN, HINTS, STAFF, TITLES
from keyback.domain.passwords.rules import PRESETS, Context, check
from keyback.locale import catalog
from keyback.testing.kept import Kept
from tests.support.live import AGENT, live

RUN = "import sys, pathlib; from keyback.demo import run; sys.exit(run(0, pathlib.Path(sys.argv[1]), *sys.argv[2:]))"
NEW = "Supper ladder teapot-7"  # as strict as any of the systems asks
PENDING = re.compile(r'data-state="(waiting|working)"')


@dataclass
class Demo:
    """A running demo and what it said on the terminal."""

    process: subprocess.Popen[str]
    url: str
    said: str

    def client(self) -> httpx2.Client:
        headers = {"sec-fetch-site": "same-origin", "user-agent": AGENT, "accept-language": "en"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


def start(folder: Path, *more: str) -> Demo:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), *more], stdout=subprocess.PIPE, text=True, cwd=folder.parent
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            break
    found = re.search(r"http://(127\.0\.0\.1|localhost):\d+", said)
    if not found:
        process.kill()
        process.wait()
    assert found, said
    return Demo(process, found[0], said)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[Demo]:
    d = start(folder)
    try:
        yield d
    finally:
        d.end()


def until(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `look` gives, as soon as it is something; fails when it never is."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.05)
    return found


def mails(client: httpx2.Client, to: str) -> list[dict[str, Any]]:
    return [m for m in client.get("/demo/mailbox.json").json() if m["to"] == to]


def prove(client: httpx2.Client, identifier: str, to: str) -> str:
    """Asks for a new password and types the mailed code; the recovery's path."""
    before = len(mails(client, to))
    page = client.post("/forgot", data={"identifier": identifier}).headers["location"]
    mail = until(lambda: mails(client, to)[before:])[-1]
    assert client.post(f"{page}/code", data={"code": mail["codes"][0]}).status_code == 303
    return str(page)


def choose(client: httpx2.Client, page: str, password: str) -> str:
    """Chooses a password for all accounts; the page once everything is settled."""
    html = client.get(page).text
    accounts = re.findall(r'name="accounts"[^>]*value="([^"]+)"', html)
    submission = re.search(r'name="submission"[^>]*value="([^"]+)"', html)
    assert submission
    fields = {"new_password": password, "submission": submission[1]}
    assert client.post(f"{page}/password", data={**fields, "accounts": accounts}).status_code == 303
    return str(until(lambda: "Changed," in (t := client.get(page).text) and not PENDING.search(t) and t))


# ── the people ──────────────────────────────────────────────────────────────


def test_sixty_people_of_every_kind() -> None:
    assert len(STAFF) == len({s.username for s in STAFF}) == len({s.name for s in STAFF}) == 60
    assert 24 <= sum(s.locale == "zh_CN" for s in STAFF) <= 36
    assert {len(s.systems) for s in STAFF} == {1, 2, 3}
    assert {s.tier for s in STAFF} == {"standard", "mfa", "privileged"}
    assert sum(s.tier != "standard" for s in STAFF) >= 4
    every = [m for s in STAFF for m in s.mails]
    assert len(every) - len(set(every)) == 1
    assert {len(s.mails) for s in STAFF} == {0, 1, 2}
    for peculiar in ("locked", "provider", "crm_username"):
        assert any(getattr(s, peculiar) for s in STAFF), peculiar
    assert any(s.state == "disabled" for s in STAFF)
    assert any("'" in s.name for s in STAFF)
    assert any("’" in s.name for s in STAFF)
    assert {s.hint for s in STAFF} - {""} == set(HINTS)


def test_everybody_has_a_password_of_their_own_that_the_rules_allow() -> None:
    blocklist = load_blocklist()
    for s in STAFF:
        context = Context(tuple(COMPANY.values()), tuple(TITLES.values()), s.identifiers, (s.name,), s.mails)
        assert check(s.password, PRESETS["nist"], context, blocklist) == (), s.username
    assert len({s.password for s in STAFF}) == 60


def test_every_hint_is_there_in_chinese() -> None:
    assert [h for h in HINTS if h not in catalog("zh_CN")] == []


def test_the_guides_name_the_same_people_by_what_they_have() -> None:
    docs, rows = Path(__file__).parents[2] / "docs", []
    for lang in ("en", "zh"):
        lines = (docs / lang / "demo.md").read_text(encoding="utf-8").splitlines()
        rows.append([set(re.findall(r"`([a-z.]+)`", x)) for x in lines if x.startswith("| `") and "/demo" not in x])
    assert rows[0] == rows[1]
    kinds = {s.username: (s.enrolled, s.tier == "privileged", s.locked) for s in STAFF}
    for row in rows[0]:
        assert len({kinds[username] for username in row}) == 1, row


# ── the contract ────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_terminal_says_where_to_go_and_whom_to_try(demo: Demo) -> None:
    for path in ("/", "/demo", "/demo/mailbox", "/demo/authenticator", "/demo/crm/sign-in"):
        assert f"{demo.url}{path}\n" in demo.said
    for username in ("maya.okafor", "chenyu", "oliver.brandt"):
        assert username in demo.said


@pytest.mark.slow
def test_people_json(demo: Demo) -> None:
    with demo.client() as client:
        people = client.get("/demo/people.json").json()
    assert len(people) == 60
    assert {tuple(p) for p in people} == {
        ("name", "locale", "identifiers", "systems", "tier", "enrolled", "password")
    }  # fmt: skip
    by_login = {p["identifiers"][0]: p for p in people if p["identifiers"]}
    assert by_login["chenyu"]["systems"] == ["builtin", "demo", "guided", "salesforce", "dynamics365"]
    assert by_login["zhoubo"]["enrolled"] == []
    assert by_login["maya.okafor"]["enrolled"] == ["email_link"]
    assert by_login["oliver.brandt"]["enrolled"] == ["email_link", "totp", "recovery_codes"]
    assert by_login["dingning"]["enrolled"] == ["email_link", "recovery_contact"]
    assert by_login["yuki.tanabe"]["enrolled"] == ["email_link", "sms"]
    assert by_login["guoqiang"]["enrolled"] == ["email_link", "sms", "passkey", "recovery_codes"]
    assert by_login["xujing"]["enrolled"] == ["email_link", "backup_email"]
    assert by_login["huangjie"]["enrolled"] == ["email_link", "im"]
    assert by_login["wangfang"]["enrolled"] == ["email_link"]  # nothing else is left
    assert by_login["heming"]["tier"] == "privileged"
    assert "totp" in by_login["heming"]["enrolled"]


@pytest.mark.slow
@pytest.mark.covers("E1")
def test_from_forgotten_to_signed_in_everywhere(demo: Demo) -> None:
    with demo.client() as client:
        assert client.get("/demo/mailbox/status").json() == {"version": "0"}
        page = prove(client, "chenyu", "chenyu@qingyu.example.com")
        (mail,) = mails(client, "chenyu@qingyu.example.com")
        assert set(mail) == {"id", "at", "to", "subject", "text", "links", "codes"}
        assert isinstance(mail["at"], int)
        assert all(link.startswith(f"{demo.url}/l/") for link in mail["links"])
        assert client.get("/demo/mailbox/status").json()["version"] >= mail["id"]
        box, view = client.get("/demo/mailbox"), client.get(f"/demo/mailbox/{mail['id']}/view")
        assert mail["subject"] in box.text
        assert "frame-src 'self'" in box.headers["content-security-policy"]
        assert all(f'href="{link}"' in box.text for link in mail["links"])
        assert "Open the link" not in box.text, "links go by the words that the mail has for them"
        assert "打开链接" not in box.text
        assert "; sandbox allow-popups" in view.headers["content-security-policy"]
        assert "allow-scripts" not in view.headers["content-security-policy"]
        assert view.headers["x-frame-options"] == "SAMEORIGIN"
        assert view.text.startswith('<base target="_top">')
        assert client.get("/demo/mailbox/0/view").status_code == 404
        html = choose(client, page, NEW)
        assert "Harbour CRM" in html
        assert 'href="https://lanyun.example.com/reset"' in html
        assert client.post("/sign-in", data={"identifier": "chenyu", "password": NEW}).status_code == 303
        crm = client.post("/demo/crm/sign-in", data={"username": "chenyu", "password": NEW})
        assert crm.status_code == 200
        old = next(s.password for s in STAFF if s.username == "chenyu")
        assert client.post("/demo/crm/sign-in", data={"username": "chenyu", "password": old}).status_code == 403


@pytest.mark.slow
@pytest.mark.parametrize(
    "who", [s for s in STAFF if s.username in ("wangfang", "ruth.kessler")], ids=lambda s: s.username
)
def test_a_mail_alone_opens_nothing_for_higher_tiers(demo: Demo, who: Any) -> None:
    with demo.client() as client:
        page = prove(client, who.username, who.mails[0])
        html = client.get(page).text
        assert "new_password" not in html
        assert "extension 8100" in html
        sent = {"new_password": NEW, "submission": "s"}
        client.post(f"{page}/password", data=sent)
        assert client.post("/sign-in", data={"identifier": who.username, "password": NEW}).status_code == 401


@pytest.mark.slow
def test_the_seeded_passwords_work_and_peculiar_people_do_not_get_in(demo: Demo) -> None:
    wanted = {"maya.okafor": 303, "heming": 303, "helen.cho": 401, "linan": 401, "tomas.novak": 401}
    with demo.client() as client:
        for s in STAFF:
            if s.username in wanted:
                r = client.post("/sign-in", data={"identifier": s.username, "password": s.password})
                assert r.status_code == wanted[s.username], s.username


@pytest.mark.slow
def test_the_crm_can_be_made_to_misbehave(demo: Demo) -> None:
    with demo.client() as client:
        assert client.post("/demo/crm/toggle", data={"broken": "1"}).headers["location"] == "/demo"
        assert len(re.findall(r"<input[^>]*checked", client.get("/demo").text)) == 1
        r = client.post("/demo/crm/sign-in", data={"username": "liwei", "password": "x"})
        assert r.status_code == 503
        client.post("/demo/crm/toggle", content=b"")
        assert not re.findall(r"<input[^>]*checked", client.get("/demo").text)


@pytest.mark.slow
@pytest.mark.covers("A-3.5.1", "C1")
def test_other_sites_reach_neither_the_people_nor_the_crm(demo: Demo) -> None:
    with demo.client() as client:
        cross = {"sec-fetch-site": "cross-site"}
        form = {"username": "maya.okafor", "password": "x"}
        assert client.post("/demo/crm/sign-in", data=form, headers=cross).status_code == 403
        assert client.post("/demo/crm/toggle", data={"broken": "1"}, headers=cross).status_code == 403
        assert client.post("/demo/crm/api/find", json={"identifier": "maya.okafor"}).status_code == 401
        for path in ("/demo/people.json", "/demo/mailbox.json", "/demo/crm/sign-in"):
            assert client.get(path, headers={"host": "rebound.example"}).status_code == 421, path


@pytest.mark.slow
def test_the_pages_speak_both_languages(demo: Demo) -> None:
    with demo.client() as client:
        for lang, words in (("en", "Start here: one login, one email."), ("zh", "从这里开始：一个账号，一封邮件。")):
            assert words in client.get("/demo", headers={"accept-language": lang}).text


# ── its ends ────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_kept_folder_goes_on_where_it_was_left(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    first = start(folder)
    with first.client() as client:
        choose(client, prove(client, "linan", "linan@qingyu.example.com"), NEW)
        before: list[dict[str, object]] = []
        while len(before) < 2:  # the link, and when every system is done, that it was
            time.sleep(0.2)
            before = client.get("/demo/mailbox.json").json()
    assert first.end() == 0
    for kept in folder.iterdir():
        assert kept.stat().st_mode & 0o077 == 0, kept
    second = start(folder)
    with second.client() as client:
        assert client.get("/demo/mailbox.json").json() == before
        page = client.get("/demo/mailbox").text
        assert "linan@qingyu.example.com" in page
        assert client.post("/sign-in", data={"identifier": "linan", "password": NEW}).status_code == 303
        assert client.post("/demo/crm/sign-in", data={"username": "linan", "password": NEW}).status_code == 200
    assert second.end() == 0


@pytest.mark.slow
def test_a_second_demo_on_one_folder_says_so_and_leaves_the_first_alone(demo: Demo, folder: Path) -> None:
    for _ in range(2):
        code = "import sys; from pathlib import Path; from keyback.demo import run; sys.exit(run(0, Path(sys.argv[1])))"
        second = subprocess.run(
            [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=60, cwd=folder.parent
        )
        assert second.returncode == 1
        assert f"another demo is running on {folder} (process {demo.process.pid})" in second.stderr
        assert second.stderr.count("\n") == 1
        assert "--data" in second.stderr
    with demo.client() as client:
        prove(client, "linan", "linan@qingyu.example.com")  # its mail comes to its own mailbox


def test_what_a_mailbox_and_a_phone_took_is_there_after_a_restart(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept.jsonl", 3)
    assert kept.load() == []
    for n in range(5):
        kept.add({"id": str(n), "text": "邮件"})
    assert (tmp_path / "kept.jsonl").stat().st_mode & 0o777 == 0o600
    with (tmp_path / "kept.jsonl").open("a") as f:
        f.write('{"id": "cut o')
    assert [m["id"] for m in Kept(tmp_path / "kept.jsonl", 3).load()] == ["3", "4"]
    Kept(tmp_path / "kept.jsonl", 3).add({"id": "6"})
    assert [m["id"] for m in Kept(tmp_path / "kept.jsonl", 3).load()] == ["3", "4", "6"]
    assert Kept(None, 3).load() == []


@pytest.mark.slow
def test_a_notice_reaches_the_phone_by_http(demo: Demo) -> None:
    with demo.client() as client:
        page = prove(client, "grace.adeyemi", f"grace.adeyemi@{DOMAIN}")
        choose(client, page, NEW)
        (text,) = until(lambda: client.get("/demo/phone.json").json())
        assert set(text) == {"id", "at", "to", "channel", "text", "codes"}
        assert (text["to"], text["channel"], text["codes"]) == ("+447400123456", "sms", [])
        assert text["text"].startswith(f"{COMPANY['en']}: your account was recovered")
        assert client.get("/demo/phone/status").json() == {"version": text["id"]}
        shown = client.get("/demo/phone").text
        assert "+447400123456" in shown
        assert "Everything here is invented" in shown


def app_of(client: httpx2.Client, username: str) -> dict[str, Any]:
    return next(a for a in client.get("/demo/authenticator.json").json()["apps"] if a["username"] == username)


@pytest.mark.slow
def test_an_app_and_a_saved_code_of_the_page_open_an_account(demo: Demo) -> None:
    with demo.client() as client:
        page = prove(client, "oliver.brandt", f"oliver.brandt@{DOMAIN}")
        before = client.get("/demo/authenticator/status").json()["version"]
        app = app_of(client, "oliver.brandt")
        assert set(app) == {"name", "username", "label", "code", "seconds_left", "used", "pending"}
        assert 0 < app["seconds_left"] <= 30
        assert client.post(f"{page}/ways/totp").status_code == 303
        assert client.post(f"{page}/ways/totp/answer", data={"code": app["code"]}).status_code == 303
        saved = client.get("/demo/authenticator.json").json()["recovery_codes"]
        codes = next(c["codes"] for c in saved if c["username"] == "oliver.brandt")
        assert [c["used"] for c in codes] == [False] * 10
        client.post(f"{page}/ways/recovery_code")
        assert client.post(f"{page}/ways/recovery_code/answer", data={"code": codes[3]["code"]}).status_code == 200
        html = client.get("/demo/authenticator").text
        assert f'<s class="mono">{codes[3]["code"]}</s>' in html
        assert html.count("<s class=") == 1
        assert client.get("/demo/authenticator/status").json()["version"] != before
        choose(client, page, NEW)  # three proofs: nothing to wait for
        for _ in range(50):  # the last system may take a moment
            signed = client.post("/sign-in", data={"identifier": "oliver.brandt", "password": NEW})
            if signed.status_code == 303:
                break
            time.sleep(0.2)
        assert signed.headers["location"] == "/sign-in/second"


@pytest.mark.slow
def test_nobody_has_to_sit_out_a_wait(tmp_path: Path) -> None:
    first = start(tmp_path / "kept")
    with first.client() as client:
        page = prove(client, "hanxue", f"hanxue@{DOMAIN}")
        assert client.post(f"{page}/ways/totp").status_code == 303
        code = app_of(client, "hanxue")["code"]
        assert client.post(f"{page}/ways/totp/answer", data={"code": code}).status_code == 303
        assert "Please wait a moment" in client.get(page).text
        (mail,) = until(lambda: mails(client, f"hanxue@{DOMAIN}")[1:])
        for nothing in ("", "-16", "x", "1e3"):
            assert client.post("/demo/clock", data={"minutes": nothing}).headers["location"] == "/demo"
        assert app_of(client, "hanxue")["used"]
        client.post("/demo/clock", data={"minutes": "16"})
        assert until(lambda: "new_password" in client.get(page).text)
        over = until(lambda: mails(client, f"hanxue@{DOMAIN}")[2:])[0]
        assert 15 * 60_000 < over["at"] - mail["at"] < 30 * 60_000
    assert first.end() == 0
    again = start(tmp_path / "kept")  # time never goes back
    with again.client() as client:
        html = client.get("/demo").text
        assert "The clock has been moved ahead" in html
    assert again.end() == 0


@pytest.mark.slow
def test_under_a_name_browsers_make_passkeys(demo: Demo, tmp_path: Path) -> None:
    with demo.client() as client:
        assert "keyback demo --host localhost" in client.get("/demo").text
    named = start(tmp_path / "named", "localhost")
    try:
        with named.client() as client:
            assert named.url.startswith("http://localhost:")
            assert "--host localhost" not in client.get("/demo").text
            page = prove(client, "chenyu", f"chenyu@{DOMAIN}")
            assert "Harbour CRM" in choose(client, page, NEW)  # the CRM has that address too
    finally:
        ended = named.end()
    assert ended == 0


@pytest.mark.slow
def test_nothing_of_the_demo_exists_elsewhere(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path) as site, site.client() as client:
        for path in (
            "/demo", "/demo/", "/demo/people.json", "/demo/mailbox", "/demo/mailbox.json", "/demo/mailbox/status",
            "/demo/mailbox/1/view",
            "/demo/phone", "/demo/phone.json", "/demo/phone/status",
            "/demo/authenticator", "/demo/authenticator.json", "/demo/authenticator/status",
            "/demo/clock", "/demo/crm", "/demo/crm/sign-in", "/demo/crm/toggle", "/demo/crm/api/find",
        ):  # fmt: skip
            assert client.get(path).status_code == 404, path
            assert client.post(path, data={"broken": "1"}).status_code == 404, path
        assert "/demo" not in client.get("/").text
