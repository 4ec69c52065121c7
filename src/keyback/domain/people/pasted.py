"""Identifiers as people paste them: out of a mail's head, a list of addresses, a contact card, a link.

What is wrapped around an address is taken off; what nobody could mean is refused by its form alone, the same whether
anybody has it or not (A1).
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

from keyback.domain.errors import BadInput

MAX_PASTED = 1016  # characters; `canonicalize` reads as many
_PLAIN = re.compile(r"\s*[A-Za-z0-9._+@'\\/-]*[A-Za-z0-9]\s*")
_SCHEME = re.compile(r"(?:mailto|smtp|tel)\s*:\s*", re.IGNORECASE)
_WITHIN = re.compile(r"[^<>]*<\s*([^<>\s]+)\s*>\Z")
# What stands between two addresses or around one. An apostrophe does not: it belongs to names such as O'Neil.
_BETWEEN = re.compile(r"[\s<>()\[\]{}\",:;|、（）【】《》〈〉「」『』“”‘’]+")
_WRAPS = frozenset('<>()[]{}":|（）【】《》〈〉「」『』“”‘’')
_ENDS = ' \t\r\n;,<>"|、。「」『』“”‘’'
_SPLIT = re.compile(r"\s*([@.])\s*")
_STOPS = ".。"
_UNSEEN = frozenset("\ufe0e\ufe0f\u034f\ufffc")


def pasted(typed: str) -> str:
    """The identifier in what was typed or pasted.

    Invisible marks go, and so do `mailto:` and `tel:`, a name before `<address>`, brackets, quotes and separators
    around. A text without any of these comes back as it is.

    Raises:
        BadInput: `several` for more than one address, `spaces` for an address with words beside it, `not_text` for
            invisible marks and nothing else.
    """
    if len(typed) > MAX_PASTED or _PLAIN.fullmatch(typed):  # too long for any reader, or as nearly everybody types
        return typed
    seen = "".join(c for c in typed if c not in _UNSEEN and (c.isascii() or unicodedata.category(c) != "Cf"))
    if typed.strip() and not seen.strip():
        raise BadInput("not_text")
    text = unicodedata.normalize("NFKC", seen).strip()
    if text.startswith('"') and '"@' in text:
        return text  # a quoted local part (RFC 5321 section 4.1.2)
    if _SCHEME.match(text):
        text = unquote(_SCHEME.sub("", text.partition("?")[0], count=1))
    mails = [w for w in (w.strip(_STOPS + "'") for w in _BETWEEN.split(text)) if _is_mail(w)] if "@" in text else []
    if len({m.casefold() for m in mails}) > 1:
        raise BadInput("several")
    if mails:
        return _alone(text, mails[0])
    if "@" in text and any(c.isspace() for c in text.strip()):
        joined = _SPLIT.sub(r"\1", text.strip(_ENDS))  # keyboards of phones put a space at a sign or dot
        if any(c.isspace() for c in joined) or not _is_mail(joined):
            raise BadInput("spaces")
        return joined
    within = _WITHIN.match(text.strip(" ;,"))
    return (within[1] if within else text).strip(_ENDS)


def _alone(text: str, mail: str) -> str:
    """The address, where what stands beside it can only be a wrapping."""
    rest = text.replace(mail, " ").strip(_ENDS + _STOPS + "'")
    if not rest or _WRAPS.intersection(text):
        return mail
    if any(c.isspace() for c in text):
        raise BadInput("spaces")
    return text.strip(_ENDS)


def _is_mail(word: str) -> bool:
    local, _, domain = word.rpartition("@")
    return bool(local) and any(dot in domain for dot in _STOPS)


def or_as_typed(typed: str) -> str:
    """The identifier in what was typed, where nobody is told what is odd about it: a sign-in is right or wrong."""
    try:
        return pasted(typed)
    except BadInput:
        return typed
