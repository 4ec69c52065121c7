"""The section `[bots]` of `keyback.toml`: the company's bots in chat services, which say where to begin."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from keyback.settings_sections import Part


class WeComBotPart(Part):
    """An application in WeCom that receives messages. See the page about bots."""

    corp_id: str = Field("", max_length=100, description="The company's ID. Empty: this bot is off.")
    token: SecretStr | None = Field(None, description="`Token` of the application's callback. A file is safer.")
    token_file: Path | None = Field(None, description="File with it; overrides `token`.")
    aes_key: SecretStr | None = Field(None, description="`EncodingAESKey` of the callback. A file is safer.")
    aes_key_file: Path | None = Field(None, description="File with it; overrides `aes_key`.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.corp_id and not ((self.token or self.token_file) and (self.aes_key or self.aes_key_file)):
            raise ValueError("needs token_file and aes_key_file: both are on the application's callback page")
        return self


class DingTalkBotPart(Part):
    """A company's own robot in DingTalk, HTTP mode."""

    secret: SecretStr | None = Field(
        None, description="`AppSecret` of the application. A file is safer. Neither: this bot is off."
    )
    secret_file: Path | None = Field(None, description="File with it; overrides `secret`.")
    url: str = Field("https://oapi.dingtalk.com", description="DingTalk's address for answers.")


class FeishuBotPart(Part):
    """A bot of an application in Feishu that subscribes to messages."""

    app_id: str = Field("", max_length=100, description="The application's ID. Empty: this bot is off.")
    secret: SecretStr | None = Field(None, description="`App Secret`. A file is safer.")
    secret_file: Path | None = Field(None, description="File with it; overrides `secret`.")
    token: SecretStr | None = Field(None, description="`Verification Token`. A file is safer.")
    token_file: Path | None = Field(None, description="File with it; overrides `token`.")
    encrypt_key: SecretStr | None = Field(
        None, description="`Encrypt Key`; without one, Feishu signs nothing. A file is safer."
    )
    encrypt_key_file: Path | None = Field(None, description="File with it; overrides `encrypt_key`.")
    url: str = Field("https://open.feishu.cn", description="Feishu's address for answers.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = (
            self.secret or self.secret_file,
            self.token or self.token_file,
            self.encrypt_key or self.encrypt_key_file,
        )
        if self.app_id and not all(given):
            raise ValueError("needs secret_file, token_file and encrypt_key_file, from the application's event page")
        return self


class Bots(Part):
    """Bots in chat services that answer “forgot password” with the address to begin at. See the page about bots."""

    wecom: WeComBotPart = WeComBotPart()
    dingtalk: DingTalkBotPart = DingTalkBotPart()
    feishu: FeishuBotPart = FeishuBotPart()
