"""Strangers at a SASL listener: whatever they say, nobody gets in without the password.

An input is a row of messages: a kind (handshake, token, bare frame, any
request), then a length and the bytes. PLAIN, SCRAM and bearer tokens are parsed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Final

from simulation.machine import Link

from fuzzing.requests import new_machine, settle
from fuzzing.target import Input, Target
from ottla.broker.authentication import Stage
from ottla.wire.scram import ScramClient, make_verifier, verifier_text

USER: Final = "ada"
#: Long, so that no fuzzer comes upon it.
PASSWORD: Final = "correct horse battery staple 4711"
SECRET: Final = "another one that nobody guesses 0815"
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
HANDSHAKE, OLD_HANDSHAKE, TOKEN, BARE, REQUEST = range(5)
SETTINGS: Final = {
    "listeners": "SASL_PLAINTEXT://127.0.0.1:9092",
    "sasl.enabled.mechanisms": ",".join(MECHANISMS),
    "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
        f'PlainLoginModule required user_{USER}="{PASSWORD}";'
    ),
    "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config": (
        f'OAuthBearerLoginModule required hmacSecret="{SECRET}";'
    ),
    "ottla.scram.credentials": ";".join(
        verifier_text(USER, m, make_verifier(m, PASSWORD, b"salt" * 4))
        for m in ("SCRAM-SHA-256", "SCRAM-SHA-512")
    ),
}


def run(data: bytes) -> None:
    machine = new_machine(SETTINGS)
    broker = machine.broker
    assert broker is not None
    link: Link | None = None
    given = Input(data)
    while given:
        kind, content = given.byte() % 5, given.take(given.number())
        if link is None or not link.is_open:
            connection = broker.open_connection(
                "SASL_PLAINTEXT", ("127.0.0.1", 9092), ("127.0.0.2", 5)
            )
            link = Link(connection)
            connection.driver_state = link
            machine.links.append(link)
        link.to_broker.append(bytearray(_frame(kind, content)))
        settle(machine)
        authentication = link.connection.authentication
        assert authentication is not None
        assert authentication.stage is not Stage.DONE, "somebody got in"
        assert authentication.user is None
        assert PASSWORD.encode() not in link.to_client
    assert not any(PASSWORD in sentence or SECRET in sentence for sentence in machine.told)


def _frame(kind: int, content: bytes) -> bytes:
    if kind == BARE:
        return content
    if kind == REQUEST:
        return content[:4] + b"\0\0\0\1\0\0" + content[4:]
    if kind == TOKEN:
        return b"\0\x24\0\0\0\0\0\1\0\0" + len(content).to_bytes(4, "big") + content
    mechanism = MECHANISMS[content[0] % 4].encode() if content else b"?"
    version = b"\1" if kind == HANDSHAKE else b"\0"
    return b"\0\x11\0" + version + b"\0\0\0\1\0\0" + len(mechanism).to_bytes(2, "big") + mechanism


def _message(kind: int, content: bytes) -> bytes:
    return bytes((kind,)) + len(content).to_bytes(2, "big") + content


def _token(algorithm: str, **claims: object) -> bytes:
    parts = [{"alg": algorithm, "typ": "JWT"}, {"sub": USER, **claims}]
    text = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
    return b"n,,\x01auth=Bearer " + b".".join([*text, b"c2lnbmF0dXJl"]) + b"\x01\x01"


def seeds() -> Iterator[bytes]:
    for handshake, token in ((HANDSHAKE, TOKEN), (OLD_HANDSHAKE, BARE)):
        yield _message(handshake, b"\0") + _message(token, f"\0{USER}\0guess".encode())
        for number in (1, 2):
            client = ScramClient(MECHANISMS[number], USER, "guess", "nonce")
            final = b"c=biws,r=nonce,p=" + base64.b64encode(bytes(32))
            yield (
                _message(handshake, bytes((number,)))
                + _message(token, client.first())
                + _message(token, final)
            )
        for algorithm in ("HS256", "none", "RS256"):
            bearer = _token(algorithm, exp=4_000_000_000, scope=["a"])
            yield _message(handshake, b"\3") + _message(token, bearer) + _message(token, b"\x01")
    yield _message(REQUEST, b"\0\x12\0\0") + _message(REQUEST, b"\0\3\0\0\0\0\0\0")
    yield _message(HANDSHAKE, b"\0") + _message(HANDSHAKE, b"\1") + _message(TOKEN, b"\0\0")


TARGET = Target("sasl", "strangers at a SASL listener", seeds, run)
