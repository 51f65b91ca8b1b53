"""Write tests/golden/batches.json again: the same records as other producers' bytes.

    .venv/bin/python tools/capture_batches.py [--kafka-libs DIRECTORY]

librdkafka produces to its own mock cluster, and the batches are fetched from
there; aiokafka and kafka-python are asked through their record builders. With
Apache Kafka's jars and a `jshell` the Java client's bytes are written again,
otherwise the ones in the file are kept.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
from typing import Any

from ottla.wire.frames import decode_response, encode_request
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic

TARGET = pathlib.Path(__file__).parent.parent / "tests" / "golden" / "batches.json"
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
RECORDS: list[tuple[int, bytes | None, bytes | None]] = [
    (1_700_000_000_000, b"key", b"value"),
    (1_700_000_000_005, None, b"abcdefgh" * 60),
    (1_700_000_000_001, b"", b""),
    (1_700_000_000_002, b"gone", None),
]
HEADERS = [("trace", b"1"), ("empty", None)]
FETCH_VERSION = 11


def from_librdkafka(codec: str) -> bytes:
    from confluent_kafka import Producer

    configuration = {"test.mock.num.brokers": 1, "bootstrap.servers": "mock"}
    producer = Producer(
        configuration | {"compression.type": codec, "linger.ms": 200, "enable.idempotence": True}
    )
    metadata = producer.list_topics(timeout=10)
    broker = next(iter(metadata.brokers.values()))
    for timestamp, key, value in RECORDS:
        producer.produce("t", value, key, 0, timestamp=timestamp, headers=HEADERS)
    assert producer.flush(10) == 0
    partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    request = FetchRequest(
        replica_id=-1,
        max_wait_ms=100,
        min_bytes=1,
        max_bytes=1 << 20,
        topics=[FetchTopic(topic="t", partitions=[partition])],
    )
    with socket.create_connection((broker.host, broker.port), timeout=10) as connection:
        connection.sendall(b"".join(encode_request(request, 1, FETCH_VERSION, 1, "capture")))
        (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
        frame = connection.recv(size, socket.MSG_WAITALL)
    response: Any = decode_response(1, FETCH_VERSION, frame)
    return bytes(response.responses[0].partitions[0].records)


def from_aiokafka(magic: int, codec: str) -> bytes:
    from aiokafka.record.default_records import DefaultRecordBatchBuilder
    from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

    builder: Any
    if magic == 2:
        builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 1 << 20)
    else:
        builder = LegacyRecordBatchBuilder(magic, CODECS[codec], 1 << 20)
    for offset, (timestamp, key, value) in enumerate(RECORDS):
        if magic == 2:
            builder.append(offset, timestamp, key, value, HEADERS)
        else:
            builder.append(offset, timestamp, key, value)
    return bytes(builder.build())


def from_kafka_python(magic: int, codec: str) -> bytes:
    from kafka.record.default_records import DefaultRecordBatchBuilder
    from kafka.record.legacy_records import LegacyRecordBatchBuilder

    builder: Any
    if magic == 2:
        builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 1 << 20)
    else:
        builder = LegacyRecordBatchBuilder(magic, CODECS[codec], 1 << 20)
    for offset, (timestamp, key, value) in enumerate(RECORDS):
        builder.append(offset, timestamp, key, value, HEADERS if magic == 2 else [])
    return bytes(builder.build())


def from_java(libraries: str) -> dict[tuple[int, str], bytes]:
    def java_bytes(value: bytes | None) -> str:
        return "(byte[]) null" if value is None else f'"{value.decode()}".getBytes()'

    headers = ", ".join(f'new RecordHeader("{key}", {java_bytes(v)})' for key, v in HEADERS)
    appends = "\n".join(
        f"b.append({timestamp}L, {java_bytes(key)}, {java_bytes(value)},"
        f" m == 2 ? new Header[]{{{headers}}} : new Header[0]);"
        for timestamp, key, value in RECORDS
    )
    script = f"""
        import org.apache.kafka.common.compress.Compression;
        import org.apache.kafka.common.header.Header;
        import org.apache.kafka.common.header.internals.RecordHeader;
        import org.apache.kafka.common.record.TimestampType;
        import org.apache.kafka.common.record.internal.*;
        for (byte m = 0; m <= 2; m++) for (CompressionType c : CompressionType.values()) {{
            if (m < 2 && c == CompressionType.ZSTD) continue;
            var b = MemoryRecords.builder(java.nio.ByteBuffer.allocate(10000), m,
                Compression.of(c).build(), TimestampType.CREATE_TIME, 0L);
            {appends}
            var buffer = b.build().buffer();
            byte[] all = new byte[buffer.remaining()];
            buffer.get(all);
            System.out.println("GOLDEN " + m + " " + c.name + " " + HexFormat.of().formatHex(all));
        }}
        /exit
        """
    with tempfile.NamedTemporaryFile("w", suffix=".jsh") as file:
        file.write(script)
        file.flush()
        output = subprocess.run(
            ["jshell", "--class-path", f"{libraries}/*", "-s", file.name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    found = {}
    for line in output.splitlines():
        if line.startswith("GOLDEN "):
            _, magic, codec, digits = line.split()
            found[int(magic), codec] = bytes.fromhex(digits)
    if not found:
        sys.exit(output)
    return found


def row(producer: str, magic: int, codec: str, data: bytes) -> dict[str, Any]:
    return {"producer": producer, "magic": magic, "codec": codec, "hex": data.hex()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka-libs", help="the libs directory of an Apache Kafka")
    options = parser.parse_args()
    rows = [row("librdkafka", 2, codec, from_librdkafka(codec)) for codec in CODECS]
    for magic in (0, 1, 2):
        for codec in CODECS:
            # aiokafka refuses lz4 in v0, the format has no zstd
            if magic == 2 or codec not in ("zstd", "lz4" if magic == 0 else ""):
                rows.append(row("aiokafka", magic, codec, from_aiokafka(magic, codec)))
            if codec in ("none", "gzip"):
                rows.append(row("kafka-python", magic, codec, from_kafka_python(magic, codec)))
    if options.kafka_libs:
        found = from_java(options.kafka_libs)
        rows += [row("java", magic, codec, data) for (magic, codec), data in found.items()]
    else:
        kept = json.loads(TARGET.read_text())["batches"]
        rows += [one for one in kept if one["producer"] == "java"]
    document = {
        "records": [
            [timestamp, None if key is None else key.hex(), None if value is None else value.hex()]
            for timestamp, key, value in RECORDS
        ],
        "headers": [[key, value and value.decode()] for key, value in HEADERS],
        "batches": rows,
    }
    TARGET.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{len(rows)} batches in {TARGET.name}")


if __name__ == "__main__":
    main()
