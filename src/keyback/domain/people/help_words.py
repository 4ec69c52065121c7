"""Whether a message to a bot is about getting in again; the same words mean the same whoever writes them."""

from __future__ import annotations

import re
import unicodedata

MAX_READ = 500  # characters: who is locked out writes a line
_AT = re.compile(r"@\S+")
_FILLING = re.compile(r"[^\w]+", re.UNICODE)
_CHINESE = re.compile(
    r"(忘|忘记|忘了|忘掉|重置|重设|找回|改|修改|更改|恢复|解锁|丢|丢了)(我的|了|一下)?(登录|登陆|crm|系统|账号|帐号|账户|帐户)?(的)?(密码|口令)"
    r"|密码(忘|不对|错误|过期|到期|失效|丢|找回|重置|怎么)"
    r"|(登录|登陆|登|进)(不了|不上|不进|不去|失败)|(无法|不能)(登录|登陆)|没法(登录|登陆|登)"
    r"|(账号|帐号|账户|帐户)(被|已|给)?(锁|停用|冻结)|(解锁|找回)(我的)?(账号|帐号|账户|帐户)|(手机|验证器)(丢|换)"
)
# Characters of Taiwan and Hong Kong in these words; what is written with them is read by the same expression.
_TRADITIONAL = str.maketrans(
    "記設號帳賬戶統錄鎖碼錯誤過復丟驗證機換無進敗凍結幫嗎陸對麼掛沒",
    "记设号帐账户统录锁码错误过复丢验证机换无进败冻结帮吗陆对么挂没",
)
_JAPANESE = re.compile(
    r"パスワード(を|が)?(忘れ|わから|分から|再設定|リセット|変更|切れ)|(ログイン|サインイン)(が|も)?(でき(ない|ません)|不可)|ロックされ|アカウント.{0,3}ロック"
)
_ENGLISH = re.compile(
    r"\b(forg[eo]t\w*|lost|reset\w*|recover\w*|change)( my| the| your)?( \w+)? (password|passcode|pw)\b"
    r"|\b(password|pw) (reset|recovery|expired|forgotten|lost|is wrong|does ?n.?t work)\b"
    r"|\b(can ?not|can ?t|could ?n ?t|unable to) (log|sign|get) ?(in|on)\b"
    r"|\blocked out\b|\bunlock( my)?( \w+)? account\b|\baccount( is)? locked\b"
    r"|\blost( my)? (phone|second factor|authenticator)\b"
)
_GREETING = re.compile(r"(帮助|帮忙|你好|您好|在吗|help|hi|hello|menu|\?)?")


def plain(text: str) -> str:
    """Small letters, without mentions, marks and repeated spaces."""
    folded = unicodedata.normalize("NFKC", text[:MAX_READ]).casefold().replace("’", "'")
    return _FILLING.sub(" ", _AT.sub(" ", folded).replace("'", "")).strip()


def asks_for_help(text: str) -> bool:
    """Whether somebody says that they cannot get in."""
    said = plain(text)
    close = said.replace(" ", "")
    return bool(_ENGLISH.search(said) or _JAPANESE.search(close) or _CHINESE.search(_simplified(close)))


def _simplified(text: str) -> str:
    return text.translate(_TRADITIONAL).replace("登入", "登录").replace("遗失", "丢").replace("遺失", "丢")


def is_greeting(text: str) -> bool:
    """Whether somebody asks what the bot is for."""
    return _GREETING.fullmatch(_simplified(plain(text))) is not None


def language_of(text: str) -> str:
    """In which language a message is answered."""
    if any("\u3041" <= c <= "\u30ff" for c in text[:MAX_READ]):
        return "ja"
    if any(ord(c) in _TRADITIONAL for c in text[:MAX_READ]):
        return "zh_TW"
    return "zh_CN" if any("\u4e00" <= c <= "\u9fff" for c in text[:MAX_READ]) else "en"
