"""Write `src/ottla/wire/messages/*.py` from the schemas of the `kio` package.

kio holds one frozen dataclass per message *and version*. Handlers want one
class per message, so this program folds all versions of a message into one
neutral class whose `SCHEMA` says which versions carry each field. The versions
that Kafka 4 dropped (KIP-896) are added from `OLDER_VERSIONS` below, because
kio no longer has them.

Run it with `make messages`; a test fails when the result is out of date.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import sys
import types
import typing
from pathlib import Path

from kio.schema.index import api_key_map

NO_VERSION = 32767
TARGET = Path(__file__).parent.parent / "src" / "ottla" / "wire" / "messages"

#: (message class, field) -> first version that carries it, for fields that
#: exist in the oldest version kio knows but not in all older ones. The key
#: (message class, "") gives the first version of the whole message.
OLDER_VERSIONS: dict[tuple[str, str], int] = {
    ("ProduceRequest", ""): 0,
    ("ProduceRequest", "transactional_id"): 3,
    ("ProduceResponse", ""): 0,
    ("ProduceResponse", "throttle_time_ms"): 1,
    ("PartitionProduceResponse", "log_append_time_ms"): 2,
    ("FetchRequest", ""): 0,
    ("FetchRequest", "max_bytes"): 3,
    ("FetchRequest", "isolation_level"): 4,
    ("FetchResponse", ""): 0,
    ("FetchResponse", "throttle_time_ms"): 1,
    ("PartitionData", "last_stable_offset"): 4,
    ("PartitionData", "aborted_transactions"): 4,
    ("ListOffsetsRequest", ""): 0,
    ("ListOffsetsResponse", ""): 0,
    ("ListOffsetsPartitionResponse", "timestamp"): 1,
    ("ListOffsetsPartitionResponse", "offset"): 1,
    ("OffsetCommitRequest", ""): 0,
    ("OffsetCommitRequest", "generation_id_or_member_epoch"): 1,
    ("OffsetCommitRequest", "member_id"): 1,
    ("OffsetCommitRequest", "retention_time_ms"): 2,
    ("OffsetCommitResponse", ""): 0,
    ("OffsetFetchRequest", ""): 0,
    ("OffsetFetchResponse", ""): 0,
    ("CreateTopicsRequest", ""): 0,
    ("CreateTopicsRequest", "validate_only"): 1,
    ("CreateTopicsResponse", ""): 0,
    ("CreateTopicsResponse", "throttle_time_ms"): 2,
    ("CreatableTopicResult", "error_message"): 1,
    ("DeleteTopicsRequest", ""): 0,
    ("DeleteTopicsResponse", ""): 0,
    ("DeleteTopicsResponse", "throttle_time_ms"): 1,
    ("OffsetForLeaderEpochRequest", ""): 0,
    ("OffsetForLeaderPartition", "current_leader_epoch"): 2,
    ("OffsetForLeaderEpochResponse", ""): 0,
    ("OffsetForLeaderEpochResponse", "throttle_time_ms"): 2,
    ("EpochEndOffset", "leader_epoch"): 1,
    ("DescribeConfigsRequest", ""): 0,
    ("DescribeConfigsRequest", "include_synonyms"): 1,
    ("DescribeConfigsResponse", ""): 0,
    ("DescribeConfigsResourceResult", "config_source"): 1,
    ("DescribeConfigsResourceResult", "synonyms"): 1,
    ("DescribeAclsRequest", ""): 0,
    ("DescribeAclsRequest", "pattern_type_filter"): 1,
    ("DescribeAclsResponse", ""): 0,
    ("DescribeAclsResource", "pattern_type"): 1,
    ("CreateAclsRequest", ""): 0,
    ("AclCreation", "resource_pattern_type"): 1,
    ("CreateAclsResponse", ""): 0,
    ("DeleteAclsRequest", ""): 0,
    ("DeleteAclsFilter", "pattern_type_filter"): 1,
    ("DeleteAclsResponse", ""): 0,
    ("DeleteAclsMatchingAcl", "pattern_type"): 1,
    ("DescribeLogDirsRequest", ""): 0,
    ("DescribeLogDirsResponse", ""): 0,
    ("AlterReplicaLogDirsRequest", ""): 0,
    ("AlterReplicaLogDirsResponse", ""): 0,
}

#: The keys of OLDER_VERSIONS that were met: one that was not is a slip.
OVERLAY_USED: set[tuple[str, str]] = set()

#: APIs whose newest version Kafka 4.3 marks as unstable, and does not offer.
NEWEST_STABLE = {"init_producer_id": 5}  # v6 is two-phase commit (KIP-939)

#: Fields that only dropped versions have: class -> (after which field, name,
#: type, first version, last version, default).
OLDER_FIELDS: dict[str, list[tuple[str, str, str, int, int, str]]] = {
    "ListOffsetsPartition": [("timestamp", "max_num_offsets", "int32", 0, 0, "1")],
    "ListOffsetsPartitionResponse": [("error_code", "old_style_offsets", "[]int64", 0, 0, "[]")],
    "OffsetCommitRequestPartition": [
        ("committed_leader_epoch", "commit_timestamp_ms", "int64", 1, 1, "-1")
    ],
    "DescribeConfigsResourceResult": [("read_only", "is_default", "bool", 0, 0, "False")],
}

FIXED_WIDTH = {"bool", "int8", "int16", "uint16", "int32", "uint32", "int64", "float64", "uuid"}
PYTHON_TYPE = {
    "bool": "bool",
    "int8": "int",
    "int16": "int",
    "uint16": "int",
    "int32": "int",
    "uint32": "int",
    "int64": "int",
    "float64": "float",
    "string": "str",
    "uuid": "bytes",
    "bytes": "Buffer",
    "records": "Buffer",
}
ZERO = {
    "bool": "False",
    "float64": "0.0",
    "string": '""',
    "uuid": "ZERO_UUID",
    "bytes": 'b""',
    "records": 'b""',
}


@dataclasses.dataclass
class NeutralField:
    name: str
    type_: str
    is_array: bool
    versions: set[int]
    nullable: set[int]
    tags: dict[int, int]
    default: str | None


@dataclasses.dataclass
class NeutralClass:
    name: str
    fields: list[NeutralField]
    doc: str = ""


def unwrap_optional(annotation: object) -> tuple[object, bool]:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        options = [a for a in typing.get_args(annotation) if a is not type(None)]
        return options[0], True
    return annotation, False


def literal(value: object, type_: str) -> str:
    if type_ == "uuid":
        return "ZERO_UUID"
    if value is None:
        return "None"
    if type_ == "bool":
        return repr(bool(value))
    if hasattr(value, "total_seconds"):
        return repr(round(value.total_seconds() * 1000))
    if type_ == "string":
        return '"' + str(value) + '"'
    if type_ == "float64":
        return repr(float(typing.cast("float", value)))
    if type_ in ("bytes", "records"):
        return repr(bytes(typing.cast("bytes", value)))
    return repr(int(typing.cast("int", value)))


class Collector:
    """Folds the versions of one message (its class and nested classes)."""

    def __init__(self, taken: set[str], prefix: str) -> None:
        self.classes: dict[str, NeutralClass] = {}
        self.taken = taken
        self.prefix = prefix

    def class_name(self, kio_class: type) -> str:
        name = kio_class.__name__
        return self.prefix + name if name in self.taken else name

    def add(self, kio_class: type, version: int) -> str:
        name = self.class_name(kio_class)
        neutral = self.classes.get(name)
        if neutral is None:
            neutral = self.classes[name] = NeutralClass(name, [])
        hints = typing.get_type_hints(kio_class)
        position = 0
        for field in dataclasses.fields(kio_class):
            annotation, nullable = unwrap_optional(hints[field.name])
            is_array = typing.get_origin(annotation) is tuple
            if is_array:
                annotation, _ = unwrap_optional(typing.get_args(annotation)[0])
            kafka_type = field.metadata.get("kafka_type")
            field_name = field.name
            if kafka_type is None:
                type_ = self.add(typing.cast("type", annotation), version)
            elif kafka_type == "error_code":
                type_ = "int16"
            elif kafka_type.startswith("timedelta_i") or kafka_type == "datetime_i64":
                type_ = "int32" if kafka_type.endswith("i32") else "int64"
                field_name += "_ms"
            else:
                type_ = kafka_type
            if type_ in FIXED_WIDTH and not is_array:
                nullable = False  # kio's None for a zero id or a time of -1
            default = None
            if field.default is not dataclasses.MISSING and not is_array:
                if kafka_type is None:
                    default = "None" if field.default is None else None
                elif kafka_type == "datetime_i64" and field.default is None:
                    default = "-1"
                else:
                    default = literal(field.default, type_)
            elif is_array and field.default is None and field.default is not dataclasses.MISSING:
                default = "None"
            existing = next((f for f in neutral.fields if f.name == field_name), None)
            if existing is None:
                existing = NeutralField(field_name, type_, is_array, set(), set(), {}, default)
                neutral.fields.insert(position, existing)
            if existing.type_ != type_ or existing.is_array != is_array:
                raise SystemExit(f"{name}.{field_name}: type differs between versions")
            if default is not None:
                existing.default = default
            position = neutral.fields.index(existing) + 1
            existing.versions.add(version)
            if nullable:
                existing.nullable.add(version)
            if "tag" in field.metadata:
                existing.tags[version] = field.metadata["tag"]
        return name


def contiguous(versions: set[int], newest: int, what: str) -> tuple[int, int]:
    low, high = min(versions), max(versions)
    if versions != set(range(low, high + 1)):
        raise SystemExit(f"{what}: versions have a gap: {sorted(versions)}")
    return low, NO_VERSION if high == newest else high


def collect(api: str, kind: str, taken: set[str]) -> tuple[Collector, str, list[int], int]:
    package = importlib.import_module(f"kio.schema.{api}")
    versions = sorted(int(m.name[1:]) for m in pkgutil.iter_modules(package.__path__))
    versions = [v for v in versions if v <= NEWEST_STABLE.get(api, NO_VERSION)]
    collector = Collector(taken, kind.capitalize())
    flexible_from = NO_VERSION
    top = ""
    for version in versions:
        module = importlib.import_module(f"kio.schema.{api}.v{version}.{kind}")
        camel = next(
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and getattr(getattr(value, "__type__", None), "name", "") == kind
        )
        top = collector.add(camel, version)
        if camel.__flexible__:
            flexible_from = min(flexible_from, version)
    return collector, top, versions, flexible_from


def extend_downwards(collector: Collector, top: str, versions: list[int]) -> list[int]:
    oldest_known = versions[0]
    oldest = OLDER_VERSIONS.get((top, ""), oldest_known)
    OVERLAY_USED.add((top, ""))
    if oldest == oldest_known:
        return versions
    for neutral in collector.classes.values():
        for field in neutral.fields:
            if oldest_known not in field.versions:
                continue
            first = OLDER_VERSIONS.get((neutral.name, field.name), oldest)
            OVERLAY_USED.add((neutral.name, field.name))
            field.versions |= set(range(first, oldest_known))
            if oldest_known in field.nullable:
                field.nullable |= set(range(first, oldest_known))
        for after, name, type_, low, high, default in OLDER_FIELDS.get(neutral.name, []):
            position = [f.name for f in neutral.fields].index(after) + 1
            is_array = type_.startswith("[]")
            existing = next((f for f in neutral.fields if f.name == name), None)
            if existing is None:
                existing = NeutralField(
                    name,
                    type_.removeprefix("[]"),
                    is_array,
                    set(),
                    set(),
                    {},
                    None if is_array else default,
                )
                neutral.fields.insert(position, existing)
            existing.versions |= set(range(low, high + 1))
    return list(range(oldest, versions[-1] + 1))


def render_class(
    neutral: NeutralClass, versions: list[int], is_response: bool, answer: tuple[int, str] | None
) -> list[str]:
    """Lines of one class; `answer` is (API key, name of the response) for a whole request."""
    newest = versions[-1]
    base = f'Request["{answer[1]}"]' if answer else "Message"
    lines = ["", "", f"class {neutral.name}({base}):"]
    if answer:
        lines.append(f"    API_KEY: ClassVar[int] = {answer[0]}")
    names = [f.name for f in neutral.fields]
    if not names:
        lines += ["    __slots__ = ()", "    SCHEMA: ClassVar[Schema] = ()"]
        return lines
    lines += ["    __slots__ = ("] + [f'        "{n}",' for n in names] + ["    )"]
    lines += ["    SCHEMA: ClassVar[Schema] = ("]
    for f in neutral.fields:
        low, high = contiguous(f.versions, newest, f"{neutral.name}.{f.name}")
        null_low, null_high = NO_VERSION, -1
        if f.nullable:
            null_low, null_high = contiguous(f.nullable, newest, f"{f.name} (null)")
        tag, tag_from = -1, NO_VERSION
        if f.tags:
            if len(set(f.tags.values())) != 1:
                raise SystemExit(f"{neutral.name}.{f.name}: tag differs between versions")
            tag, tag_from = next(iter(f.tags.values())), min(f.tags)
        type_ = f.type_ if f.type_ not in PYTHON_TYPE else f'"{f.type_}"'
        lines.append(
            f'        FieldSchema("{f.name}", {type_}, {f.is_array}, {low}, {high},'
            f" {null_low}, {null_high}, {tag}, {tag_from}),"
        )
    lines += ["    )", "", "    def __init__(", "        self,"]
    body = []
    for f in neutral.fields:
        element = PYTHON_TYPE.get(f.type_, f.type_)
        nullable = bool(f.nullable)
        if f.is_array:
            annotation = f"list[{element}]" + (" | None" if nullable else "")
            if nullable:
                lines.append(f"        {f.name}: {annotation} = None,")
                body.append(f"        self.{f.name} = {f.name}")
            else:
                lines.append(f"        {f.name}: {annotation} | None = None,")
                body.append(
                    f"        self.{f.name}: {annotation} = [] if {f.name} is None else {f.name}"
                )
        elif f.type_ not in PYTHON_TYPE:
            annotation = f"{element} | None"
            lines.append(f"        {f.name}: {annotation} = None,")
            if nullable:
                body.append(f"        self.{f.name} = {f.name}")
            else:
                body.append(
                    f"        self.{f.name}: {element} ="
                    f" {element}() if {f.name} is None else {f.name}"
                )
        else:
            default = f.default if f.default is not None else ZERO.get(f.type_, "0")
            if is_response and f.type_ == "records":
                element = "Records"
            annotation = element + (" | None" if nullable or default == "None" else "")
            lines.append(f"        {f.name}: {annotation} = {default},")
            body.append(f"        self.{f.name} = {f.name}")
    lines += ["    ) -> None:", *body]
    return lines


def in_dependency_order(classes: dict[str, NeutralClass]) -> list[NeutralClass]:
    done: dict[str, NeutralClass] = {}

    def visit(neutral: NeutralClass) -> None:
        if neutral.name in done:
            return
        for f in neutral.fields:
            if f.type_ in classes and f.type_ != neutral.name:
                visit(classes[f.type_])
        done[neutral.name] = neutral

    for neutral in classes.values():
        visit(neutral)
    return list(done.values())


def render_api(key: int, api: str) -> tuple[str, tuple[int, int, int]]:
    request, request_top, versions, flexible_from = collect(api, "request", set())
    versions = extend_downwards(request, request_top, versions)
    response, response_top, response_versions, _ = collect(api, "response", set(request.classes))
    response_versions = extend_downwards(response, response_top, response_versions)
    if versions != response_versions:
        raise SystemExit(f"{api}: request {versions} but response {response_versions}")
    classes = [(neutral, False) for neutral in in_dependency_order(request.classes)]
    classes += [(neutral, True) for neutral in in_dependency_order(response.classes)]
    body = "\n".join(
        line
        for neutral, is_response in classes
        for line in render_class(
            neutral,
            versions,
            is_response,
            (key, response_top) if neutral.name == request_top else None,
        )
    )
    names = ["FieldSchema", "Message", "Request", "Schema"]
    names += [n for n in ("Buffer", "Records", "ZERO_UUID") if re.search(rf"\b{n}\b", body)]
    imports = "\n".join(f"    {n}," for n in sorted(names))
    text = (
        f'"""{api} (API key {key}), versions {versions[0]} to {versions[-1]}.\n\n'
        "Generated by tools/generate_messages.py; change that instead.\n"
        '"""\n\n'
        "from typing import ClassVar\n\n"
        f"from ottla.wire.message import (\n{imports}\n)\n\n"
        f"API_KEY = {key}\n"
        f"MIN_VERSION = {versions[0]}\n"
        f"MAX_VERSION = {versions[-1]}\n"
        f"FLEXIBLE_FROM = {flexible_from}\n"
        f"{body}\n"
        f"\n\nREQUEST = {request_top}\nRESPONSE = {response_top}\n"
    )
    return text, (versions[0], versions[-1], flexible_from)


#: Keys that exist between brokers and controllers only, or in Kafka's own
#: multi-process coordinators: one process needs none of them, nor do its clients.
NOT_OURS = {
    52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 83, 84, 85, 86, 87,
}  # fmt: skip


def render_index(apis: dict[int, str], ranges: dict[int, tuple[int, int, int]]) -> str:
    rows = "\n".join(f'    {key}: "{name}",' for key, name in sorted(apis.items()))
    range_rows = "\n".join(f"    {key}: {value}," for key, value in sorted(ranges.items()))
    return (
        '"""Message classes, one module per API, each loaded when first used.\n\n'
        "Generated by tools/generate_messages.py; change that instead.\n"
        '"""\n\n'
        "from typing import Final\n\n"
        "#: API key -> name of the module that holds its messages.\n"
        f"API_NAMES: Final[dict[int, str]] = {{\n{rows}\n}}\n\n"
        "#: API key -> (oldest version, newest version, first flexible version) of its messages,\n"
        "#: known without loading them. What a broker serves is the handlers' registry's affair.\n"
        f"API_VERSIONS: Final[dict[int, tuple[int, int, int]]] = {{\n{range_rows}\n}}\n"
    )


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.mkdir(parents=True, exist_ok=True)
    apis = {key: name for key, name in api_key_map.items() if key not in NOT_OURS}
    ranges = {}
    for key, api in apis.items():
        text, ranges[key] = render_api(key, api)
        (target / f"{api}.py").write_text(text)
    if unused := OLDER_VERSIONS.keys() - OVERLAY_USED:
        raise SystemExit(f"OLDER_VERSIONS names what does not exist: {sorted(unused)}")
    (target / "__init__.py").write_text(render_index(apis, ranges))
    print(f"wrote {len(apis)} modules to {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
