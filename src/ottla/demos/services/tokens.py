"""Passwords and tokens: Argon2 hashes, signed access tokens, one-time refresh tokens."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from dataclasses import dataclass

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

ALGORITHM = "HS256"
ISSUER = "ottla-demo-services"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a successful login gives; `refresh_token` is known to the client alone."""

    access_token: str
    refresh_token: str
    token_id: str
    expires_at_ms: int


class Passwords:
    """Argon2id with the library's recommended parameters."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        # Checked when there is no such user, so that both cases take as long.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def matches(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None


class Tokens:
    """Issues and checks tokens; life times in seconds."""

    def __init__(self, secret: str, access_life_s: int = 900, refresh_life_s: int = 86_400) -> None:
        self._secret = secret
        self.access_life_s = access_life_s
        self.refresh_life_s = refresh_life_s

    def issue(self, user_id: str) -> TokenPair:
        moment = int(time.time())
        token_id = str(uuid.uuid4())
        claims = {
            "iss": ISSUER,
            "sub": user_id,
            "jti": token_id,
            "iat": moment,
            "exp": moment + self.access_life_s,
        }
        access = jwt.encode(claims, self._secret, algorithm=ALGORITHM)
        return TokenPair(
            access, secrets.token_urlsafe(32), token_id, (moment + self.access_life_s) * 1000
        )

    def user_of(self, access_token: str) -> str | None:
        """The user of a valid token; None for a forged, foreign or expired one."""
        try:
            claims = jwt.decode(access_token, self._secret, algorithms=[ALGORITHM], issuer=ISSUER)
        except jwt.InvalidTokenError:
            return None
        subject = claims.get("sub")
        return subject if isinstance(subject, str) else None


def fingerprint(refresh_token: str) -> str:
    """What the database keeps of a refresh token."""
    return hashlib.sha256(refresh_token.encode()).hexdigest()
