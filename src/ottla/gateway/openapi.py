"""The OpenAPI document of the REST door, in our own words.

One line per operation; a test holds the lines against the routes that are
served. Path parameters are read from the path.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from ottla import __version__
from ottla.gateway.openapi_schemas import ACL_FIELDS, SCHEMAS, TEXT, nullable, number, ref

V2: Final = "application/vnd.kafka.v2+json"
V2_BINARY: Final = "application/vnd.kafka.binary.v2+json"
V2_JSON: Final = "application/vnd.kafka.json.v2+json"
PLAIN: Final = "application/json"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html"


class Operation(NamedTuple):
    """One route: what it does, takes and answers."""

    method: str
    path: str
    summary: str
    status: int = 200
    query: tuple[str, ...] = ()
    body: str | None = None
    answer: str | None = None
    gives: str | None = None
    #: Another status that succeeds with the same answer.
    also: int | None = None


_INSTANCE: Final = "/consumers/{group}/instances/{instance}"
_C: Final = "/v3/clusters/{cluster}"
_T: Final = f"{_C}/topics/{{topic}}"
_P: Final = f"{_T}/partitions/{{partition}}"
_G: Final = f"{_C}/consumer-groups/{{group}}"
_M: Final = f"{_G}/consumers/{{consumer}}"
_B: Final = f"{_C}/brokers/{{broker}}"

Op = Operation

GENERAL: Final = [
    Op("GET", "/health/live", "The process runs", gives="Live"),
    Op("GET", "/health/ready", "Kafka answers, too", gives="Ready"),
    Op("GET", "/openapi.json", "This document", gives="Document"),
    Op("GET", "/docs", "This document, to read", answer=HTML),
    Op("GET", "/commands", "The admin commands", answer=HTML),
    Op("GET", "/commands/", "The admin commands", answer=HTML),
    Op("GET", "/commands/{name}", "One admin command", gives="Command"),
    Op("POST", "/commands/{name}", "One admin command", gives="Command"),
    Op("GET", "/zookeeper", "Where ZooKeeper's roles live now", answer=HTML),
]

V2_OPERATIONS: Final = [
    Op("GET", "/", "An empty object", answer=V2, gives="Nothing"),
    Op("POST", "/", "An empty object", answer=V2, gives="Nothing"),
    Op("GET", "/brokers", "Ids of the brokers", answer=V2, gives="BrokerIds"),
    Op("GET", "/topics", "Names of the topics", answer=V2, gives="Names"),
    Op(
        "GET",
        "/topics/{topic}",
        "A topic: configurations and partitions",
        answer=V2,
        gives="TopicDetail",
    ),
    Op(
        "POST", "/topics/{topic}", "Produce to a topic", body="Produce", answer=V2, gives="Produced"
    ),
    Op(
        "GET",
        "/topics/{topic}/partitions",
        "A topic's partitions",
        answer=V2,
        gives="PartitionDetails",
    ),
    Op(
        "GET",
        "/topics/{topic}/partitions/{partition}",
        "One partition",
        answer=V2,
        gives="PartitionDetail",
    ),
    Op(
        "POST",
        "/topics/{topic}/partitions/{partition}",
        "Produce to one partition",
        body="Produce",
        answer=V2,
        gives="Produced",
    ),
    Op(
        "GET",
        "/topics/{topic}/partitions/{partition}/offsets",
        "Where a partition begins and ends",
        answer=V2,
        gives="PartitionEnds",
    ),
    Op(
        "POST",
        "/consumers/{group}",
        "Create a consumer instance",
        body="Instance",
        answer=V2,
        gives="CreatedInstance",
    ),
    Op("DELETE", _INSTANCE, "Delete an instance", 204),
    Op("POST", f"{_INSTANCE}/subscription", "Subscribe", 204, body="Subscription"),
    Op(
        "GET",
        f"{_INSTANCE}/subscription",
        "What it is subscribed to",
        answer=V2,
        gives="SubscribedTopics",
    ),
    Op("DELETE", f"{_INSTANCE}/subscription", "Unsubscribe", 204),
    Op("POST", f"{_INSTANCE}/assignments", "Assign partitions", 204, body="Partitions"),
    Op(
        "GET",
        f"{_INSTANCE}/assignments",
        "The assigned partitions",
        answer=V2,
        gives="AssignedPartitions",
    ),
    Op("POST", f"{_INSTANCE}/positions", "Continue at offsets or times", 204, body="Positions"),
    Op("POST", f"{_INSTANCE}/positions/beginning", "Go to the start", 204, body="Partitions"),
    Op("POST", f"{_INSTANCE}/positions/end", "Go to the end", 204, body="Partitions"),
    Op(
        "GET",
        f"{_INSTANCE}/records",
        "Read records; metadata=true adds headers and timestamps",
        query=("timeout", "max_bytes", "metadata"),
        answer=V2_JSON,
        gives="ReadRecords",
    ),
    Op(
        "POST",
        f"{_INSTANCE}/offsets",
        "Commit what was read, or the offsets given",
        query=("async",),
        body="Offsets",
        answer=V2,
        gives="Commits",
    ),
    Op(
        "GET",
        f"{_INSTANCE}/offsets",
        "Committed offsets; the body names partitions",
        answer=V2,
        gives="CommittedOffsets",
    ),
]


def _configs(path: str, whose: str, schema: str) -> list[Operation]:
    return [
        Op("GET", path, f"Configurations of {whose}", gives=f"{schema}List"),
        Op("POST", f"{path}:alter", "Change several at once", 204, body="Alter"),
        Op("GET", f"{path}/{{name}}", f"One configuration of {whose}", gives=schema),
        Op("PUT", f"{path}/{{name}}", "Set it", 204, body="Value"),
        Op("DELETE", f"{path}/{{name}}", "Back to the default", 204),
    ]


V3_OPERATIONS: Final = [
    Op("GET", "/v3/clusters", "The cluster behind this gateway", gives="ClusterList"),
    Op("GET", _C, "One cluster", gives="Cluster"),
    Op("GET", f"{_C}/brokers", "Brokers", gives="BrokerList"),
    Op("GET", _B, "One broker", gives="Broker"),
    Op("GET", f"{_B}/partition-replicas", "Replicas that a broker holds", gives="ReplicaList"),
    Op("GET", f"{_C}/brokers/-/configs", "Configurations of all brokers", gives="BrokerConfigList"),
    *_configs(f"{_B}/configs", "a broker", "BrokerConfig"),
    *_configs(f"{_C}/broker-configs", "all brokers together", "ClusterConfig"),
    Op("GET", f"{_C}/topics", "Topics", gives="TopicList"),
    Op(
        "POST", f"{_C}/topics", "Create a topic", 201, body="Topic", gives="TopicResource", also=200
    ),
    Op("GET", _T, "One topic", gives="TopicResource"),
    Op("PATCH", _T, "Add partitions", body="PartitionsCount", gives="TopicResource"),
    Op("DELETE", _T, "Delete a topic", 204),
    Op("GET", f"{_C}/topics/-/configs", "Configurations of all topics", gives="TopicConfigList"),
    *_configs(f"{_T}/configs", "a topic", "TopicConfig"),
    Op("GET", f"{_T}/partitions", "Partitions", gives="PartitionList"),
    Op("GET", _P, "One partition", gives="Partition"),
    Op("GET", f"{_P}/offset", "Where a partition begins and ends", gives="PartitionOffset"),
    Op("GET", f"{_P}/replicas", "Replicas of a partition", gives="ReplicaList"),
    Op("GET", f"{_P}/replicas/{{broker}}", "One replica", gives="Replica"),
    Op(
        "GET",
        f"{_C}/topics/-/partitions/-/reassignment",
        "Reassignments in progress",
        gives="ReassignmentList",
    ),
    Op("GET", f"{_T}/partitions/-/reassignment", "Those of a topic", gives="ReassignmentList"),
    Op("GET", f"{_P}/reassignment", "That of a partition", gives="Reassignment"),
    Op(
        "POST",
        f"{_T}/records",
        "Produce: a stream of records in, of results out",
        body="Record",
        gives="RecordResult",
    ),
    Op(
        "POST",
        f"{_T}/records:batch",
        "Produce a small batch",
        207,
        body="Batch",
        gives="BatchResult",
    ),
    Op(
        "GET",
        f"{_P}/records",
        "Read a page of a partition, without a consumer instance",
        query=("offset", "timestamp", "limit", "max_bytes", "timeout", "format"),
        gives="RecordPage",
    ),
    Op(
        "GET",
        f"{_T}/records:tail",
        "Follow a topic live (Server-Sent Events)",
        query=("from", "partition", "format"),
        answer=EVENTS,
    ),
    Op("GET", f"{_C}/consumer-groups", "Consumer groups", gives="ConsumerGroupList"),
    Op("GET", _G, "One group", gives="ConsumerGroup"),
    Op("GET", f"{_G}/consumers", "Members of a group", gives="ConsumerList"),
    Op("GET", _M, "One member", gives="Consumer"),
    Op("GET", f"{_M}/assignments", "Partitions of a member", gives="ConsumerAssignmentList"),
    Op(
        "GET",
        f"{_M}/assignments/{{topic}}/partitions/{{partition}}",
        "One of them",
        gives="ConsumerAssignment",
    ),
    Op("GET", f"{_G}/lag-summary", "The largest lag of a group, and the sum", gives="LagSummary"),
    Op("GET", f"{_G}/lags", "Lag by partition", gives="ConsumerLagList"),
    Op(
        "GET",
        f"{_G}/lags/{{topic}}/partitions/{{partition}}",
        "Lag of one partition",
        gives="ConsumerLag",
    ),
    Op("GET", f"{_C}/acls", "Access control lists", query=ACL_FIELDS, gives="AclList"),
    Op("POST", f"{_C}/acls", "Add one", 201, body="Acl"),
    Op("DELETE", f"{_C}/acls", "Remove those that match", query=ACL_FIELDS, gives="DeletedAcls"),
    Op("POST", f"{_C}/acls:batch", "Add several", 201, body="Acls"),
]

_NUMBERS: Final = frozenset(
    {"timeout", "max_bytes", "offset", "timestamp", "limit", "partition", "broker"}
)
_BOOLEANS: Final = frozenset({"metadata", "async"})
#: Beyond the plain kinds: what a parameter may be.
_CHOICES: Final[dict[str, dict[str, Any]]] = {
    "format": {"type": "string", "enum": ["auto", "binary", "json", "string"]},
    "from": {"type": "string", "enum": ["latest", "earliest"]},
}


def _parameter(name: str, where: str) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    if name in _NUMBERS:
        schema = number()
    elif name in _BOOLEANS:
        schema = {"type": "boolean"}
    elif name in _CHOICES:
        schema = _CHOICES[name]
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def _request_body(name: str) -> dict[str, Any]:
    types = [V2_JSON, V2_BINARY] if name == "Produce" else [PLAIN]
    if name in ("Instance", "Subscription", "Partitions", "Offsets", "Positions"):
        types = [V2]
    is_required = name not in ("Offsets", "Instance")
    schema = ref(name) if is_required else nullable(ref(name))
    return {
        "required": is_required,
        "content": {media: {"schema": schema} for media in types},
    }


def _operation(tag: str, op: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": op.summary}
    if op.answer in (EVENTS, HTML):
        success["content"] = {op.answer: {"schema": TEXT}}
    elif op.gives is not None:
        media = [V2_JSON, V2_BINARY] if op.gives == "ReadRecords" else [op.answer or PLAIN]
        success["content"] = {name: {"schema": ref(op.gives)} for name in media}
    fault = {
        "description": "`error_code` says what is wrong",
        "content": {PLAIN: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    names = re.findall(r"{(\w+)}", op.path)
    found: dict[str, Any] = {
        "tags": [tag],
        "summary": op.summary,
        "parameters": [_parameter(n, "path") for n in names]
        + [_parameter(n, "query") for n in op.query],
        "responses": {str(op.status): success, "default": fault},
    }
    if op.gives == "Command":
        content = {PLAIN: {"schema": ref("Command")}}
        found["responses"]["404"] = {"description": "no such command", "content": content}
    if op.also is not None:
        found["responses"][str(op.also)] = success
    if op.body is not None:
        found["requestBody"] = _request_body(op.body)
    return found


SECTIONS: Final = (("v2", V2_OPERATIONS), ("v3", V3_OPERATIONS), ("general", GENERAL))


def document() -> dict[str, Any]:
    """The document, as OpenAPI 3.1 has it."""
    paths: dict[str, dict[str, Any]] = {}
    for tag, operations in SECTIONS:
        for op in operations:
            paths.setdefault(op.path, {})[op.method.lower()] = _operation(tag, op)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ottla REST",
            "version": __version__,
            "description": "Kafka over HTTP: the routes of the REST Proxy's versions 2 and 3,"
            " and ways to read that it does not have.",
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }
