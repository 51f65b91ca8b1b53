"""Write `src/ottla/coordinator/records/*.py` from the table below.

Coordinators keep their state as records of Kafka's internal topics. The table
says in a line per field what each record carries; this program turns it into
`Message` classes for the compiled codec of `ottla.wire.codec`.

A line reads `name type [versions] [= default] [tag N]`. `[]` before a type is
an array, `?` after it lets the value be null, `versions` is `3+` or `1-1`;
`= empty` says that a tagged field that is not there is empty, and not null.
A structure used by another class stands before it, marked `part of`.

Run it with `make records`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "ottla" / "coordinator" / "records"

#: module -> (docstring, table)
MODULES: dict[str, tuple[str, str]] = {
    "offsets": (
        "Committed offsets and classic groups in `__consumer_offsets` (key types 0 to 2).",
        """
OffsetCommitKey key 1
    group string
    topic string
    partition int32
OffsetCommitValue value writes 3, flexible 4
    offset int64
    leader_epoch int32 3+ = -1
    metadata string
    commit_timestamp_ms int64
    expire_timestamp_ms int64 1-1 = -1
GroupMetadataKey key 2
    group string
GroupMember part of GroupMetadataValue
    member_id string
    group_instance_id string? 3+
    client_id string
    client_host string
    rebalance_timeout_ms int32 1+ = -1
    session_timeout_ms int32
    subscription bytes
    assignment bytes
GroupMetadataValue value writes 3, flexible 4
    protocol_type string
    generation int32
    protocol string?
    leader string?
    current_state_timestamp_ms int64 2+ = -1
    members []GroupMember
""",
    ),
    "consumer_groups": (
        "Consumer groups (KIP-848) in `__consumer_offsets` (key types 3 to 8 and 16).",
        """
ConsumerGroupMetadataKey key 3
    group_id string
ConsumerGroupMetadataValue value writes 0, flexible 0
    epoch int32
    metadata_hash int64 tag 0
ConsumerGroupPartitionMetadataKey key 4
    group_id string
RacksOfPartition part of ConsumerGroupPartitionMetadataValue
    partition int32
    racks []string
SubscribedTopic part of ConsumerGroupPartitionMetadataValue
    topic_id uuid
    topic_name string
    num_partitions int32
    partition_metadata []RacksOfPartition
ConsumerGroupPartitionMetadataValue value writes 0, flexible 0
    topics []SubscribedTopic
ConsumerGroupMemberMetadataKey key 5
    group_id string
    member_id string
ClassicProtocolRecord part of ConsumerGroupMemberMetadataValue
    name string
    metadata bytes
ClassicMemberMetadata part of ConsumerGroupMemberMetadataValue
    session_timeout_ms int32
    supported_protocols []ClassicProtocolRecord
ConsumerGroupMemberMetadataValue value writes 0, flexible 0
    instance_id string?
    rack_id string?
    client_id string
    client_host string
    subscribed_topic_names []string
    subscribed_topic_regex string?
    rebalance_timeout_ms int32 = -1
    server_assignor string?
    classic_member_metadata ClassicMemberMetadata? = empty tag 0
ConsumerGroupTargetAssignmentMetadataKey key 6
    group_id string
ConsumerGroupTargetAssignmentMetadataValue value writes 0, flexible 0
    assignment_epoch int32
    assignment_timestamp_ms int64 tag 0
ConsumerGroupTargetAssignmentMemberKey key 7
    group_id string
    member_id string
TargetPartitions part of ConsumerGroupTargetAssignmentMemberValue
    topic_id uuid
    partitions []int32
ConsumerGroupTargetAssignmentMemberValue value writes 0, flexible 0
    topic_partitions []TargetPartitions
ConsumerGroupCurrentMemberAssignmentKey key 8
    group_id string
    member_id string
CurrentPartitions part of ConsumerGroupCurrentMemberAssignmentValue
    topic_id uuid
    partitions []int32
    assignment_epochs []int32? = empty tag 0
ConsumerGroupCurrentMemberAssignmentValue value writes 0, flexible 0
    member_epoch int32
    previous_member_epoch int32
    state int8
    assigned_partitions []CurrentPartitions
    partitions_pending_revocation []CurrentPartitions
ConsumerGroupRegularExpressionKey key 16
    group_id string
    regular_expression string
ConsumerGroupRegularExpressionValue value writes 0, flexible 0
    topics []string
    version int64
    timestamp_ms int64
""",
    ),
    "share_groups": (
        "Share groups (KIP-932) in `__consumer_offsets` (key types 10 to 15).",
        """
ShareGroupMemberMetadataKey key 10
    group_id string
    member_id string
ShareGroupMemberMetadataValue value writes 0, flexible 0
    rack_id string?
    client_id string
    client_host string
    subscribed_topic_names []string
ShareGroupMetadataKey key 11
    group_id string
ShareGroupMetadataValue value writes 0, flexible 0
    epoch int32
    metadata_hash int64
ShareGroupTargetAssignmentMetadataKey key 12
    group_id string
ShareGroupTargetAssignmentMetadataValue value writes 0, flexible 0
    assignment_epoch int32
    assignment_timestamp_ms int64 tag 0
ShareGroupTargetAssignmentMemberKey key 13
    group_id string
    member_id string
SharePartitions part of several
    topic_id uuid
    partitions []int32
ShareGroupTargetAssignmentMemberValue value writes 0, flexible 0
    topic_partitions []SharePartitions
ShareGroupCurrentMemberAssignmentKey key 14
    group_id string
    member_id string
ShareGroupCurrentMemberAssignmentValue value writes 0, flexible 0
    member_epoch int32
    previous_member_epoch int32
    state int8
    assigned_partitions []SharePartitions
ShareGroupStatePartitionMetadataKey key 15
    group_id string
ShareTopicPartitions part of ShareGroupStatePartitionMetadataValue
    topic_id uuid
    topic_name string
    partitions []int32
ShareTopic part of ShareGroupStatePartitionMetadataValue
    topic_id uuid
    topic_name string
ShareGroupStatePartitionMetadataValue value writes 0, flexible 0
    initializing_topics []ShareTopicPartitions
    initialized_topics []ShareTopicPartitions
    deleting_topics []ShareTopic
""",
    ),
    "streams_groups": (
        "Streams groups (KIP-1071) in `__consumer_offsets` (key types 17 and 19 to 23).",
        """
StreamsGroupMetadataKey key 17
    group_id string
LastAssignmentConfig part of StreamsGroupMetadataValue
    key string
    value string
StreamsGroupMetadataValue value writes 0, flexible 0
    epoch int32
    metadata_hash int64
    validated_topology_epoch int32 = -1 tag 0
    last_assignment_configs []LastAssignmentConfig? = empty tag 1
StreamsGroupMemberMetadataKey key 19
    group_id string
    member_id string
UserEndpoint part of StreamsGroupMemberMetadataValue
    host string
    port uint16
ClientTag part of StreamsGroupMemberMetadataValue
    key string
    value string
StreamsGroupMemberMetadataValue value writes 0, flexible 0
    instance_id string?
    rack_id string?
    client_id string
    client_host string
    rebalance_timeout_ms int32 = -1
    topology_epoch int32
    process_id string
    user_endpoint UserEndpoint?
    client_tags []ClientTag
StreamsGroupTargetAssignmentMetadataKey key 20
    group_id string
StreamsGroupTargetAssignmentMetadataValue value writes 0, flexible 0
    assignment_epoch int32
    assignment_timestamp_ms int64 tag 0
StreamsGroupTargetAssignmentMemberKey key 21
    group_id string
    member_id string
TargetTasks part of StreamsGroupTargetAssignmentMemberValue
    subtopology_id string
    partitions []int32
StreamsGroupTargetAssignmentMemberValue value writes 0, flexible 0
    active_tasks []TargetTasks
    standby_tasks []TargetTasks
    warmup_tasks []TargetTasks
StreamsGroupCurrentMemberAssignmentKey key 22
    group_id string
    member_id string
CurrentTasks part of StreamsGroupCurrentMemberAssignmentValue
    subtopology_id string
    partitions []int32
    assignment_epochs []int32? = empty tag 0
StreamsGroupCurrentMemberAssignmentValue value writes 0, flexible 0
    member_epoch int32
    previous_member_epoch int32
    state int8
    active_tasks []CurrentTasks
    standby_tasks []CurrentTasks
    warmup_tasks []CurrentTasks
    active_tasks_pending_revocation []CurrentTasks
    standby_tasks_pending_revocation []CurrentTasks
    warmup_tasks_pending_revocation []CurrentTasks
StreamsGroupTopologyKey key 23
    group_id string
TopologyTopicConfig part of TopologyTopic
    key string
    value string
TopologyTopic part of Subtopology
    name string
    partitions int32
    replication_factor int16
    topic_configs []TopologyTopicConfig
CopartitionGroup part of Subtopology
    source_topics []int16
    source_topic_regex []int16
    repartition_source_topics []int16
Subtopology part of StreamsGroupTopologyValue
    subtopology_id string
    source_topics []string
    source_topic_regex []string
    state_changelog_topics []TopologyTopic
    repartition_sink_topics []string
    repartition_source_topics []TopologyTopic
    copartition_groups []CopartitionGroup
StreamsGroupTopologyValue value writes 0, flexible 0
    epoch int32
    subtopologies []Subtopology
""",
    ),
    "share_state": (
        "Progress of share partitions in `__share_group_state` (key types 0 and 1).",
        """
ShareSnapshotKey key 0
    group_id string
    topic_id uuid
    partition int32
ShareStateBatch part of both values
    first_offset int64
    last_offset int64
    delivery_state int8
    delivery_count int16
ShareSnapshotValue value writes 0, flexible 0
    snapshot_epoch int32
    state_epoch int32
    leader_epoch int32
    start_offset int64
    delivery_complete_count int32 = -1 tag 0
    create_timestamp_ms int64
    write_timestamp_ms int64
    state_batches []ShareStateBatch
ShareUpdateKey key 1
    group_id string
    topic_id uuid
    partition int32
ShareUpdateValue value writes 0, flexible 0
    snapshot_epoch int32
    leader_epoch int32
    start_offset int64
    delivery_complete_count int32 = -1 tag 0
    state_batches []ShareStateBatch
""",
    ),
    "transactions": (
        "Transactional producers in `__transaction_state` (key type 0).",
        """
TransactionLogKey key 0
    transactional_id string
TransactionPartitions part of TransactionLogValue
    topic string
    partition_ids []int32
TransactionLogValue value writes 1, flexible 1
    producer_id int64
    previous_producer_id int64 1+ = -1 tag 0
    next_producer_id int64 1+ = -1 tag 1
    producer_epoch int16
    transaction_timeout_ms int32
    transaction_status int8
    transaction_partitions []TransactionPartitions?
    transaction_last_update_timestamp_ms int64
    transaction_start_timestamp_ms int64
    client_transaction_version int16 1+ tag 2
""",
    ),
}

PYTHON = {
    "bool": ("bool", "False"),
    "int8": ("int", "0"),
    "int16": ("int", "0"),
    "uint16": ("int", "0"),
    "int32": ("int", "0"),
    "int64": ("int", "0"),
    "string": ("str", '""'),
    "uuid": ("bytes", "ZERO_UUID"),
    "bytes": ("Buffer", 'b""'),
}


def field_lines(line: str) -> tuple[str, str, str, str]:
    """One field as (name, schema, parameter, assignment)."""
    words = line.split()
    name, type_ = words[0], words[1]
    rest = words[2:]
    is_array, nullable = type_.startswith("[]"), type_.endswith("?")
    type_ = type_.removeprefix("[]").removesuffix("?")
    first, last, tag, default = 0, 32767, -1, None
    while rest:
        word = rest.pop(0)
        if word == "=":
            default = rest.pop(0)
        elif word == "tag":
            tag = int(rest.pop(0))
        elif word.endswith("+"):
            first = int(word[:-1])
        else:
            first, last = (int(bound) for bound in word.split("-"))
    null_from, null_to = (first, 32767) if nullable else (32767, -1)
    tag_from = first if tag >= 0 else 32767
    quoted = f'"{type_}"' if type_ in PYTHON else type_
    schema = (
        f'FieldSchema("{name}", {quoted}, {is_array}, {first}, {last}, {null_from}, {null_to}, '
        f"{tag}, {tag_from}),"
    )
    python, zero = PYTHON.get(type_, (type_, "None"))
    if is_array and not nullable:
        annotation = f"list[{python}]"
        parameter = f"{name}: {annotation} | None = None,"
        return name, schema, parameter, f"self.{name}: {annotation} = {name} or []"
    if is_array:
        python, zero = f"list[{python}]", "[]"
    elif type_ not in PYTHON:
        zero = f"{type_}()"
    annotation = f"{python} | None" if nullable else python
    if default == "empty":
        assert tag >= 0
        assignment = f"self.{name}: {annotation} = {zero} if {name} is ABSENT else {name}"
        return name, schema, f"{name}: {annotation} = ABSENT,", assignment
    default = default or ("None" if nullable else zero)
    return name, schema, f"{name}: {annotation} = {default},", f"self.{name} = {name}"


def class_lines(head: str, fields: list[str]) -> list[str]:
    name, kind, rest = head.split(maxsplit=2)
    parsed = [field_lines(line) for line in fields]
    base = {"key": "RecordKey", "value": "RecordValue", "part": "Message"}[kind]
    out = ["", "", f"class {name}({base}):", "    __slots__ = ("]
    out += [f'        "{field[0]}",' for field in parsed]
    out.append("    )")
    if kind == "key":
        out.append(f"    KEY_TYPE = {rest}")
    elif kind == "value":
        written, flexible = rest.removeprefix("writes ").split(", flexible ")
        out += [f"    WRITTEN_VERSION = {written}", f"    FLEXIBLE_FROM = {flexible}"]
    out.append("    SCHEMA: ClassVar[Schema] = (")
    out += [f"        {field[1]}" for field in parsed]
    out += ["    )", "", "    def __init__(", "        self,"]
    out += [f"        {field[2]}" for field in parsed]
    out.append("    ) -> None:")
    out += [f"        {field[3]}" for field in parsed]
    return out


def module_text(doc: str, table: str) -> str:
    lines: list[str] = []
    head = ""
    fields: list[str] = []
    for line in [*table.strip().splitlines(), "END"]:
        if line.startswith(" "):
            fields.append(line)
            continue
        if head:
            lines += class_lines(head, fields)
        head, fields = line, []
    body = "\n".join(lines)
    names = [n for n in ("Buffer", "Message", "ZERO_UUID") if n in body]
    bases = [n for n in ("RecordKey", "RecordValue") if f"({n})" in body]
    bases += ["ABSENT"] if " ABSENT" in body else []
    imports = ", ".join(sorted(["FieldSchema", "Schema", *names]))
    header = [
        f'"""{doc}',
        "",
        "Generated by tools/generate_records.py; change that instead.",
        '"""',
        "",
        "from typing import ClassVar",
        "",
        f"from ottla.coordinator.records.framing import {', '.join(bases)}",
        f"from ottla.wire.message import {imports}",
    ]
    return "\n".join(header) + body + "\n"


def main() -> None:
    written = []
    for name, (doc, table) in MODULES.items():
        path = TARGET / f"{name}.py"
        path.write_text(module_text(doc, table))
        written.append(str(path))
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run(
        [ruff, "check", "--quiet", "--fix", "--select", "I,RUF023", *written], check=True
    )
    subprocess.run([ruff, "format", "--quiet", *written], check=True)


if __name__ == "__main__":
    main()
