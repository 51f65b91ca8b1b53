"""The checksum, loaded quickly and loaded as its package means it to be: the same."""

from __future__ import annotations

import subprocess
import sys

import crc32c as package
import pytest

from ottla.batch import checksum

#: From RFC 3720, B.4.
VECTORS = {
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    b"123456789": 0xE3069283,
    b"": 0,
}


@pytest.mark.parametrize("data", VECTORS)
def test_known_checksums(data: bytes) -> None:
    assert checksum.crc32c(data) == package.crc32c(data) == VECTORS[data]


def test_any_buffer_will_do() -> None:
    assert checksum.crc32c(bytearray(b"123456789")) == 0xE3069283
    assert checksum.crc32c(memoryview(b"0123456789")[1:]) == 0xE3069283


def test_the_package_serves_where_its_extension_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checksum, "EXTENSION", "crc32c._other")
    assert checksum.load_extension() is None
    monkeypatch.setattr(checksum, "_implementation", None)
    assert checksum.crc32c(b"123456789") == 0xE3069283


def test_a_package_that_is_missing_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "PACKAGE", "no_such_package")
    assert checksum.load_extension() is None


def test_a_checksum_does_not_cost_the_import_of_package_metadata() -> None:
    code = (
        "import sys; from ottla.batch.checksum import crc32c; crc32c(b'x');"
        "sys.exit('importlib.metadata' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
