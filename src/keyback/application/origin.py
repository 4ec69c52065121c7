"""What is known about the far end of a request, reduced to words that are safe to show and to store."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache

from keyback.application.ports.messages import Where

MAX_AGENT = 200  # characters of a User-Agent header that are looked at
MAX_ADDRESS = 45  # an IPv4 address written as an IPv6 one

# What may be said of a browser, and by what it is known, in lower case; the first that is found counts. Programs that
# pretend to be others come before those, and in-app browsers before the browser that they are made of (ADR 26).
SYSTEMS = {
    "HarmonyOS": ("harmonyos", "openharmony"),
    "iOS": ("iphone", "ipod"),
    "iPadOS": ("ipad",),
    "Android": ("android",),
    "ChromeOS": ("cros ",),
    "Windows": ("windows",),
    "macOS": ("macintosh", "mac os x"),
    "Linux": ("linux",),
}
BROWSERS = {
    "WeCom": ("wxwork/",),
    "WeChat": ("micromessenger/",),
    "DingTalk": ("dingtalk",),
    "Feishu": ("feishu", "lark/"),
    "QQ": (" qq/",),
    "QQ Browser": ("qqbrowser/",),
    "UC Browser": ("ucbrowser/",),
    "Quark": ("quark/",),
    "Baidu": ("baiduboxapp/", "bidubrowser/"),
    "360": ("qihoobrowser/", "360se", "360ee"),
    "Huawei Browser": ("huaweibrowser/",),
    "Mi Browser": ("miuibrowser/",),
    "OPPO Browser": ("heytapbrowser/",),
    "vivo Browser": ("vivobrowser/",),
    "Samsung Internet": ("samsungbrowser/",),
    "Vivaldi": ("vivaldi/",),
    "Yandex": ("yabrowser/",),
    "Opera": ("opr/", "opt/", "opera/"),
    "Edge": ("edg/", "edga/", "edgios/", "edge/"),
    "Firefox": ("firefox/", "fxios/"),
    "Chrome": ("chrome/", "crios/", "chromium/"),
    "Internet Explorer": ("msie ", "trident/"),
    "Safari": ("safari/",),
}
DEVICES = frozenset({*SYSTEMS, *BROWSERS, *(f"{s}, {b}" for s in SYSTEMS for b in BROWSERS)})
"""All that is ever stored, mailed or shown of what a browser says about itself."""
_EARLIER = {  # words of the versions that kept those of a parser
    "Mac OS X": "macOS", "Chrome OS": "ChromeOS", "Ubuntu": "Linux", "Debian": "Linux", "Fedora": "Linux",
    "Mobile Safari": "Safari", "Mobile Safari UI/WKWebView": "Safari", "Chrome Mobile": "Chrome",
    "Chrome Mobile WebView": "Chrome", "Chrome Mobile iOS": "Chrome", "HeadlessChrome": "Chrome",
    "Chromium": "Chrome", "Firefox Mobile": "Firefox", "Firefox iOS": "Firefox", "Edge Mobile": "Edge",
    "Opera Mobile": "Opera", "IE": "Internet Explorer", "QQ Browser Mobile": "QQ Browser",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: the network address (after trusted proxies), what the browser is, and the cookie by
    which it is known once somebody signed in with it (a secret). `near`: from a network that the policy names as known
    for everybody.

    Args:
        agent: a User-Agent header, or what `device_words` made of one; only the latter is kept.
    """

    source: str
    agent: str = ""
    device: str = field(default="", repr=False)
    near: bool = False

    def __post_init__(self) -> None:
        # Here, so that nothing else meets the header, least of all within a transaction (O5, K5).
        object.__setattr__(self, "agent", device_words(self.agent))

    @property
    def where(self) -> Where:
        """As messages and the audit log name it."""
        return where(self.source, self.agent)


def device_words(said: str) -> str:
    """`Windows, Chrome`: one of `DEVICES`, or empty for a browser that we have no name for.

    Args:
        said: a User-Agent header, of which the first 200 characters count, or words that were made of one before.
    """
    if said in DEVICES or not said:
        return said
    if len(said) <= MAX_AGENT // 2:
        earlier = ", ".join(_EARLIER.get(w, w) for w in said.split(", "))
        if earlier in DEVICES:
            return earlier
    low = said[:MAX_AGENT].lower()
    return ", ".join(filter(None, (_first_of(_SYSTEM_MARKS, low), _first_of(_BROWSER_MARKS, low))))


def where(source: str, agent: str) -> Where:
    """Where something was done from, as messages and the audit log name it.

    Args:
        agent: see `device_words`.
    """
    return Where(source=source[:MAX_ADDRESS], device=device_words(agent))


def _first_of(marks: tuple[tuple[str, str], ...], low: str) -> str:
    for mark, name in marks:  # asked for every request: a plain loop costs a tenth of generators
        if mark in low:
            return name
    return ""


_SYSTEM_MARKS = tuple((m, name) for name, marks in SYSTEMS.items() for m in marks)
_BROWSER_MARKS = tuple((m, name) for name, marks in BROWSERS.items() for m in marks)


def plain_address(text: str) -> str:
    """A network address in its usual spelling, without a zone, which may be any text; empty when it is none. An IPv4
    address that a socket for both kinds writes as an IPv6 one is an IPv4 address."""
    address = text.partition("%")[0]
    return _plain(address) if len(address) <= MAX_ADDRESS else ""


@lru_cache(maxsize=4096)
def _plain(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(getattr(ip, "ipv4_mapped", None) or ip)


@lru_cache(maxsize=4096)
def network_of(source: str) -> str:
    """The name under which a source is limited: the IPv4 address, or the /64 of an IPv6 one."""
    try:
        ip = ipaddress.ip_address(source)
    except ValueError:
        return "unknown"
    if ip.version == 6:
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


@lru_cache(maxsize=4096)
def networks_of(source: str) -> tuple[tuple[int, str], ...]:
    """The networks that a source is limited by, from narrow to wide: (length of the prefix, name).

    Who rents one machine gets a /56 or a /48 of IPv6 with it, so a /64 alone bounds nobody (D7).
    """
    name = network_of(source)
    if ":" not in name:
        return ((32, name),)
    ip = ipaddress.ip_address(source)
    wider = ((length, str(ipaddress.ip_network((ip, length), strict=False))) for length in (56, 48))
    return ((64, name), *wider)
