"""`kafka-dump-log`: what is in the files of a partition, Apache Kafka's or ours."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ottla.cli.errors import CommandError, exit_status_of, note
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.batch.record_batch import BatchHeader, Record
    from ottla.inspect.data_files import LegacyBatch, LoggedBatch

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
#: Stands for a number that Java writes in its own way; no text of a record is this.
MARK: Final = "\x00"
DEFAULT_MAX_MESSAGE_SIZE: Final = 5 * 1024 * 1024

#: What a decoder makes of a record: texts of key and value, None for none.
Decoder = Callable[["Record"], tuple[str | None, str | None]]


def build_parser() -> OptionParser:
    """The options of kafka-dump-log."""
    parser = OptionParser(
        "kafka-dump-log",
        "Print the files of a partition: .log, .index, .timeindex, .txnindex, .snapshot.",
    )
    flag, value = parser.flag, parser.value
    value("--files", "the files, separated by commas", metavar="FILE,FILE")
    flag("--print-data-log", "print keys and values as well")
    flag("--deep-iteration", "print the records of each batch; implied by --print-data-log")
    flag("--verify-index-only", "check the index only, print nothing of it")
    flag("--index-sanity-check", "only say whether the index is sound")
    value("--max-message-size", "largest batch to expect", type_=int)
    value("--max-bytes", "read so many bytes of a .log only", type_=int)
    flag("--skip-record-metadata", "with --print-data-log: only keys and values")
    flag("--offsets-decoder", "keys and values are those of __consumer_offsets")
    flag("--transaction-log-decoder", "keys and values are those of __transaction_state")
    flag("--cluster-metadata-decoder", "values are those of Apache Kafka's __cluster_metadata")
    flag("--remote-log-metadata-decoder", "values are those of __remote_log_metadata")
    flag("--share-group-state-decoder", "keys and values are those of __share_group_state")
    value("--key-decoder-class", "Java class; only Kafka's StringDecoder", metavar="CLASS")
    value("--value-decoder-class", "Java class; only Kafka's StringDecoder", metavar="CLASS")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Print every file; what is wrong with an index goes to stderr at the end."""
    options, rest = build_parser().parse(arguments)
    names = [name for name in (options.files or ",".join(rest)).split(",") if name]
    if not names:
        raise CommandError('Missing required argument "[files]"')
    decoder = _decoder(options)
    complaints: list[str] = []
    for name in names:
        print(f"Dumping {name}")
        path = Path(name)
        try:
            _dump(path, options, decoder, complaints)
        except FileNotFoundError as error:
            raise CommandError(f"There is no file {error.filename}.") from None
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
        except ValueError:
            raise CommandError(
                f"{path.name} does not begin with an offset, as the files of a partition do."
            ) from None
    for line in complaints:
        print(line, file=sys.stderr)
    return 0


def _dump(
    path: Path, options: argparse.Namespace, decoder: Decoder | None, complaints: list[str]
) -> None:
    if path.suffix in (".log", ".checkpoint"):
        _dump_log(path, options, decoder, complaints)
    elif path.suffix == ".index":
        _dump_index(path, options, complaints)
    elif path.suffix == ".timeindex":
        _dump_time_index(path, options, complaints)
    elif path.suffix == ".txnindex":
        _dump_transaction_index(path)
    elif path.suffix == ".snapshot":
        _dump_producer_snapshot(path, complaints)
    else:
        note(f"ignoring the unknown file {path}")


def _decoder(options: argparse.Namespace) -> Decoder | None:
    """How to print keys and values; None when they are not to be printed."""
    for name in (options.key_decoder_class, options.value_decoder_class):
        if name and not name.endswith("StringDecoder"):
            raise CommandError(f"{name} is a Java class that cannot be loaded here.")
    if options.offsets_decoder:
        from ottla.inspect.internal_records import GROUPS

        return _internal_decoder(GROUPS)
    if options.transaction_log_decoder:
        from ottla.inspect.internal_records import TRANSACTIONS

        return _internal_decoder(TRANSACTIONS)
    if options.share_group_state_decoder:
        from ottla.inspect.internal_records import SHARE_STATE

        return _internal_decoder(SHARE_STATE)
    if options.cluster_metadata_decoder:
        return _metadata_decoder
    if options.remote_log_metadata_decoder:
        return _remote_log_decoder
    return _text_decoder if options.print_data_log else None


def _metadata_decoder(record: Record) -> tuple[str | None, str | None]:
    """As Kafka shows a record of the metadata log; it has no key."""
    from ottla.cli.java_numbers import double_text
    from ottla.inspect.metadata_records import UnknownMetadataError, decode

    try:
        name, version, data = decode(record.value or b"")
    except UnknownMetadataError as error:
        return None, f"Error at {record.offset}, skipping. {error}"
    numbers = {key: double_text(value) for key, value in data.items() if isinstance(value, float)}
    text = _compact({"type": name, "version": version, "data": data | dict.fromkeys(numbers, MARK)})
    for number in numbers.values():
        text = text.replace('"\\u0000"', number, 1)
    return None, text


def _remote_log_decoder(record: Record) -> tuple[str | None, str | None]:
    """As Kafka shows a record of tiered storage's own log; its key is not shown."""
    from ottla.inspect.metadata_records import UnknownMetadataError
    from ottla.inspect.remote_log_records import text_of

    try:
        return None, text_of(record.value or b"")
    except UnknownMetadataError as error:
        return None, f"Error at offset {record.offset}, skipping. {error}"


def _compact(shown: dict[str, Any]) -> str:
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False)


def _text_decoder(record: Record) -> tuple[str | None, str | None]:
    def text(data: bytes | None) -> str | None:
        return None if data is None else data.decode(errors="replace")

    return text(record.key), text(record.value)


def _internal_decoder(modules: tuple[str, ...]) -> Decoder:
    from ottla.inspect.internal_records import UnknownRecordError, decode
    from ottla.wire.errors import ProtocolError

    def compact(type_: str, number: int, data: dict[str, Any]) -> str:
        return _compact({type_: str(number), "data": data})

    def decode_record(record: Record) -> tuple[str | None, str | None]:
        if record.key is None:
            raise CommandError(
                f"Failed to decode message at offset {record.offset} using the specified decoder "
                "(message had a missing key)"
            )
        try:
            kind, key, version, value = decode(modules, record.key, record.value)
        except UnknownRecordError as error:
            return f"Unknown record type {error.kind} at offset {record.offset}, skipping.", None
        except ProtocolError as error:
            return f"Error at offset {record.offset}, skipping. {error}", None
        if value is None or version is None:
            return compact("type", kind, key), "<DELETE>"
        return compact("type", kind, key), compact("version", version, value)

    return decode_record


def _dump_log(
    path: Path, options: argparse.Namespace, decoder: Decoder | None, complaints: list[str]
) -> None:
    from ottla.inspect.data_files import Segment, base_offset_of

    if path.suffix == ".log":
        print(f"Log starting offset: {base_offset_of(path)}")
    elif re.fullmatch(r"\d+-\d+", path.stem):
        offset, _, epoch = path.stem.partition("-")
        print(f"Snapshot end offset: {int(offset)}, epoch: {int(epoch)}")
    segment = Segment(path, max_bytes=options.max_bytes)
    last_offset = -1
    jumps: list[str] = []
    for batch in segment:
        print(batch_line(batch))
        if decoder is None and not options.deep_iteration:
            continue
        for record in _records(batch, complaints):
            if record.offset != last_offset + 1:
                jumps.append(f"  {last_offset} is followed by {record.offset}")
            last_offset = record.offset
            print(_record_line(batch, record, options, decoder))
    if jumps:
        complaints += [f"Non-consecutive offsets in {path.absolute()}", *jumps]
    trailing = segment.size - segment.valid_bytes
    if trailing and options.max_bytes is None:
        print(f"Found {trailing} invalid bytes at the end of {path.name}")


def _records(batch: LoggedBatch, complaints: list[str]) -> Iterable[Record]:
    from ottla.batch.errors import CorruptBatchError

    try:
        return list(batch.records())
    except CorruptBatchError as error:
        complaints.append(f"The batch at position {batch.position} cannot be opened: {error}")
        return []


def batch_line(batch: LoggedBatch) -> str:
    """Kafka's line on one batch."""
    if batch.header is not None:
        start, kind, timestamp, magic, compression, crc = _modern(batch.header)
    else:
        assert batch.legacy is not None
        start, kind, timestamp, magic, compression, crc = _old(batch.legacy)
    codec = CODECS[compression] if compression < len(CODECS) else str(compression)
    return (
        f"{start} position: {batch.position} {kind}: {timestamp} size: {batch.size} "
        f"magic: {magic} compresscodec: {codec} crc: {crc} isvalid: {_java(batch.is_valid)}"
    )


def _modern(header: BatchHeader) -> tuple[str, str, int, int, int, int]:
    horizon = header.delete_horizon_ms
    fields = {
        "baseOffset": header.base_offset,
        "lastOffset": header.last_offset,
        "count": header.record_count,
        "baseSequence": header.base_sequence,
        "lastSequence": header.last_sequence,
        "producerId": header.producer_id,
        "producerEpoch": header.producer_epoch,
        "partitionLeaderEpoch": header.partition_leader_epoch,
        "isTransactional": _java(header.is_transactional),
        "isControl": _java(header.is_control),
        "deleteHorizonMs": "OptionalLong.empty" if horizon is None else f"OptionalLong[{horizon}]",
    }
    text = " ".join(f"{name}: {value}" for name, value in fields.items())
    kind = _timestamp_kind(is_log_append_time=header.is_log_append_time)
    return text, kind, header.max_timestamp, header.magic, header.compression, header.crc


def _old(batch: LegacyBatch) -> tuple[str, str, int, int, int, int]:
    kind = _timestamp_kind(is_log_append_time=batch.is_log_append_time)
    if batch.magic == 0:
        kind = "NoTimestampType"
    text = f"offset: {batch.offset}"
    return text, kind, batch.max_timestamp, batch.magic, batch.compression, batch.crc


def _timestamp_kind(*, is_log_append_time: bool) -> str:
    return "LogAppendTime" if is_log_append_time else "CreateTime"


def _java(value: bool) -> str:
    return "true" if value else "false"


def _record_line(
    batch: LoggedBatch,
    record: Record,
    options: argparse.Namespace,
    decoder: Decoder | None,
) -> str:
    parts: list[str] = []
    is_control = batch.header is not None and batch.header.is_control
    if not options.skip_record_metadata:
        parts.append(_metadata(batch, record))
        if is_control:
            parts.append(_control(record))
    if decoder is not None and not is_control:
        key, value = decoder(record)
        if key is not None:
            parts.append(f"key: {key}")
        if value is not None:
            parts.append(f"payload: {value}")
    text = " ".join(parts)
    return text if not options.skip_record_metadata else f"| {text}" if text else ""


def _metadata(batch: LoggedBatch, record: Record) -> str:
    header = batch.header
    if header is not None:
        kind = _timestamp_kind(is_log_append_time=header.is_log_append_time)
    else:
        assert batch.legacy is not None
        kind = _old(batch.legacy)[1]

    def size(data: bytes | None) -> int:
        return -1 if data is None else len(data)

    text = (
        f"| offset: {record.offset} {kind}: {record.timestamp} keySize: {size(record.key)} "
        f"valueSize: {size(record.value)}"
    )
    if header is None:
        return text
    from ottla.batch.sequence import add_sequence

    sequence = header.base_sequence
    if sequence >= 0:
        sequence = add_sequence(sequence, record.offset - header.base_offset)
    keys = ",".join(key if isinstance(key, str) else str(key) for key, _ in record.headers)
    return f"{text} sequence: {sequence} headerKeys: [{keys}]"


def _control(record: Record) -> str:
    from ottla.batch.control import control_type, transaction_marker

    marker = transaction_marker(record)
    if marker is None:
        from ottla.inspect.metadata_records import decode_control

        kind = control_type(record)
        decoded = decode_control(kind, record.value or b"")
        if decoded is not None:
            return f"{decoded[0]} {_compact(decoded[1])}"
        return f"controlType: {kind.name}"
    name = "COMMIT" if marker.is_commit else "ABORT"
    return f"endTxnMarker: {name} coordinatorEpoch: {marker.coordinator_epoch}"


def _dump_index(path: Path, options: argparse.Namespace, complaints: list[str]) -> None:
    from ottla.inspect.data_files import batch_at, index_entries

    entries = list(index_entries(path))
    if not entries:
        print(f"{path} is empty.")
        return
    if options.index_sanity_check:
        _check_size(path, 8)
        return
    mismatches = []
    for offset, position in entries:
        batch = batch_at(path.with_suffix(".log"), position)
        found = -1 if batch is None else _last_offset(batch)
        if found != offset:
            mismatches.append(f"  Index offset: {offset}, log offset: {found}")
        if not options.verify_index_only:
            print(f"offset: {offset} position: {position}")
    if mismatches:
        complaints += [f"Mismatches in :{path.absolute()}", *reversed(mismatches)]


def _check_size(path: Path, entry_bytes: int) -> None:
    size = path.stat().st_size
    if size % entry_bytes:
        raise CommandError(
            f"Index file {path.absolute()} is corrupt, found {size} bytes which is neither "
            f"positive nor a multiple of {entry_bytes}."
        )
    print(f"{path} passed sanity check.")


def _check_last_time(path: Path) -> None:
    """Refuse an index whose last entry, be it of the zeros of an open segment, is too early."""
    from ottla.inspect.data_files import first_and_last_time

    times = first_and_last_time(path)
    if times is not None and times[1] < times[0]:
        raise CommandError(
            f"Corrupt time index found, time index file ({path.absolute()}) has non-zero size but "
            f"the last timestamp is {times[1]} which is less than the first timestamp {times[0]}"
        )


def _last_offset(batch: LoggedBatch) -> int:
    if batch.header is not None:
        return batch.header.last_offset
    assert batch.legacy is not None
    return batch.legacy.offset


def _dump_time_index(path: Path, options: argparse.Namespace, complaints: list[str]) -> None:
    from ottla.inspect.data_files import Segment, time_index_entries

    if options.index_sanity_check:
        _check_last_time(path)
        _check_size(path, 12)
        return
    ends: dict[int, int] = {}
    for batch in Segment(path.with_suffix(".log")):
        ends[_last_offset(batch)] = max(
            (r.timestamp for r in _records(batch, complaints)), default=-1
        )
    previous = -1
    wrong: dict[str, list[str]] = {"mismatch": [], "order": [], "missing": []}
    for timestamp, offset in time_index_entries(path):
        if offset not in ends:
            found = min((end for end in ends if end >= offset), default=-1)
            wrong["missing"].append(f"Indexed offset: {offset}, found log offset: {found}")
        else:
            if ends[offset] != timestamp:
                wrong["mismatch"].append(
                    f"  Index timestamp: {timestamp}, log timestamp: {ends[offset]}"
                )
            if previous >= timestamp:
                wrong["order"].append(
                    f"  Index timestamp: {timestamp}, Previously indexed timestamp: {previous}"
                )
        if not options.verify_index_only:
            print(f"timestamp: {timestamp} offset: {offset}")
        previous = timestamp
    for kind, heading in (
        ("mismatch", "Found timestamp mismatch in :"),
        ("order", "Found out of order timestamp in :"),
        ("missing", "The following indexed offsets are not found in :"),
    ):
        if wrong[kind]:
            complaints += [f"{heading}{path.absolute()}", *wrong[kind]]


def _dump_transaction_index(path: Path) -> None:
    from ottla.inspect.data_files import aborted_transactions

    for aborted in aborted_transactions(path):
        print(
            f"version: 0 producerId: {aborted.producer_id} firstOffset: {aborted.first_offset} "
            f"lastOffset: {aborted.last_offset} lastStableOffset: {aborted.last_stable_offset}"
        )


def _dump_producer_snapshot(path: Path, complaints: list[str]) -> None:
    from ottla.inspect.data_files import BadSnapshotError, producer_states

    try:
        states = producer_states(path)
    except BadSnapshotError as error:
        complaints.append(f"Snapshot {path.absolute()} is corrupt: {error}")
        return
    for state in states:
        first = state.transaction_first_offset
        line = (
            f"producerId: {state.producer_id} producerEpoch: {state.epoch} "
            f"coordinatorEpoch: {state.coordinator_epoch} currentTxnFirstOffset: "
            f"{'OptionalLong.empty' if first < 0 else f'OptionalLong[{first}]'} "
            f"lastTimestamp: {state.last_seen_ms}"
        )
        if state.batches:
            batch = state.batches[0]
            line += (
                f" firstSequence: {batch.first_sequence} lastSequence: {batch.last_sequence} "
                f"lastOffset: {batch.last_offset} offsetDelta: {batch.offset_delta} "
                f"timestamp: {batch.timestamp_ms}"
            )
        print(line)


def main() -> int:
    """Entry point of kafka-dump-log."""
    return exit_status_of(lambda: run(sys.argv[1:]))
