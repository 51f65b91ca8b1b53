"""The topics that Instigator's populate script makes."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from ottla.demos.kafka_clients import ANSWER_TIMEOUT_S, Settings, create_topic

#: `SampleOne` in the write-up's text; its code says `sampleOne`.
DEFAULT_TOPIC = "SampleOne"
POPULATED = (DEFAULT_TOPIC, "sampleOne", "SampleTwo", "SampleThree", "testing")
WISHED_REPLICAS = 3
COMPACTED = {"cleanup.policy": "compact"}


def populate(settings: Settings) -> list[str]:
    """The topics exist afterwards, on three replicas where there are three brokers.

    Returns a line per topic for a person. Errors: `DemoError`.
    """
    admin = AdminClient({**settings, "log_level": "0"})
    brokers = len(admin.list_topics(timeout=ANSWER_TIMEOUT_S).brokers)
    replicas = min(WISHED_REPLICAS, brokers)
    config = {**COMPACTED, "min.insync.replicas": str(max(1, replicas - 1))}
    lines = []
    for topic in POPULATED:
        was_made = create_topic(settings, topic, 1, config, replicas)
        what = f"created, {replicas} replicas, compacted" if was_made else "was there already"
        lines.append(f"{topic:<12} {what}")
    return lines
