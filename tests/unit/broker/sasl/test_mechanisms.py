"""The mechanisms against their RFCs' own examples, and against cheats."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.broker.sasl.mechanism import AuthenticationFailedError, Exchange
from ottla.broker.sasl.oauthbearer import OAuthBearerExchange, TokenRules
from ottla.broker.sasl.plain import PlainExchange
from ottla.broker.sasl.scram import ScramExchange
from ottla.wire.scram import (
    SaltedVerifier,
    ScramClient,
    is_password,
    make_verifier,
    parse_verifiers,
    verifier_text,
)

NOW_MS = 1_800_000_000_000


def plain() -> PlainExchange:
    return PlainExchange(lambda user, password: (user, password) == ("ada", "sécret"))


def test_plain_accepts_the_right_password_only() -> None:
    exchange = plain()
    assert exchange.step("\0ada\0sécret".encode(), NOW_MS) == b""
    assert exchange.user == "ada"
    assert plain().step("ada\0ada\0sécret".encode(), NOW_MS) == b""


@pytest.mark.parametrize(
    "token", [b"\0ada\0wrong", b"\0\0x", b"\0ada\0", b"ada", b"\xff", "bob\0ada\0sécret".encode()]
)
def test_plain_refuses(token: bytes) -> None:
    exchange = plain()
    with pytest.raises(AuthenticationFailedError):
        exchange.step(token, NOW_MS)
    assert exchange.user is None


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("user", ["ada", "a,b=c", "größe"])
def test_scram_proves_both_sides(mechanism: str, user: str) -> None:
    verifier = make_verifier(mechanism, "pencil", b"salt" * 4)
    exchange = ScramExchange(mechanism, {user: verifier}.get, lambda n: b"\x07" * n)
    client = ScramClient(mechanism, user, "pencil", "client-nonce")
    final = client.final(exchange.step(client.first(), NOW_MS))
    assert exchange.user is None
    answer = exchange.step(final, NOW_MS)
    assert client.is_server(answer)
    assert not client.is_server(answer[:-1] + b"?")
    assert exchange.user == user


def test_scram_refuses_a_wrong_password_and_an_unknown_user_alike() -> None:
    verifier = make_verifier("SCRAM-SHA-256", "pencil", b"salt" * 4)

    def attempt(user: str, password: str) -> str:
        exchange = ScramExchange("SCRAM-SHA-256", {"ada": verifier}.get, lambda n: b"\x07" * n)
        client = ScramClient("SCRAM-SHA-256", user, password, "client-nonce")
        with pytest.raises(AuthenticationFailedError) as caught:
            exchange.step(client.final(exchange.step(client.first(), NOW_MS)), NOW_MS)
        assert exchange.user is None
        return str(caught.value)

    assert attempt("ada", "pen") == attempt("bob", "pencil")


@pytest.mark.parametrize(
    "change",
    [
        lambda final: final.replace(b"c=biws", b"c=eSws"),
        lambda final: final.replace(b"client-nonce", b"other-nonce"),
        lambda final: final.split(b",p=")[0],
        lambda final: final.split(b",p=")[0] + b",p=!!",
        lambda final: final.split(b",p=")[0] + b",p=AAAA",
        lambda final: b"\xff",
    ],
)
def test_scram_refuses_messages_that_were_tampered_with(change: Callable[[bytes], bytes]) -> None:
    verifier = make_verifier("SCRAM-SHA-256", "pencil", b"salt" * 4)
    exchange = ScramExchange("SCRAM-SHA-256", lambda _: verifier, lambda n: b"\x07" * n)
    client = ScramClient("SCRAM-SHA-256", "ada", "pencil", "client-nonce")
    final = client.final(exchange.step(client.first(), NOW_MS))
    with pytest.raises(AuthenticationFailedError):
        exchange.step(change(final), NOW_MS)


def test_rfc_7677_example() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    verifier = make_verifier("SCRAM-SHA-256", "pencil", salt, 4096)
    assert isinstance(verifier, SaltedVerifier)
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.digest(verifier.server_key, message, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_verifiers_survive_being_written_down() -> None:
    verifier = make_verifier("SCRAM-SHA-512", "pencil", b"0123456789abcdef")
    text = verifier_text("a:b", "SCRAM-SHA-512", verifier)
    assert "pencil" not in text
    assert parse_verifiers(f"{text}; ") == {("a:b", 2): verifier}
    assert is_password("SCRAM-SHA-512", verifier, "pencil")
    assert not is_password("SCRAM-SHA-512", verifier, "pen")


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims: dict[str, Any], secret: bytes | None = b"key", alg: str = "HS256") -> str:
    head = f"{segment({'alg': alg})}.{segment(claims)}"
    signature = b"" if secret is None else hmac.digest(secret, head.encode(), "sha256")
    return f"{head}.{segment(signature) if signature else ''}"


GOOD = {"sub": "ada", "exp": NOW_MS // 1000 + 60, "iss": "house", "aud": ["kafka"]}
RULES = TokenRules(secret=b"key", issuer="house", audience="kafka")


def first(text: str, authorization_id: str = "") -> bytes:
    head = f"n,a={authorization_id}," if authorization_id else "n,,"
    return f"{head}\x01auth=Bearer {text}\x01\x01".encode()


def test_bearer_tokens_tell_user_and_end() -> None:
    exchange = OAuthBearerExchange(RULES)
    assert exchange.step(first(token(GOOD), "ada"), NOW_MS) == b""
    assert (exchange.user, exchange.expires_at_ms) == ("ada", NOW_MS + 60_000)


@pytest.mark.parametrize(
    "bad",
    [
        token({**GOOD, "exp": NOW_MS // 1000 - 60}),
        token({**GOOD, "nbf": NOW_MS // 1000 + 600}),
        token({**GOOD, "iss": "elsewhere"}),
        token({**GOOD, "aud": "other"}),
        token({"exp": GOOD["exp"]}),
        token({"sub": "ada"}),
        token(GOOD, b"wrong key"),
        token(GOOD, None, "none"),
        token(GOOD, alg="none"),
        "a.b",
        "a.b.c",
    ],
)
def test_bad_bearer_tokens_get_a_reason_and_then_the_end(bad: str) -> None:
    exchange = OAuthBearerExchange(RULES)
    assert b"invalid_token" in exchange.step(first(bad), NOW_MS)
    with pytest.raises(AuthenticationFailedError):
        exchange.step(b"\x01", NOW_MS)
    assert exchange.user is None


def test_unsecured_tokens_only_where_allowed() -> None:
    exchange = OAuthBearerExchange(TokenRules(allows_unsecured=True))
    assert exchange.step(first(token(GOOD, None, "none")), NOW_MS) == b""
    assert exchange.user == "ada"


@given(st.binary(max_size=60), st.sampled_from(["plain", "scram", "bearer"]))
def test_garbage_is_refused_and_nothing_else(data: bytes, kind: str) -> None:
    verifier = make_verifier("SCRAM-SHA-256", "p", b"s", 1)
    exchange: Exchange = {
        "plain": lambda: PlainExchange(lambda u, p: False),
        "scram": lambda: ScramExchange("SCRAM-SHA-256", lambda _: verifier, lambda n: b"\x07" * n),
        "bearer": lambda: OAuthBearerExchange(RULES),
    }[kind]()
    try:
        exchange.step(data, NOW_MS)
    except AuthenticationFailedError:
        pass
    assert exchange.user is None
