"""SCRAM's arithmetic (RFC 5802, RFC 7677), for both sides of the exchange.

A verifier is what a server keeps of a password: a salt, a stored key and a
server key. None of them is the password, and none lets anybody log in
elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final, NamedTuple, Protocol

#: Mechanism name -> (its number in the protocol, its hash).
MECHANISMS: Final = {
    "SCRAM-SHA-256": (1, "sha256"),
    "SCRAM-SHA-512": (2, "sha512"),
}
DEFAULT_ITERATIONS: Final = 4096


class Verifier(Protocol):
    """What is stored of a user's password."""

    @property
    def iterations(self) -> int: ...

    @property
    def salt(self) -> bytes: ...

    @property
    def stored_key(self) -> bytes: ...

    @property
    def server_key(self) -> bytes: ...


class SaltedVerifier(NamedTuple):
    """A verifier made here."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


def make_verifier(
    mechanism: str, password: str, salt: bytes, iterations: int = DEFAULT_ITERATIONS
) -> SaltedVerifier:
    """The verifier of a password."""
    name = MECHANISMS[mechanism][1]
    salted = hashlib.pbkdf2_hmac(name, password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", name)
    return SaltedVerifier(
        iterations,
        salt,
        hashlib.new(name, client_key).digest(),
        hmac.digest(salted, b"Server Key", name),
    )


def parse_verifiers(text: str) -> dict[tuple[str, int], SaltedVerifier]:
    """Verifiers by user and mechanism number, as `ottla.scram.credentials` spells them.

    Errors: `ValueError` for anything else.
    """
    found: dict[tuple[str, int], SaltedVerifier] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        user, mechanism, iterations, salt, stored_key, server_key = entry.rsplit(":", 5)
        found[user, MECHANISMS[mechanism.upper()][0]] = SaltedVerifier(
            int(iterations),
            bytes.fromhex(salt),
            bytes.fromhex(stored_key),
            bytes.fromhex(server_key),
        )
    return found


def verifier_text(user: str, mechanism: str, verifier: SaltedVerifier) -> str:
    """One entry of `ottla.scram.credentials`."""
    keys = (verifier.salt, verifier.stored_key, verifier.server_key)
    return ":".join([user, mechanism, str(verifier.iterations), *(k.hex() for k in keys)])


def is_password(mechanism: str, verifier: Verifier, password: str) -> bool:
    """Whether the verifier was made of this password."""
    made = make_verifier(mechanism, password, verifier.salt, verifier.iterations)
    return hmac.compare_digest(made.stored_key, verifier.stored_key)


class ScramClient:
    """The client's side of one exchange."""

    def __init__(self, mechanism: str, user: str, password: str, nonce: str) -> None:
        self._hash = MECHANISMS[mechanism][1]
        self._password = password
        self._bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        self._nonce = nonce
        self._expected = b""

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """The answer to the server's challenge. Errors: `ValueError` for a bad challenge."""
        text = challenge.decode()
        fields = dict(part.split("=", 1) for part in text.split(","))
        if not fields.get("r", "").startswith(self._nonce) or "s" not in fields:
            raise ValueError("the challenge does not belong to this exchange")
        salt = base64.b64decode(fields["s"], validate=True)
        salted = hashlib.pbkdf2_hmac(self._hash, self._password.encode(), salt, int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        without_proof = f"c=biws,r={fields['r']}"
        message = f"{self._bare},{text},{without_proof}".encode()
        stored_key = hashlib.new(self._hash, client_key).digest()
        signature = hmac.digest(stored_key, message, self._hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", self._hash)
        self._expected = b"v=" + base64.b64encode(hmac.digest(server_key, message, self._hash))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def is_server(self, answer: bytes) -> bool:
        """Whether the server has proved that it knows the password, too."""
        return bool(self._expected) and hmac.compare_digest(answer, self._expected)
