"""What burrow.toml says of logging and of a cluster's security."""

from __future__ import annotations

import gzip
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ottla.gateway.burrow.config import BurrowConfig, BurrowConfigError, HttpAddress
from ottla.gateway.burrow.log_file import AgingFileHandler, log_file


def test_the_log_is_rotated_compressed_and_cleared_of_what_is_old(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "burrow.log"
    handler = log_file(
        {"filename": str(path), "maxbackups": 3, "maxage": 7, "use-compression": True}
    )
    assert isinstance(handler, AgingFileHandler)
    handler.maxBytes = 200
    ancient = path.parent / "burrow.log.9.gz"
    ancient.write_bytes(b"")
    os.utime(ancient, (time.time() - 8 * 86_400,) * 2)
    for number in range(20):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, f"line {number}", (), None))
    handler.close()
    names = sorted(p.name for p in path.parent.iterdir())
    assert names == ["burrow.log", "burrow.log.1.gz", "burrow.log.2.gz", "burrow.log.3.gz"]
    assert "INFO line" in gzip.decompress((path.parent / names[1]).read_bytes()).decode()


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tables = {"logging": {"filename": str(tmp_path / "file" / "burrow.log")}}
    with pytest.raises(BurrowConfigError, match="cannot be written"):
        BurrowConfig(tables, "local", []).configure_logging()


def test_a_client_profile_carries_tls_and_sasl() -> None:
    config = BurrowConfig(
        {
            "client-profile": {
                "p": {"client-id": "burrow", "kafka-version": "2.0.0", "tls": "t", "sasl": "s"}
            },
            "tls": {"t": {"cafile": "ca.pem", "noverify": True}},
            "sasl": {"s": {"username": "ada", "password": "lace"}},
            "cluster": {"a": {"client-profile": "p"}, "b": {"client-profile": "none"}},
        },
        "local",
        [],
    )
    assert config.client_settings("a") == {
        "client.id": "burrow",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "ca.pem",
        "enable.ssl.certificate.verification": "false",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "ada",
        "sasl.password": "lace",
    }
    assert config.client_settings("b") == {}


def test_an_httpserver_says_where_to_listen() -> None:
    config = BurrowConfig(
        {
            "general": {"access-control-allow-origin": "https://a.example"},
            "httpserver": {
                "default": {"address": ":8000"},
                "safe": {"address": "[::1]:8443", "tls": "t", "timeout": 300},
            },
            "tls": {"t": {"certfile": "c.pem", "keyfile": "k.pem"}},
        },
        "local",
        [],
    )
    assert config.http_addresses() == [
        HttpAddress("", 8000),
        HttpAddress("::1", 8443, "c.pem", "k.pem"),
    ]
    assert config.cors_origins == ("https://a.example",)
    assert BurrowConfig({}, "local", []).http_addresses() == []


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"httpserver": {"a": {}}}, "not host:port"),
        ({"httpserver": {"a": {"address": "localhost"}}}, "not host:port"),
        ({"httpserver": {"a": {"address": ":99999"}}}, "not host:port"),
        ({"httpserver": {"a": {"address": ":1", "tls": "x"}}}, "certfile and keyfile"),
    ],
)
def test_an_httpserver_that_cannot_be_is_refused(tables: dict[str, Any], why: str) -> None:
    with pytest.raises(BurrowConfigError, match=why):
        BurrowConfig(tables, "local", []).http_addresses()
