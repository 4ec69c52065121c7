"""A keyring file that only a hardware token opens: its lines are encrypted with an AES key that never leaves the token
(PKCS#11 v2.40, CKM_AES_GCM, NIST SP 800-38D).

The token is asked when a process starts and when the file changes; the keys are then in the process's memory. Whoever
copies the file and the database has nothing without the token.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyback.storage.keys.keyring import KeyringError

if TYPE_CHECKING:
    from pkcs11 import Session

NONCE_BYTES, TAG_BITS = 12, 128
BOUND_TO = b"keyback keyring 1"
KEY_BITS = 256
_one_at_a_time = threading.RLock()  # modules differ in what they bear
_wrong_pins: set[tuple[str, str, str]] = set()  # never tried twice: a few wrong ones lock the token for good


@dataclass(frozen=True, slots=True, repr=False)
class HardwareToken:
    """A token that is reached through its vendor's PKCS#11 module.

    Args:
        module: the vendor's shared library.
        token: label of the token.
        key: label of the AES key in it.
        pin: of the token's user.

    Raises (every method):
        KeyringError: the module, the token or the key is not there, or the PIN is wrong; the text says what to do.
    """

    module: Path
    token: str
    key: str
    pin: str

    def wrap(self, plain: bytes) -> bytes:
        """Encrypts with the token's key; makes the key if the token has none."""
        nonce = os.urandom(NONCE_BYTES)
        with self._session(write=True) as session:
            key = self._key_of(session) or self._made_in(session)
            return nonce + bytes(key.encrypt(plain, **_gcm(nonce)))

    def unwrap(self, wrapped: bytes) -> bytes:
        import pkcs11

        with self._session() as session:
            key = self._key_of(session)
            if key is None:
                raise KeyringError(f"the token {self.token} has no AES key {self.key}. Correct pkcs11.key")
            try:
                return bytes(key.decrypt(wrapped[NONCE_BYTES:], **_gcm(wrapped[:NONCE_BYTES])))
            except (pkcs11.PKCS11Error, ValueError):
                words = f"the token's key {self.key} does not open the keyring file. Put back the token or the file"
                raise KeyringError(f"{words} that belong together") from None

    def has_key(self) -> bool:
        with self._session() as session:
            return self._key_of(session) is not None

    @contextlib.contextmanager
    def _session(self, *, write: bool = False) -> Iterator[Session]:
        try:
            import pkcs11
        except ModuleNotFoundError:
            raise KeyringError('a hardware token needs the extra "pkcs11": pip install "keyback[pkcs11]"') from None

        mine = (str(self.module), self.token, self.pin)
        with _one_at_a_time:
            if mine in _wrong_pins:
                raise KeyringError(f"the PIN of the token {self.token} was wrong. Correct it and restart")
            try:
                found = self._found()
                if found.flags & (pkcs11.TokenFlag.USER_PIN_FINAL_TRY | pkcs11.TokenFlag.USER_PIN_LOCKED):
                    words = f"the token {self.token} takes one more PIN at most, and Keyback does not risk it"
                    raise KeyringError(f"{words}. Sign in to it with the vendor's tool, which resets its counter")
                session = found.open(rw=write, user_pin=self.pin)
            except pkcs11.PinIncorrect:
                _wrong_pins.add(mine)
                raise KeyringError(f"the PIN of the token {self.token} is wrong. Correct pkcs11.pin_file") from None
            except pkcs11.PKCS11Error as e:
                raise KeyringError(self._why(e)) from None
            with session:
                yield session

    def _found(self) -> Any:
        """The token, also one that was plugged in after the module was loaded: many modules look around only then."""
        import pkcs11

        lib = pkcs11.lib(str(self.module))
        try:
            return lib.get_token(token_label=self.token)
        except pkcs11.NoSuchToken:
            lib.reinitialize()
            return lib.get_token(token_label=self.token)

    def _why(self, error: Exception) -> str:
        import pkcs11

        if isinstance(error, pkcs11.NoSuchToken):
            return f"there is no token {self.token}. See that it is plugged in or reachable, and correct pkcs11.token"
        if isinstance(error, pkcs11.MultipleTokensReturned):
            return f"several tokens are labeled {self.token}. Give this one a label of its own"
        if isinstance(error, pkcs11.PinLocked):
            return f"the token {self.token} is locked after wrong PINs. Its security officer can unlock it"
        if "OS exception" in str(error):
            return f"{self.module} cannot be loaded as a PKCS#11 module. Correct pkcs11.module"
        return f"the token {self.token} cannot be used ({type(error).__name__}). See its vendor's log"

    def _key_of(self, session: Session) -> Any:
        """The AES key; None if there is none."""
        import pkcs11

        try:
            return session.get_key(
                object_class=pkcs11.ObjectClass.SECRET_KEY, key_type=pkcs11.KeyType.AES, label=self.key
            )
        except pkcs11.NoSuchKey:
            return None
        except pkcs11.MultipleObjectsReturned:
            raise KeyringError(f"the token {self.token} has several keys {self.key}. Leave one of them") from None

    def _made_in(self, session: Session) -> Any:
        import pkcs11

        stays = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
        try:
            return session.generate_key(
                pkcs11.KeyType.AES,
                KEY_BITS,
                label=self.key,
                store=True,
                capabilities=pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT,
                template=stays,
            )
        except pkcs11.PKCS11Error as e:
            words = f"the token {self.token} makes no AES key ({type(e).__name__}). Make one labeled {self.key}"
            raise KeyringError(f"{words} with the vendor's tool") from None


def _gcm(nonce: bytes) -> dict[str, Any]:
    import pkcs11

    return {
        "mechanism": pkcs11.Mechanism.AES_GCM,
        "mechanism_param": pkcs11.GCMParams(nonce, BOUND_TO, TAG_BITS),
    }
