"""`kafka-transactions`: look at transactions and their producers, and end hanging ones."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.client.cluster import Cluster
    from ottla.wire.messages.describe_producers import PartitionResponse

COMMANDS: Final = (
    "list",
    "describe",
    "describe-producers",
    "abort",
    "find-hanging",
    "forceTerminateTransaction",
)
#: Key type of FindCoordinator for transactional ids.
TRANSACTION: Final = 1
#: So long a transaction may last before it counts as hanging, in minutes.
DEFAULT_MAX_MINUTES: Final = 15


def build_parser() -> OptionParser:
    """The options of kafka-transactions."""
    parser = OptionParser("kafka-transactions", f"One of: {', '.join(COMMANDS)}.")
    add_connection_options(parser)
    value = parser.value
    value("--transactional-id", "with describe: which", metavar="ID")
    value("--transactionalId", "with forceTerminateTransaction: which", metavar="ID")
    value("--transactional-id-pattern", "with list: only ids that match", metavar="REGEX")
    value("--duration-filter", "with list: only longer than so many ms", type_=int)
    value("--topic", "the partition's topic", metavar="TOPIC")
    value("--partition", "the partition's number", type_=int)
    value("--broker-id", "ask this replica", type_=int)
    value("--start-offset", "with abort: where the transaction begins", type_=int)
    value("--producer-id", "with abort, for old brokers", type_=int)
    value("--producer-epoch", "with abort, for old brokers", type_=int)
    value("--coordinator-epoch", "with abort, for old brokers", type_=int)
    value("--max-transaction-timeout", "with find-hanging: minutes", type_=int)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Do what the first word says."""
    options, words = build_parser().parse(arguments)
    command = words[0] if words else ""
    if command not in COMMANDS:
        raise CommandError(f"kafka-transactions needs one of {', '.join(COMMANDS)}.")
    needed = {
        "describe": ("transactional_id",),
        "describe-producers": ("topic", "partition"),
        "abort": ("topic", "partition"),
        "forceTerminateTransaction": ("transactionalId",),
    }.get(command, ())
    for name in needed:
        if getattr(options, name) is None:
            raise CommandError(
                f"kafka-transactions: argument --{name.replace('_', '-')} is required"
            )
    servers = bootstrap_servers(options.bootstrap_server)

    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        {
            "list": _list,
            "describe": _describe,
            "describe-producers": _describe_producers,
            "abort": _abort,
            "find-hanging": _find_hanging,
            "forceTerminateTransaction": _terminate,
        }[command](cluster, options)
    return 0


def _print_table(rows: list[list[str]]) -> None:
    from ottla.cli.tables import tabbed

    for line in tabbed(rows):
        print(line)


def _list(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.failures import raise_for
    from ottla.wire.messages.list_transactions import ListTransactionsRequest

    rows = [["TransactionalId", "Coordinator", "ProducerId", "TransactionState"]]
    request = ListTransactionsRequest(
        duration_filter=-1 if options.duration_filter is None else options.duration_filter,
        transactional_id_pattern=options.transactional_id_pattern,
    )
    for broker in cluster.brokers():
        response = cluster.connect(broker.host, broker.port).request(request)
        raise_for(response.error_code)
        for one in response.transaction_states:
            node = str(broker.node_id)
            rows.append([one.transactional_id, node, str(one.producer_id), one.transaction_state])
    _print_table(rows)


def _describe(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.failures import sentence
    from ottla.wire.messages.describe_transactions import DescribeTransactionsRequest

    name = options.transactional_id
    response = cluster.request_coordinator(
        name, DescribeTransactionsRequest([name]), key_type=TRANSACTION
    )
    (state,) = response.transaction_states
    if state.error_code:
        raise CommandError(
            f"Failed to describe transaction state of transactional-id `{name}`: "
            f"{sentence(state.error_code)}"
        )
    coordinator = cluster.coordinator(name, TRANSACTION)
    node = next(
        (
            b.node_id
            for b in cluster.brokers()
            if (b.host, b.port) == (coordinator.host, coordinator.port)
        ),
        -1,
    )
    started = state.transaction_start_time_ms
    is_open = started >= 0
    partitions = [f"{topic.topic}-{n}" for topic in state.topics for n in topic.partitions]
    _print_table(
        [
            [
                *("CoordinatorId", "TransactionalId", "ProducerId", "ProducerEpoch"),
                *("TransactionState", "TransactionTimeoutMs", "CurrentTransactionStartTimeMs"),
                *("TransactionDurationMs", "TopicPartitions"),
            ],
            [
                str(node),
                name,
                str(state.producer_id),
                str(state.producer_epoch),
                state.transaction_state,
                str(state.transaction_timeout_ms),
                str(started) if is_open else "None",
                str(int(time.time() * 1000) - started) if is_open else "None",
                ",".join(partitions),
            ],
        ]
    )


def _producers(cluster: Cluster, options: argparse.Namespace) -> PartitionResponse:
    """The producers of the partition. Errors: `CommandError`."""
    from ottla.cli.workers.failures import sentence
    from ottla.wire.messages.describe_producers import DescribeProducersRequest, TopicRequest

    request = DescribeProducersRequest([TopicRequest(options.topic, [options.partition])])
    if options.broker_id is None:
        connection, where = cluster.leader(options.topic, options.partition), "leader"
    else:
        connection, where = cluster.broker(options.broker_id), f"broker {options.broker_id}"
    partition = connection.request(request).topics[0].partitions[0]
    if partition.error_code:
        raise CommandError(
            f"Failed to describe producers for partition {options.topic}-{options.partition} on "
            f"{where}: {sentence(partition.error_code, partition.error_message)}"
        )
    return partition


def _describe_producers(cluster: Cluster, options: argparse.Namespace) -> None:
    rows = [
        [
            *("ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence"),
            *("LastTimestamp", "CurrentTransactionStartOffset"),
        ]
    ]
    for one in _producers(cluster, options).active_producers:
        start = one.current_txn_start_offset
        rows.append(
            [
                str(one.producer_id),
                str(one.producer_epoch),
                str(one.coordinator_epoch),
                str(one.last_sequence),
                str(one.last_timestamp),
                str(start) if start >= 0 else "None",
            ]
        )
    _print_table(rows)


def _abort(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.failures import raise_for
    from ottla.wire.messages.write_txn_markers import (
        WritableTxnMarker,
        WritableTxnMarkerTopic,
        WriteTxnMarkersRequest,
    )

    if options.start_offset is not None:
        found = [
            one
            for one in _producers(cluster, options).active_producers
            if one.current_txn_start_offset == options.start_offset
        ]
        if not found:
            raise CommandError(
                f"Could not find any open transactions starting at offset {options.start_offset} "
                f"on partition {options.topic}-{options.partition}"
            )
        producer_id, epoch = found[0].producer_id, found[0].producer_epoch
        coordinator_epoch = max(0, found[0].coordinator_epoch)
    elif None in (options.producer_id, options.producer_epoch, options.coordinator_epoch):
        raise CommandError(
            "The transaction to abort must be identified either with --start-offset (for brokers "
            "on 3.0 or above) or with --producer-id, --producer-epoch, and --coordinator-epoch "
            "(for older brokers)"
        )
    else:
        producer_id, epoch = options.producer_id, options.producer_epoch
        coordinator_epoch = max(0, options.coordinator_epoch)
    topic = WritableTxnMarkerTopic(options.topic, [options.partition])
    marker = WritableTxnMarker(producer_id, epoch, False, [topic], coordinator_epoch)
    response = cluster.leader(options.topic, options.partition).request(
        WriteTxnMarkersRequest([marker])
    )
    for result in response.markers:
        for answer in result.topics:
            for partition in answer.partitions:
                raise_for(partition.error_code)


def _find_hanging(cluster: Cluster, options: argparse.Namespace) -> None:
    """Open transactions that have lasted longer than any may."""
    minutes = options.max_transaction_timeout or DEFAULT_MAX_MINUTES
    limit = time.time() * 1000 - minutes * 60_000
    rows = [
        [
            "Topic",
            "Partition",
            "ProducerId",
            "ProducerEpoch",
            "CoordinatorEpoch",
            "StartOffset",
            "LastTimestamp",
            "Duration(min)",
        ]
    ]
    for topic in cluster.metadata([options.topic] if options.topic else None).topics:
        for partition in topic.partitions:
            if options.partition not in (None, partition.partition_index):
                continue
            asked = argparse.Namespace(
                topic=topic.name, partition=partition.partition_index, broker_id=options.broker_id
            )
            for one in _producers(cluster, asked).active_producers:
                if one.current_txn_start_offset >= 0 and one.last_timestamp < limit:
                    duration = (time.time() * 1000 - one.last_timestamp) / 60_000
                    rows.append(
                        [
                            str(topic.name),
                            str(partition.partition_index),
                            str(one.producer_id),
                            str(one.producer_epoch),
                            str(one.coordinator_epoch),
                            str(one.current_txn_start_offset),
                            str(one.last_timestamp),
                            str(int(duration)),
                        ]
                    )
    _print_table(rows)


def _terminate(cluster: Cluster, options: argparse.Namespace) -> None:
    """Fence the producer of the id, which aborts what it has open."""
    from ottla.cli.workers.failures import sentence
    from ottla.wire.errors import ErrorCode
    from ottla.wire.messages.init_producer_id import InitProducerIdRequest

    name = options.transactionalId
    deadline = time.monotonic() + cluster.settings.request_timeout_ms / 1000
    while True:
        response = cluster.request_coordinator(
            name, InitProducerIdRequest(name, 1, -1, -1), key_type=TRANSACTION
        )
        # Until the open transaction is aborted, that is what the coordinator answers.
        is_busy = response.error_code == ErrorCode.CONCURRENT_TRANSACTIONS
        if not is_busy or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    if response.error_code:
        raise CommandError(
            f"Failed to force terminate transactionalId `{name}`: {sentence(response.error_code)}"
        )


def main() -> int:
    """Entry point of kafka-transactions."""
    return exit_status_of(lambda: run(sys.argv[1:]))
