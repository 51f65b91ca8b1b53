from __future__ import annotations

import socket
import threading

import pytest

from ottla.cli.errors import CommandError
from ottla.cli.workers.opening import open_cluster


def test_a_port_that_hangs_up_may_want_another_protocol() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connection.recv(1)
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(CommandError) as caught, open_cluster(address, {}) as cluster:
            cluster.metadata([])
        listening.shutdown(socket.SHUT_RDWR)
    assert str(caught.value).startswith(f"{address} closed the connection")
    assert "--command-config" in str(caught.value)
