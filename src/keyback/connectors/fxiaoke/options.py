"""What a section for 纷享销客 may say, and what people are told to do there."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator, model_validator

from keyback.connectors.base import ConnectorOptions, web_address
from keyback.domain.secret import Secret

CLOUD = "https://open.fxiaoke.com"
STEPS = {
    "en": (
        "Open the sign-in page of 纷享销客 and choose “Forgot password” (忘记密码).",
        "Enter your mobile number or email there, and the code that 纷享销客 sends you.",
        "Set the password you just chose here.",
        "If no code arrives, ask an administrator of 纷享销客 to reset your password under Departments & Employees.",
    ),
    "zh_CN": (
        "打开纷享销客的登录页，点“忘记密码”。",
        "输入你的手机号或邮箱，再输入纷享销客发给你的验证码。",
        "将密码设置为刚才在这里选择的新密码。",
        "如果收不到验证码，请联系纷享销客管理员，在“部门与员工”中重置密码。",
    ),
}
SSO_STEPS = {
    "en": (
        "Open your company’s own sign-in page: your company signs in to 纷享销客 through it.",
        "Sign in there with your company password. If you’ve forgotten that one, recover it first.",
    ),
    "zh_CN": (
        "打开公司的统一登录页：你们公司通过它登录纷享销客。",
        "用公司统一账号的密码登录。如果忘记的是这个密码，请先找回它。",
    ),
}


class FxiaokeOptions(ConnectorOptions):
    """Keys of a section for 纷享销客.

    Args:
        url: the open platform of the company's cloud; `sign_in_url` is needed with any but the usual one.
        app_id: of the application made for Keyback; `secret_file` holds its appSecret.
        permanent_code_file, permanent_code: what the company got when it allowed the application.
        user_id: openUserId of the employee with whose rights people are read.
        mail_field, phone_field: what PersonnelObj calls them.
        read_accounts: also finds people by account name, which takes a list of everybody; off for thousands of them.
        privileged_accounts: mail addresses, mobile numbers or `_id` of administrators, whom no call names.
        sso_url: the company's own sign-in page, where people sign in through that.
        emergency_stop: stops an account whose owner says that somebody else is in it; needs more than reading.
    """

    url: str = CLOUD
    app_id: str
    permanent_code: SecretStr | None = None
    permanent_code_file: Path | None = None
    user_id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    mail_field: str = Field("email", pattern=r"^[A-Za-z0-9_]{1,60}$")
    phone_field: str = Field("phone", pattern=r"^[A-Za-z0-9_]{1,60}$")
    read_accounts: bool = True
    privileged_accounts: tuple[str, ...] = ()
    sso_url: str | None = None
    emergency_stop: bool = False

    @field_validator("sso_url")
    @classmethod
    def _page(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @model_validator(mode="after")
    def _leads_somewhere(self) -> FxiaokeOptions:
        if self.url.rstrip("/") != CLOUD and not (self.sign_in_url or self.sso_url):
            raise ValueError(f"sign_in_url is needed unless url is {CLOUD}: each cloud has a sign-in page of its own")
        return self

    def read_permanent_code(self) -> Secret:
        """Raises `ValueError` when there is none, `OSError` when the file cannot be read."""
        text = self.permanent_code.get_secret_value() if self.permanent_code else ""
        if self.permanent_code_file:
            text = self.permanent_code_file.read_text(encoding="utf-8").strip()
        if not text:
            raise ValueError("it needs permanent_code_file or permanent_code, and that must not be empty")
        return Secret(text)
