"""The promises: every row of the five write-ups, in order."""

from __future__ import annotations

from typing import NamedTuple

EMBEDDED = ("embedded",)
BOTH = ("embedded", "apache")
APACHE = ("apache",)


class Row(NamedTuple):
    number: str
    promise: str
    engines: tuple[str, ...] = EMBEDDED

    def is_for(self, engine: str) -> bool:
        """A cluster of the user's is asked for whatever the embedded broker is."""
        return engine in self.engines or (engine == "cluster" and "embedded" in self.engines)


STORIES = {
    "0": "The playground and its shop analytics",
    "1": "Two services",
    "2": "Kafka explained, the all-in-one platform",
    "3": "Fraud detection",
    "4": "Instigator",
    "5": "All of them together",
}

ROWS = (
    Row("0.1", "one command starts the platform; the demo's topics forget after an hour"),
    Row("0.2", "a dispatcher follows a traffic pattern: 5,000 messages a minute, or 50"),
    Row("0.3", "users: concurrent, 40 % recurring, 10 % anonymous, properties on each event"),
    Row("0.4", "events drawn by rules in a file that a user can edit"),
    Row("0.5", "the dashboard: all partitions from the start, then live, no commits", BOTH),
    Row("0.6", "hello: 2 partitions, 25 messages, 2 consumers"),
    Row("0.7", "SQL over topics, search, Grafana dashboards"),
    Row("1.1", "producer service: users, tokens, two topics"),
    Row("1.2", "consumer service: a group, manual and automatic commits, live push"),
    Row("1.3", "failures: retry topic with back-off, then a dead-letter topic"),
    Row("1.4", "8 partitions, consumers added and removed, order per key"),
    Row("1.5", "an existing server.properties works as it is"),
    Row("1.6", "deployment: image, compose file, Copilot manifests, CI workflows"),
    Row("2.1", "all in one, with a console in the browser"),
    Row("2.2", "the command line, exactly as typed in the text, old flags included", BOTH),
    Row("2.3", "the interactive shell"),
    Row("2.4", "the log: segments, sparse index, retention, batches stored as received"),
    Row("2.5", "how many partitions: max(t/p, t/c), measured here", BOTH),
    Row("2.6", "acks 0, 1 and all, and what each risks", BOTH),
    Row("2.7", "5 consumers on 2 partitions: 3 idle; a second group reads everything", BOTH),
    Row("2.8", "at most once, at least once, exactly once, with a crash in the middle", BOTH),
    Row("2.9", "the REST proxy: the curl lines of the text", BOTH),
    Row("2.10", "UUID keys, a group that logs them, and JSON that is none"),
    Row("2.11", "ZooKeeper's roles and their modern counterparts"),
    Row("3.1", "bank accounts with valid card numbers, as many as wanted"),
    Row("3.2", "JSON, unkeyed, into a topic made by the first send"),
    Row("3.3", "the consumer started first misses none, and asks Veritas for each", BOTH),
    Row("4.1", "three Apache Kafka nodes; one dies, two remain", APACHE),
    Row("4.2", "producer HTTP service", BOTH),
    Row("4.3", "consumer HTTP service", BOTH),
    Row("4.4", "Kafka Manager's tasks, behind a login", BOTH),
    Row("4.5", "consumer lag by Burrow's rules, and its HTTP API", BOTH),
    Row("4.6", "ZooKeeper's admin commands, answered by the quorum"),
    Row("4.7", "Prometheus metrics with the names dashboards expect"),
    Row("5.1", "a power cut, a move to three brokers under load, one of them killed", APACHE),
)
