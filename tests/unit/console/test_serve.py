"""The console's socket."""

from __future__ import annotations

import socket
import sys

import pytest
from tests.support.accepting import answers_leave_at_once

from ottla.console.serve import ConsoleError, listen


def test_it_listens_before_it_tells_its_address() -> None:
    with listen("127.0.0.1", 0, is_strict=True) as listening:
        socket.create_connection(listening.getsockname(), timeout=60).close()


def test_a_taken_port_is_left_with_a_warning_unless_it_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with listen("127.0.0.1", port, is_strict=False) as moved:
            there = moved.getsockname()[1]
            warning = f"console: port {port} is taken, so it moved to port {there}\n"
            assert capsys.readouterr().err == warning
        with pytest.raises(ConsoleError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port, is_strict=True)


@pytest.mark.skipif(sys.platform == "win32", reason="[not-on-this-platform] it opens its own")
async def test_answers_leave_at_once_where_uvicorn_takes_the_socket_for_another_kind() -> None:
    with listen("127.0.0.1", 0, is_strict=True) as listening:
        taken_over = socket.fromfd(listening.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
        assert await answers_leave_at_once(taken_over)
