"""How a client secret is kept: AES-256-GCM under a key of the master key, bound to organisation and issuer."""

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.problems import Problem

_NONCE_BYTES = 12
_LABEL = b"doorstep/1 openid-client-secret"


class ClientSecretUnreadable(Problem):
    """The stored secret does not open: the master key is another one, or the row was altered or moved."""

    status = 503
    code = "client-secret-unreadable"
    title = "Your organisation’s sign-in cannot be used"


def encrypted(master_key: bytes, organisation_id: UUID, issuer: str, client_secret: str) -> bytes:
    """Nonce (12), ciphertext and tag of a client secret."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(master_key).encrypt(nonce, client_secret.encode(), _bound_to(organisation_id, issuer))


def decrypted(master_key: bytes, organisation_id: UUID, issuer: str, stored: bytes) -> str:
    """The client secret. `ClientSecretUnreadable` under another master key or in another organisation's row."""
    nonce, rest = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
    try:
        return _cipher(master_key).decrypt(nonce, rest, _bound_to(organisation_id, issuer)).decode()
    except (InvalidTag, ValueError):
        raise ClientSecretUnreadable(
            "Sign in with your email address and password, and tell whoever runs Doorstep to set the client secret"
            " again: doorstep server openid set"
        ) from None


def _bound_to(organisation_id: UUID, issuer: str) -> bytes:
    return organisation_id.bytes + issuer.encode()


def _cipher(master_key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, None, _LABEL).derive(master_key))
