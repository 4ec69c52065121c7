"""The messages page: every example is one that starts, every kind and key that it names exists."""

from __future__ import annotations

import asyncio
import re
import tomllib
from typing import Any

import pytest

from keyback.application.ports.messages import CONTENTS
from keyback.bootstrap import make_phone
from keyback.channels.gateways.base import PhoneChannel
from keyback.channels.gateways.texts import PhoneTexts
from keyback.registry import GATEWAYS, OWN
from keyback.settings import Settings, refuse_unsafe
from keyback.testing.channels import BASE
from tests.support.house import ROOT

PAGES = {name: (ROOT / "docs" / name / "messages.md").read_text("utf-8") for name in ("en", "zh")}
WEBHOOK = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def examples(page: str) -> list[dict[str, Any]]:
    return [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGES[page], re.S)]


@pytest.mark.parametrize("page", list(PAGES))
def test_every_example_starts(page: str) -> None:
    kinds = set()
    for example in examples(page):
        ((name, section),) = example.items()
        del section["secret_file"]
        settings = Settings(
            public_url=BASE, mail={"host": "smtp.example.com", "sender": "a@example.com"},
            **{name: {**section, "secret": WEBHOOK}},
        )  # fmt: skip
        refuse_unsafe(settings)
        channel = make_phone(settings, name, lambda: 0)
        assert isinstance(channel, PhoneChannel)
        asyncio.run(channel.close())
        kinds.add(section["kind"])
    assert kinds == set(OWN[GATEWAYS])


def test_both_pages_have_the_same_examples() -> None:
    assert examples("en") == examples("zh")


@pytest.mark.parametrize("page", list(PAGES))
def test_the_table_has_every_kind_that_phones_get(page: str) -> None:
    told = {str(c.kind) for c in vars(PhoneTexts)["_tell"].dispatcher.registry if c in CONTENTS.values()}
    assert len(told) > 5
    assert told - {"im_code"} <= set(re.findall(r"^\| `(\w+)` \|", PAGES[page], re.M))
