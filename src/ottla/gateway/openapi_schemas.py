"""What requests carry and what answers hold, as JSON Schema, in our own words.

Answers list every field and allow no other, so that a test against the
document notices a field that is missing from either.
"""

from __future__ import annotations

from typing import Any, Final

ACL_FIELDS: Final = (
    "resource_type",
    "resource_name",
    "pattern_type",
    "principal",
    "host",
    "operation",
    "permission",
)
TEXT: Final = {"type": "string"}
ANY: Final[dict[str, Any]] = {"description": "any JSON value"}


def object_of(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        found["required"] = list(required)
    return found


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "null"}]}


def request_of(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """An object of a request: a field that may be left out may be null, too."""
    return object_of(
        required,
        **{
            name: schema if name in required or schema is ANY else nullable(schema)
            for name, schema in properties.items()
        },
    )


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def number(minimum: int = 0, maximum: int | None = None) -> dict[str, Any]:
    bound = {} if maximum is None else {"maximum": maximum}
    return {"type": "integer", "minimum": minimum, **bound}


_FLAG: Final = {"type": "boolean"}
PARTITION: Final = number(0, (1 << 31) - 1)
_NAME_VALUE: Final = request_of(("name", "value"), name=TEXT, value=TEXT)
_PARTITION: Final = request_of(("topic", "partition"), topic=TEXT, partition=PARTITION)
_OFFSET: Final = request_of(
    ("topic", "partition", "offset"),
    topic=TEXT,
    partition=PARTITION,
    offset=number(),
    metadata=TEXT,
)
_DATA: Final = request_of(
    ("type",), type={"type": "string", "enum": ["BINARY", "JSON", "STRING"]}, data=ANY
)
_RECORD: Final[dict[str, Any]] = {
    "partition_id": PARTITION,
    "headers": list_of(
        request_of(("name",), name=TEXT, value={"type": "string", "format": "byte"})
    ),
    "key": _DATA,
    "value": _DATA,
    "timestamp": {"type": "string", "format": "date-time"},
}
#: Clients send these numbers as text, too.
_DIGITS: Final = {"type": "string", "pattern": "^-?[0-9]{1,7}$"}
_INSTANCE: Final[dict[str, dict[str, Any]]] = {
    "id": TEXT,
    "name": TEXT,
    "format": {"type": "string", "enum": ["binary", "json"]},
    "auto.offset.reset": {"type": "string", "enum": ["earliest", "latest", "none"]},
    "auto.commit.enable": {"anyOf": [{"type": "string", "enum": ["true", "false"]}, _FLAG]},
    "fetch.min.bytes": {"anyOf": [number(-1, 10_000_000), _DIGITS]},
    "consumer.request.timeout.ms": {"anyOf": [number(1, 3_600_000), _DIGITS]},
}
_ACL: Final = request_of(ACL_FIELDS, **dict.fromkeys(ACL_FIELDS, TEXT))

_REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "Error": request_of(("error_code", "message"), error_code={"type": "integer"}, message=TEXT),
    "Produce": request_of(
        ("records",), records=list_of(request_of(key=ANY, value=ANY, partition=PARTITION))
    ),
    "Instance": request_of((), **_INSTANCE),
    "Subscription": request_of(topics=list_of(TEXT), topic_pattern=TEXT),
    "Partitions": request_of(("partitions",), partitions=list_of(_PARTITION)),
    "Offsets": request_of(offsets=list_of(_OFFSET)),
    "Positions": request_of(
        offsets=list_of(_OFFSET),
        timestamps=list_of(
            request_of(
                ("topic", "partition", "timestamp"),
                topic=TEXT,
                partition=PARTITION,
                timestamp={"type": "string", "format": "date-time"},
            )
        ),
    ),
    "Topic": request_of(
        ("topic_name",),
        topic_name=TEXT,
        partitions_count=number(1),
        replication_factor=number(1),
        replicas_assignments=list_of(
            request_of(partition_id=PARTITION, broker_ids=list_of({"type": "integer"}))
        ),
        configs=list_of(_NAME_VALUE),
        validate_only={"type": "boolean"},
    ),
    "PartitionsCount": request_of(("partitions_count",), partitions_count=number(1)),
    "Value": request_of(("value",), value=TEXT),
    "Alter": request_of(
        ("data",),
        data=list_of(
            request_of(
                ("name",),
                name=TEXT,
                value=TEXT,
                operation={"type": "string", "enum": ["SET", "DELETE"]},
            )
        ),
        validate_only={"type": "boolean"},
    ),
    "Record": request_of(**_RECORD),
    "Batch": request_of(("entries",), entries=list_of(request_of(("id",), id=TEXT, **_RECORD))),
    "Acl": _ACL,
    "Acls": request_of(("data",), data=list_of(_ACL)),
}

_INTEGER: Final = {"type": "integer"}
_STRINGS: Final = list_of(TEXT)
_LINK: Final = object_of(("related",), related=TEXT)


def whole(**properties: Any) -> dict[str, Any]:
    """An object that always has all of these fields."""
    return object_of(tuple(properties), **properties)


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    """API v3's envelope around the fields of one kind."""
    return whole(
        kind={"type": "string", "const": kind},
        metadata=whole(self=TEXT, resource_name=TEXT),
        cluster_id=TEXT,
        **properties,
    )


def collection(kind: str, item: str, **properties: Any) -> dict[str, Any]:
    return whole(
        kind={"type": "string", "const": kind},
        metadata=whole(self=TEXT, next=nullable(TEXT)),
        data=list_of(ref(item)),
        **properties,
    )


def _config(kind: str, **owner: Any) -> dict[str, Any]:
    return resource(
        kind,
        **owner,
        name=TEXT,
        value=nullable(TEXT),
        is_default=_FLAG,
        is_read_only=_FLAG,
        is_sensitive=_FLAG,
        source=TEXT,
        synonyms=list_of(whole(name=TEXT, value=nullable(TEXT), source=TEXT)),
    )


_V2_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "Nothing": object_of(),
    "BrokerIds": whole(brokers=list_of(_INTEGER)),
    "Names": _STRINGS,
    "TopicDetail": whole(
        name=TEXT,
        configs={"type": "object", "additionalProperties": nullable(TEXT)},
        partitions=list_of(ref("PartitionDetail")),
    ),
    "PartitionDetail": whole(
        partition=PARTITION,
        leader=_INTEGER,
        replicas=list_of(whole(broker=_INTEGER, leader=_FLAG, in_sync=_FLAG)),
    ),
    "PartitionDetails": list_of(ref("PartitionDetail")),
    "PartitionEnds": whole(beginning_offset=number(), end_offset=number()),
    "Produced": whole(
        offsets=list_of(
            whole(
                partition=nullable(_INTEGER),
                offset=nullable(_INTEGER),
                error_code=nullable(_INTEGER),
                error=nullable(TEXT),
            )
        ),
        key_schema_id=nullable(_INTEGER),
        value_schema_id=nullable(_INTEGER),
    ),
    "CreatedInstance": whole(instance_id=TEXT, base_uri=TEXT),
    "SubscribedTopics": whole(topics=_STRINGS),
    "AssignedPartitions": whole(partitions=list_of(_PARTITION)),
    "ReadRecords": list_of(
        object_of(
            ("topic", "key", "value", "partition", "offset"),
            topic=TEXT,
            key=ANY,
            value=ANY,
            partition=PARTITION,
            offset=number(),
            error=TEXT,
            raw_value=TEXT,
            timestamp=_INTEGER,
            timestamp_type=nullable(TEXT),
            headers=list_of(whole(name=TEXT, value=nullable(TEXT))),
        )
    ),
    "Commits": list_of(
        whole(topic=TEXT, partition=PARTITION, consumed=_INTEGER, committed=_INTEGER)
    ),
    "CommittedOffsets": whole(
        offsets=list_of(whole(topic=TEXT, partition=PARTITION, offset=number(), metadata=TEXT))
    ),
}

_PART: Final = nullable(whole(type=TEXT, size=number()))
_FOUND: Final[dict[str, Any]] = {
    "cluster_id": TEXT,
    "topic_name": TEXT,
    "partition_id": PARTITION,
    "offset": number(),
    "timestamp": {"type": "string", "format": "date-time"},
    "key": _PART,
    "value": _PART,
}
_SHOWN: Final = nullable(whole(type=TEXT, data=ANY))

_V3_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "ClusterList": collection("KafkaClusterList", "Cluster"),
    "Cluster": resource(
        "KafkaCluster",
        controller=nullable(_LINK),
        acls=_LINK,
        brokers=_LINK,
        broker_configs=_LINK,
        consumer_groups=_LINK,
        topics=_LINK,
        partition_reassignments=_LINK,
    ),
    "BrokerList": collection("KafkaBrokerList", "Broker"),
    "Broker": resource(
        "KafkaBroker",
        broker_id=_INTEGER,
        host=TEXT,
        port=_INTEGER,
        rack=nullable(TEXT),
        configs=_LINK,
        partition_replicas=_LINK,
    ),
    "BrokerConfigList": collection("KafkaBrokerConfigList", "BrokerConfig"),
    "BrokerConfig": _config("KafkaBrokerConfig", broker_id=_INTEGER),
    "ClusterConfigList": collection("KafkaClusterConfigList", "ClusterConfig"),
    "ClusterConfig": _config("KafkaClusterConfig", config_type=TEXT),
    "TopicConfigList": collection("KafkaTopicConfigList", "TopicConfig"),
    "TopicConfig": _config("KafkaTopicConfig", topic_name=TEXT),
    "TopicList": collection("KafkaTopicList", "TopicResource"),
    "TopicResource": resource(
        "KafkaTopic",
        topic_name=TEXT,
        is_internal=_FLAG,
        replication_factor=number(),
        partitions_count=number(),
        partitions=_LINK,
        configs=_LINK,
        partition_reassignments=_LINK,
        authorized_operations=_STRINGS,
    ),
    "PartitionList": collection("KafkaPartitionList", "Partition"),
    "Partition": resource(
        "KafkaPartition",
        topic_name=TEXT,
        partition_id=PARTITION,
        leader=nullable(_LINK),
        replicas=_LINK,
        reassignment=_LINK,
    ),
    "PartitionOffset": resource(
        "KafkaPartitionOffset",
        topic_name=TEXT,
        partition_id=PARTITION,
        earliest_offset=number(),
        latest_offset=number(),
    ),
    "ReplicaList": collection("KafkaReplicaList", "Replica"),
    "Replica": resource(
        "KafkaReplica",
        topic_name=TEXT,
        partition_id=PARTITION,
        broker_id=_INTEGER,
        is_leader=_FLAG,
        is_in_sync=_FLAG,
        broker=_LINK,
    ),
    "ReassignmentList": collection("KafkaReassignmentList", "Reassignment"),
    "Reassignment": resource(
        "KafkaReassignment",
        topic_name=TEXT,
        partition_id=PARTITION,
        adding_replicas=list_of(_INTEGER),
        removing_replicas=list_of(_INTEGER),
        replicas=_LINK,
    ),
    "RecordResult": {
        "description": "one for each record, in their order",
        "oneOf": [
            whole(error_code={"type": "integer", "const": 200}, **_FOUND),
            whole(error_code={"type": "integer", "not": {"const": 200}}, message=TEXT),
        ],
    },
    "BatchResult": whole(
        successes=list_of(whole(id=TEXT, **_FOUND)),
        failures=list_of(whole(id=TEXT, error_code=_INTEGER, message=TEXT)),
    ),
    "RecordPage": collection(
        "KafkaRecordList",
        "RecordShown",
        beginning_offset=number(),
        end_offset=number(),
        next_offset=number(),
    ),
    "RecordShown": whole(
        topic_name=TEXT,
        partition_id=PARTITION,
        offset=number(),
        timestamp=_INTEGER,
        timestamp_type=nullable(TEXT),
        headers=list_of(whole(name=TEXT, value=nullable(TEXT))),
        key=_SHOWN,
        value=_SHOWN,
    ),
    "ConsumerGroupList": collection("KafkaConsumerGroupList", "ConsumerGroup"),
    "ConsumerGroup": resource(
        "KafkaConsumerGroup",
        consumer_group_id=TEXT,
        is_simple=_FLAG,
        partition_assignor=TEXT,
        state=TEXT,
        type=TEXT,
        is_mixed_consumer_group=_FLAG,
        coordinator=nullable(_LINK),
        consumers=_LINK,
        lag_summary=_LINK,
    ),
    "ConsumerList": collection("KafkaConsumerList", "Consumer"),
    "Consumer": resource(
        "KafkaConsumer",
        consumer_group_id=TEXT,
        consumer_id=TEXT,
        instance_id=nullable(TEXT),
        client_id=TEXT,
        assignments=_LINK,
    ),
    "ConsumerAssignmentList": collection("KafkaConsumerAssignmentList", "ConsumerAssignment"),
    "ConsumerAssignment": resource(
        "KafkaConsumerAssignment",
        consumer_group_id=TEXT,
        consumer_id=TEXT,
        topic_name=TEXT,
        partition_id=PARTITION,
        partition=_LINK,
        lag=_LINK,
    ),
    "ConsumerLagList": collection("KafkaConsumerLagList", "ConsumerLag"),
    "ConsumerLag": resource(
        "KafkaConsumerLag",
        consumer_group_id=TEXT,
        topic_name=TEXT,
        partition_id=PARTITION,
        current_offset=number(),
        log_end_offset=number(),
        lag=number(),
        consumer_id=TEXT,
        instance_id=nullable(TEXT),
        client_id=TEXT,
    ),
    "LagSummary": resource(
        "KafkaConsumerGroupLagSummary",
        consumer_group_id=TEXT,
        max_lag_consumer_id=TEXT,
        max_lag_instance_id=nullable(TEXT),
        max_lag_client_id=TEXT,
        max_lag_topic_name=TEXT,
        max_lag_partition_id=PARTITION,
        max_lag=number(),
        total_lag=number(),
        max_lag_consumer=nullable(_LINK),
        max_lag_partition=_LINK,
    ),
    "AclList": collection("KafkaAclList", "AclResource"),
    "AclResource": resource("KafkaAcl", **dict.fromkeys(ACL_FIELDS, TEXT)),
    "DeletedAcls": whole(data=list_of(ref("AclResource"))),
}

_GENERAL_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "Live": whole(status={"type": "string", "const": "live"}),
    "Ready": whole(status={"type": "string", "const": "ready"}, cluster_id=TEXT),
    "Document": {"type": "object"},
    "Command": {
        "type": "object",
        "properties": {"command": TEXT, "error": nullable(TEXT)},
        "required": ["command", "error"],
    },
}

SCHEMAS: Final = {**_REQUESTS, **_V2_ANSWERS, **_V3_ANSWERS, **_GENERAL_ANSWERS}
