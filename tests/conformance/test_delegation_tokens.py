"""`kafka-delegation-tokens` beside Apache Kafka's own, on a node that gives tokens."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.programs import toolchains
from tests.conformance.test_kafka_tools_side_by_side import JAVA_OPTIONS

from ottla.engine.apache import ApacheKafka
from ottla.engine.ports import free_ports

TOOL = Path(sys.executable).parent / "kafka-delegation-tokens"
CLASS = "org.apache.kafka.tools.DelegationTokenCommand"
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
MASKS = {
    r"[A-Za-z0-9+/]{86}==": "HMAC".ljust(88),
    r"\b[A-Za-z0-9_-]{22}(?![\w-])": "TOKEN".ljust(22),
    r"\d{4}-\d\d-\d\dT\d\d:\d\d": "TIME".ljust(16),
}


class Tools:
    """Theirs and ours, with the same words."""

    def __init__(self, kafka: ApacheKafka, servers: str, config: Path) -> None:
        options = ["--bootstrap-server", servers, "--command-config", str(config)]
        self.theirs = [*kafka.distribution.command(CLASS, JAVA_OPTIONS), *options]
        self.ours = [str(TOOL), *options]

    @staticmethod
    def _run(command: list[str], words: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, *words.split()], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout

    def masked(self, words: str, ours: str | None = None) -> tuple[tuple[int, str], ...]:
        """Status and output of both, without what can never be equal."""
        return tuple(
            (status, re.sub("|".join(MASKS), _mask, text))
            for status, text in (
                self._run(self.theirs, words),
                self._run(self.ours, ours or words),
            )
        )

    def exact(self, words: str) -> tuple[tuple[int, list[str]], ...]:
        """Status and lines of both; tokens come in any order."""
        shown = self._run(self.theirs, words), self._run(self.ours, words)
        return tuple((status, sorted(text.split("\n"))) for status, text in shown)

    def hmacs(self) -> list[str]:
        return re.findall(r"\S{86}==", self._run(self.ours, "--describe")[1])


def _mask(match: re.Match[str]) -> str:
    return next(mask for pattern, mask in MASKS.items() if re.fullmatch(pattern, match[0]))


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    toolchains.need("java")
    plain, sasl, controller = free_ports(3)
    listeners = f"PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl}"
    properties = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": (
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT"
        ),
        "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": f'{LOGIN} user_alice="secret";',
        "delegation.token.secret.key": "a-key-that-nobody-knows",
    }
    config = tmp_path_factory.mktemp("tokens") / "alice.properties"
    config.write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
        f'sasl.jaas.config={LOGIN} username="alice" password="secret";\n'
    )
    with ApacheKafka(
        ports=(plain,), controller_ports=(controller,), properties=properties
    ) as kafka:
        yield Tools(kafka, f"127.0.0.1:{sasl}", config)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_tokens_are_created_shown_renewed_and_ended_as_kafkas_tool_does(tools: Tools) -> None:
    create = "--create --max-life-time-period -1 --renewer-principal User:bob"
    theirs, mine = tools.masked(create)
    assert mine == theirs
    assert mine[0] == 0
    assert "Created delegation token with tokenId : TOKEN" in mine[1]

    theirs, mine = tools.exact("--describe --owner-principal User:alice")
    assert mine == theirs
    assert any("Total number of tokens : 2" in line for line in mine[1])
    # Without an owner Kafka's asks for the tokens of nobody, although it says otherwise.
    theirs, mine = tools.exact("--describe")
    assert any("Total number of tokens : 0" in line for line in theirs[1])
    assert any("Total number of tokens : 2" in line for line in mine[1])
    theirs, mine = tools.exact("--describe --owner-principal User:nobody")
    assert mine == theirs
    assert any("Total number of tokens : 0" in line for line in mine[1])

    for action in ("--renew --renew-time-period 3600000", "--expire --expiry-time-period 60000"):
        for hmac in tools.hmacs():
            theirs, mine = tools.masked(f"{action} --hmac {hmac}")
            assert mine == theirs
            assert mine[0] == 0
    first, second = tools.hmacs()
    end = "--expire --expiry-time-period -1 --hmac"
    theirs, mine = tools.masked(f"{end} {first}", f"{end} {second}")
    assert mine == theirs
    assert mine[0] == 0
    assert tools.hmacs() == []
