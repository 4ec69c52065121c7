"""What a recipe may ask for beyond the plain case: ways to sign in, paging, sessions, codes in a 200, digests, RSA."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json as jsonlib
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx2
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.ports.connectors import Step, Unavailable
from keyback.application.recovery.apply import judge
from keyback.connectors.http import HttpConnector
from keyback.connectors.http.checking import checked
from keyback.connectors.http.options import HttpConnectorOptions
from keyback.connectors.http.transforms import PasswordUnfit, Unfit, transform
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, by_step, plan
from tests.support.each import each

pytestmark = pytest.mark.anyio
SECRET = "the-service-secret-0815"
ACCOUNT = """
[account]
id = "/id"
username = "/name"
mail = "/mail"
disabled = { at = "/on", is = false }
privileged = { at = "/roles/*", is = ["root"] }
"""
PLAIN = """
[requests.find]
path = "/users"
query = { q = "{identifier}" }
items = "/users"
[requests.set]
method = "POST"
path = "/set"
json = { id = "{id|int}", password = "{password}" }
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """Answers by path, keeps what came."""

    def __init__(self, **answers: Callable[[Request, dict[str, Any]], Any]) -> None:
        self.answers = answers
        self.came: list[tuple[str, dict[str, str], Any]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._all, methods=["GET", "POST", "PUT", "DELETE"])])

    async def _all(self, request: Request) -> Response:
        raw = await request.body()
        kind = request.headers.get("content-type", "")
        body = dict(await request.form()) if "form" in kind else (await request.json() if raw else {})
        path = request.path_params["path"]
        self.came.append((path, dict(request.headers), body))
        answer = self.answers[path](request, body)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    def count(self, path: str) -> int:
        return [p for p, _, _ in self.came].count(path)


def user(n: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": n, "name": f"maya{n}", "mail": f"maya{n}@example.com", "on": True, "roles": [], **more}


def made(server: Server, recipe: str, *, clock: Callable[[], float] = time.monotonic, **section: Any) -> HttpConnector:
    keys = {"url": "https://crm.example.com", "recipe": "x", "secret": SECRET, "login": "keyback", **section}
    options = HttpConnectorOptions.model_validate(keys)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=server.app))
    return HttpConnector("x", "X", options, checked("format = 1\n" + recipe, options), client, clock=clock)


async def test_basic_and_headers_sign_in() -> None:
    for auth, header, value in (
        ('kind = "basic"', "authorization", "Basic " + base64.b64encode(f"keyback:{SECRET}".encode()).decode()),
        ('kind = "headers"\nheaders = { X-Key = "{login} {secret}" }', "x-key", f"keyback {SECRET}"),
    ):
        server = Server(users=lambda r, b: {"users": [user()]})
        assert len(await made(server, f"[auth]\n{auth}\n{ACCOUNT}{PLAIN}").find("maya1")) == 1
        assert server.came[0][1][header] == value


TOKEN = """
[auth]
kind = "token"
query = { session = "{token}" }
expires_in = "/ttl"
[auth.before]
path = "/challenge"
read = { nonce = "/nonce" }
[auth.request]
method = "POST"
path = "/login"
form = { user = "{login}", key = "{secret|answer}" }
read = { token = "/token" }
[transforms.answer]
kind = "md5"
before = "{nonce}"
[answers]
code = "/code"
done = 0
text = "/msg"
[[errors]]
code = 401
means = "auth_expired"
[[errors]]
on = "set"
text = "too weak"
means = "policy_rejected"
"""


async def test_a_token_is_fetched_once_renewed_when_it_ends_and_never_more_than_that() -> None:
    good: list[str] = []

    def login(request: Request, body: dict[str, Any]) -> Any:
        assert body["key"] == hashlib.md5(f"n0nce{SECRET}".encode()).hexdigest()
        good.append(f"t{len(good)}")
        return {"code": 0, "token": good[-1], "ttl": 3600}

    def users(request: Request, body: Any) -> Any:
        if request.query_params["session"] != good[-1] or len(good) == 9:
            return {"code": 401, "msg": "expired"}
        return {"code": 0, "users": [user()]}

    server = Server(challenge=lambda r, b: {"code": 0, "nonce": "n0nce"}, login=login, users=users)
    connector = made(server, TOKEN + ACCOUNT + PLAIN)
    for _ in range(3):
        assert len(await connector.find("maya1")) == 1
    assert server.count("login") == 1
    good.append("another")  # the system forgot it
    assert len(await connector.find("maya1")) == 1
    assert server.count("login") == 2
    server.answers["users"] = lambda r, b: {"code": 401, "msg": "never"}
    before = server.count("login")
    with pytest.raises(Unavailable) as raised:
        await connector.find("maya1")
    assert (raised.value.code, server.count("login") - before) == ("auth_expired", 1)


@pytest.mark.parametrize("ttl", [None, 0, -1, "soon", 1e400, 10**12, [], "\ud800"])
async def test_a_token_whose_life_is_not_told_is_kept_as_long_as_the_recipe_says(ttl: Any) -> None:
    now = [0.0]
    server = Server(
        challenge=lambda r, b: {"code": 0, "nonce": "n"},
        login=lambda r, b: Response(jsonlib.dumps({"code": 0, "token": "t-1", "ttl": ttl}), media_type="text/html"),
        users=lambda r, b: {"code": 0, "users": [user()]},
    )
    recipe = TOKEN.replace('expires_in = "/ttl"', 'expires_in = "/ttl"\nlifetime_s = 900')
    system = made(server, f"{recipe}{ACCOUNT}{PLAIN}", clock=lambda: now[0])
    for _ in range(3):
        assert len(await system.find("maya1")) == 1
    assert server.count("login") == 1


async def test_answers_wrapped_in_a_text_and_odd_texts_in_answers() -> None:
    odd = user(7, name="\ud800x\x00y", mail=None, nick=5)
    server = Server(users=lambda r, b: {"users": jsonlib.dumps([user(1), odd])})
    listed = '[requests.list]\npath = "/users"\nitems = "/users"\n'
    system = made(server, f'[auth]\nkind = "bearer"\n{ACCOUNT}{PLAIN}{listed}')
    assert [a.external_id for a in await system.find("maya1")] == ["1"]
    assert [a.username async for page in system.list_accounts() for a in page] == ["maya1", "?x\ufffdy"]


PAGES = """
[auth]
kind = "none"
[requests.verify]
method = "POST"
path = "/login"
location = "/home"
form = { u = "{username}", p = "{password}", t = "{t}" }
[requests.key]
path = "/form"
read_fields = { t = "_csrf" }
[[errors]]
on = "verify"
location = "/login"
means = "wrong_password"
"""


@each(
    "to, works",
    [
        ("/home", True), ("/home/?a=1", True), ("https://crm.example.com/home", True), ("/homes", None), ("/", None),
        ("https://evil.example.com/home", None), ("//evil.example.com/home", None), ("/login?error", False),
        ("https://evil.example.com/login", None), ("http://[", None), ("", None), ("/home/../login", False),
    ],
)  # fmt: skip
def test_a_redirect_means_done_where_the_recipe_says_on_the_same_host(to: str, works: bool | None) -> None:
    page = "<!doctype html><input name=_csrf><input value='a&amp;\"b' name=_csrf><input name=_csrf value=second>"
    server = Server(
        form=lambda r, b: Response(page, media_type="text/html"),
        login=lambda r, b: Response("<p>", 302, {"location": to}),
    )
    system = made(server, f"{PAGES}{ACCOUNT}{PLAIN}")
    assert anyio.run(system.verify, "maya1", Secret(NEW)) is works
    assert server.came[-1][2]["t"] == 'a&"b'


@each("page", [b"", b"{}", b"<input name=_csrf value=''>", b"\xff\xfe<", b"<input " * 99_999, b"<!--" * 99_999])
def test_a_page_without_its_field_is_none(page: bytes) -> None:
    server = Server(form=lambda r, b: Response(page), login=lambda r, b: Response("", 302, {"location": "/home"}))
    assert anyio.run(made(server, f"{PAGES}{ACCOUNT}{PLAIN}").verify, "maya1", Secret(NEW)) is None
    assert server.count("login") == 0


async def test_a_refused_sign_in_is_named_and_hides_the_secret() -> None:
    server = Server(
        challenge=lambda r, b: {"code": 0, "nonce": "n"},
        login=lambda r, b: {"code": 5, "msg": f"{SECRET} is wrong, {b['key']}"},
    )
    connector = made(server, TOKEN + ACCOUNT + PLAIN)
    with pytest.raises(Unavailable) as raised:
        await connector.find("maya1")
    assert raised.value.code == "auth_expired"
    assert SECRET not in str(raised.value)
    assert server.came[-1][2]["key"] not in str(raised.value)
    (last,) = await connector.apply(plan("1", "maya1"))
    assert (last.step, last.status, last.code) == (Step.GUARD, "refused", "auth_expired")
    assert server.count("login") == 1, "a refused client is not tried again at once"


async def test_a_code_in_the_body_of_a_200_counts() -> None:
    server = Server(
        challenge=lambda r, b: {"code": 0, "nonce": "n"},
        login=lambda r, b: {"code": 0, "token": "t", "ttl": 60},
        users=lambda r, b: {"code": 0, "users": [user()]},
        set=lambda r, b: {"code": 500, "msg": f"{b['password']} is too weak"},
    )
    done = by_step(await made(server, TOKEN + ACCOUNT + PLAIN).apply(plan("1", "maya1")))
    assert (done[Step.SET].status, done[Step.SET].code) == ("refused", "policy_rejected")
    assert done[Step.SET].vendor_text == "… is too weak"


async def test_cookies_sign_in_and_a_redirect_to_the_sign_in_page_renews_them() -> None:
    held = ["first"]

    def login(request: Request, body: Any) -> Response:
        answer = JSONResponse({})
        answer.set_cookie("theme", "dark")
        answer.set_cookie("sid", held[0], httponly=True, expires=3600)
        return answer

    def users(request: Request, body: Any) -> Any:
        if request.headers["cookie"] != f"sid={held[0]}":
            return Response(status_code=302, headers={"location": "https://crm.example.com/login"})
        return {"users": [user()]}

    recipe = """
[auth]
kind = "cookie"
cookies = ["sid"]
[auth.request]
method = "POST"
path = "/login"
json = { user = "{login}", password = "{secret}" }
"""
    server = Server(login=login, users=users)
    connector = made(server, recipe + ACCOUNT + PLAIN)
    assert len(await connector.find("maya1")) == 1
    held[0] = "second"
    assert len(await connector.find("maya1")) == 1
    assert server.count("login") == 2


@each("kind", ["page", "offset", "cursor"])
def test_lists_are_paged(kind: str) -> None:
    everybody = [user(n) for n in range(1, 26)]

    def users(request: Request, body: Any) -> Any:
        at = int(request.query_params.get("at") or 0)
        start = at if kind != "page" else (at - 1) * 10
        return {"users": everybody[start : start + 10], "next": start + 10 if start + 10 < 25 else None}

    what = {"page": "{page}", "offset": "{offset}", "cursor": "{cursor}"}[kind]
    recipe = f"""
find_in_list = true
[auth]
kind = "none"
[paging]
kind = "{kind}"
size = 10
[requests.list]
path = "/users"
query = {{ at = "{what}", size = "{{size}}" }}
items = "/users"
next = "/next"
[requests.set]
method = "POST"
path = "/set"
json = {{ password = "{{password}}" }}
"""

    async def listed() -> list[str]:
        connector = made(Server(users=users), recipe + ACCOUNT)
        assert [a.username for a in await connector.find("MAYA25@example.com")] == ["maya25"]
        assert await connector.find("maya26") == []
        return [a.external_id async for page in connector.list_accounts() for a in page]

    assert anyio.run(listed) == [str(n) for n in range(1, 26)]


PAGED = """
[auth]
kind = "none"
[paging]
kind = "page"
size = 2
[requests.list]
path = "/users"
query = { at = "{page}" }
items = "/users"
[requests.set]
method = "POST"
path = "/set"
json = { password = "{password}" }
"""


COUNTED = PAGED.replace('items = "/users"', 'items = "/users"\ntotal = "/total"')


async def test_a_system_that_takes_no_notice_of_the_page_lists_nobody() -> None:
    """Whoever is missing from a list that ended would be switched off by a sync."""
    server = Server(users=lambda r, b: {"users": [user(id=1), user(id=2)]})
    connector = made(server, PAGED + ACCOUNT)
    pages = connector.list_accounts()
    assert len(await anext(pages)) == 2
    with pytest.raises(Unavailable, match="every page is the first"):
        await anext(pages)
    assert server.count("users") == 2


@pytest.mark.parametrize("total", [None, -1, 3, 4])
async def test_the_last_page_again_and_again_is_the_end(total: int | None) -> None:
    """As PageHelper gives it to whoever asks for one behind it."""

    def users(request: Request, body: Any) -> dict[str, Any]:
        at = min(int(request.query_params["at"]), 2)
        return {"users": [user(id=2 * at - 1), user(id=2 * at)], "total": total}

    server = Server(users=users)
    connector = made(server, COUNTED + ACCOUNT)
    assert [len(page) async for page in connector.list_accounts()] == [2, 2]
    assert server.count("users") == (2 if total in (3, 4) else 3)


@pytest.mark.parametrize("rows", [0, 1, 2])
async def test_a_list_that_ends_before_its_total_is_none(rows: int) -> None:
    def users(request: Request, body: Any) -> dict[str, Any]:
        first = request.query_params["at"] == "1"
        return {"users": [user(id=1), user(id=2)] if first else [user(id=n + 3) for n in range(rows)], "total": 9}

    connector = made(Server(users=users), COUNTED + ACCOUNT)
    with pytest.raises(Unavailable, match="ends before its total"):
        [page async for page in connector.list_accounts()]


async def test_only_the_persons_own_sessions_end() -> None:
    recipe = """
[auth]
kind = "none"
[requests.sessions]
path = "/online"
query = { name = "{username}" }
items = "/rows"
id = "/sid"
owner = "/name"
owner_is = "username"
[requests.revoke]
method = "DELETE"
path = "/kick/{session}"
"""
    rows = [{"sid": "a", "name": "maya1"}, {"sid": "b", "name": "maya11"}, {"sid": "../c", "name": "maya11"}]
    server = Server(
        users=lambda r, b: {"users": [user()]}, set=lambda r, b: {}, online=lambda r, b: {"rows": rows},
        **{"kick/a": lambda r, b: {}},
    )  # fmt: skip
    done = by_step(await made(server, recipe + ACCOUNT + PLAIN).apply(plan("1", "maya1")))
    assert done[Step.REVOKE].status == "done"
    assert [p for p, _, _ in server.came if p.startswith("kick")] == ["kick/a"]


async def test_without_a_way_to_try_a_password_nothing_is_set_twice() -> None:
    server = Server(users=lambda r, b: {"users": [user()]}, set=lambda r, b: Response(status_code=502))
    connector = made(server, '[auth]\nkind = "none"\n' + ACCOUNT + PLAIN)
    for attempt in (1, 2, 3):
        done = by_step(await connector.apply(plan("1", "maya1", attempt=attempt)))
        assert done[Step.SET].status == "uncertain"
    assert server.count("set") == 1


KEYED = """
[auth]
kind = "none"
[requests.key]
path = "/key"
read = { public_key = "/key", key_id = "/id" }
[requests.find]
path = "/users"
items = "/users"
[requests.set]
method = "POST"
path = "/set"
[requests.set.json]
id = "{id|int}"
password = "{password|sealed}"
key = "{key_id}"
salt = "{salt}"
hash = "{password|salted}"
[transforms.sealed]
kind = "rsa_pkcs1"
key = "{public_key}"
output = "base64"
[transforms.salted]
kind = "md5"
before = "{username}"
after = "{salt}"
first = "sha1"
"""


async def test_a_password_is_encrypted_with_a_key_that_was_fetched_and_hashed_with_a_salt_that_goes_along() -> None:
    private = rsa.generate_private_key(65537, 2048)
    der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    server = Server(
        users=lambda r, b: {"users": [user()]}, set=lambda r, b: {},
        key=lambda r, b: {"key": base64.b64encode(der).decode(), "id": 7},
    )  # fmt: skip
    done = by_step(await made(server, KEYED + ACCOUNT).apply(plan("1", "maya1")))
    assert done[Step.SET].status == "done"
    sent = server.came[-1][2]
    assert private.decrypt(base64.b64decode(sent["password"]), padding.PKCS1v15()).decode() == NEW
    assert (sent["id"], sent["key"]) == (1, "7")
    inner = hashlib.sha1(NEW.encode()).hexdigest()
    assert sent["hash"] == hashlib.md5(f"maya1{inner}{sent['salt']}".encode()).hexdigest()
    long = by_step(await made(server, KEYED + ACCOUNT).apply(plan("1", "maya1", "x" * 300)))[Step.SET]
    assert (long.status, long.code) == ("refused", "policy_rejected")
    server.answers["key"] = lambda r, b: {"key": "bm90IGEga2V5", "id": 7}
    odd = by_step(await made(server, KEYED + ACCOUNT).apply(plan("1", "maya1")))[Step.SET]
    assert odd.status == "refused"
    assert server.count("set") == 1


def test_digests_are_those_of_the_standard_library() -> None:
    digest = hashlib.sha256(hashlib.sha256(b"s-p").digest()).hexdigest()
    assert transform("sha256", "p", before="s-", rounds=2) == digest
    assert transform("md5", "p", output="HEX") == hashlib.md5(b"p").hexdigest().upper()
    assert transform("hmac_sha256", "p", key="k") == hmac.new(b"k", b"p", "sha256").hexdigest()
    assert transform("base64", "密码") == base64.b64encode("密码".encode()).decode()
    for kind, digest_ in (("rsa_oaep_sha1", hashes.SHA1()), ("rsa_oaep_sha256", hashes.SHA256())):
        private = rsa.generate_private_key(65537, 2048)
        pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        sealed = base64.b64decode(transform(kind, "p", key=pem.decode(), output="base64"))  # type: ignore[arg-type]
        assert private.decrypt(sealed, padding.OAEP(padding.MGF1(digest_), digest_, None)) == b"p"
        with pytest.raises(PasswordUnfit):
            transform(kind, "p" * 300, key=pem.decode())  # type: ignore[arg-type]
    with pytest.raises(Unfit, match="cannot be read"):
        transform("rsa_pkcs1", "p", key="nonsense")


async def test_verify_knows_wrong_from_unknown() -> None:
    recipe = """
[auth]
kind = "none"
[[errors]]
on = "verify"
code = "bad"
means = "wrong_password"
[answers]
code = "/error"
[requests.verify]
method = "POST"
path = "/login"
auth = false
form = { u = "{username}", p = "{password}" }
"""
    server = Server(login=lambda r, b: {} if b["p"] == NEW else {"error": "bad" if b["p"] == "wrong" else "captcha"})
    connector = made(server, recipe + ACCOUNT + PLAIN)
    answers = [await connector.verify("maya1", Secret(p)) for p in (NEW, "wrong", "other")]
    assert answers == [True, False, None]


async def test_a_system_that_is_slow_to_end_sessions_keeps_no_worker_from_others() -> None:
    now = [0.0]

    def kick(request: Request, body: Any) -> Any:
        now[0] += 31
        return {}

    recipe = """
[auth]
kind = "none"
[requests.sessions]
path = "/online"
items = "/rows"
id = "/sid"
[requests.revoke]
method = "POST"
path = "/kick"
json = { id = "{session}" }
"""
    server = Server(
        users=lambda r, b: {"users": [user()]}, set=lambda r, b: {}, kick=kick,
        online=lambda r, b: {"rows": [{"sid": str(n)} for n in range(50)]},
    )  # fmt: skip
    connector = made(server, recipe + ACCOUNT + PLAIN, clock=lambda: now[0])
    done = by_step(await connector.apply(plan("1", "maya1")))
    assert (done[Step.SET].status, done[Step.REVOKE].status) == ("done", "retry")
    assert server.count("kick") == 2
    again = by_step(await connector.apply(plan("1", "maya1", attempt=2)))
    assert again[Step.SET].status == "done"
    assert server.count("set") == 1


async def test_a_change_at_the_next_sign_in_is_asked_for_where_the_recipe_can() -> None:
    alone = """
[requests.must_change]
method = "POST"
path = "/force"
json = { id = "{id}" }
"""
    server = Server(users=lambda r, b: {"users": [user()]}, set=lambda r, b: {}, force=lambda r, b: {})
    head = '[auth]\nkind = "none"\n'
    within = PLAIN.replace('"{password}" }', '"{password}", force = "{must_change}" }')
    for recipe, status, forced in ((PLAIN + alone, "done", 1), (within, "done", 1), (PLAIN, "unsupported", 1)):
        connector = made(server, head + ACCOUNT + recipe)
        done = by_step(await connector.apply(plan("1", "maya1", must_change=True)))
        assert (done[Step.MUST_CHANGE].status, server.count("force")) == (status, forced)
    assert [b["force"] for p, _, b in server.came if p == "set" and "force" in b] == [True]


async def test_a_secret_that_no_header_takes_is_named_and_nobody_is_said_to_be_missing() -> None:
    server = Server(users=lambda r, b: {"users": [user()]})
    connector = made(server, '[auth]\nkind = "bearer"\n' + ACCOUNT + PLAIN, secret="秘密-0815")
    with pytest.raises(Unavailable) as raised:
        await connector.find("maya1")
    assert (raised.value.code, server.came) == ("auth_expired", [])
    assert "秘密" not in str(raised.value)


@pytest.mark.covers("N12")
async def test_where_trying_a_password_does_not_work_what_was_never_sent_is_set_all_the_same() -> None:
    """A system that was away, and whose sign-in asks for a captcha: nothing is known by trying, but it is by memory."""
    verify = """
[requests.verify]
method = "POST"
path = "/login"
auth = false
json = { u = "{username}", p = "{password}" }
"""
    away = [True]
    server = Server(
        users=lambda r, b: Response(status_code=503) if away[0] else {"users": [user()]},
        set=lambda r, b: {},
        login=lambda r, b: Response(status_code=400),
    )
    recipe = '[auth]\nkind = "none"\n' + ACCOUNT + PLAIN + verify
    connector = made(server, recipe)
    assert (await connector.apply(plan("1", "maya1")))[-1].status == "retry"
    away[0] = False
    done = by_step(await connector.apply(plan("1", "maya1", attempt=2)))
    assert (done[Step.SET].status, done[Step.CONFIRM].status) == ("done", "unsupported")
    elsewhere = made(server, recipe)  # another process knows nothing of the attempts before
    assert by_step(await elsewhere.apply(plan("1", "maya1", attempt=3)))[Step.SET].status == "uncertain"
    assert server.count("set") == 1


@pytest.mark.covers("INV-I12")
async def test_what_is_refused_after_the_set_is_not_told_as_nothing_changed() -> None:
    more = """
[requests.revoke]
method = "POST"
path = "/kick"
[requests.unlock]
method = "POST"
path = "/unlock"
"""
    server = Server(
        users=lambda r, b: {"users": [user()]},
        set=lambda r, b: {},
        kick=lambda r, b: Response(status_code=403),
        unlock=lambda r, b: Response(status_code=404),
    )
    connector = made(server, '[auth]\nkind = "none"\n' + ACCOUNT + PLAIN + more)
    done = by_step(await connector.apply(plan("1", "maya1")))
    assert (done[Step.UNLOCK].status, done[Step.SET].status) == ("unsupported", "done")
    assert (done[Step.REVOKE].status, done[Step.REVOKE].code) == ("refused", "not_permitted")
    assert judge(list(done.values()))[0] == "done"
    by_step(await connector.apply(plan("1", "maya1", attempt=2)))
    assert server.count("set") == 1
