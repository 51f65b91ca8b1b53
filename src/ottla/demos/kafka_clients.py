"""What the demos share: topics made on first use, and an orderly end on SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

Settings = Mapping[str, str]  # of a confluent-kafka client; holds bootstrap.servers

ANSWER_TIMEOUT_S = 15.0


class DemoError(Exception):
    """The demo cannot go on; the text is one sentence: what, where, what to do."""


class Stop:
    """Set once SIGINT or SIGTERM has come, while the context is open.

    The signals are only taken over in the main thread: elsewhere (tests), `set` does it.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.set()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait until set, at most `seconds`; returns whether it is set."""
        return self._event.wait(max(0.0, seconds))


def create_topic(
    settings: Settings,
    topic: str,
    partitions: int,
    config: Mapping[str, str] | None = None,
    replication_factor: int = -1,
) -> bool:
    """The topic exists afterwards; returns whether it was made now. Errors: DemoError.

    A replication factor of -1 is the cluster's default.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient({**settings, "log_level": "0"})
    wanted = NewTopic(
        topic,
        num_partitions=partitions,
        replication_factor=replication_factor,
        config=dict(config or {}),
    )
    future = admin.create_topics([wanted], request_timeout=ANSWER_TIMEOUT_S)[topic]
    try:
        future.result()
        return True
    except KafkaException as failure:
        error = failure.args[0]
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        if error.code() in {KafkaError._TIMED_OUT, KafkaError._TRANSPORT}:
            raise DemoError(no_broker(settings)) from None
        raise DemoError(f"The topic {topic} cannot be created: {error.str()}") from None


def no_broker(settings: Settings) -> str:
    return (
        f"No Kafka broker answers at {settings.get('bootstrap.servers')}; start one with "
        "`ottla up`, or name yours with --bootstrap-servers."
    )


def waiting_line(error: KafkaError, topic: str) -> str:
    """What a consumer says that gets an error instead of a message."""
    from confluent_kafka import KafkaError

    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return f"Waiting for the topic {topic}, which is not there yet"
    return f"Waiting: {error.str()}"
