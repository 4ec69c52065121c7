"""Linking a work chat by signing in, with every service: whom it names, and all that goes wrong. Each against a
stand-in, both held to the service's document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from keyback.application.ports.chat_sign_in import ChatSignIn
from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.sign_in import SignInRefused
from keyback.channels.gateways.access_token import code_challenge
from keyback.registry import load_gateway
from keyback.testing.chat_sign_in import DingTalkSignIn, FeishuSignIn, WeComSignIn
from keyback.testing.serving import served
from tests.support.held import Held

BACK = "http://127.0.0.1:8080/account/chat/back"
STATE, VERIFIER = "a1" * 48, "v" * 43
KINDS: Mapping[str, tuple[Any, Any]] = {
    "wecom": (WeComSignIn, lambda f: {"corp_id": f.corp_id, "agent_id": f.agent_id}),
    "dingtalk": (DingTalkSignIn, lambda f: {"app_key": f.app_key, "agent_id": f.agent_id}),
    "feishu": (FeishuSignIn, lambda f: {"app_id": f.app_id}),
}
HOSTS = {
    "wecom": ("sign_in_url", "in_app_url"),
    "dingtalk": ("notices_url", "sign_in_url"),
    "feishu": ("sign_in_url",),
}


@dataclass
class Service:
    name: str
    fake: Any
    held: Held
    gateway: Any

    async def code(self, *, inside: bool = False, verifier: str = VERIFIER) -> dict[str, str]:
        """What a browser brings back."""
        where = self.gateway.address(BACK, STATE, verifier, inside=inside)
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(where.partition("#")[0])
        assert answer.status_code == 302, answer.text
        home = urlsplit(answer.headers["location"])
        assert f"{home.scheme}://{home.netloc}{home.path}" == BACK
        return {k: v[0] for k, v in parse_qs(home.query).items()}

    async def who(self, returned: Mapping[str, str], verifier: str = VERIFIER) -> str:
        code = returned.get("code") or returned["authCode"]
        return str(await self.gateway.who(code, BACK, verifier))

    async def refused(self, returned: Mapping[str, str], verifier: str = VERIFIER) -> str:
        with pytest.raises(SignInRefused) as e:
            await self.who(returned, verifier)
        return e.value.code


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=list(KINDS))
async def service(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Service]:
    made, options = KINDS[request.param]
    fake = made()
    held = Held(fake, f"{request.param}.yaml")
    with served(held) as url:
        given = {"url": url, "secret": fake.secret, **dict.fromkeys(HOSTS[request.param], url), **options(fake)}
        gateway: Any = load_gateway(request.param).from_options(given, lambda: 0)
        assert isinstance(gateway, ChatSignIn)
        yield Service(request.param, fake, held, gateway)
        await gateway.close()
    assert held.faults == []


@pytest.mark.anyio
@pytest.mark.covers("E20")
async def test_whoever_signs_in_there_is_named_once(service: Service) -> None:
    for inside in (False, True):
        returned = await service.code(inside=inside)
        assert returned["state"] == STATE
        assert await service.who(returned) == "maya.okafor"
        assert await service.refused(returned) == "code", "a code is for one use"


@pytest.mark.anyio
async def test_a_code_that_waited_too_long_names_nobody(service: Service) -> None:
    returned = await service.code()
    service.fake.codes.expire()
    assert await service.refused(returned) == "code"
    assert await service.refused({"code": "made-up"}) == "code"


@pytest.mark.anyio
@pytest.mark.covers("E20")
async def test_somebody_outside_of_the_company_is_nobody(service: Service) -> None:
    service.fake.signed_in = "outside-eve"
    assert await service.refused(await service.code()) == "stranger"


@pytest.mark.anyio
async def test_whoever_says_no_brings_no_code(service: Service) -> None:
    service.fake.signed_in = ""
    returned = await service.code()
    assert not {"code", "authCode"} & set(returned)
    assert returned["state"] == STATE


@pytest.mark.anyio
async def test_a_service_that_is_busy_or_away_is_not_a_refusal(service: Service) -> None:
    returned = await service.code()
    for how in ("busy", "broken"):
        service.fake.trouble = how
        with pytest.raises(Unavailable):
            await service.who(returned)


@pytest.mark.anyio
async def test_a_token_of_ours_that_ended_is_fetched_again(service: Service) -> None:
    assert await service.who(await service.code()) == "maya.okafor"
    service.fake.end_tokens()
    assert await service.who(await service.code()) == "maya.okafor"


@pytest.mark.anyio
@pytest.mark.covers("E20")
async def test_a_code_of_another_browser_is_refused_where_the_service_has_pkce(service: Service) -> None:
    returned = await service.code(verifier="w" * 43)
    if service.name == "feishu":
        assert await service.refused(returned) == "code"
    else:
        assert "code_challenge" not in service.gateway.address(BACK, STATE, VERIFIER, inside=False)


@pytest.mark.anyio
async def test_the_app_of_the_service_is_told_by_its_name(service: Service) -> None:
    agents = {
        "wecom": "Mozilla/5.0 (Linux; Android 14) MicroMessenger/8 wxwork/4.1.36 MicroMessenger/7.0.1",
        "dingtalk": "Mozilla/5.0 (iPhone) AliApp(DingTalk/7.6.0) com.laiwang.DingTalk/1",
        "feishu": "Mozilla/5.0 (iPhone) Lark/7.20.0 LarkLocale/zh_CN",
    }
    assert [name for name, agent in agents.items() if service.gateway.is_inside(agent)] == [service.name]
    assert not service.gateway.is_inside("Mozilla/5.0 Firefox/140.0")


def test_the_challenge_is_that_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
