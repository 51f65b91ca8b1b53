"""What burrow.toml says of logging and of a cluster's security."""

from __future__ import annotations

import gzip
import logging
import os
import time
from pathlib import Path

import pytest

from ottla.gateway.burrow.config import BurrowConfig, BurrowConfigError
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
