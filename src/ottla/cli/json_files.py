"""The JSON files that Kafka's tools take as arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ottla.cli.errors import CommandError


def read_json_object(path: str) -> dict[str, Any]:
    """The object in a file. Errors: `CommandError` that says what is wrong with it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"Unable to read file {path}: {error.strerror}.") from None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CommandError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise CommandError(f"{path} holds no JSON object.")
    return value


def listed_objects(value: dict[str, Any], field: str, path: str) -> list[dict[str, Any]]:
    """The objects in a list field. Errors: `CommandError`."""
    items = value.get(field)
    if items is None:
        raise CommandError(f"Missing {field} field in {path}.")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CommandError(f"The field {field} in {path} is not a list of objects.")
    return items


def topic_and_partition(item: dict[str, Any], path: str) -> tuple[str, int]:
    """The fields `topic` and `partition` of an entry. Errors: `CommandError`."""
    topic, partition = item.get("topic"), item.get("partition")
    if not isinstance(topic, str) or not isinstance(partition, int):
        raise CommandError(f"An entry in {path} lacks topic or partition: {json.dumps(item)}.")
    return topic, partition
