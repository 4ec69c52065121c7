"""A "Can't sign in?" link for a sign-in page of the company's own, which brings the username along.

The name travels in the fragment of the address (`#user=…`): browsers send that to no server, in no Referer, so neither
proxy nor log has it. Keyback's page reads it, puts it into the field and takes it out of the address. Without scripts
the link is a plain one, and the person types the name once more. Opening it asks for nothing and changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from urllib.parse import urlencode

from keyback.locale import Locale, gettext

ID = "keyback-help"
SCRIPT = """
(() => {
  const link = document.getElementById('keyback-help');
  const plain = link.href;
  const bring = () => {
    const field = document.querySelector(link.dataset.user);
    const user = field && field.type !== 'password' ? field.value.trim() : '';
    link.href = user ? plain + '#user=' + encodeURIComponent(user) : plain;
  };
  ['pointerdown', 'focus', 'click'].forEach((kind) => link.addEventListener(kind, bring));
})();
"""


@dataclass(frozen=True, slots=True)
class SignInLink:
    """What goes into the page.

    Args:
        link: the `<a>`, complete in itself.
        script: for a `<script>` after it, or a file of the page's own.
        csp: source for `script-src`, where the script stands in the page.
    """

    link: str
    script: str
    csp: str

    @property
    def whole(self) -> str:
        return f"{self.link}\n<script>{self.script}</script>\n"


def sign_in_link(public_url: str, locale: Locale, system: str = "", field: str = "") -> SignInLink:
    """The link for one sign-in page.

    Args:
        system: the system whose sign-in page it is, by its name in the settings; empty: all of them.
        field: CSS selector of the field for the username; empty: the one that browsers fill in as such.
    """
    address = f"{public_url.rstrip('/')}/forgot" + (f"?{urlencode({'system': system})}" if system else "")
    user = field or 'input[autocomplete~="username"]'
    words = html.escape(gettext(locale, "Can’t sign in?"))
    # No referrer: the page that somebody couldn't get into is nobody's business.
    link = (
        f'<a id="{ID}" href="{html.escape(address)}" data-user="{html.escape(user)}" referrerpolicy="no-referrer">'
        f"{words}</a>"
    )
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return SignInLink(link, SCRIPT, f"'sha256-{digest}'")


def below_sign_in(public_url: str, locale: Locale, system: str = "demo") -> tuple[str, str]:
    """The link with its script, and the source that the script needs, for the demo's own CRM."""
    made = sign_in_link(public_url, locale, system)
    return made.whole, made.csp
