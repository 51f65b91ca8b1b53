"""Who a connection is: SASL from the handshake to the end of the session.

A SASL listener takes ApiVersions and SaslHandshake at first, then the
mechanism's messages, and only then everything else. After a handshake of
version 0 these come as bare frames, later ones in SaslAuthenticate. A client
may authenticate again at any time as the same user with the same mechanism
(KIP-368); it must, before its session ends.

Secrets are never logged and never kept: users of SCRAM and PLAIN are stored
as salted verifiers; users in a JAAS configuration live in the configuration.
"""

from __future__ import annotations

import enum
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Final

from ottla.broker.config import BrokerConfig
from ottla.broker.sasl.mechanism import AuthenticationFailedError, Exchange
from ottla.broker.sasl.oauthbearer import OAuthBearerExchange, TokenRules
from ottla.broker.sasl.plain import PlainExchange
from ottla.broker.sasl.scram import ScramExchange
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.scram import MECHANISMS as SCRAM_MECHANISMS
from ottla.wire.scram import Verifier, is_password

SUPPORTED: Final = ("PLAIN", *SCRAM_MECHANISMS, "OAUTHBEARER")

#: Finds a stored verifier by user and the mechanism's number.
FindVerifier = Callable[[str, int], Verifier | None]

_OPTION: Final = re.compile(
    r"""([\w.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;]+))"""
)


def jaas_options(text: str) -> dict[str, str]:
    """The `name="value"` options of one JAAS login module."""
    found: dict[str, str] = {}
    for match in _OPTION.finditer(text):
        value = next(v for v in match.groups()[1:] if v is not None)
        found[match[1]] = re.sub(r"\\(.)", r"\1", value)
    return found


class Stage(enum.Enum):
    """How far a connection has come."""

    HANDSHAKE = 1
    BARE_TOKENS = 2
    TOKENS = 3
    DONE = 4


class SaslSettings:
    """What one listener offers."""

    def __init__(self, config: BrokerConfig, listener: str, find_verifier: FindVerifier) -> None:
        self._find_verifier = find_verifier

        def text(key: str) -> str | None:
            return config.listener_text(listener, key)

        wanted = (text("sasl.enabled.mechanisms") or "").split(",")
        self.mechanisms = [m for m in (w.strip().upper() for w in wanted) if m in SUPPORTED]
        self.max_session_ms = int(text("connections.max.reauth.ms") or 0)
        plain = jaas_options(text("plain.sasl.jaas.config") or text("sasl.jaas.config") or "")
        self._passwords: Mapping[str, str] = {
            name.removeprefix("user_"): value
            for name, value in plain.items()
            if name.startswith("user_")
        }
        bearer = jaas_options(
            text("oauthbearer.sasl.jaas.config") or text("sasl.jaas.config") or ""
        )
        secret = bearer.get("hmacSecret")
        self._rules = TokenRules(
            secret=secret.encode() if secret else None,
            allows_unsecured=bearer.get("allowUnsecuredTokens", "false").lower() == "true",
            issuer=text("sasl.oauthbearer.expected.issuer"),
            audience=text("sasl.oauthbearer.expected.audience"),
            clock_skew_s=int(text("sasl.oauthbearer.clock.skew.seconds") or 30),
            subject_claim=text("sasl.oauthbearer.sub.claim.name") or "sub",
        )

    def exchange(self, mechanism: str, random_bytes: Callable[[int], bytes]) -> Exchange:
        if mechanism == "PLAIN":
            return PlainExchange(self._is_password_of)
        if mechanism == "OAUTHBEARER":
            return OAuthBearerExchange(self._rules)
        number = SCRAM_MECHANISMS[mechanism][0]
        return ScramExchange(
            mechanism, lambda user: self._find_verifier(user, number), random_bytes
        )

    def _is_password_of(self, user: str, password: str) -> bool:
        configured = self._passwords.get(user)
        if configured is not None and hmac.compare_digest(configured.encode(), password.encode()):
            return True
        for mechanism, (number, _) in SCRAM_MECHANISMS.items():
            verifier = self._find_verifier(user, number)
            if verifier is not None and is_password(mechanism, verifier, password):
                return True
        return False


class Authentication:
    """The state of one connection on a SASL listener."""

    def __init__(self, settings: SaslSettings, random_bytes: Callable[[int], bytes]) -> None:
        self.settings = settings
        self.stage = Stage.HANDSHAKE
        self.mechanism: str | None = None
        self.user: str | None = None
        self.session_ends_at_ms: int | None = None
        self._random_bytes = random_bytes
        self._exchange: Exchange | None = None

    @property
    def is_done(self) -> bool:
        """Whether the client has said who it is."""
        return self.user is not None

    def handshake(self, mechanism: str, version: int) -> None:
        """Errors: `RequestError` for a mechanism that is not offered, or out of turn."""
        if self.stage in (Stage.BARE_TOKENS, Stage.TOKENS):
            raise RequestError(
                ErrorCode.ILLEGAL_SASL_STATE, "A SASL exchange is in progress already."
            )
        if mechanism not in self.settings.mechanisms:
            raise RequestError(ErrorCode.UNSUPPORTED_SASL_MECHANISM)
        if self.stage is Stage.DONE and mechanism != self.mechanism:
            raise RequestError(
                ErrorCode.UNSUPPORTED_SASL_MECHANISM,
                "A client authenticates again with the mechanism of the first time.",
            )
        self.mechanism = mechanism
        self._exchange = self.settings.exchange(mechanism, self._random_bytes)
        self.stage = Stage.BARE_TOKENS if version == 0 else Stage.TOKENS

    def step(self, token: bytes, wall_ms: int, mono_ms: int) -> tuple[bytes, int]:
        """(answer, session lifetime in milliseconds, 0 for unlimited or unfinished).

        Errors: `AuthenticationFailedError`; the connection must be closed then.
        """
        exchange = self._exchange
        if exchange is None:
            raise AuthenticationFailedError("SaslHandshake comes first.")
        answer = exchange.step(token, wall_ms)
        if exchange.user is None:
            return answer, 0
        if self.user is not None and exchange.user != self.user:
            raise AuthenticationFailedError("Cannot change principals during re-authentication")
        self.user = exchange.user
        self._exchange = None
        self.stage = Stage.DONE
        lifetime = self._lifetime_ms(exchange.expires_at_ms, wall_ms)
        self.session_ends_at_ms = mono_ms + lifetime if lifetime else None
        return answer, lifetime

    def _lifetime_ms(self, expires_at_ms: int | None, wall_ms: int) -> int:
        longest = self.settings.max_session_ms
        if expires_at_ms is None:
            return longest
        left = max(1, expires_at_ms - wall_ms)
        return min(left, longest) if longest else left

    def has_expired(self, mono_ms: int) -> bool:
        return self.session_ends_at_ms is not None and mono_ms > self.session_ends_at_ms
