"""The text of /metrics."""

from __future__ import annotations

from ottla.gateway.metrics.exposition import exposition, family, judge, labelled
from ottla.gateway.metrics.other_names import kminion_families, persec_families
from ottla.lag.feed import now_ms
from ottla.lag.store import LagStore, PartitionView, StoreSettings


def test_labels_are_escaped_and_numbers_are_written_as_prometheus_reads_them() -> None:
    text = family("m", "Help", [("", 1.0), (labelled(a='q"\\\n', b=2), 0.25)])
    assert text == '# HELP m Help\n# TYPE m gauge\nm 1\nm{a="q\\"\\\\\\n",b="2"} 0.25\n'
    assert family("m", "Help", []) == ""


def orders() -> LagStore:
    """One lagging group on one partition."""
    store = LagStore(StoreSettings())
    store.set_end("orders", 0, 10, now_ms())
    store.views = {("orders", 0): PartitionView(1, (1, 2), (1,), 3)}
    store.brokers = {1: "a:9092"}
    store.members = {"billing": 2}
    store.add_commit("billing", "orders", 0, 4, now_ms(), now_ms())
    return store


def test_a_group_is_told_by_every_name_that_dashboards_know() -> None:
    store = orders()
    lines = exposition("local", store, judge(store)).splitlines()
    for line in (
        'kafka_broker_info{id="1",address="a:9092"} 1',
        'kafka_topic_partition_oldest_offset{topic="orders",partition="0"} 3',
        'kafka_topic_partition_under_replicated_partition{topic="orders",partition="0"} 1',
        'kafka_consumergroup_lag{consumergroup="billing",topic="orders",partition="0"} 6',
        'kafka_consumergroup_lag_sum{consumergroup="billing",topic="orders"} 6',
        'kafka_consumergroup_members{consumergroup="billing"} 2',
        'kafka_consumergroup_group_max_lag{cluster_name="local",group="billing"} 6',
        'burrow_kafka_consumer_lag_total{cluster="local",consumer_group="billing"} 6',
    ):
        assert line in lines


def test_other_exporters_names_on_request() -> None:
    store = orders()
    lines = "".join(kminion_families(store, judge(store))).splitlines()
    for line in (
        'kminion_kafka_broker_info{broker_id="1",address="a",port="9092"} 1',
        (
            'kminion_kafka_topic_info{topic_name="orders",partition_count="1"'
            ',replication_factor="2"} 1'
        ),
        'kminion_kafka_topic_high_water_mark_sum{topic_name="orders"} 10',
        'kminion_kafka_topic_partition_low_water_mark{topic_name="orders",partition_id="0"} 3',
        'kminion_kafka_consumer_group_topic_lag{group_id="billing",topic_name="orders"} 6',
        'kminion_kafka_consumer_group_topic_offset_sum{group_id="billing",topic_name="orders"} 4',
        'kminion_kafka_consumer_group_members{group_id="billing"} 2',
    ):
        assert line in lines
    broker = "kafka_server_brokertopicmetrics_bytesin_total 170\nottla_x_total 1\n"
    assert persec_families(broker).splitlines() == [
        "# TYPE kafka_server_brokertopicmetrics_bytesinpersec counter",
        "kafka_server_brokertopicmetrics_bytesinpersec 170",
    ]
