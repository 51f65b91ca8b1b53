"""What the lab `replication` sees of a cluster while nodes die, and how it draws it."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ottla.client import ClientError, Cluster, Settings
from ottla.labs.bench import Bench
from ottla.labs.screen import Screen
from ottla.wire.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

    from ottla.engine.apache import ApacheKafka

LOOK_S: Final = 0.2
ASKING_MS: Final = 1_000
#: One column of a lane's picture.
COLUMN_S: Final = 0.5
COLUMNS: Final = 60
_HEIGHTS: Final = " ▁▂▃▄▅▆▇█"
#: A lane that may not write any more waits with so many records in hand.
MAX_WAITING: Final = 200
RATE_PER_S: Final = 100.0
#: Longer than any pause of the lab: a record is sent again until it is taken.
PATIENCE_MS: Final = 180_000


class Lane:
    """Writes numbered records steadily, with acks=all, each of them once."""

    def __init__(self, bench: Bench, topic: str, title: str, prefix: str = "") -> None:
        from confluent_kafka import Producer

        self.topic = topic
        self.title = title
        self.prefix = prefix
        self.sent = 0
        self.acknowledged: set[str] = set()
        self.failed = 0
        self.answers: list[float] = []  # moments of acknowledgements
        self._started = time.monotonic()
        self._is_over = threading.Event()
        config = {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 0,
            "message.timeout.ms": PATIENCE_MS,
            "retry.backoff.max.ms": 200,
            "reconnect.backoff.max.ms": 500,
            "topic.metadata.refresh.interval.ms": 1_000,
        }
        self._producer = Producer(bench.client(**config))
        self._thread = threading.Thread(target=self._run, name=f"lane {title}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.is_set():
            waiting = self.sent - len(self.acknowledged) - self.failed
            if waiting < MAX_WAITING:
                self._send(f"{self.prefix}{self.sent}")
                self.sent += 1
            self._producer.poll(0)
            self._is_over.wait(1 / RATE_PER_S)
        self._producer.flush(PATIENCE_MS / 1000)

    def _send(self, value: str) -> None:
        def answered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self.failed += 1
                return
            self.answers.append(time.monotonic())
            self.acknowledged.add(value)

        self._producer.produce(self.topic, value, on_delivery=answered)

    def finish(self) -> None:
        """Every record sent has its answer."""
        self._is_over.set()
        self._thread.join()

    def acknowledged_since(self, moment: float) -> int:
        return sum(1 for answer in self.answers if answer >= moment)

    def pause_since(self, moment: float) -> float:
        """The longest time without an acknowledgement since then, in seconds."""
        moments = [moment, *(a for a in list(self.answers) if a >= moment), time.monotonic()]
        return max(b - a for a, b in itertools.pairwise(moments))

    def curve(self, screen: Screen) -> str:
        """Acknowledgements over time, the newest at the right."""
        now = time.monotonic()
        counts = [0] * COLUMNS
        for moment in reversed(self.answers):
            column = int((now - moment) / COLUMN_S)
            if column >= COLUMNS:
                break
            counts[COLUMNS - 1 - column] += 1
        shown = min(COLUMNS, int((now - self._started) / COLUMN_S) + 1)
        full = RATE_PER_S * COLUMN_S
        texts = [_HEIGHTS[min(8, -(-count * 8 // int(full)))] for count in counts[-shown:]]
        return "".join(
            screen.paint("·", "red") if text == " " else screen.paint(text, "green")
            for text in texts
        )


@dataclass(frozen=True)
class Replicas:
    """One partition as the cluster describes it."""

    leader: int = -1
    in_sync: tuple[int, ...] = ()


@dataclass(frozen=True)
class Quorum:
    """The controllers: who leads since which epoch, and how far each voter is."""

    leader: int = -1
    epoch: int = -1
    ends: dict[int, int] = field(default_factory=dict)


class Watch:
    """Asks the cluster again and again, in a thread of its own, and draws what it hears."""

    def __init__(self, bench: Bench, kafka: ApacheKafka, lanes: list[Lane]) -> None:
        self._bench = bench
        self._kafka = kafka
        self.lanes = lanes
        self.replicas: dict[str, Replicas] = {lane.topic: Replicas() for lane in lanes}
        self.quorum = Quorum()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replication watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        settings = Settings("ottla-lab", connect_timeout_ms=ASKING_MS, request_timeout_ms=ASKING_MS)
        while not self._is_over.is_set():
            alive = [n for n in self._kafka.brokers if n.is_running and not n.is_paused]
            servers = ",".join(f"127.0.0.1:{node.port}" for node in alive)
            with Cluster(servers or self._kafka.bootstrap_servers, settings) as cluster:
                while not self._is_over.is_set() and self._look(cluster):
                    self._is_over.wait(LOOK_S)
            self._is_over.wait(LOOK_S)

    def _look(self, cluster: Cluster) -> bool:
        """Whether the cluster answered; what it did not say stays as it was."""
        try:
            for topic in cluster.metadata(self.replicas).topics:
                for partition in topic.partitions:
                    self.replicas[topic.name or ""] = Replicas(
                        partition.leader_id, tuple(sorted(partition.isr_nodes))
                    )
            request = DescribeQuorumRequest([TopicData("__cluster_metadata", [PartitionData(0)])])
            answer = cluster.request(request)
            if not answer.error_code and answer.topics:
                found = answer.topics[0].partitions[0]
                if not found.error_code:
                    ends = {v.replica_id: v.log_end_offset for v in found.current_voters}
                    self.quorum = Quorum(found.leader_id, found.leader_epoch, ends)
        except ClientError:
            return False
        return True

    # --- drawing

    def picture(self) -> list[str]:
        screen = self._bench.screen
        brokers = "   ".join(self._node(node.node_id) for node in self._kafka.brokers)
        controllers = "   ".join(
            self._node(node.node_id, is_leader=node.node_id == self.quorum.leader)
            for node in self._kafka.controllers
        )
        lines = [f"  brokers {brokers}     controllers {controllers}"]
        for lane in self.lanes:
            replicas = self.replicas[lane.topic]
            in_sync = " ".join(map(str, replicas.in_sync))
            waiting = lane.sent - len(lane.acknowledged) - lane.failed
            leader = "-" if replicas.leader < 0 else replicas.leader
            lines.append(
                f"  {lane.title}: leader {leader}, in sync {in_sync or '-':<5}"
                f"{len(lane.acknowledged):>6,} acknowledged{waiting:>4} waiting"
            )
            lines.append(f"    {lane.curve(screen)}")
        return lines

    def _node(self, node_id: int, *, is_leader: bool = False) -> str:
        screen, node = self._bench.screen, self._kafka.node(node_id)
        if not node.is_running:
            return screen.paint(f"{node_id} ✗", "red")
        return screen.paint(f"{node_id} {'★' if is_leader else '●'}", "green")

    def until(self, is_done: Any, complaint: str) -> None:
        """Wait, drawing meanwhile. Errors: LabError with the complaint."""
        self._bench.wait(is_done, complaint, picture=self.picture)
        self._bench.screen.settle()
