"""Qingyu Instruments 青屿仪器: sixty people who do not exist, with every peculiarity that recovery has to cope with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyback.domain.people.person import Tier

DOMAIN = "qingyu.example.com"
PROVIDER = "Harbour ID"
COMPANY = {"en": "Qingyu Instruments", "zh_CN": "青屿仪器"}
DEPARTMENTS = (
    "Sales 销售部",
    "Service 客服部",
    "Finance 财务部",
    "Workshop 制造部",
    "IT 信息部",
)
HEADS = dict(zip(DEPARTMENTS, ("mahui", "leila.farouk", "yelin", "wambui.njoroge", ""), strict=True))
HELPDESK = {"en": "extension 8100, weekdays 8:30 to 18:00", "zh_CN": "内线8100（工作日8:30至18:00）"}
TITLES = {"builtin": "Keyback", "demo": "Harbour CRM", "guided": "Lanyun"}
GUIDED_URL = "https://lanyun.example.com/reset"
GUIDED_STEPS = {
    "en": [
        "Open Lanyun and choose “Forgot password”.",
        "Type your work email and the code that Lanyun sends to it.",
        "Set the password you just chose here.",
    ],
    "zh_CN": [
        "打开Lanyun，点“忘记密码”。",
        "输入工作邮箱，以及Lanyun发到这个邮箱的验证码。",
        "设置成刚才在这里选定的密码。",
    ],
}

ONE = "Start here: one login, one email."
THREE = "Three systems, fixed in one go; one of them leads through its own page."
TWO_NAMES = "Another username in the CRM; either one leads here."
SHARED = "Shares a mailbox with a colleague: each gets their own email."
NO_MAIL = "No email address on record: nothing arrives, and the page doesn’t reveal that."
LEFT = "Has left the company: nothing arrives, and the page doesn’t reveal that."
LOCKED = "Locked after too many attempts; recovering also unlocks it."
ELSEWHERE = "The password is managed by another sign-in provider; the email says so."
TWO_MAILS = "Two addresses and a phone on record: the change is told to all three."
MFA = "Needs more than one method: with the email alone, this ends at the help desk."
APP = "Has an authenticator app and recovery codes: an email and one of them are enough."
PHONE = "Lost the mailbox, has a phone: a text message, then a day in which the mailbox owner can still cancel."
CHAT = "Lost the mailbox, has the work chat: a message there, then a day's wait."
PRIVATE = (
    "Has a private mailbox as a backup: without the work mailbox, the private one gets a code, "
    "then there’s a day’s wait."
)
KEY = "Has a passkey and recovery codes; a virtual authenticator can hold the passkey."
FRIEND = "Chose a recovery contact: the email to the contact is in the mailbox, the four digits are on the page."
ADMIN = "CRM administrator: an email alone is never enough."
ADMIN_APP = "CRM administrator with an app: email and app, then a second person has to approve."
ADMIN_KEY = "CRM administrator with a passkey: email and passkey, and no one else has to approve."
FROZEN = "Frozen in Cirrus Sales: “I reset it and still can’t get in” says so, and no password is set there."
SYNCED = "The password in Meridian 365 comes from a directory: none is set there, and the page says what to do instead."
STALE = "A phone keeps trying an old password in Cirrus Sales: “I reset it and still can’t get in” finds it."
LOST = "Lost the second step in Cirrus Sales: after an email and the app, it’s removed there."
BRIDGED = "Lost the second step in Meridian 365: after an email and the app, a temporary pass opens it."
OTHER_HOST = "Meridian 365 has the account in another environment: “I reset it and still can’t get in” says so."
CONNECT = "Signs in to Harbour ID, too: connect it in the security center, and after 72 hours it verifies you here."
HEAD = "Manages a department: confirms that it’s really someone from it who calls the help desk."
LONG = "A long name, which has to fit everywhere."
APOSTROPHE = "A name with an apostrophe, spelled correctly in pages and emails."
HINTS = (
    ONE, THREE, TWO_NAMES, SHARED, NO_MAIL, LEFT, LOCKED, ELSEWHERE, TWO_MAILS, MFA, APP, PHONE, CHAT, FRIEND, ADMIN,
    ADMIN_APP, ADMIN_KEY, PRIVATE, KEY, FROZEN, SYNCED, STALE, LOST, BRIDGED, OTHER_HOST, CONNECT, HEAD, LONG,
    APOSTROPHE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Staff:
    """One of the sixty.

    Args:
        username: login in every system, unless `crm_username` says otherwise.
        systems: names of the systems with an account of theirs.
        phone: gets text messages; `chat` is a user id in the work chat.
        app: has an authenticator app; `passkey`, a passkey. Either comes with recovery codes.
        friend: username of the colleague who vouches.
        hint: message id of what there is to try, or empty.
        group: their department.
    """

    username: str
    name: str
    locale: str
    systems: tuple[str, ...]
    mails: tuple[str, ...]
    password: str
    tier: Tier = "standard"
    state: Literal["active", "disabled"] = "active"
    locked: bool = False
    provider: str = ""
    crm_username: str = ""
    phone: str = ""
    chat: str = ""
    app: bool = False
    passkey: bool = False
    friend: str = ""
    hint: str = ""
    group: str = ""

    def login(self, system: str) -> str:
        return self.crm_username if system == "demo" and self.crm_username else self.username

    @property
    def manager(self) -> str:
        """Username of whom they report to, or empty."""
        head = HEADS.get(self.group, "")
        return "" if head == self.username else head

    @property
    def saved(self) -> bool:
        """Whether there are recovery codes in a drawer."""
        return self.app or self.passkey

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Everything that may be typed to mean this person."""
        return tuple(dict.fromkeys([*(self.login(s) for s in self.systems), *self.mails]))

    @property
    def enrolled(self) -> tuple[str, ...]:
        """What this person can prove with from the start."""
        has = {
            "email_link": self.mails,
            "backup_email": self.mails[1:],
            "sms": self.phone,
            "im": self.chat,
            "totp": self.app,
            "passkey": self.passkey,
            "recovery_codes": self.saved,
            "recovery_contact": self.friend,
        }
        return tuple(name for name, there in has.items() if there)


FIRST = (
    "amber", "brisk", "copper", "dusty", "early", "frosty", "gentle", "hollow", "ivory", "jolly",
    "kindly", "lunar", "mellow", "narrow", "orange", "patient", "quiet", "rustic", "silver", "tidy",
)  # fmt: skip
SECOND = (
    "kettle", "lantern", "meadow", "needle", "orchard", "pebble", "quarry", "ribbon", "saddle", "teapot", "umbrella",
    "violin", "walnut", "anchor", "basket", "candle", "doorbell", "envelope", "feather", "garlic", "hammock", "island",
    "jigsaw",
)  # fmt: skip
THIRD = (
    "borrows", "carries", "dances", "echoes", "finishes", "gathers", "hesitates", "invents", "juggles", "knocks",
    "listens", "measures", "notices", "observes", "paints", "remembers", "shelters", "travels", "whistles",
)  # fmt: skip


def _passphrase(n: int) -> str:
    """The password of person number `n`, the same in every demo."""
    return f"{FIRST[n % 20]} {SECOND[(n * 7 + 3) % 23]} {THIRD[(n * 5 + 1) % 19]} {n + 11}"


GRACE: dict[str, object] = {
    "mails": ("grace.adeyemi", "g.adeyemi@post.example.net"), "phone": "+447400123456", "hint": TWO_MAILS,
}  # fmt: skip
ALL, TWO, CRM, OWN = ("builtin", "demo", "guided"), ("builtin", "demo"), ("demo",), ("builtin",)
ROWS: tuple[tuple[str, str, tuple[str, ...], dict[str, object]], ...] = (
    ("maya.okafor", "Maya Okafor", OWN, {"hint": ONE}),
    ("chenyu", "陈雨", ALL, {"hint": THREE}),
    ("oliver.brandt", "Oliver Brandt", TWO, {"tier": "mfa", "app": True, "hint": APP}),
    ("liwei", "李薇", OWN, {"hint": ONE}),
    ("priya.raman", "Priya Raman", ALL, {"hint": THREE}),
    ("zhaoyang", "赵阳", TWO, {"crm_username": "zhao.yang", "hint": TWO_NAMES}),
    ("nadia.rossi", "Nadia Rossi", TWO, {"mails": ("frontdesk",), "hint": SHARED}),
    ("ivo.marek", "Ivo Marek", OWN, {"mails": ("frontdesk",), "hint": SHARED}),
    ("zhoubo", "周波", TWO, {"mails": (), "hint": NO_MAIL}),
    ("helen.cho", "Helen Cho", TWO, {"state": "disabled", "hint": LEFT}),
    ("linan", "林楠", TWO, {"locked": True, "hint": LOCKED}),
    ("tomas.novak", "Tomas Novak", TWO, {"provider": PROVIDER, "hint": ELSEWHERE}),
    (
        "grace.adeyemi",
        "Grace Adeyemi",
        ALL,
        GRACE,
    ),
    ("wangfang", "王芳", TWO, {"tier": "mfa", "hint": MFA}),
    ("heming", "何铭", ALL, {"tier": "privileged", "app": True, "hint": ADMIN_APP}),
    ("ruth.kessler", "Ruth Kessler", TWO, {"tier": "privileged", "hint": ADMIN}),
    ("siobhan.oneill", "Siobhán O’Neill", TWO, {"hint": APOSTROPHE}),
    ("pat.dangelo", "Pat D'Angelo", OWN, {"hint": APOSTROPHE}),
    ("ana.delacruz", "Ana María de la Cruz Villanueva", TWO, {"hint": LONG}),
    ("b.featherstone", "Bartholomew Maximilian Featherstone-Abernathy of Wexcombe", OWN, {"hint": LONG}),
    ("ayguli", "阿依古丽·买买提江", TWO, {"hint": LONG}),
    ("ouyangmingyuan", "欧阳明远", CRM, {}),
    ("sunli", "孙莉", CRM, {"app": True, "hint": BRIDGED}),
    ("david.mensah", "David Mensah", CRM, {}),
    ("huangjie", "黄杰", TWO, {"chat": "huangjie", "hint": CHAT}),
    ("yuki.tanabe", "Yuki Tanabe", TWO, {"phone": "+12025550143", "hint": PHONE}),
    ("xujing", "徐静", OWN, {"mails": ("xujing", "xujing@post.example.net"), "hint": PRIVATE}),
    ("lena.hoffmann", "Lena Hoffmann", ALL, {"mails": ("lena.hoffmann", "lena@post.example.net"), "hint": PRIVATE}),
    ("mahui", "马慧", ALL, {"hint": HEAD}),
    ("carlos.ibanez", "Carlos Ibáñez", TWO, {"passkey": True, "phone": "+447400654321", "hint": KEY}),
    ("guoqiang", "郭强", TWO, {"passkey": True, "phone": "+8613800138144", "hint": KEY}),
    ("amina.diallo", "Amina Diallo", CRM, {}),
    ("luxin", "陆欣", OWN, {"hint": CONNECT}),
    ("jonas.bergstrom", "Jonas Bergström", OWN, {"hint": CONNECT}),
    ("tangwen", "唐雯", TWO, {"crm_username": "tang.wen"}),
    ("fatima.zahran", "Fatima Zahran", TWO, {"hint": FROZEN}),
    ("dengchao", "邓超", ALL, {"hint": STALE}),
    ("peter.vandermeer", "Peter van der Meer", ALL, {"hint": SYNCED}),
    ("songyan", "宋岩", CRM, {}),
    ("isla.mackay", "Isla Mackay", CRM, {}),
    ("hanxue", "韩雪", TWO, {"app": True, "hint": LOST}),
    ("rafael.teixeira", "Rafael Teixeira", TWO, {"chat": "rafael.teixeira", "hint": CHAT}),
    ("caiming", "蔡明", OWN, {}),
    ("noor.haddad", "Noor Haddad", OWN, {"tier": "mfa", "hint": MFA}),
    ("pengfei", "彭飞", TWO, {"phone": "+8613800138143", "hint": PHONE}),
    ("emil.kowalczyk", "Emil Kowalczyk", TWO, {"crm_username": "e.kowalczyk", "locked": True, "hint": LOCKED}),
    ("yelin", "叶琳", ALL, {"hint": HEAD}),
    ("wambui.njoroge", "Wambui Njoroge", ALL, {"hint": HEAD}),
    ("dingning", "丁宁", TWO, {"tier": "mfa", "friend": "jiangtao", "hint": FRIEND}),
    ("sara.lindqvist", "Sara Lindqvist", TWO, {"tier": "mfa", "friend": "mei.kawahara", "hint": FRIEND}),
    ("fanbing", "范冰", CRM, {}),
    ("hugo.lefevre", "Hugo Lefèvre", OWN, {"hint": OTHER_HOST}),
    ("jiangtao", "江涛", TWO, {}),
    ("mei.kawahara", "Mei Kawahara", TWO, {}),
    ("shenyue", "沈悦", OWN, {}),
    ("anton.petrov", "Anton Petrov", CRM, {}),
    ("qianrong", "钱蓉", TWO, {}),
    ("leila.farouk", "Leila Farouk", ALL, {"hint": HEAD}),
    ("yaogang", "姚刚", TWO, {"tier": "privileged", "passkey": True, "hint": ADMIN_KEY}),
    ("joseph.achterberg", "Joseph Achterberg", TWO, {"tier": "privileged", "passkey": True, "hint": ADMIN_KEY}),
)


def _staff(n: int, username: str, name: str, systems: tuple[str, ...], more: dict[str, object]) -> Staff:
    locale = "en" if name.isascii() or any("A" <= c <= "z" for c in name) else "zh_CN"
    local_parts = more.pop("mails", (username,))
    assert isinstance(local_parts, tuple)
    mails = tuple(part if "@" in part else f"{part}@{DOMAIN}" for part in local_parts)
    group = DEPARTMENTS[-1] if more.get("tier") == "privileged" else DEPARTMENTS[n % (len(DEPARTMENTS) - 1)]
    return Staff(username, name, locale, systems, mails, _passphrase(n), group=group, **more)  # type: ignore[arg-type]


STAFF: tuple[Staff, ...] = tuple(_staff(n, u, name, s, dict(more)) for n, (u, name, s, more) in enumerate(ROWS))
