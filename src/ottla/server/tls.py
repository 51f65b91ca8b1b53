"""TLS for listeners: Kafka's ssl.* keys turned into Python's context.

Key stores are PEM: `ssl.keystore.type=PEM` with a file that holds the private
key and the certificate chain, or both inline in `ssl.keystore.key` and
`ssl.keystore.certificate.chain`; trust stores likewise. Java's own formats
are refused with the command that converts them.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import Any, Final

from ottla.broker.config import BrokerConfig
from ottla.server.errors import StartError

HANDSHAKE_TIMEOUT_S: Final = 10.0
_VERSIONS: Final = {
    "TLSV1.2": ssl.TLSVersion.TLSv1_2,
    "TLSV1.3": ssl.TLSVersion.TLSv1_3,
}
_CLIENT_AUTH: Final = {
    "none": ssl.CERT_NONE,
    "requested": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
#: Certificate attribute -> its short name in a distinguished name (RFC 2253).
_SHORT: Final = {
    "commonName": "CN",
    "organizationalUnitName": "OU",
    "organizationName": "O",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
    "domainComponent": "DC",
    "userId": "UID",
}
_RULE: Final = re.compile(r"RULE:((?:[^/]|\\/)*)/((?:[^/]|\\/)*)/([LU]?)")


def make_context(config: BrokerConfig, listener: str) -> ssl.SSLContext:
    """The context of one listener.

    Errors: `StartError`, one sentence: nothing configured, unreadable, not PEM.
    """

    def text(key: str) -> str:
        return config.listener_text(listener, key) or ""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wanted = [v.strip().upper() for v in text("ssl.enabled.protocols").split(",") if v.strip()]
    versions = [_VERSIONS[v] for v in wanted if v in _VERSIONS]
    if not versions:
        raise StartError(
            f"ssl.enabled.protocols of listener {listener} names no version that is served; "
            "allowed are TLSv1.2 and TLSv1.3"
        )
    context.minimum_version, context.maximum_version = min(versions), max(versions)
    if text("ssl.cipher.suites"):
        context.set_ciphers(text("ssl.cipher.suites").replace(",", ":"))
    _load_key(context, listener, text)
    mode = _CLIENT_AUTH.get(text("ssl.client.auth").lower() or "none", ssl.CERT_NONE)
    if mode is not ssl.CERT_NONE:
        _load_trust(context, listener, text)
    context.verify_mode = mode
    context.sni_callback = _remember_server_name
    return context


def _remember_server_name(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
    connection.asked_for = name


def asked_for(connection: Any) -> str | None:
    """The server name that the client of a TLS connection asked for (SNI)."""
    found: str | None = getattr(connection, "asked_for", None)
    return found


def _load_key(context: ssl.SSLContext, listener: str, text: Any) -> None:
    password = text("ssl.key.password") or text("ssl.keystore.password") or None
    location = text("ssl.keystore.location")
    try:
        if text("ssl.keystore.key"):
            import tempfile

            pem = text("ssl.keystore.key") + "\n" + text("ssl.keystore.certificate.chain")
            with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
                file.write(pem)
            try:
                context.load_cert_chain(file.name, password=password)
            finally:
                os.unlink(file.name)
        elif location:
            _refuse_java_store("ssl.keystore", text("ssl.keystore.type"), location)
            context.load_cert_chain(location, password=password)
        else:
            raise StartError(
                f"listener {listener} speaks TLS and has no key: set ssl.keystore.location to a "
                "PEM file with key and certificate, or run `ottla secure` to make one"
            )
    except OSError as error:
        raise StartError(_cannot_load("ssl.keystore", location or "inline", error)) from None


def _load_trust(context: ssl.SSLContext, listener: str, text: Any) -> None:
    location, inline = text("ssl.truststore.location"), text("ssl.truststore.certificates")
    try:
        if inline:
            context.load_verify_locations(cadata=inline)
        elif location:
            _refuse_java_store("ssl.truststore", text("ssl.truststore.type"), location)
            context.load_verify_locations(location)
        else:
            raise StartError(
                f"listener {listener} asks clients for certificates and has none to check them "
                "with: set ssl.truststore.location to a PEM file"
            )
    except OSError as error:
        raise StartError(_cannot_load("ssl.truststore", location or "inline", error)) from None


def _refuse_java_store(key: str, kind: str, location: str) -> None:
    is_java = location.endswith((".jks", ".p12", ".pfx", ".keystore", ".truststore"))
    if is_java or (kind.upper() == "PKCS12"):
        raise StartError(
            f"{key}.location is {location}, which is not PEM; convert it (keytool -importkeystore"
            f" to PKCS12, then openssl pkcs12 -nodes -out store.pem) and set {key}.type=PEM"
        )


def _cannot_load(key: str, location: str, error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return f"{key} ({location}) cannot be used: {reason}"


def certificate_principal(certificate: dict[str, Any] | None, rules: str) -> str | None:
    """`User:` with the certificate's subject, mapped by `ssl.principal.mapping.rules`."""
    if not certificate:
        return None
    parts = [
        f"{_SHORT.get(name, name)}={_escaped(value)}"
        for group in reversed(certificate.get("subject", ()))
        for name, value in group
    ]
    return f"User:{map_name(','.join(parts), rules)}" if parts else None


def _escaped(value: str) -> str:
    return re.sub(r'([,+"\\<>;=])', r"\\\1", value)


def map_name(name: str, rules: str) -> str:
    """The first rule that matches the distinguished name decides; DEFAULT keeps it."""
    for match in _RULE.finditer(rules):
        pattern, replacement, case = match.groups()
        found = re.fullmatch(pattern, name)
        if found is None:
            continue
        mapped = found.expand(re.sub(r"\$(\d)", r"\\\1", replacement))
        return {"L": mapped.lower(), "U": mapped.upper()}.get(case, mapped)
    return name
