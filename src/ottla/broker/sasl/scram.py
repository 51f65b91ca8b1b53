"""SASL SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677).

The broker keeps a salt, a stored key and a server key per user; none of them
is the password, and none lets anybody log in elsewhere. An unknown user and a
wrong password give the same answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from ottla.broker.sasl.mechanism import AuthenticationFailedError
from ottla.wire.scram import MECHANISMS, Verifier

FAILED: Final = "Authentication failed during authentication due to invalid credentials"
NONCE_BYTES: Final = 24


def _attributes(text: str, *names: str) -> list[str]:
    """Values of `n=value` attributes that must stand in this order; more may follow."""
    parts = text.split(",")
    values = []
    for part, name in zip(parts, names, strict=False):
        if not part.startswith(f"{name}="):
            raise AuthenticationFailedError("Invalid SASL/SCRAM message")
        values.append(part[2:])
    if len(values) != len(names):
        raise AuthenticationFailedError("Invalid SASL/SCRAM message")
    return values


def _user_name(encoded: str) -> str:
    """A user's name with `=2C` and `=3D` turned back into comma and equals sign."""
    if encoded.replace("=2C", "").replace("=3D", "").count("="):
        raise AuthenticationFailedError("Invalid SASL/SCRAM message: bad user name")
    return encoded.replace("=2C", ",").replace("=3D", "=")


class ScramExchange:
    """Client first, server first, client final, server final."""

    def __init__(
        self,
        mechanism: str,
        find: Callable[[str], Verifier | None],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._mechanism = mechanism
        self._hash = MECHANISMS[mechanism][1]
        self._find = find
        self._random_bytes = random_bytes
        self._name = ""
        self._gs2_header = ""
        self._verifier: Verifier | None = None
        self._nonce = ""
        self._first_messages = ""
        self.user: str | None = None
        self.expires_at_ms: int | None = None

    def step(self, token: bytes, wall_ms: int) -> bytes:
        """Errors: `AuthenticationFailedError`."""
        try:
            text = token.decode()
        except UnicodeDecodeError:
            raise AuthenticationFailedError("Invalid SASL/SCRAM message: not UTF-8") from None
        return (self._first(text) if not self._nonce else self._final(text)).encode()

    def _first(self, text: str) -> str:
        parts = text.split(",", 2)
        if len(parts) != 3 or parts[0] != "n":
            # "y" and "p=…" ask for channel binding, which Kafka does not offer.
            raise AuthenticationFailedError("Invalid SASL/SCRAM message: channel binding")
        self._gs2_header = f"{parts[0]},{parts[1]},"
        bare = parts[2]
        encoded, client_nonce = _attributes(bare, "n", "r")
        self._name = _user_name(encoded)
        if parts[1].startswith("a=") and _user_name(parts[1][2:]) != self._name:
            raise AuthenticationFailedError(
                "Authentication failed: Client requested an authorization id that is different"
                " from username"
            )
        self._verifier = self._find(self._name)
        verifier = self._verifier
        if verifier is None:
            raise AuthenticationFailedError(FAILED)
        self._nonce = client_nonce + base64.b64encode(self._random_bytes(NONCE_BYTES)).decode()
        salt = base64.b64encode(verifier.salt).decode()
        answer = f"r={self._nonce},s={salt},i={verifier.iterations}"
        self._first_messages = f"{bare},{answer}"
        return answer

    def _final(self, text: str) -> str:
        without_proof, separator, proof_text = text.rpartition(",p=")
        if not separator:
            raise AuthenticationFailedError("Invalid SASL/SCRAM message: no proof")
        binding, nonce = _attributes(without_proof, "c", "r")
        expected = base64.b64encode(self._gs2_header.encode()).decode()
        if binding != expected or nonce != self._nonce:
            raise AuthenticationFailedError("Invalid SASL/SCRAM message: wrong nonce or binding")
        try:
            proof = base64.b64decode(proof_text, validate=True)
        except (binascii.Error, ValueError):
            raise AuthenticationFailedError("Invalid SASL/SCRAM message: bad proof") from None
        verifier = self._verifier
        assert verifier is not None
        message = f"{self._first_messages},{without_proof}".encode()
        signature = hmac.digest(verifier.stored_key, message, self._hash)
        if len(proof) != len(signature):
            raise AuthenticationFailedError(FAILED)
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        if not hmac.compare_digest(
            hashlib.new(self._hash, client_key).digest(), verifier.stored_key
        ):
            raise AuthenticationFailedError(FAILED)
        self.user = self._name
        return (
            "v=" + base64.b64encode(hmac.digest(verifier.server_key, message, self._hash)).decode()
        )
