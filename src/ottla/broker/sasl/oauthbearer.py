"""SASL OAUTHBEARER (RFC 7628) with signed or, for tests, unsecured JSON web tokens.

Tokens signed with HS256 are checked with the key in the broker's
configuration. Unsecured tokens (`alg` none), which Apache Kafka's default
login makes, are accepted only where the configuration says so. A token must
have a subject and an expiry; the session ends with it (KIP-368).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import Any, Final, NamedTuple

from ottla.broker.sasl.mechanism import AuthenticationFailedError

_FIRST: Final = re.compile(
    rb"n,(?:a=(?P<authzid>[^,\x01]*))?,\x01(?P<pairs>(?:[A-Za-z]+=[^\x01]*\x01)*)\x01", re.DOTALL
)
_ERROR: Final = b'{"status":"invalid_token"}'


class TokenRules(NamedTuple):
    """Which tokens are good; `secret` None allows no signed ones."""

    secret: bytes | None = None
    allows_unsecured: bool = False
    issuer: str | None = None
    audience: str | None = None
    clock_skew_s: int = 30
    subject_claim: str = "sub"


def _segment(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def subject_of(token: str, rules: TokenRules, wall_ms: int) -> tuple[str, int]:
    """(subject, expiry in wall milliseconds). Errors: `AuthenticationFailedError`."""
    parts = token.split(".")
    if len(parts) != 3:
        raise AuthenticationFailedError("invalid_token: not a JSON web token")
    try:
        header = json.loads(_segment(parts[0]))
        claims = json.loads(_segment(parts[1]))
        signature = _segment(parts[2])
    except (binascii.Error, ValueError, RecursionError):
        raise AuthenticationFailedError("invalid_token: not a JSON web token") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise AuthenticationFailedError("invalid_token: not a JSON web token")
    algorithm = header.get("alg")
    if algorithm == "HS256" and rules.secret is not None:
        signed = f"{parts[0]}.{parts[1]}".encode()
        expected = hmac.digest(rules.secret, signed, hashlib.sha256)
        if not hmac.compare_digest(expected, signature):
            raise AuthenticationFailedError("invalid_token: wrong signature")
    elif not (algorithm == "none" and rules.allows_unsecured and not signature):
        raise AuthenticationFailedError("invalid_token: algorithm not allowed")
    return _checked(claims, rules, wall_ms)


def _checked(claims: dict[str, Any], rules: TokenRules, wall_ms: int) -> tuple[str, int]:
    subject, expiry = claims.get(rules.subject_claim), claims.get("exp")
    if not isinstance(subject, str) or not subject:
        raise AuthenticationFailedError("invalid_token: no subject")
    if not isinstance(expiry, int | float) or isinstance(expiry, bool):
        raise AuthenticationFailedError("invalid_token: no expiry")
    skew_ms = rules.clock_skew_s * 1000
    expires_at_ms = int(expiry * 1000)
    if expires_at_ms + skew_ms <= wall_ms:
        raise AuthenticationFailedError("invalid_token: expired")
    not_before = claims.get("nbf", 0)
    if isinstance(not_before, int | float) and not_before * 1000 - skew_ms > wall_ms:
        raise AuthenticationFailedError("invalid_token: not valid yet")
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        raise AuthenticationFailedError("invalid_token: wrong issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if rules.audience is not None and rules.audience not in audiences:
        raise AuthenticationFailedError("invalid_token: wrong audience")
    return subject, expires_at_ms


class OAuthBearerExchange:
    """A token, and an answer; after a bad token the client says 0x01 and then hears why."""

    def __init__(self, rules: TokenRules) -> None:
        self._rules = rules
        self._failure: AuthenticationFailedError | None = None
        self.user: str | None = None
        self.expires_at_ms: int | None = None

    def step(self, token: bytes, wall_ms: int) -> bytes:
        """Errors: `AuthenticationFailedError`."""
        if self._failure is not None:
            raise self._failure
        match = _FIRST.fullmatch(token)
        if match is None:
            raise AuthenticationFailedError("Invalid OAUTHBEARER client first message")
        pairs = dict(pair.split(b"=", 1) for pair in match["pairs"].split(b"\x01") if b"=" in pair)
        scheme, _, credentials = pairs.get(b"auth", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not credentials:
            raise AuthenticationFailedError("Invalid OAUTHBEARER client first message")
        try:
            subject, expires_at_ms = subject_of(
                credentials.strip().decode("ascii", "replace"), self._rules, wall_ms
            )
        except AuthenticationFailedError as failure:
            self._failure = failure
            return _ERROR
        authorization_id = (match["authzid"] or b"").decode("utf-8", "replace")
        if authorization_id not in ("", subject):
            raise AuthenticationFailedError(
                "Authentication failed: Client requested an authorization id that is different"
                " from the token's principal"
            )
        self.user, self.expires_at_ms = subject, expires_at_ms
        return b""
