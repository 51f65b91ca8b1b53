"""Stands in for the package `docker` where aiokafka's tests want a container with Kafka.

`run_client_suite.py` puts a copy called `docker` on their path. A "container"
is an Ottla broker in a process of its own, with the listeners, users and
certificates that their image has; what they execute in it, Kafka's tools by
their own names, are ours.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

#: The interpreter that has Ottla.
PYTHON = os.environ["OTTLA_PYTHON"]

_BROKER = """
import json, signal, sys, ottla
with ottla.Broker(config=json.loads(sys.argv[1])):
    print("ready", flush=True)
    signal.pause()
"""
_USERS = 'PlainLoginModule required user_admin="admin" user_test="test" user_test2="test2";'
_ADMIN = (
    "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config="
    'PlainLoginModule required username="admin" password="admin";\n'
)


class Container:
    """One broker."""

    def __init__(self, ports: dict[str, Any], certificates: Path) -> None:
        self._sasl_port = ports["ADVERTISED_SASL_PLAINTEXT_PORT"]
        listeners = ",".join(
            f"{name}://127.0.0.1:{ports[f'ADVERTISED_{key}PORT']}"
            for name, key in (
                ("PLAINTEXT", ""),
                ("SSL", "SSL_"),
                ("SASL_PLAINTEXT", "SASL_PLAINTEXT_"),
                ("SASL_SSL", "SASL_SSL_"),
            )
        )
        config = {
            "listeners": listeners,
            "node.id": "0",
            "num.partitions": str(ports["NUM_PARTITIONS"]),
            "group.initial.rebalance.delay.ms": "0",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificates / "server.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificates / "ca.crt"),
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": _USERS,
            "listener.name.sasl_ssl.plain.sasl.jaas.config": _USERS,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
            "super.users": "User:admin",
        }
        self._process = subprocess.Popen(
            [PYTHON, "-c", _BROKER, json.dumps(config)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self._login = certificates / "admin.properties"
        self._login.write_text(_ADMIN)

    def exec_run(self, command: str) -> tuple[int, bytes]:
        """Run one of Kafka's tools on the broker."""
        tool, *words = shlex.split(command)
        for old in ("--zookeeper", "--authorizer-properties"):
            if old in words:
                at = words.index(old)
                del words[at : at + 2]
        ours = Path(PYTHON).parent / Path(tool).name.removesuffix(".sh")
        address = f"127.0.0.1:{self._sasl_port}"
        done = subprocess.run(
            [ours, "--bootstrap-server", address, "--command-config", self._login, *words],
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


class _Client:
    def __init__(self) -> None:
        self.containers = SimpleNamespace(run=self._run)

    @staticmethod
    def _run(*, environment: dict[str, Any], volumes: dict[str, Any], **_: object) -> Container:
        return Container(environment, Path(next(iter(volumes))))

    def close(self) -> None:
        pass


def from_env() -> _Client:
    return _Client()


models = SimpleNamespace(containers=SimpleNamespace(Container=Container))
