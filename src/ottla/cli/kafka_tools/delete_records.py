"""`kafka-delete-records`: forget the records before given offsets."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser


def build_parser() -> OptionParser:
    """The options of kafka-delete-records."""
    parser = OptionParser(
        "kafka-delete-records", "Delete the records of partitions before given offsets."
    )
    add_connection_options(parser)
    parser.value(
        "--offset-json-file",
        'file of {"partitions": [{"topic": "t", "partition": 0, "offset": 7}], "version": 1}; '
        "offset -1 means all",
        metavar="FILE",
    )
    return parser


def read_offsets(path: str) -> dict[tuple[str, int], int]:
    """Partition → offset of a file. Errors: `CommandError`."""
    from ottla.cli.json_files import listed_objects, read_json_object, topic_and_partition

    value = read_json_object(path)
    if value.get("version", 1) != 1:
        raise CommandError(f"Not supported version field value {value['version']}")
    offsets: dict[tuple[str, int], int] = {}
    for item in listed_objects(value, "partitions", path):
        partition = topic_and_partition(item, path)
        if partition in offsets:
            raise CommandError(
                "Offset json file contains duplicate topic partitions: "
                f"{partition[0]}-{partition[1]}"
            )
        if not isinstance(item.get("offset"), int):
            raise CommandError(f"Partition {partition[0]}-{partition[1]} in {path} has no offset.")
        offsets[partition] = item["offset"]
    return offsets


def run(arguments: Sequence[str]) -> int:
    """Delete, and print each partition's new start or why it was refused."""
    options, _ = build_parser().parse(arguments)
    if not options.offset_json_file:
        raise CommandError('Missing required argument "[offset-json-file]"')
    servers = bootstrap_servers(options.bootstrap_server)
    offsets = read_offsets(options.offset_json_file)

    from ottla.cli.workers.failures import java_text
    from ottla.cli.workers.opening import open_cluster
    from ottla.cli.workers.record_deletion import delete_records

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        print("Executing records delete operation")
        done = delete_records(cluster, offsets)
    print("Records delete operation completed:")
    for topic, number in offsets:
        deletion = done[topic, number]
        if deletion.error_code:
            outcome = f"error: {java_text(deletion.error_code)}"
        else:
            outcome = f"low_watermark: {deletion.low_watermark}"
        print(f"partition: {topic}-{number}\t{outcome}")
    return 0


def main() -> int:
    """Entry point of kafka-delete-records."""
    return exit_status_of(lambda: run(sys.argv[1:]))
