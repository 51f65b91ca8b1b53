"""Three brokers and three controllers of Apache Kafka: who may die, what is lost, what stops.

Two topics with three copies take records all the time, with acks=all: one asks
for two copies in sync (min.insync.replicas=2), the other for one. Their leader
is killed, then a second broker, then both come back; then the controller that
leads the quorum is killed. Last, what acks=1 loses. Every record that was
acknowledged is looked for at the end.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

from ottla.client import ClientError, Cluster, Settings
from ottla.engine.apache import ApacheKafka
from ottla.engine.errors import EngineError
from ottla.labs import leader_loss
from ottla.labs.bench import Bench, LabError
from ottla.labs.replication_watch import Lane, Watch
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

OWN_ONLY: Final = "it kills and pauses nodes of Apache Kafka"
#: It starts what it needs.
OWN_KAFKA: Final = "six nodes of Apache Kafka of its own"
BROKERS: Final = 3
CONTROLLERS: Final = 3
#: So long it takes until the controller takes a silent broker for dead (Kafka's default is 9 s).
SESSION_MS: Final = 6_000
#: Records that must come through before the next thing happens.
STEADY: Final = 100
#: The last version in which topics go by name.
PRODUCE_VERSION: Final = 9


def run(bench: Bench) -> None:
    screen = bench.screen
    properties = {
        "broker.session.timeout.ms": str(SESSION_MS),
        "replica.lag.time.max.ms": "60000",
        "offsets.topic.replication.factor": "3",
    }
    try:
        with ApacheKafka(
            brokers=BROKERS,
            controllers=CONTROLLERS,
            properties=properties,
            progress=lambda text: screen.say(screen.paint(f"  {text}", "dim")),
        ) as kafka:
            own = Bench({"bootstrap.servers": kafka.bootstrap_servers}, screen, bench.is_fast)
            own.checks, own.counts = bench.checks, bench.counts
            Replication(own, kafka).run()
            leader_loss.show(own, kafka)
    except EngineError as error:
        raise LabError(str(error)) from None


class Replication:
    """The lab's acts, on one cluster."""

    def __init__(self, bench: Bench, kafka: ApacheKafka) -> None:
        self.bench = bench
        self.kafka = kafka
        self.lanes = [self._lane(2), self._lane(1)]
        self.strict, self.daring = self.lanes
        self.watch = Watch(bench, kafka, self.lanes)

    def _lane(self, in_sync: int) -> Lane:
        config = {"min.insync.replicas": str(in_sync)}
        name = self.bench.unique(f"in-sync-{in_sync}")
        topic = self.bench.create_topic(name, config=config, replicas=BROKERS)
        return Lane(self.bench, topic, f"min.insync.replicas={in_sync}")

    def run(self) -> None:
        try:
            dead = [self.the_leader_dies()]
            dead.append(self.a_second_dies())
            self.both_come_back(dead)
            self.the_controller_dies()
        finally:
            for lane in self.lanes:
                lane.finish()
            self.watch.close()
        self.count_everything()

    def _steady(self, lanes: list[Lane], since: float, what: str) -> None:
        wanted = self.bench.scaled(STEADY, 5 * STEADY)
        self.watch.until(
            lambda: all(lane.acknowledged_since(since) >= wanted for lane in lanes),
            f"{what} do not go on",
        )

    def the_leader_dies(self) -> int:
        """The id of the dead."""
        screen = self.bench.screen
        screen.heading("all is well; then the leader is killed (acks=all)")
        self._steady(self.lanes, time.monotonic(), "writes")
        leader = self.watch.replicas[self.strict.topic].leader
        killed_at = time.monotonic()
        self.kafka.node(leader).kill()
        screen.say(f"  broker {leader} is killed")
        self.watch.until(
            lambda: all(leader not in r.in_sync for r in self.watch.replicas.values()),
            f"broker {leader} still counts as in sync",
        )
        self._steady(self.lanes, time.monotonic(), "writes")
        pause = self.strict.pause_since(killed_at)
        self.bench.count(pause_after_leader_s=round(pause, 2))
        self.bench.check(
            f"one broker down: writes paused {pause:.1f} s (broker.session.timeout.ms is "
            f"{SESSION_MS / 1000:g} s), then went on",
            not any(lane.failed for lane in self.lanes),
        )
        return leader

    def a_second_dies(self) -> int:
        """The id of the dead."""
        screen = self.bench.screen
        screen.heading("a second broker is killed")
        second = self.watch.replicas[self.strict.topic].leader
        self.kafka.node(second).kill()
        screen.say(f"  broker {second} is killed, too")
        (last,) = [n.node_id for n in self.kafka.brokers if n.is_running]
        self.watch.until(
            lambda: all(r.in_sync == (last,) for r in self.watch.replicas.values()),
            f"broker {last} is not alone in sync",
        )
        since = time.monotonic()
        self._steady([self.daring], since, "writes with min.insync.replicas=1")
        answer = self._write_by_hand(self.strict.topic)
        screen.say(f"  one record to {self.strict.title}, by hand: {answer}")
        self.bench.check(
            "two brokers down: min.insync.replicas=2 refuses (NOT_ENOUGH_REPLICAS)",
            answer == "NOT_ENOUGH_REPLICAS" and not self.strict.acknowledged_since(since),
        )
        went_on = self.daring.acknowledged_since(since)
        self.bench.check(
            f"min.insync.replicas=1 goes on: {went_on} acknowledged, each in one copy", went_on > 0
        )
        acknowledged = {int(value) for value in self.strict.acknowledged}
        seen = {int(row.value or 0) for row in self.bench.read(self.strict.topic)}
        hidden = acknowledged - seen
        self.bench.check(
            f"reading goes on: {len(acknowledged) - len(hidden):,} of {len(acknowledged):,} "
            "acknowledged are shown; the others, the last ones, wait for a second copy",
            bool(seen) and all(number > max(seen) for number in hidden),
        )
        screen.say("  “Three copies tolerate two brokers down” holds for reading. For writing")
        screen.say("  it holds with min.insync.replicas=1 only, and then one disk has them all.")
        return second

    def _write_by_hand(self, topic: str) -> str:
        """The name of the answer to one produce request with acks=all."""
        from ottla.batch.record_batch import Record, build_batch

        batch = build_batch([Record(0, int(time.time() * 1000), None, b"by hand", ())])
        part = TopicProduceData(name=topic, partition_data=[PartitionProduceData(0, batch)])
        request = ProduceRequest(acks=-1, timeout_ms=5_000, topic_data=[part])
        try:
            with Cluster(self.bench.bootstrap_servers, Settings("ottla-lab")) as cluster:
                answer = cluster.leader(topic, 0).request(request, version=PRODUCE_VERSION)
        except ClientError as error:
            return str(error)
        return ErrorCode(answer.responses[0].partition_responses[0].error_code).name

    def both_come_back(self, dead: list[int]) -> None:
        screen = self.bench.screen
        screen.heading("both come back")
        since = time.monotonic()
        for node_id in dead:
            self.kafka.node(node_id).start()
        self.watch.until(
            lambda: all(len(r.in_sync) == BROKERS for r in self.watch.replicas.values()),
            "the replicas are not in sync again",
        )
        healed = time.monotonic() - since
        self._steady(self.lanes, time.monotonic(), "writes")
        self.bench.count(healed_s=round(healed, 2))
        self.bench.check(
            f"all three in sync again {healed:.1f} s after both were started",
            not any(lane.failed for lane in self.lanes),
        )

    def the_controller_dies(self) -> None:
        screen = self.bench.screen
        screen.heading("the controller that leads the quorum is killed")
        servers = self.bench.bootstrap_servers.partition(",")[0]
        screen.say(f"  kafka-metadata-quorum --bootstrap-server {servers} describe --status")
        self.watch.until(lambda: self.watch.quorum.leader >= 0, "nobody leads the quorum")
        before = self.watch.quorum
        screen.say(f"  LeaderId {before.leader}, LeaderEpoch {before.epoch}")
        since = time.monotonic()
        self.kafka.node(before.leader).kill()
        screen.say(f"  controller {before.leader} is killed")
        self.watch.until(
            lambda: (
                self.watch.quorum.epoch > before.epoch
                and self.watch.quorum.leader not in (-1, before.leader)
            ),
            "no other controller is elected",
        )
        elected = time.monotonic() - since
        now = self.watch.quorum
        screen.say(f"  LeaderId {now.leader}, LeaderEpoch {now.epoch}, after {elected:.1f} s")
        self._steady(self.lanes, since, "writes")
        pause = max(lane.pause_since(since) for lane in self.lanes)
        self.bench.count(election_s=round(elected, 2), pause_during_election_s=round(pause, 2))
        self.bench.check(
            f"controller {now.leader} was elected in epoch {now.epoch}; writes went on meanwhile, "
            f"their longest pause {pause:.1f} s",
            now.leader != before.leader and not any(lane.failed for lane in self.lanes),
        )
        self.kafka.node(before.leader).start()
        self.watch.until(
            lambda: min(self.watch.quorum.ends.values(), default=-1) >= max(now.ends.values()),
            f"controller {before.leader} does not catch up",
        )
        self.bench.check(
            f"controller {before.leader} is back and has caught up as a follower",
            self.watch.quorum.leader == now.leader,
        )

    def count_everything(self) -> None:
        """Every acknowledged record of both lanes is there, and once."""
        screen = self.bench.screen
        screen.heading("counted at the end")
        totals = {}
        for lane in self.lanes:
            found = Counter(row.value or "" for row in self.bench.read(lane.topic))
            found.pop("by hand", None)
            lost = len(lane.acknowledged - found.keys())
            doubled = sum(count - 1 for count in found.values())
            totals[lane.title] = {
                "acknowledged": len(lane.acknowledged), "lost": lost, "doubled": doubled
            }  # fmt: skip
            self.bench.check(
                f"{lane.title}: {len(lane.acknowledged):,} acknowledged, {lost} lost, "
                f"{doubled} doubled",
                not lost and not doubled and not lane.failed,
            )
        self.bench.count(lanes=totals)
