"""The company's bots in chat services, as far as the settings name them."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from keyback.application.ports.bots import Bot
from keyback.channels.bots.dingtalk import DingTalkBot
from keyback.channels.bots.feishu import FeishuBot
from keyback.channels.bots.wecom import WeComBot
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint
from keyback.settings import Settings, Unsafe, read_secret

TIMEOUT_S = 2.5  # for an answer: the services ask again after three seconds
MIN_SECRET = 16


def make_bots(s: Settings) -> dict[str, Bot]:
    """Bots by the name that stands in their address.

    Raises:
        Unsafe: their settings cannot be used.
    """
    b, made = s.bots, dict[str, Bot]()
    try:
        if b.wecom.corp_id:
            token = _secret("wecom.token", b.wecom.token_file, b.wecom.token, 1)
            key = _secret("wecom.aes_key", b.wecom.aes_key_file, b.wecom.aes_key, 43)
            made["wecom"] = WeComBot(b.wecom.corp_id, token, key)
        if b.dingtalk.secret or b.dingtalk.secret_file:
            secret = _secret("dingtalk.secret", b.dingtalk.secret_file, b.dingtalk.secret)
            made["dingtalk"] = DingTalkBot(secret, Endpoint(b.dingtalk.url, timeout=TIMEOUT_S))
        if f := b.feishu if b.feishu.app_id else None:
            made["feishu"] = FeishuBot(
                f.app_id,
                _secret("feishu.secret", f.secret_file, f.secret),
                _secret("feishu.token", f.token_file, f.token),
                _secret("feishu.encrypt_key", f.encrypt_key_file, f.encrypt_key),
                Endpoint(f.url, timeout=TIMEOUT_S),
            )
    except ValueError as e:
        raise Unsafe(f"bots: {e}.") from None
    return made


def _secret(name: str, file: Path | None, value: SecretStr | None, least: int = MIN_SECRET) -> Secret:
    if file is not None:
        try:
            text = read_secret(file)
        except (OSError, ValueError) as e:
            raise Unsafe(f"bots.{name}_file cannot be read: {getattr(e, 'strerror', None) or e}.") from None
    else:
        text = value.get_secret_value() if value else ""
    if len(text) < least:
        raise Unsafe(f"bots.{name} is too short: {least} characters at least. Copy it from the service's page.")
    return Secret(text)
