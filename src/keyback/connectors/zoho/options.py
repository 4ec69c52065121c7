"""The section of a Zoho organization, and the words that lead people through Zoho's own page."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import SecretStr, field_validator

from keyback.connectors.base import ConnectorOptions
from keyback.domain.secret import Secret

DataCenter = Literal["com", "eu", "in", "com.au", "jp", "com.cn", "ca", "sa"]
STEPS = {
    "en": (
        "Open Zoho’s own page and enter your email.",
        "Enter the code that Zoho sends you.",
        "Set the password you just chose here, and sign out your other devices when Zoho asks.",
    ),
    "zh_CN": (
        "打开Zoho的找回页面，输入你的邮箱。",
        "输入Zoho发给你的验证码。",
        "将密码设置为刚才在这里选择的新密码；Zoho询问是否退出其他设备时，选择退出。",
    ),
}


class ZohoOptions(ConnectorOptions):
    """Keys of a Zoho section.

    Args:
        data_center: the end of the address people use, such as `com`, `eu`, `com.cn`.
        client_id: of the self client; `secret_file` holds its secret.
        refresh_token_file, refresh_token: made once in Zoho's API console.
        zoid: id of the organization in Zoho Mail; without it passwords are guided.
        url, accounts_url, mail_url: other addresses than the data center's own, for a proxy.
    """

    url: str = ""
    accounts_url: str = ""
    mail_url: str = ""
    data_center: DataCenter = "com"
    client_id: str
    refresh_token: SecretStr | None = None
    refresh_token_file: Path | None = None
    zoid: str | None = None

    @field_validator("zoid")
    @classmethod
    def _digits(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isdecimal()):
            raise ValueError("zoid has digits only")
        return value

    def read_refresh_token(self) -> Secret:
        """Raises `ValueError` when there is none, `OSError` when the file cannot be read."""
        text = self.refresh_token.get_secret_value() if self.refresh_token else ""
        if self.refresh_token_file:
            text = self.refresh_token_file.read_text(encoding="utf-8").strip()
        if not text:
            raise ValueError("it needs refresh_token_file or refresh_token, and that must not be empty")
        return Secret(text)

    def hosts(self) -> tuple[str, str, str]:
        """Addresses of accounts, CRM API and mail."""
        cloud = "zohocloud.ca" if self.data_center == "ca" else f"zoho.{self.data_center}"
        own = (f"https://accounts.{cloud}", f"https://www.zohoapis.{self.data_center}", f"https://mail.{cloud}")
        given = (self.accounts_url, self.url, self.mail_url)
        return tuple(g or o for g, o in zip(given, own, strict=True))  # type: ignore[return-value]
