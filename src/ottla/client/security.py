"""TLS and SASL for the raw client, from Kafka's own configuration keys."""

from __future__ import annotations

import re
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from ottla.client.errors import CannotConnectError, LoginRefusedError, SettingsError
from ottla.client.settings import Settings
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.sasl_authenticate import SaslAuthenticateRequest
from ottla.wire.messages.sasl_handshake import SaslHandshakeRequest
from ottla.wire.scram import MECHANISMS as SCRAM_MECHANISMS
from ottla.wire.scram import ScramClient

if TYPE_CHECKING:
    from ottla.client.connection import Connection

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_OPTION: Final = re.compile(r"""(\w+)\s*=\s*"((?:[^"\\]|\\.)*)\"""")


def secured(settings: Settings, properties: Mapping[str, str]) -> Settings:
    """The settings with what `security.protocol` and its companions ask for.

    Java's spellings (`sasl.jaas.config`, PEM stores) and librdkafka's
    (`sasl.username`, `ssl.ca.location`) both count. Errors: `SettingsError`.
    """
    protocol = properties.get("security.protocol", "PLAINTEXT").upper()
    if protocol not in PROTOCOLS:
        raise SettingsError(
            f"security.protocol {protocol} is unknown; allowed are {', '.join(PROTOCOLS)}"
        )
    if protocol.endswith("SSL"):
        settings = settings._replace(secure=_secure(properties))
    if protocol.startswith("SASL"):
        settings = settings._replace(authenticate=_authenticate(properties))
    return settings


def _secure(properties: Mapping[str, str]) -> Callable[[socket.socket, str], socket.socket]:
    authority = properties.get("ssl.truststore.location") or properties.get("ssl.ca.location")
    inline = properties.get("ssl.truststore.certificates") or properties.get("ssl.ca.pem")
    own = properties.get("ssl.keystore.location") or properties.get("ssl.certificate.location")
    try:
        context = ssl.create_default_context(cafile=authority, cadata=inline)
        if own:
            context.load_cert_chain(
                own, properties.get("ssl.key.location"), properties.get("ssl.key.password")
            )
    except OSError as error:
        raise SettingsError(
            f"the TLS files {authority or ''} {own or ''} cannot be used"
            f" ({getattr(error, 'reason', None) or error.strerror}); they must be PEM"
        ) from None
    if properties.get("ssl.endpoint.identification.algorithm", "https") in ("", "none"):
        context.check_hostname = False
    if properties.get("enable.ssl.certificate.verification", "true").lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

    def secure(plain: socket.socket, host: str) -> socket.socket:
        return context.wrap_socket(plain, server_hostname=host)

    return secure


def _authenticate(properties: Mapping[str, str]) -> Callable[[Connection], None]:
    mechanism = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms") or "GSSAPI"
    mechanism = mechanism.upper()
    jaas = dict(_OPTION.findall(properties.get("sasl.jaas.config", "")))
    user = properties.get("sasl.username") or _unescaped(jaas.get("username", ""))
    password = properties.get("sasl.password") or _unescaped(jaas.get("password", ""))
    token = properties.get("sasl.oauthbearer.token") or _unescaped(jaas.get("token", ""))
    if mechanism in ("PLAIN", *SCRAM_MECHANISMS):
        if not user or not password:
            raise SettingsError(
                f"{mechanism} needs a user and a password: set sasl.jaas.config, or sasl.username"
                " and sasl.password"
            )
    elif mechanism == "OAUTHBEARER":
        if not token:
            raise SettingsError("OAUTHBEARER needs a token: set sasl.oauthbearer.token")
    else:
        raise SettingsError(
            f"sasl.mechanism {mechanism} is not available; allowed are PLAIN,"
            f" {', '.join(SCRAM_MECHANISMS)} and OAUTHBEARER"
        )

    def authenticate(connection: Connection) -> None:
        connection.api_versions()  # cannot be asked for once the handshake has begun
        answer = connection.request(SaslHandshakeRequest(mechanism), version=1)
        if answer.error_code:
            offered = ", ".join(answer.mechanisms) or "none"
            raise CannotConnectError(
                f"{connection.address} does not offer {mechanism}; it offers {offered}"
            )
        if mechanism == "PLAIN":
            _step(connection, f"\0{user}\0{password}".encode())
        elif mechanism == "OAUTHBEARER":
            _step(connection, f"n,,\x01auth=Bearer {token}\x01\x01".encode())
        else:
            client = ScramClient(mechanism, user, password, secrets.token_urlsafe(18))
            challenge = _step(connection, client.first())
            if not client.is_server(_step(connection, client.final(challenge))):
                raise CannotConnectError(
                    f"{connection.address} cannot prove that it knows the password of {user}"
                )

    return authenticate


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _step(connection: Connection, token: bytes) -> bytes:
    answer = connection.request(SaslAuthenticateRequest(token))
    if answer.error_code:
        text = answer.error_message or ErrorCode(answer.error_code).name
        raise LoginRefusedError(f"{connection.address} refuses the login: {text}")
    return bytes(answer.auth_bytes)
