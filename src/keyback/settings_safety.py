"""Files that others can read, and proxies and known networks that are almost everybody: what settings do not show."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from keyback.settings import Settings, Unsafe, config_path
from keyback.settings_file import read_toml

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
OTHERS, NOT_OWNER = 0o007, 0o077
SECRETS = frozenset({"password", "keyring", "secret", "token", "private_key", "pin"})
PUBLIC = frozenset({"ca_file", "certificate_file"})
# Public addresses that count as proxies: so many are nobody's own (bad), and more than one network (worth a look).
ANYBODYS = {4: 2**24, 6: 2**108}
MANY = {4: 2**16, 6: 2**96}


def refuse_no_folder(s: Settings) -> None:
    """Raises Unsafe where `data_dir`, or what it is to lie in, is a file, or cannot be reached."""
    try:
        for path in (s.data_dir, *s.data_dir.parents):
            if path.exists() and not path.is_dir():
                raise Unsafe(f"data_dir: {path} is a file, not a folder. Name another folder, or move the file away.")
    except OSError as e:
        who = "Run this as the user that Keyback runs as, or name another folder"
        raise Unsafe(f"data_dir: {s.data_dir} cannot be used: {e.strerror}. {who}.") from None


def open_to_others(s: Settings, settings_file: Path | None = None) -> list[str]:
    """What others on this machine can read, each with the command that closes it.

    The data folder, the keyring and the database are Keyback's own and nobody else's. Files of secrets, and settings
    that hold some, may be shared with a group, as the service's unit does.

    Args:
        settings_file: None takes the one in use.
    """
    database = Path(s.database.removeprefix("sqlite:///")) if s.database.startswith("sqlite:///") else None
    keyring = s.keyring_path if s.keyring is None else None
    own = [p.absolute() for p in (database, keyring) if p is not None]
    out = []
    folder = s.data_dir.absolute()
    if any(p.is_relative_to(folder) for p in own) and _mode(folder) & NOT_OWNER:
        out.append(f"{s.data_dir} can be read by others. Run: chmod 700 {s.data_dir}")
    out += [_words(p, "600") for p in own if not p.is_relative_to(folder) and _reached(p, NOT_OWNER)]
    secret = [
        s.mail.password_file,
        s.bounces.password_file,
        s.bounces.hook_secret_file,
        s.password.pepper_file,
        s.pkcs11.pin_file,
        *s.password.old_pepper_files,
        *(p.client_secret_file for p in s.providers.values()),
        *(i.client_secret_file for i in s.identity.values()),
    ]
    options = [s.sms.options, s.im.options, *(system.options for system in s.systems.values())]
    secret += [file for o in options for file in _files(o)]
    settings_file = settings_file or config_path()
    if settings_file is not None and _holds_secrets(settings_file):
        secret.append(settings_file)
    return out + [_words(p, "o-rwx") for p in secret if p is not None and _reached(p, OTHERS)]


def close_to_others(s: Settings) -> list[Path]:
    """Takes from others what they may do in the data folder, and with the database and the keyring wherever they are.

    Whoever made them, an administrator by hand, a copy or a backup, may have left them open. What belongs to somebody
    else stays as it is, and `open_to_others` tells of it.

    Returns:
        What was open.
    """
    folder = s.data_dir.absolute()
    database = Path(s.database.removeprefix("sqlite:///")) if s.database.startswith("sqlite:///") else None
    keyring = s.keyring_path if s.keyring is None else None
    own = [p.absolute() for p in (database, keyring) if p is not None]
    if database is not None:
        own += [database.absolute().with_name(database.name + end) for end in ("-wal", "-shm", "-journal")]
    inside = any(p.is_relative_to(folder) for p in own)
    own += [p for p in _old_copies(folder) if p not in own] if inside else []
    return [p for p, mode in ([(folder, 0o700)] if inside else []) + [(p, 0o600) for p in own] if _close(p, mode)]


def _old_copies(folder: Path) -> list[Path]:
    """What else of Keyback's own lies in its folder, such as an earlier database or keyring; nobody else's files."""
    return sorted(p for name in ("*.sqlite*", "keyring*", "mark*") for p in folder.glob(name) if p.is_file())


def _close(path: Path, mode: int) -> bool:
    if path.is_symlink() or not _mode(path) & NOT_OWNER:
        return False
    try:
        path.chmod(_mode(path) & mode)
    except OSError:
        return False
    return True


def wide_proxies(s: Settings) -> Iterator[tuple[Literal["warn", "bad"], str, str]]:
    """Networks in `trusted_proxies` that reach beyond one's own: how bad, what it means, and what to do."""
    nets: list[Network] = []
    for text in s.trusted_proxies:
        try:
            nets.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue  # told where settings are read
    next_ = "Name only the addresses of your own reverse proxies."
    for status, names in _wide(nets):
        if status == "bad":
            words = (
                f"{names}: almost anyone could fake where a request comes from, so limits by network would stop no one"
            )
        else:
            words = f"{names}: whoever has one of its addresses may say where a request comes from"
        yield status, words, next_


def wide_known(s: Settings) -> Iterator[tuple[Literal["warn", "bad"], str, str]]:
    """Networks in `policy.known_networks` that reach beyond one's own: how bad, what it means, and what to do."""
    next_ = "Name only the networks of your own offices and VPN."
    for status, names in _wide(s.policy.known_networks):
        if status == "bad":
            words = (
                f"{names}: almost everybody counts as known, so recoveries by strangers wait as short as the owner's"
            )
        else:
            words = f"{names}: whoever has one of its addresses counts as known to everybody"
        yield status, words, next_


def _wide(nets: Sequence[Network]) -> Iterator[tuple[Literal["warn", "bad"], str]]:
    """Public networks with more addresses than one owner has: `bad` all together, else `warn` for each."""
    for version in (4, 6):
        mine = ipaddress.collapse_addresses(n for n in nets if n.version == version)  # type: ignore[type-var]
        public = [n for n in mine if not n.is_private]
        if sum(n.num_addresses for n in public) >= ANYBODYS[version]:
            yield "bad", ", ".join(map(str, public[:4])) + (" …" if len(public) > 4 else "")
            continue
        yield from (("warn", str(n)) for n in public if n.num_addresses > MANY[version])


def _words(path: Path, mode: str) -> str:
    return f"{path} can be read by others. Run: chmod {mode} {path}"


def _mode(path: Path) -> int:
    """Its permission bits; none where there is nothing."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return 0


def _reached(path: Path, who: int) -> bool:
    """Whether these classes may read a file: its own bits, and those of its folder, which they must pass."""
    passes = (_mode(path.absolute().parent) & who & 0o011) * 0o7  # of each class its three bits, if it may pass
    return bool(_mode(path) & who & passes & 0o066)


def _files(options: Mapping[str, Any]) -> Iterator[Path]:
    """Files that hold secrets: all that are named but certificates, in tables within too."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _files(value)
        elif name.endswith("_file") and name not in PUBLIC and isinstance(value, str | Path):
            yield Path(value)


def _holds_secrets(path: Path) -> bool:
    try:
        return _secret_in(read_toml(path))
    except (OSError, Unsafe):
        return False


def _secret_in(values: Mapping[str, Any]) -> bool:
    for name, value in values.items():
        if isinstance(value, Mapping):
            if _secret_in(value):
                return True
        elif isinstance(value, str) and value:
            ends = name in SECRETS or name.endswith(("_secret", "_token", "_key"))
            if ends or (name.endswith("_url") and urlsplit(value).password):
                return True
    return False
