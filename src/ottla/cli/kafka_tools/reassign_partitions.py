"""`kafka-reassign-partitions`: move partitions to other brokers or directories."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.reassigning import Directories, Replica
    from ottla.client.cluster import Cluster
    from ottla.client.offsets import TopicPartition

ANY: Final = "any"
#: Action → the options it needs, and those it also takes.
ACTIONS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "generate": (("topics-to-move-json-file", "broker-list"), ("disable-rack-aware",)),
    "execute": (
        ("reassignment-json-file",),
        (
            "additional",
            "throttle",
            "replica-alter-log-dirs-throttle",
            "timeout",
            "disallow-replication-factor-change",
        ),
    ),
    "verify": (("reassignment-json-file",), ("preserve-throttles",)),
    "cancel": (("reassignment-json-file",), ("preserve-throttles", "timeout")),
    "list": ((), ()),
}


def build_parser() -> OptionParser:
    """The options of kafka-reassign-partitions."""
    parser = OptionParser("kafka-reassign-partitions", "Move partitions between brokers.")
    add_connection_options(parser)
    value, flag = parser.value, parser.flag
    value("--bootstrap-controller", "controllers to ask first instead of brokers")
    flag("--generate", "propose where partitions could go")
    flag("--execute", "start the moves of --reassignment-json-file")
    flag("--verify", "say how far they are; removes throttles when all are done")
    flag("--cancel", "stop them")
    flag("--list", "list the moves under way")
    value(
        "--reassignment-json-file",
        'file of {"version": 1, "partitions": [{"topic": "t", "partition": 0, '
        '"replicas": [1, 2], "log_dirs": ["any", "any"]}]}',
        metavar="FILE",
    )
    value("--topics-to-move-json-file", 'file of {"version": 1, "topics": [{"topic": "t"}]}')
    value("--broker-list", "brokers to move to: 0,1,2", metavar="IDS")
    flag("--disable-rack-aware", "do not look at racks")
    value("--throttle", "bytes a second between brokers at most", type_=int)
    value("--replica-alter-log-dirs-throttle", "the same between directories", type_=int)
    value("--timeout", "ms until directory moves must have begun (10000)", type_=int)
    flag("--additional", "also when other moves are under way; also to change the throttle")
    flag("--preserve-throttles", "leave the throttles")
    flag("--disallow-replication-factor-change", "refuse more or fewer replicas than now")
    return parser


def _action(options: argparse.Namespace) -> str:
    def is_given(name: str) -> bool:
        return getattr(options, name.replace("-", "_")) not in (None, False)

    chosen = [name for name in ACTIONS if is_given(name)]
    if len(chosen) != 1:
        names = ", ".join(f"--{name}" for name in ACTIONS)
        raise CommandError(f"Command must include exactly one action: {names}")
    needed, taken = ACTIONS[chosen[0]]
    missing = [name for name in needed if not is_given(name)]
    if missing:
        raise CommandError(f'Missing required argument "[{missing[0]}]"')
    every = {name for action in ACTIONS.values() for names in action for name in names}
    for name in sorted(every - {*needed, *taken}):
        if is_given(name):
            raise CommandError(f'Option "[{name}]" can\'t be used with action "[{chosen[0]}]"')
    return chosen[0]


class Plan(NamedTuple):
    """What a reassignment file asks for."""

    replicas: dict[TopicPartition, list[int]]
    directories: dict[Replica, str]

    @property
    def brokers(self) -> set[int]:
        return {node for replicas in self.replicas.values() for node in replicas}


def read_plan(path: str) -> Plan:
    """A reassignment file. Errors: `CommandError` with what is wrong in it."""
    from ottla.cli.json_files import listed_objects, read_json_object, topic_and_partition
    from ottla.cli.workers.reassigning import Replica

    value = read_json_object(path)
    if value.get("version", 1) != 1:
        raise failure(f"Not supported version field value {value['version']}")
    plan = Plan({}, {})
    for item in listed_objects(value, "partitions", path):
        topic, number = topic_and_partition(item, path)
        replicas = item.get("replicas")
        if not isinstance(replicas, list) or not all(isinstance(node, int) for node in replicas):
            raise failure(f"The entry of {topic}-{number} in {path} lacks its replicas.")
        directories = item.get("log_dirs", [ANY] * len(replicas))
        if len(directories) != len(replicas):
            raise failure(
                f"Size of replicas list {replicas} is different from size of log dirs list "
                f"[{', '.join(map(str, directories))}] for partition {topic}-{number}"
            )
        if (topic, number) in plan.replicas:
            raise failure(
                f"Partition reassignment contains duplicate topic partitions: {topic}-{number}"
            )
        plan.replicas[topic, number] = replicas
        for node, directory in zip(replicas, directories, strict=True):
            if directory != ANY:
                plan.directories[Replica(node, topic, number)] = directory
    return plan


def failure(text: str) -> CommandError:
    """An error where Kafka's tool prints it: on stdout, after this word."""
    return CommandError(f"Error: {text}", on_stdout=True)


def run(arguments: Sequence[str]) -> int:
    """Do what one of the actions asks."""
    options, _ = build_parser().parse(arguments)
    action = _action(options)
    if options.bootstrap_server and options.bootstrap_controller:
        raise CommandError(
            "Please don't specify both --bootstrap-server and --bootstrap-controller"
        )
    servers = bootstrap_servers(options.bootstrap_server or options.bootstrap_controller)
    properties = client_properties(options.command_config)

    from ottla.cli.workers.failures import RefusedError
    from ottla.cli.workers.opening import open_cluster

    actions: dict[str, Callable[[Cluster, argparse.Namespace], None]] = {
        "generate": _generate,
        "execute": _execute,
        "verify": _verify,
        "cancel": _cancel,
        "list": _list,
    }
    try:
        with open_cluster(servers, properties) as cluster:
            actions[action](cluster, options)
    except RefusedError as error:
        raise failure(str(error)) from None
    return 0


def _numbers(values: Iterable[int]) -> str:
    return ",".join(map(str, values))


def _list(cluster: Cluster, _: argparse.Namespace) -> None:
    from ottla.cli.workers.topics import reassignments

    moves = reassignments(cluster, None)
    print("Current partition reassignments:" if moves else "No partition reassignments found.")
    for (topic, number), move in sorted(moves.items()):
        adding = f" adding: {_numbers(move.adding)}." if move.adding else ""
        removing = f" removing: {_numbers(move.removing)}." if move.removing else ""
        print(f"{topic}-{number}: replicas: {_numbers(move.replicas)}.{adding}{removing}")


def _generate(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.json_files import listed_objects, read_json_object
    from ottla.cli.workers.reassigning import current_replicas, spread

    path = options.topics_to_move_json_file
    topics = [
        str(item.get("topic")) for item in listed_objects(read_json_object(path), "topics", path)
    ]
    words = options.broker_list.split(",")
    if not all(word.strip().isdigit() for word in words):
        raise CommandError(f"--broker-list {options.broker_list} is no list of numbers.")
    nodes = [int(word) for word in words]
    _refuse_duplicates("Broker list", nodes)
    _refuse_duplicates("List of topics to reassign", topics)
    current = current_replicas(cluster, topics)
    for topic in topics:
        if (topic, 0) not in current:
            raise failure(f"Topic {topic} not found.")
    racks = {
        broker.node_id: None if options.disable_rack_aware else broker.rack
        for broker in cluster.brokers()
        if broker.node_id in nodes
    }
    if len({rack is None for rack in racks.values()}) > 1:
        raise failure(
            "Not all brokers have rack information. Add --disable-rack-aware in command line to "
            "make replica assignment without rack information."
        )
    proposed: dict[TopicPartition, list[int]] = {}
    for topic in topics:
        numbers = sorted(number for name, number in current if name == topic)
        placed = spread(racks, len(numbers), len(current[topic, 0]))
        proposed |= {(topic, number): placed[number] for number in numbers}
    print(f"Current partition replica assignment\n{_with_directories(cluster, current)}\n")
    print(f"Proposed partition reassignment configuration\n{plan_json(proposed, {})}")


def _refuse_duplicates(what: str, names: Sequence[object]) -> None:
    twice = [str(name) for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise failure(f"{what} contains duplicate entries: [{', '.join(twice)}]")


def plan_json(
    assignment: Mapping[TopicPartition, list[int]], directories: Mapping[Replica, Directories]
) -> str:
    """An assignment in the form of a reassignment file."""
    from ottla.cli.workers.reassigning import Directories, Replica

    unknown = Directories(None, None)
    partitions = [
        {
            "topic": topic,
            "partition": number,
            "replicas": replicas,
            "log_dirs": [
                directories.get(Replica(node, topic, number), unknown).current or ANY
                for node in replicas
            ],
        }
        for (topic, number), replicas in sorted(assignment.items())
    ]
    value = {"version": 1, "partitions": partitions}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _with_directories(cluster: Cluster, assignment: Mapping[TopicPartition, list[int]]) -> str:
    from ottla.cli.workers.reassigning import replica_directories

    nodes = {node for replicas in assignment.values() for node in replicas}
    return plan_json(assignment, replica_directories(cluster, nodes))


def _execute(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.reassigning import alter_reassignments, current_replicas
    from ottla.cli.workers.topics import reassignments

    plan = read_plan(options.reassignment_json_file)
    _check_plan(plan)
    moves = reassignments(cluster, None)
    if moves and not options.additional:
        raise CommandError(
            "Cannot execute because there is an existing partition assignment.  Use --additional "
            "to override this and create a new partition assignment in addition to the existing "
            "one. The --additional flag can also be used to change the throttle by resubmitting "
            "the current reassignment.",
            on_stdout=True,
        )
    unknown = plan.brokers - {broker.node_id for broker in cluster.brokers()}
    if unknown:
        raise failure(f"Unknown broker id {min(unknown)}")
    found = current_replicas(cluster, (topic for topic, _ in plan.replicas))
    for topic, number in plan.replicas:
        if not any(name == topic for name, _ in found):
            raise failure(f"Topic {topic} not found.")
        if (topic, number) not in found:
            raise failure(f"Unable to find partition: {topic}-{number}")
    current = {partition: found[partition] for partition in plan.replicas}
    print("Current partition replica assignment\n")
    print(_with_directories(cluster, current))
    print("\nSave this to use as the --reassignment-json-file option during rollback")
    _set_throttles(cluster, options, plan, current)
    refused = alter_reassignments(
        cluster,
        plan.replicas,
        may_change_factor=not options.disallow_replication_factor_change,
    )
    _raise_for_partitions("Error reassigning partition(s):", refused)
    print(
        f"Successfully started partition reassignment{_plural(plan.replicas)} for "
        f"{_partition_names(plan.replicas)}"
    )
    if plan.directories:
        _move_directories(cluster, plan.directories, options)


def _check_plan(plan: Plan) -> None:
    if not plan.replicas:
        raise failure("Partition reassignment list cannot be empty")
    if not all(plan.replicas.values()):
        raise failure("Partition replica list cannot be empty")
    for (topic, number), replicas in plan.replicas.items():
        twice = sorted({node for node in replicas if replicas.count(node) > 1})
        if twice:
            raise failure(
                "Partition replica lists may not contain duplicate entries: "
                f"{topic}-{number} contains multiple entries for {_numbers(twice)}"
            )


def _set_throttles(
    cluster: Cluster,
    options: argparse.Namespace,
    plan: Plan,
    current: Mapping[TopicPartition, list[int]],
) -> None:
    from ottla.cli.workers.reassignment_throttles import throttle_directories, throttle_moves
    from ottla.cli.workers.topics import reassignments

    between_brokers = options.throttle if options.throttle is not None else -1
    between_directories = options.replica_alter_log_dirs_throttle
    between_directories = -1 if between_directories is None else between_directories
    if between_brokers < 0 and between_directories < 0:
        return
    print(
        "Warning: You must run --verify periodically, until the reassignment completes, to "
        "ensure the throttle is removed."
    )
    if between_brokers >= 0:
        moves = reassignments(cluster, None)
        throttle_moves(cluster, between_brokers, moves, plan.replicas, current)
        print(f"The inter-broker throttle limit was set to {between_brokers} B/s")
    if between_directories >= 0:
        nodes = {replica.broker for replica in plan.directories}
        throttle_directories(cluster, between_directories, nodes)
        print(f"The replica-alter-dir throttle limit was set to {between_directories} B/s")


def _plural(things: Mapping[TopicPartition, object] | Sequence[object] | set[int]) -> str:
    return "" if len(things) == 1 else "s"


def _partition_names(partitions: Iterable[TopicPartition]) -> str:
    return ",".join(f"{topic}-{number}" for topic, number in sorted(partitions))


def _raise_for_partitions(head: str, refused: Mapping[TopicPartition, str]) -> None:
    if refused:
        lines = [f"{topic}-{number}: {text}" for (topic, number), text in sorted(refused.items())]
        raise CommandError("\n".join([head, *lines]), on_stdout=True)


def _move_directories(
    cluster: Cluster, targets: Mapping[Replica, str], options: argparse.Namespace
) -> None:
    from ottla.cli.workers.reassigning import move_directories

    timeout_ms = 10_000 if options.timeout is None else options.timeout
    for started in move_directories(cluster, targets, timeout_ms):
        for replica in started:
            print(
                f"Successfully started moving log directory to {targets[replica]} for replica "
                f"{replica.topic}-{replica.partition} with broker {replica.broker} "
            )


def _verify(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.reassigning import current_replicas
    from ottla.cli.workers.topics import reassignments

    plan = read_plan(options.reassignment_json_file)
    moves = reassignments(cluster, None)
    found = current_replicas(cluster, (topic for topic, _ in plan.replicas))
    print("Status of partition reassignment:")
    for (topic, number), target in sorted(plan.replicas.items()):
        name = f"{topic}-{number}"
        replicas = found.get((topic, number), [])
        if (topic, number) in moves:
            print(f"Reassignment of partition {name} is still in progress.")
        elif replicas == target:
            print(f"Reassignment of partition {name} is completed.")
        else:
            print(
                f"There is no active reassignment of partition {name}, but replica set is "
                f"{_numbers(replicas)} rather than {_numbers(target)}."
            )
    is_moving = _tell_directories(cluster, plan.directories)
    if not moves and not is_moving and not options.preserve_throttles:
        _clear_throttles(cluster, plan)


def _tell_directories(cluster: Cluster, targets: Mapping[Replica, str]) -> bool:
    """Say where replicas are that were to change directories; returns whether any is moving."""
    from ottla.cli.workers.reassigning import replica_directories

    found = replica_directories(cluster, (replica.broker for replica in targets))
    is_moving = False
    lines = []
    for replica, target in sorted(targets.items()):
        where = found.get(replica)
        name, node = f"{replica.topic}-{replica.partition}", replica.broker
        if where is None or where.current is None:
            lines.append(
                f"Partition {name} is not found in any live log dir on broker {node}. There is "
                "likely an offline log directory on the broker."
            )
        elif where.future is None and where.current == target:
            lines.append(f"Reassignment of replica {replica} completed successfully.")
        elif where.future is None:
            lines.append(
                f"Partition {name} on broker {node} is not being moved from log dir "
                f"{where.current} to {target}."
            )
        elif where.future == target:
            is_moving = True
            lines.append(f"Reassignment of replica {replica} is still in progress.")
        else:
            is_moving = True
            lines.append(
                f"Partition {name} on broker {node} is being moved to log dir {where.future} "
                f"instead of {target}."
            )
    print("\n".join(lines))
    return is_moving


def _clear_throttles(cluster: Cluster, plan: Plan) -> None:
    from ottla.cli.java_order import string_map_order
    from ottla.cli.workers.reassignment_throttles import clear_throttles

    nodes = sorted({broker.node_id for broker in cluster.brokers()} | plan.brokers)
    topics = string_map_order(dict.fromkeys(topic for topic, _ in plan.replicas))
    print(f"Clearing broker-level throttles on broker{_plural(nodes)} {_numbers(nodes)}")
    print(f"Clearing topic-level throttles on topic{_plural(topics)} {','.join(topics)}")
    clear_throttles(cluster, nodes, topics)


def _cancel(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.reassigning import alter_reassignments, replica_directories
    from ottla.cli.workers.topics import reassignments

    plan = read_plan(options.reassignment_json_file)
    moves = reassignments(cluster, None)
    active = [
        partition
        for partition in plan.replicas
        if partition in moves and (moves[partition].adding or moves[partition].removing)
    ]
    if active:
        refused = alter_reassignments(cluster, dict.fromkeys(active))
        plural = "" if len(refused) == 1 else "s"
        _raise_for_partitions(f"Error cancelling partition reassignment{plural} for:", refused)
        print(
            f"Successfully cancelled partition reassignment{_plural(active)} for: "
            f"{_partition_names(active)}"
        )
    else:
        print("None of the specified partition reassignments are active.")
    found = replica_directories(cluster, (replica.broker for replica in plan.directories))
    back = {
        replica: where.current
        for replica, where in found.items()
        if replica in plan.directories and where.current and where.future
    }
    if back:
        _move_directories(cluster, back, options)
    else:
        # Kafka's tool ends this line with nothing.
        print("None of the specified partition moves are active.", end="")
    if not options.preserve_throttles:
        _clear_throttles(cluster, plan)


def main() -> int:
    """Entry point of kafka-reassign-partitions."""
    return exit_status_of(lambda: run(sys.argv[1:]))
