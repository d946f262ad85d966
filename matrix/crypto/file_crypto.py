"""Encryption of files in chunks (client-server API, "Sending encrypted attachments", version v2).

Files are encrypted with AES-256 in counter mode. The SHA-256 hash of the ciphertext is known only
after the last chunk.
"""

from hashlib import sha256
from secrets import token_bytes
from typing import Any

from Crypto.Cipher import AES
from unpaddedbase64 import decode_base64, encode_base64

from matrix.api.errors import FileCorrupted
from matrix.api.fields import mapping

Json = dict[str, Any]

_NONCE_BYTES = 8
"""Bytes of the random first half of the 16-byte initial counter block. The second half counts."""


class FileEncryptor:
    """Encrypts one file."""

    def __init__(self) -> None:
        self._key, self._nonce = token_bytes(32), token_bytes(_NONCE_BYTES)
        self._cipher = AES.new(self._key, AES.MODE_CTR, nonce=self._nonce)
        self._hash = sha256()

    def encrypt(self, chunk: bytes) -> bytes:
        """Encrypt the next chunk of the file and return the ciphertext."""
        encrypted = self._cipher.encrypt(chunk)
        self._hash.update(encrypted)
        return encrypted

    def file(self, url: str) -> Json:
        """Return the ``file`` object of the event. Call it after all chunks were encrypted.

        Args:
            url: The ``mxc://`` URI of the uploaded ciphertext.
        """
        return {
            "v": "v2",
            "url": url,
            "key": {
                "kty": "oct",
                "alg": "A256CTR",
                "ext": True,
                "k": encode_base64(self._key, urlsafe=True),
                "key_ops": ["encrypt", "decrypt"],
            },
            "iv": encode_base64(self._nonce + bytes(_NONCE_BYTES)),
            "hashes": {"sha256": encode_base64(self._hash.digest())},
        }


class FileDecryptor:
    """Decrypts one file.

    Args:
        file: The ``file`` object of its event.

    Raises:
        FileCorrupted: The object is not valid.
    """

    def __init__(self, file: Json) -> None:
        try:
            key = decode_base64(mapping(file.get("key"))["k"])
            iv = decode_base64(file["iv"])
            self._expected = decode_base64(mapping(file.get("hashes"))["sha256"])
            self._cipher = AES.new(
                key,
                AES.MODE_CTR,
                nonce=iv[:_NONCE_BYTES],
                initial_value=int.from_bytes(iv[_NONCE_BYTES:], "big"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"its key can't be used ({type(error).__name__})"
            raise FileCorrupted(problem) from error
        self._hash = sha256()

    def decrypt(self, chunk: bytes) -> bytes:
        """Decrypt the next chunk of the ciphertext and return the plaintext."""
        self._hash.update(chunk)
        return self._cipher.decrypt(chunk)

    def verify(self) -> None:
        """Compare the hash of all chunks with the hash in the event. Call it after the last chunk.

        Raises:
            FileCorrupted: The hashes differ.
        """
        if self._hash.digest() != self._expected:
            raise FileCorrupted("it is not what was sent")
