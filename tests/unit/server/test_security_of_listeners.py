"""Which listeners open to the network, and how certificates become names."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.broker.config import BrokerConfig
from ottla.server.errors import StartError
from ottla.server.listeners import Listeners, bind
from ottla.server.tls import certificate_principal, make_context, map_name


def bound(**settings: str) -> Listeners:
    named = {name.replace("_", "."): value for name, value in settings.items()}
    listeners = bind(BrokerConfig.from_layers([named]))
    listeners.close()
    return listeners


def test_nobody_from_the_network_walks_in_without_being_asked() -> None:
    config = BrokerConfig.from_layers([{"listeners": "PLAINTEXT://0.0.0.0:0"}])
    listeners = bind(config)
    try:
        addresses = {host for b in listeners.bound for host, _ in b.addresses}
        assert addresses <= {"127.0.0.1", "::1"}
        assert len(listeners.warnings) == 1
        assert "--insecure" in listeners.warnings[0]
        assert "ottla secure" in listeners.warnings[0]
    finally:
        listeners.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"listeners": "PLAINTEXT://0.0.0.0:0", "ottla.insecure": "true"},
        {
            "listeners": "SASL_PLAINTEXT://0.0.0.0:0",
            "sasl.enabled.mechanisms": "PLAIN",
        },
    ],
)
def test_it_opens_when_told_so_or_when_clients_authenticate(settings: dict[str, str]) -> None:
    listeners = bind(BrokerConfig.from_layers([settings]))
    try:
        assert {host for b in listeners.bound for host, _ in b.addresses} == {"0.0.0.0"}
        assert listeners.warnings == []
    finally:
        listeners.close()


def test_loopback_needs_no_permission() -> None:
    assert bound(listeners="PLAINTEXT://127.0.0.1:0").warnings == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "has no key"),
        ({"ssl.keystore.location": "/nowhere/store.pem"}, "cannot be used"),
        ({"ssl.keystore.location": "/nowhere/store.jks"}, "is not PEM"),
        ({"ssl.enabled.protocols": "SSLv3"}, "names no version that is served"),
    ],
)
def test_tls_that_cannot_work_is_one_sentence(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(StartError, match=sentence):
        make_context(BrokerConfig.from_layers([settings]), "SSL")


CERTIFICATE: dict[str, Any] = {
    "subject": (
        (("countryName", "DE"),),
        (("organizationName", "House, Inc."),),
        (("commonName", "ada"),),
    )
}


def test_a_certificate_names_its_subject_from_the_last_part() -> None:
    assert certificate_principal(CERTIFICATE, "DEFAULT") == r"User:CN=ada,O=House\, Inc.,C=DE"
    assert certificate_principal(None, "DEFAULT") is None
    assert certificate_principal({}, "DEFAULT") is None


def test_the_first_matching_rule_maps_the_name() -> None:
    rules = r"RULE:^CN=(.*?),OU=none.*$/nobody/,RULE:^CN=(.*?),.*$/$1@house/L,DEFAULT"
    assert map_name("CN=Ada,O=x", rules) == "ada@house"
    assert map_name("CN=Ada,OU=none,O=x", rules) == "nobody"
    assert map_name("O=x", rules) == "O=x"
