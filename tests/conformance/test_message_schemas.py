"""The message classes have the fields, types, versions, tags and defaults of Apache Kafka's own.

Kafka's jar carries the definitions its classes were generated from.
"""

from __future__ import annotations

import importlib
import json
import re
import zipfile
from typing import Any

import pytest

from ottla.engine.apache import ApacheKafka
from ottla.wire.message import FieldSchema, Message
from ottla.wire.messages import API_NAMES

INTEGERS = {"int8", "int16", "uint16", "int32", "uint32", "int64"}
#: API key and field: None means "all keys" to handlers, as it does to Kafka's own client.
OTHER_DEFAULTS = {(32, "configuration_keys")}

Definition = dict[str, Any]


def snake(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def versions_in(text: str | None, among: set[int]) -> set[int]:
    if text is None or text == "none":
        return set()
    low, _, high = text.removesuffix("+").partition("-")
    newest = 32_767 if text.endswith("+") else int(high or low)
    return {v for v in among if int(low) <= v <= newest}


def default_of(type_: str, given: Any) -> Any:
    if type_.startswith("[]"):
        return None if given == "null" else []
    if given == "null":
        return None
    if type_ in INTEGERS:
        return int(str(given or 0), 0)
    if type_ == "float64":
        return float(given or 0)
    if type_ == "bool":
        return str(given).lower() == "true"
    return {"string": given or "", "uuid": bytes(16)}.get(type_, b"")


@pytest.fixture(scope="session")
def definitions(apache_kafka: ApacheKafka) -> dict[tuple[int, str], Definition]:
    """(API key, request or response) -> definition."""
    (jar,) = apache_kafka.distribution.libs.glob("kafka-clients-*.jar")
    found = {}
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"common/message/\w+(?:Request|Response)\.json", name):
                text = re.sub(r"^\s*//.*$", "", archive.read(name).decode(), flags=re.MULTILINE)
                definition = json.loads(text)
                found[definition["apiKey"], definition["type"]] = definition
    return found


class Comparison:
    """Collects what differs between one message class and its definition."""

    def __init__(self, api_key: int, definition: Definition) -> None:
        self.api_key = api_key
        self.commons = {c["name"]: c["fields"] for c in definition.get("commonStructs", [])}
        self.slips: list[str] = []

    def compare(
        self, path: str, cls: type[Message], fields: list[Definition], versions: set[int]
    ) -> None:
        ours = {f.name: f for f in cls.SCHEMA}
        named = set()
        for field in fields:
            present = versions_in(field["versions"], versions)
            if not present:
                continue
            name = snake(field["name"])
            found = ours.get(name) or ours.get(name + "_ms")
            if found is None:
                self.slips.append(f"{path}.{name} is missing")
                continue
            named.add(found.name)
            self._compare_field(f"{path}.{found.name}", cls, found, field, present, versions)
        for name, mine in ours.items():
            if name not in named and any(mine.first <= v <= mine.last for v in versions):
                self.slips.append(f"{path}.{name} is not Kafka's")
        for version in versions:
            self._compare_order(path, cls, fields, version)

    def _compare_field(
        self,
        path: str,
        cls: type[Message],
        ours: FieldSchema,
        theirs: Definition,
        present: set[int],
        versions: set[int],
    ) -> None:
        tagged = versions_in(theirs.get("taggedVersions"), present)
        nullable = versions_in(theirs.get("nullableVersions"), present)
        type_ = theirs["type"]
        claims = {
            "versions": ({v for v in versions if ours.first <= v <= ours.last}, present),
            "null": ({v for v in present if ours.null_from <= v <= ours.null_to}, nullable),
            "tag": (ours.tag, theirs.get("tag", -1)),
            "tagged": ({v for v in present if ours.tag >= 0 and v >= ours.tag_from}, tagged),
            "array": (ours.is_array, type_.startswith("[]")),
        }
        if isinstance(ours.type_, str):
            claims["type"] = (ours.type_, type_.removeprefix("[]"))
            if (self.api_key, ours.name) not in OTHER_DEFAULTS:
                default = default_of(type_, theirs.get("default"))
                claims["default"] = (getattr(cls(), ours.name), default)
        self.slips += [
            f"{path}: {what} {mine}, Kafka's {kafkas}"
            for what, (mine, kafkas) in claims.items()
            if mine != kafkas
        ]
        if not isinstance(ours.type_, str):
            fields = theirs.get("fields") or self.commons[type_.removeprefix("[]")]
            self.compare(path, ours.type_, fields, present)

    def _compare_order(
        self, path: str, cls: type[Message], fields: list[Definition], version: int
    ) -> None:
        theirs = [
            snake(f["name"])
            for f in fields
            if versions_in(f["versions"], {version})
            and not versions_in(f.get("taggedVersions"), {version})
        ]
        mine = [
            f.name if f.name in theirs else f.name.removesuffix("_ms")
            for f in cls.SCHEMA
            if f.first <= version <= f.last and not (f.tag >= 0 and version >= f.tag_from)
        ]
        if mine != theirs:
            self.slips.append(f"{path} v{version}: order {mine}, Kafka's {theirs}")


@pytest.mark.parametrize("kind", ["request", "response"])
@pytest.mark.parametrize("api_key", sorted(API_NAMES), ids=lambda key: API_NAMES[key])
def test_messages_are_apache_kafkas(
    definitions: dict[tuple[int, str], Definition], api_key: int, kind: str
) -> None:
    module = importlib.import_module(f"ottla.wire.messages.{API_NAMES[api_key]}")
    definition = definitions[api_key, kind]
    low, _, high = definition["validVersions"].partition("-")
    newest = int(high or low) - bool(definitions[api_key, "request"].get("latestVersionUnstable"))
    versions = set(range(int(low), newest + 1))
    assert newest == module.MAX_VERSION
    assert versions >= {module.MAX_VERSION}
    assert int(low) >= module.MIN_VERSION
    flexible = versions_in(definition["flexibleVersions"], versions)
    assert {v for v in versions if v >= module.FLEXIBLE_FROM} == flexible
    comparison = Comparison(api_key, definition)
    cls = module.REQUEST if kind == "request" else module.RESPONSE
    comparison.compare(kind, cls, definition["fields"], versions)
    assert comparison.slips == []
