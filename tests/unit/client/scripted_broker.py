"""A broker that answers what a test tells it to, on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from ottla.wire import frames
from ottla.wire.message import Message, Request
from ottla.wire.messages import API_VERSIONS
from ottla.wire.messages.api_versions import ApiVersion, ApiVersionsResponse

#: Given a request, its answer: a message, raw bytes, or None to close the connection.
Script = Callable[[Request[Any]], Message | bytes | None]


class ScriptedBroker:
    """Answers each request through `script`; ApiVersions itself, from `versions`."""

    def __init__(self, script: Script, versions: dict[int, tuple[int, int]] | None = None) -> None:
        self.script = script
        self.versions = versions or {k: v[:2] for k, v in API_VERSIONS.items()}
        self.requests: list[tuple[int, int]] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.clients: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def __enter__(self) -> ScriptedBroker:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self.clients.append(client)
            thread = threading.Thread(target=self._serve, args=(client,))
            self.threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as stream:
            try:
                while size := stream.read(4):
                    self._answer(client, stream.read(int.from_bytes(size, "big")))
            except OSError:
                return

    def _answer(self, client: socket.socket, frame: bytes) -> None:
        header = frames.read_request_header(frame)
        self.requests.append((header.api_key, header.api_version))
        version = header.api_version
        answer: Message | bytes | None
        if header.api_key == frames.API_VERSIONS_KEY:
            keys = [ApiVersion(k, low, high) for k, (low, high) in self.versions.items()]
            newest = self.versions.get(frames.API_VERSIONS_KEY, (0, 0))[1]
            answer = ApiVersionsResponse(0 if version <= newest else 35, keys)
            version = version if version <= newest else 0
        else:
            answer = self.script(frames.decode_request(header, frame))
        if answer is None:
            client.shutdown(socket.SHUT_RDWR)
        elif isinstance(answer, bytes):
            client.sendall(answer)
        else:
            parts = frames.encode_response(answer, header.api_key, version, header.correlation_id)
            client.sendall(b"".join(parts))
