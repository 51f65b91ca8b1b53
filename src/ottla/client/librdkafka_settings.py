"""Kafka's client properties in the words of librdkafka.

Most names are the same. Those of the Java client that librdkafka calls
otherwise are translated; those that only make sense in a JVM are left out.
"""

from __future__ import annotations

import re
from typing import Final

from ottla.client.errors import SettingsError

#: Java's name → librdkafka's name, value unchanged.
RENAMED: Final = {
    "fetch.max.wait.ms": "fetch.wait.max.ms",
    "max.request.size": "message.max.bytes",
    "metadata.max.age.ms": "topic.metadata.refresh.interval.ms",
    "receive.buffer.bytes": "socket.receive.buffer.bytes",
    "send.buffer.bytes": "socket.send.buffer.bytes",
    "ssl.key.password": "ssl.key.password",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
    "ssl.truststore.certificates": "ssl.ca.pem",
    "transaction.timeout.ms": "transaction.timeout.ms",
}

#: Properties of the Java clients without a counterpart.
JVM_ONLY: Final = frozenset(
    {
        "auto.include.jmx.reporter",
        "bootstrap.controllers",
        "config.providers",
        "default.api.timeout.ms",
        "exclude.internal.topics",
        "interceptor.classes",
        "key.deserializer",
        "key.serializer",
        "max.block.ms",
        "max.poll.records",
        "metadata.max.idle.ms",
        "metric.reporters",
        "metrics.num.samples",
        "metrics.recording.level",
        "metrics.sample.window.ms",
        "partitioner.class",
        "partitioner.ignore.keys",
        "sasl.client.callback.handler.class",
        "sasl.login.callback.handler.class",
        "ssl.enabled.protocols",
        "ssl.keymanager.algorithm",
        "ssl.keystore.type",
        "ssl.protocol",
        "ssl.provider",
        "ssl.trustmanager.algorithm",
        "ssl.truststore.password",
        "ssl.truststore.type",
        "value.deserializer",
        "value.serializer",
    }
)

#: Properties that only one kind of client knows.
PRODUCER_ONLY: Final = frozenset(
    {
        "acks",
        "batch.size",
        "buffer.memory",
        "compression.type",
        "delivery.timeout.ms",
        "enable.idempotence",
        "linger.ms",
        "request.timeout.ms",
        "retries",
        "retry.backoff.ms",
        "transactional.id",
    }
)

#: Java's classes of assignors → librdkafka's names.
ASSIGNORS: Final = {
    "CooperativeStickyAssignor": "cooperative-sticky",
    "RangeAssignor": "range",
    "RoundRobinAssignor": "roundrobin",
}

_USERNAME = re.compile(r"""username\s*=\s*["']((?:[^"'\\]|\\.)*)["']""")
_PASSWORD = re.compile(r"""password\s*=\s*["']((?:[^"'\\]|\\.)*)["']""")


def librdkafka_settings(properties: dict[str, str]) -> dict[str, str]:
    """The settings for a confluent-kafka client.

    Errors: `SettingsError` for a trust store that librdkafka cannot read.
    """
    settings: dict[str, str] = {}
    for key, value in properties.items():
        if key in JVM_ONLY:
            continue
        if key == "sasl.jaas.config":
            settings.update(_credentials(value))
        elif key == "ssl.truststore.location":
            if value.endswith((".jks", ".p12", ".pfx")):
                raise SettingsError(
                    f"The trust store {value} is a Java key store; give its certificates as "
                    "a PEM file in ssl.truststore.location."
                )
            settings["ssl.ca.location"] = value
        elif key == "ssl.keystore.location" and not value.endswith((".p12", ".pfx")):
            settings["ssl.certificate.location"] = value
            settings["ssl.key.location"] = value
        elif key == "partition.assignment.strategy":
            settings.update(_assignor(value))
        elif key == "auto.offset.reset" and value == "none":
            settings[key] = "error"
        elif key == "ssl.endpoint.identification.algorithm":
            settings[key] = value or "none"
        elif key == "buffer.memory":
            settings["queue.buffering.max.kbytes"] = str(max(1, int(value) // 1024))
        else:
            settings[RENAMED.get(key, key)] = value
    return settings


def _credentials(jaas: str) -> dict[str, str]:
    """User name and password out of a JAAS line of the plain and SCRAM modules."""
    username, password = _USERNAME.search(jaas), _PASSWORD.search(jaas)
    if not username or not password:
        return {}
    return {
        "sasl.username": re.sub(r"\\(.)", r"\1", username[1]),
        "sasl.password": re.sub(r"\\(.)", r"\1", password[1]),
    }


def _assignor(classes: str) -> dict[str, str]:
    """The first assignor that librdkafka has too; it does not mix eager and cooperative ones."""
    names = [name.strip().rpartition(".")[2] for name in classes.split(",")]
    known = [ASSIGNORS.get(name, name) for name in names]
    usable = [name for name in known if name in ASSIGNORS.values()]
    return {"partition.assignment.strategy": usable[0]} if usable else {}
