"""SM4 (GB/T 32907-2016) in Galois/Counter mode with a tag of 16 bytes, as RFC 8998 uses it."""

from __future__ import annotations

from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TAG_BYTES = 16


class SM4GCM:
    """Has the calls of cryptography's AESGCM.

    Args:
        key: 16 bytes.

    Raises (every method):
        cryptography.exceptions.UnsupportedAlgorithm: cryptography was built with an OpenSSL that lacks SM4.
    """

    KEY_BYTES: ClassVar[int] = 16

    def __init__(self, key: bytes) -> None:
        self._sm4 = algorithms.SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Ciphertext and tag. A nonce (12 bytes) is used once for each key."""
        made = Cipher(self._sm4, modes.GCM(nonce)).encryptor()
        made.authenticate_additional_data(associated_data)
        return made.update(data) + made.finalize() + made.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Raises InvalidTag."""
        if len(data) < TAG_BYTES:
            raise InvalidTag
        text, tag = data[:-TAG_BYTES], data[-TAG_BYTES:]
        made = Cipher(self._sm4, modes.GCM(nonce, tag)).decryptor()
        made.authenticate_additional_data(associated_data)
        return made.update(text) + made.finalize()
