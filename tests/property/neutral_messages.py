"""Hypothesis strategies for any message of any version."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from kio.schema.errors import ErrorCode as KioErrorCode

from ottla.wire.message import FieldSchema, Message

INTEGERS = {
    "int8": st.integers(-(2**7), 2**7 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
}
#: kio turns times into timedelta and datetime, which have narrower ranges.
TIMES = {"int32": INTEGERS["int32"], "int64": st.integers(0, 2**40)}
ERROR_CODES = st.sampled_from([int(code) for code in KioErrorCode])


def scalars(field: FieldSchema) -> st.SearchStrategy[Any]:
    type_ = str(field.type_)
    if type_ in INTEGERS:
        if field.name.endswith("error_code") or field.name == "error_codes":
            return ERROR_CODES
        return (TIMES if field.name.endswith("_ms") else INTEGERS)[type_]
    return {
        "bool": st.booleans(),
        "float64": st.floats(allow_nan=False),
        "string": st.text(max_size=9) | st.just("long" * 40),
        "uuid": st.binary(min_size=16, max_size=16),
        "bytes": st.binary(max_size=9) | st.just(bytes(200)),
        "records": st.binary(max_size=9) | st.just(bytes(5000)),
    }[type_]


def messages(cls: type[Message], version: int) -> st.SearchStrategy[Message]:
    """Any message that this version can carry; absent fields keep their defaults."""
    chosen: dict[str, st.SearchStrategy[Any]] = {}
    for field in cls.SCHEMA:
        if not field.first <= version <= field.last:
            continue
        if isinstance(field.type_, str):
            values = scalars(field)
        else:
            values = messages(field.type_, version)
        if field.is_array:
            values = st.lists(values, max_size=3)
        if field.null_from <= version <= field.null_to:
            values = st.none() | values
        chosen[field.name] = values
    if not chosen:
        return st.builds(cls)
    return st.fixed_dictionaries(chosen).map(lambda values: cls(**values))
