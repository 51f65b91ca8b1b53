"""A broker that does nothing: what a client manages with it is the client's own limit.

Blocking sockets, a thread for each connection. Every Produce request is
received into the same memory and acknowledged; nothing is stored, checked or
written. A Fetch is answered with the first batch that was ever produced to
that topic, again and again, as long as there was something produced.

    python -m benchmarks.null_broker    prints its address, reads topics with their partitions
"""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any, Final

from ottla.batch.record_batch import assign, read_header
from ottla.wire import frames
from ottla.wire.message import Message
from ottla.wire.messages import API_VERSIONS
from ottla.wire.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse
from ottla.wire.messages.fetch import (
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from ottla.wire.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from ottla.wire.messages.produce import (
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)

#: API key -> newest version: older ones of Produce and Fetch name their topics.
SERVED: Final = {0: 11, 1: 12, 2: 8, 3: 11, 18: 3}
FRAME_BYTES: Final = 64 << 20
EMPTY_FETCH_PAUSE_S: Final = 0.005


class NullBroker:
    """All topics exist; how many partitions they have is in `partitions`, by name."""

    def __init__(self) -> None:
        self.partitions: dict[str, int] = {}
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.ends: dict[tuple[str, int], int] = {}
        self.batches: dict[str, bytearray] = {}
        self.grown = threading.Condition()

    def serve(self) -> None:
        while True:
            client, _ = self.server.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        memory = memoryview(bytearray(FRAME_BYTES))
        while _receive(client, memory[:4]):
            frame = memory[4 : 4 + int.from_bytes(memory[:4], "big")]
            if not _receive(client, frame):
                return
            header = frames.read_request_header(frame)
            if header.api_key == 18 and header.api_version > SERVED[18]:
                header = header._replace(api_version=0)
                request: Any = ApiVersionsRequest()
            else:
                request = frames.decode_request(header, frame)
            response = self._answer(request)
            out = frames.encode_response(
                response, header.api_key, header.api_version, header.correlation_id
            )
            try:
                client.sendall(b"".join(out))
            except ConnectionError:
                return

    def _answer(self, request: Any) -> Message:
        match request:
            case ProduceRequest():
                return self._produce(request)
            case FetchRequest():
                return self._fetch(request)
            case MetadataRequest():
                return self._metadata(request)
            case ListOffsetsRequest():
                return self._list_offsets(request)
            case ApiVersionsRequest():
                return ApiVersionsResponse(
                    0, [ApiVersion(key, API_VERSIONS[key][0], SERVED[key]) for key in SERVED]
                )
        raise AssertionError(request)

    def _produce(self, request: ProduceRequest) -> Message:
        topics = []
        for topic in request.topic_data:
            answers = []
            for data in topic.partition_data:
                assert data.records is not None
                place = topic.name, data.index
                header = read_header(data.records, 0)
                offset = self.ends.get(place, 0)
                self.ends[place] = offset + header.record_count
                if topic.name not in self.batches:
                    self.batches[topic.name] = bytearray(data.records)
                answers.append(PartitionProduceResponse(data.index, 0, offset))
            topics.append(TopicProduceResponse(name=topic.name, partition_responses=answers))
        with self.grown:
            self.grown.notify_all()
        return ProduceResponse(topics)

    def _fetch(self, request: FetchRequest) -> Message:
        with self.grown:
            self.grown.wait_for(lambda: self._has_more(request), request.max_wait_ms / 1000)
        topics = []
        left = request.max_bytes
        for topic in request.topics:
            batch = self.batches.get(topic.topic)
            answers = []
            for wanted in topic.partitions:
                end = self.ends.get((topic.topic, wanted.partition), 0)
                offset = wanted.fetch_offset
                records: list[bytes] = []
                room = min(wanted.partition_max_bytes, left)
                while batch is not None and offset < end and room > 0:
                    assign(batch, 0, offset, 0, None)
                    offset = read_header(batch, 0).next_offset
                    records.append(bytes(batch))
                    room -= len(batch)
                    left -= len(batch)
                answers.append(
                    PartitionData(wanted.partition, 0, end, end, 0, records=b"".join(records))
                )
            topics.append(FetchableTopicResponse(topic=topic.topic, partitions=answers))
        return FetchResponse(responses=topics)

    def _has_more(self, request: FetchRequest) -> bool:
        return any(
            self.ends.get((topic.topic, wanted.partition), 0) > wanted.fetch_offset
            for topic in request.topics
            for wanted in topic.partitions
        )

    def _metadata(self, request: MetadataRequest) -> Message:
        topics = [
            MetadataResponseTopic(0, topic.name, partitions=[
                MetadataResponsePartition(0, p, 1, 0, [1], [1])
                for p in range(self.partitions.get(topic.name or "", 1))
            ])
            for topic in request.topics or ()
        ]  # fmt: skip
        brokers = [MetadataResponseBroker(1, "127.0.0.1", self.port)]
        return MetadataResponse(0, brokers, "null", 1, topics)

    def _list_offsets(self, request: ListOffsetsRequest) -> Message:
        topics = [
            ListOffsetsTopicResponse(
                topic.name,
                [
                    ListOffsetsPartitionResponse(
                        p.partition_index,
                        offset=(
                            0
                            if p.timestamp == -2
                            else self.ends.get((topic.name, p.partition_index), 0)
                        ),
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
        return ListOffsetsResponse(0, topics)


def _receive(client: socket.socket, view: memoryview) -> bool:
    """Fill the view; False at the end of the connection."""
    while view:
        try:
            size = client.recv_into(view)
        except ConnectionError:
            return False
        if not size:
            return False
        view = view[size:]
    return True


if __name__ == "__main__":
    broker = NullBroker()
    print(f"127.0.0.1:{broker.port}", flush=True)
    threading.Thread(target=broker.serve, daemon=True).start()
    for line in sys.stdin:
        name, count = line.split()
        broker.partitions[name] = int(count)
        print("created", flush=True)
