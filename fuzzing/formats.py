"""Every format of a file or of a coordinator's record, by itself: many more tries than `files` has.

An input is a format (one byte), whether its checksum is to be made right, and
the bytes. What decodes, encodes; and what that gives decodes to the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from fuzzing.files import mended, sound
from fuzzing.target import Input, Target
from ottla.batch.record_batch import headers, records
from ottla.broker import topics
from ottla.coordinator.records import (
    commits,
    consumer_groups,
    framing,
    offsets,
    share_groups,
    share_state,
    transactions,
)
from ottla.storage import (
    directory_checkpoint,
    leader_epochs,
    metadata_journal,
    producer_snapshot,
    transaction_index,
)
from ottla.storage.offset_index import OffsetIndex
from ottla.storage.time_index import TimeIndex
from ottla.wire.errors import ProtocolError


class Format(NamedTuple):
    """How bytes are read, what may be raised, and how what was read is written again."""

    name: str
    read: Callable[[bytes], Any]
    refusals: tuple[type[Exception], ...] = ()
    write: Callable[[Any], bytes] | None = None


def _read_journal(data: bytes) -> list[Any]:
    found, position = metadata_journal._decode(data)
    assert 0 <= position <= max(len(data), len(metadata_journal._MAGIC))
    return [topics.decode_change(change) for change in found]


def _classes(base: type[Any]) -> list[type[Any]]:
    """Every record class, by the modules that hold them."""
    modules = (consumer_groups, offsets, share_groups, share_state, transactions)
    every = (value for module in modules for value in vars(module).values())
    return [
        one for one in every if isinstance(one, type) and issubclass(one, base) and one is not base
    ]


def _of_record(cls: type[Any]) -> Format:
    if issubclass(cls, framing.RecordKey):
        return Format(
            cls.__name__,
            lambda data: framing.decode_key(cls, cls.KEY_TYPE.to_bytes(2, "big") + data[2:]),
            (ProtocolError,),
            framing.encode_key,
        )

    def read(data: bytes) -> tuple[Any, int]:
        value = framing.decode_value(cls, data)
        return value, int.from_bytes(data[:2], "big", signed=True)

    return Format(cls.__name__, read, (ProtocolError,), lambda found: framing.encode_value(*found))


FORMATS: Final = (
    Format("checkpoint", directory_checkpoint.decode, (ValueError,), directory_checkpoint.encode),
    Format("epochs", leader_epochs.decode, (ValueError,), lambda epochs: bytes(epochs.encode())),
    Format("snapshot", producer_snapshot.decode, (producer_snapshot.BadSnapshotError,)),
    Format("journal", _read_journal, (topics.MetadataFormatError,)),
    Format("txnindex", transaction_index.decode, (), transaction_index.encode),
    Format("index", lambda data: OffsetIndex.decode(0, data), (), lambda index: index.encode()),
    Format("timeindex", lambda data: TimeIndex.decode(0, data), (), lambda index: index.encode()),
    Format("commit key", commits.decode_commit_key, (ProtocolError,)),
    *(_of_record(cls) for cls in _classes(framing.RecordKey)),
    *(_of_record(cls) for cls in _classes(framing.RecordValue)),
)
#: What a file of each name is, for the bytes to begin with.
_NAMES: Final = {
    "ottla-checkpoint": "checkpoint",
    "leader-epoch-checkpoint": "epochs",
    ".snapshot": "snapshot",
    ".journal": "journal",
    ".txnindex": "txnindex",
    ".index": "index",
    ".timeindex": "timeindex",
}
_PATHS: Final = {name: f"/{end}" for end, name in _NAMES.items()}


def run(data: bytes) -> None:
    given = Input(data)
    which = FORMATS[given.byte() % len(FORMATS)]
    is_mended = given.byte() & 1
    content = given.rest()
    if is_mended:
        content = mended(_PATHS.get(which.name, ""), content)
    try:
        found = which.read(content)
    except which.refusals:
        return
    if which.write is None:
        return
    once = which.write(found)
    assert which.write(which.read(once)) == once, f"{which.name}: it reads as something else"


def seeds() -> Iterator[bytes]:
    numbers = {one.name: bytes((i,)) for i, one in enumerate(FORMATS)}
    for path, content in sorted(sound(True).items()):
        for end, name in _NAMES.items():
            if path.endswith(end):
                yield numbers[name] + b"\0" + content
                yield numbers[name] + b"\1" + content
        if not path.endswith(".log") or "/__" not in path:
            continue
        for position, header in headers(content):
            for record in () if header.is_control else records(content, position):
                for i, one in enumerate(FORMATS):
                    given = record.value if one.name.endswith("Value") else record.key
                    if given and _is_readable(one, given):
                        yield bytes((i, 0)) + given


def _is_readable(one: Format, data: bytes) -> bool:
    """Whether bytes of a real record are of this kind, or can pass for it."""
    if not one.name.endswith(("Key", "Value", "key")):
        return False
    try:
        one.read(data)
    except one.refusals:
        return False
    return True


TARGET = Target("formats", "each file's and record's format by itself", seeds, run)
