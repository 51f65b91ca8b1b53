"""The OpenAPI document of the REST door, in our own words.

One line per operation; a test holds the lines against the routes that are
served. Path parameters are read from the path.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from ottla import __version__

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


_INSTANCE: Final = "/consumers/{group}/instances/{instance}"
_C: Final = "/v3/clusters/{cluster}"
_T: Final = f"{_C}/topics/{{topic}}"
_P: Final = f"{_T}/partitions/{{partition}}"
_G: Final = f"{_C}/consumer-groups/{{group}}"
_M: Final = f"{_G}/consumers/{{consumer}}"
_B: Final = f"{_C}/brokers/{{broker}}"

Op = Operation

GENERAL: Final = [
    Op("GET", "/health/live", "The process runs"),
    Op("GET", "/health/ready", "Kafka answers, too"),
    Op("GET", "/openapi.json", "This document"),
    Op("GET", "/docs", "This document, to read", answer=HTML),
    Op("GET", "/commands", "The admin commands", answer=HTML),
    Op("GET", "/commands/", "The admin commands", answer=HTML),
    Op("GET", "/commands/{name}", "One admin command"),
    Op("POST", "/commands/{name}", "One admin command"),
    Op("GET", "/zookeeper", "Where ZooKeeper's roles live now", answer=HTML),
]

V2_OPERATIONS: Final = [
    Op("GET", "/", "An empty object", answer=V2),
    Op("POST", "/", "An empty object", answer=V2),
    Op("GET", "/brokers", "Ids of the brokers", answer=V2),
    Op("GET", "/topics", "Names of the topics", answer=V2),
    Op("GET", "/topics/{topic}", "A topic: configurations and partitions", answer=V2),
    Op("POST", "/topics/{topic}", "Produce to a topic", body="Produce", answer=V2),
    Op("GET", "/topics/{topic}/partitions", "A topic's partitions", answer=V2),
    Op("GET", "/topics/{topic}/partitions/{partition}", "One partition", answer=V2),
    Op(
        "POST",
        "/topics/{topic}/partitions/{partition}",
        "Produce to one partition",
        body="Produce",
        answer=V2,
    ),
    Op(
        "GET",
        "/topics/{topic}/partitions/{partition}/offsets",
        "Where a partition begins and ends",
        answer=V2,
    ),
    Op("POST", "/consumers/{group}", "Create a consumer instance", body="Instance", answer=V2),
    Op("DELETE", _INSTANCE, "Delete an instance", 204),
    Op("POST", f"{_INSTANCE}/subscription", "Subscribe", 204, body="Subscription"),
    Op("GET", f"{_INSTANCE}/subscription", "What it is subscribed to", answer=V2),
    Op("DELETE", f"{_INSTANCE}/subscription", "Unsubscribe", 204),
    Op("POST", f"{_INSTANCE}/assignments", "Assign partitions", 204, body="Partitions"),
    Op("GET", f"{_INSTANCE}/assignments", "The assigned partitions", answer=V2),
    Op("POST", f"{_INSTANCE}/positions", "Continue at offsets or times", 204, body="Positions"),
    Op("POST", f"{_INSTANCE}/positions/beginning", "Go to the start", 204, body="Partitions"),
    Op("POST", f"{_INSTANCE}/positions/end", "Go to the end", 204, body="Partitions"),
    Op(
        "GET",
        f"{_INSTANCE}/records",
        "Read records; metadata=true adds headers and timestamps",
        query=("timeout", "max_bytes", "metadata"),
        answer=V2_JSON,
    ),
    Op(
        "POST",
        f"{_INSTANCE}/offsets",
        "Commit what was read, or the offsets given",
        query=("async",),
        body="Offsets",
        answer=V2,
    ),
    Op("GET", f"{_INSTANCE}/offsets", "Committed offsets; the body names partitions", answer=V2),
]


def _configs(path: str, whose: str) -> list[Operation]:
    return [
        Op("GET", path, f"Configurations of {whose}"),
        Op("POST", f"{path}:alter", "Change several at once", 204, body="Alter"),
        Op("GET", f"{path}/{{name}}", f"One configuration of {whose}"),
        Op("PUT", f"{path}/{{name}}", "Set it", 204, body="Value"),
        Op("DELETE", f"{path}/{{name}}", "Back to the default", 204),
    ]


_ACL_QUERY: Final = (
    "resource_type",
    "resource_name",
    "pattern_type",
    "principal",
    "host",
    "operation",
    "permission",
)

V3_OPERATIONS: Final = [
    Op("GET", "/v3/clusters", "The cluster behind this gateway"),
    Op("GET", _C, "One cluster"),
    Op("GET", f"{_C}/brokers", "Brokers"),
    Op("GET", _B, "One broker"),
    Op("GET", f"{_B}/partition-replicas", "Replicas that a broker holds"),
    Op("GET", f"{_C}/brokers/-/configs", "Configurations of all brokers"),
    *_configs(f"{_B}/configs", "a broker"),
    *_configs(f"{_C}/broker-configs", "all brokers together"),
    Op("GET", f"{_C}/topics", "Topics"),
    Op("POST", f"{_C}/topics", "Create a topic", 201, body="Topic"),
    Op("GET", _T, "One topic"),
    Op("PATCH", _T, "Add partitions", body="PartitionsCount"),
    Op("DELETE", _T, "Delete a topic", 204),
    Op("GET", f"{_C}/topics/-/configs", "Configurations of all topics"),
    *_configs(f"{_T}/configs", "a topic"),
    Op("GET", f"{_T}/partitions", "Partitions"),
    Op("GET", _P, "One partition"),
    Op("GET", f"{_P}/offset", "Where a partition begins and ends"),
    Op("GET", f"{_P}/replicas", "Replicas of a partition"),
    Op("GET", f"{_P}/replicas/{{broker}}", "One replica"),
    Op("GET", f"{_C}/topics/-/partitions/-/reassignment", "Reassignments in progress"),
    Op("GET", f"{_T}/partitions/-/reassignment", "Those of a topic"),
    Op("GET", f"{_P}/reassignment", "That of a partition"),
    Op("POST", f"{_T}/records", "Produce: a stream of records in, of results out", body="Record"),
    Op("POST", f"{_T}/records:batch", "Produce a small batch", 207, body="Batch"),
    Op(
        "GET",
        f"{_P}/records",
        "Read a page of a partition, without a consumer instance",
        query=("offset", "timestamp", "limit", "max_bytes", "timeout", "format"),
    ),
    Op(
        "GET",
        f"{_T}/records:tail",
        "Follow a topic live (Server-Sent Events)",
        query=("from", "partition", "format"),
        answer=EVENTS,
    ),
    Op("GET", f"{_C}/consumer-groups", "Consumer groups"),
    Op("GET", _G, "One group"),
    Op("GET", f"{_G}/consumers", "Members of a group"),
    Op("GET", _M, "One member"),
    Op("GET", f"{_M}/assignments", "Partitions of a member"),
    Op("GET", f"{_M}/assignments/{{topic}}/partitions/{{partition}}", "One of them"),
    Op("GET", f"{_G}/lag-summary", "The largest lag of a group, and the sum"),
    Op("GET", f"{_G}/lags", "Lag by partition"),
    Op("GET", f"{_G}/lags/{{topic}}/partitions/{{partition}}", "Lag of one partition"),
    Op("GET", f"{_C}/acls", "Access control lists", query=_ACL_QUERY),
    Op("POST", f"{_C}/acls", "Add one", 201, body="Acl"),
    Op("DELETE", f"{_C}/acls", "Remove those that match", query=_ACL_QUERY),
    Op("POST", f"{_C}/acls:batch", "Add several", 201, body="Acls"),
]

_TEXT: Final = {"type": "string"}
_ANY: Final[dict[str, Any]] = {"description": "any JSON value"}
_NUMBERS: Final = frozenset(
    {"timeout", "max_bytes", "offset", "timestamp", "limit", "partition", "broker"}
)
_BOOLEANS: Final = frozenset({"metadata", "async"})
#: Beyond the plain kinds: what a parameter may be.
_CHOICES: Final[dict[str, dict[str, Any]]] = {
    "format": {"type": "string", "enum": ["auto", "binary", "json", "string"]},
    "from": {"type": "string", "enum": ["latest", "earliest"]},
}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        found["required"] = list(required)
    return found


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _number(minimum: int = 0) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum}


_NAME_VALUE: Final = _object(("name", "value"), name=_TEXT, value=_TEXT)
_PARTITION: Final = _object(("topic", "partition"), topic=_TEXT, partition=_number())
_OFFSET: Final = _object(
    ("topic", "partition", "offset"),
    topic=_TEXT,
    partition=_number(),
    offset=_number(),
    metadata=_TEXT,
)
_DATA: Final = _object(
    ("type",), type={"type": "string", "enum": ["BINARY", "JSON", "STRING"]}, data=_ANY
)
_RECORD: Final[dict[str, Any]] = {
    "partition_id": _number(),
    "headers": _list(_object(("name",), name=_TEXT, value={"type": "string", "format": "byte"})),
    "key": _DATA,
    "value": _DATA,
    "timestamp": {"type": "string", "format": "date-time"},
}
_ACL: Final = _object(_ACL_QUERY, **dict.fromkeys(_ACL_QUERY, _TEXT))

SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "Error": _object(("error_code", "message"), error_code={"type": "integer"}, message=_TEXT),
    "Produce": _object(
        ("records",), records=_list(_object(key=_ANY, value=_ANY, partition=_number()))
    ),
    "Instance": {
        "type": "object",
        "properties": {
            "id": _TEXT,
            "name": _TEXT,
            "format": {"type": "string", "enum": ["binary", "json"]},
            "auto.offset.reset": {"type": "string", "enum": ["earliest", "latest", "none"]},
            "auto.commit.enable": {"type": "string", "enum": ["true", "false"]},
            "fetch.min.bytes": _number(-1),
            "consumer.request.timeout.ms": _number(1),
        },
        "additionalProperties": False,
    },
    "Subscription": _object(topics=_list(_TEXT), topic_pattern=_TEXT),
    "Partitions": _object(("partitions",), partitions=_list(_PARTITION)),
    "Offsets": _object(offsets=_list(_OFFSET)),
    "Positions": _object(
        offsets=_list(_OFFSET),
        timestamps=_list(
            _object(
                ("topic", "partition", "timestamp"),
                topic=_TEXT,
                partition=_number(),
                timestamp={"type": "string", "format": "date-time"},
            )
        ),
    ),
    "Topic": _object(
        ("topic_name",),
        topic_name=_TEXT,
        partitions_count=_number(1),
        replication_factor=_number(1),
        replicas_assignments=_list(
            _object(partition_id=_number(), broker_ids=_list({"type": "integer"}))
        ),
        configs=_list(_NAME_VALUE),
        validate_only={"type": "boolean"},
    ),
    "PartitionsCount": _object(("partitions_count",), partitions_count=_number(1)),
    "Value": _object(("value",), value=_TEXT),
    "Alter": _object(
        ("data",),
        data=_list(
            _object(
                ("name",),
                name=_TEXT,
                value=_TEXT,
                operation={"type": "string", "enum": ["SET", "DELETE"]},
            )
        ),
        validate_only={"type": "boolean"},
    ),
    "Record": _object(**_RECORD),
    "Batch": _object(("entries",), entries=_list(_object(("id",), id=_TEXT, **_RECORD))),
    "Acl": _ACL,
    "Acls": _object(("data",), data=_list(_ACL)),
}


def _parameter(name: str, where: str) -> dict[str, Any]:
    schema: dict[str, Any] = _TEXT
    if name in _NUMBERS:
        schema = _number()
    elif name in _BOOLEANS:
        schema = {"type": "boolean"}
    elif name in _CHOICES:
        schema = _CHOICES[name]
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def _request_body(name: str) -> dict[str, Any]:
    types = [V2_JSON, V2_BINARY] if name == "Produce" else [PLAIN]
    if name in ("Instance", "Subscription", "Partitions", "Offsets", "Positions"):
        types = [V2]
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {
        "required": name not in ("Offsets", "Instance"),
        "content": {media: {"schema": schema} for media in types},
    }


def _operation(tag: str, op: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": op.summary}
    if op.status != 204:
        schema: dict[str, Any] = _TEXT if op.answer in (EVENTS, HTML) else {}
        success["content"] = {op.answer or PLAIN: {"schema": schema}}
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
