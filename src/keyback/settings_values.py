"""What holds for every value of the settings and of a connector's keys, and what an address has to be."""

from __future__ import annotations

import ipaddress
import re
import typing
import unicodedata
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import idna
from pydantic import BaseModel, ValidationInfo, field_validator

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LISTEN: Final = re.compile(r"(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_SUCH: Final = "such as https://recover.example.com, without a path"


class Checked(BaseModel):
    """A table of settings in which a value is what it looks like."""

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields.get(info.field_name or "")
        kinds = _kinds(field.annotation) if field else set()
        if not (field and _has_own_check(field.annotation)):
            refuse_untypable(value)
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError("must be a number, not true or false")
        inner = {k for a in _lists(field.annotation) for k in _kinds(a)} if field else set()
        texts_only = inner and not inner & {int, float, bool, Any}
        if texts_only and isinstance(value, list) and any(isinstance(v, int | float) for v in value):
            raise ValueError('must be a list of texts in quotation marks, such as ["one", "two"]')
        if Path in kinds and isinstance(value, str):
            if not value.strip():  # as an empty variable of a container has it
                if type(None) in kinds:
                    return None
                raise ValueError("must not be empty. Name a folder or a file, or take the line out")
            if value.startswith("~"):
                raise ValueError("begins with ~, which only a shell understands. Write the whole path")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """The types of a union, or the one that there is; what stands in lists and dicts counts for itself."""
    parts = typing.get_args(annotation) if typing.get_origin(annotation) not in (list, dict) else ()
    return {p for a in parts for p in _kinds(a)} if parts else {annotation}


def _has_own_check(annotation: Any) -> bool:
    """Whether what stands there is a table, or a table of tables, that names its own keys."""
    parts = (annotation, *typing.get_args(annotation))
    return any(isinstance(p, type) and issubclass(p, Checked) for p in parts if not typing.get_origin(p))


def _lists(annotation: Any) -> tuple[Any, ...]:
    """What stands in a list; nothing where an annotation speaks of none."""
    return typing.get_args(annotation) if typing.get_origin(annotation) is list else ()


def refuse_untypable(value: Any) -> None:
    """Raises ValueError where text has control characters or half characters, as damaged files and terminals leave."""
    if isinstance(value, str):
        odd = next((c for c in value if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r"), None)
        if odd is not None:
            raise ValueError(f"has a character that nobody can type (U+{ord(odd):04X}). Type the value again")
    elif isinstance(value, dict):
        for part in (*value.keys(), *value.values()):
            refuse_untypable(part)
    elif isinstance(value, list | tuple):
        for part in value:
            refuse_untypable(part)


def plain_host(host: str) -> str:
    """A host as browsers write it: lower case, A-labels, no dot at its end (RFC 5891), or an IP address.

    Raises:
        ValueError: it is none; the text says why.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("an IP address with a zone works on one machine alone")
        return str(ipaddress.IPv6Address(host))
    if "_" in host:
        raise ValueError("a host name has letters, digits, hyphens and dots only; _ is not allowed")
    try:
        plain = (idna.encode(host, uts46=True).decode("ascii") if not host.isascii() else host).lower()
        plain = plain.removesuffix(".")
        labels = plain.split(".")
        for label in labels:
            if label.startswith("xn--"):
                idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        raise ValueError("the host name is not a valid international name. Check its spelling") from None
    if len(plain) > 253 or not all(_LABEL.fullmatch(x) for x in labels):
        raise ValueError("the host name is none: its parts have 1 to 63 letters, digits and hyphens between dots")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):  # what ends in a number is an IPv4 address (WHATWG URL 3.5)
        try:
            return str(ipaddress.IPv4Address(plain))
        except ValueError:
            raise ValueError("the IP address is none; it has four numbers of 0 to 255") from None
    return plain


def plain_origin(value: str) -> str:
    """The origin of a URL as browsers write it: lower case, A-labels, no default port (RFC 6454, RFC 5891).

    Raises:
        ValueError: it is none, or says more than an origin.
    """
    wrong = ValueError(f"must be an address {_SUCH}")
    try:
        parts = urlsplit(value.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:  # of the port or of the brackets
        raise wrong from None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise wrong
    if parts.path.strip("/") or parts.query or parts.fragment or re.search(r"[\s\\]", value.strip()):
        raise wrong
    if port == 0:
        raise ValueError(f"has port 0, which nobody can reach. Name the reverse proxy's, or none, {_SUCH}")
    try:
        host = plain_host(host)
    except ValueError as e:
        raise ValueError(f"{e}; write it {_SUCH}") from None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in (None, 443 if parts.scheme == "https" else 80) else f":{port}")


def address_and_port(value: str) -> str:
    """What to listen on, `address:port`.

    Raises:
        ValueError: it is not that; the text says how to write it.
    """
    text = value.strip()
    found = _LISTEN.fullmatch(text)
    such = "such as 127.0.0.1:8080; 0.0.0.0:8080 listens on every address"
    if not found:
        host = text.rpartition(":")[0]
        if host.count(":") > 1 and "/" not in host and "[" not in host:
            raise ValueError(
                f"must be address:port, with an IPv6 address in brackets: [{host}]:{text.rpartition(':')[2]}"
            )
        raise ValueError(f"must be address:port, {such}")
    host, port = found[1], int(found[2])
    if port > 65535:
        raise ValueError(f"must be address:port with a port up to 65535, {such}")
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1])
        elif re.fullmatch(r"[0-9.]+", host):
            ipaddress.IPv4Address(host)
    except ValueError:
        raise ValueError(f"must be address:port, and the IP address is none, {such}") from None
    return text


def plain_relay(value: str) -> str:
    """The host of a mail relay.

    Raises:
        ValueError: it is a URL, has a port, or is no host.
    """
    host = value.strip().removeprefix("[").removesuffix("]")
    if not host:
        return ""
    if "/" in host or "@" in host or (host.count(":") == 1):
        raise ValueError("must be a host name alone, such as smtp.example.com; the port has a setting of its own")
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    if re.search(r"\s", host):
        raise ValueError("must be a host name such as smtp.example.com, without spaces")
    return host
