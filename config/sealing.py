"""Seals what is kept of workspace documents: they hold secrets (spec/connections.md, 1.1)."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken

from config.errors import ConfigError


class Sealer:
    """Encrypts and authenticates with the master key of an installation."""

    def __init__(self, master_key: str) -> None:
        """Args: `master_key`: at least 32 characters that nobody can guess."""
        self._fernet = Fernet(urlsafe_b64encode(sha256(master_key.encode()).digest()))
        self._hash_key = sha256(b"fingerprints\0" + master_key.encode()).digest()

    def seal(self, content: bytes) -> bytes:
        """Return what nobody can read or change without the key."""
        return self._fernet.encrypt(content)

    def unseal(self, sealed: bytes) -> bytes:
        """Return what was sealed. Raises ConfigError if that was with another key."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            problem = "the kept workspace documents are sealed with another one, or damaged"
            raise ConfigError([("master_key", problem)]) from None

    def fingerprint(self, content: bytes) -> bytes:
        """Return the same 32 bytes for the same content; nobody can tell it by them."""
        return hmac.digest(self._hash_key, content, sha256)
