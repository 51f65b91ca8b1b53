"""Burrow's e-mail notifier, against a small SMTP server."""

from __future__ import annotations

import email
import queue
import socketserver
import threading
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from ottla.gateway.burrow.config import BurrowConfigError
from ottla.gateway.burrow.notifier import EmailNotifier, notifiers_of
from ottla.lag.store import LagStore, StoreSettings


class Mailbox(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as it takes to receive a mail."""

    mails: queue.Queue[Message]

    def handle(self) -> None:
        self.say("220 box")
        for line in iter(self.rfile.readline, b""):
            word = line.split()[0].upper()
            if word == b"DATA":
                self.say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                self.mails.put(email.message_from_bytes(b"".join(lines)))
            if word == b"QUIT":
                self.say("221 bye")
                return
            self.say("250 ok")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mails() -> Iterator[tuple[int, queue.Queue[Message]]]:
    """The server's port, and what it was sent."""
    Mailbox.mails = queue.Queue()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], Mailbox.mails
        server.shutdown()
        thread.join()


def lagging() -> LagStore:
    store = LagStore(StoreSettings())
    store.set_end("orders", 0, 100, 1_000)
    store.add_commit("billing", "orders", 0, 90, 1_000, 1_000)
    return store


def test_an_incident_is_mailed_and_closed(
    mails: tuple[int, queue.Queue[Message]], tmp_path: Path
) -> None:
    port, received = mails
    template = tmp_path / "open.tmpl"
    template.write_text("Subject: {{.Group}} is late\nX-Id: {{.ID}}\n\n{{.Result.TotalLag}}\n")
    table = {
        "class-name": "email",
        "server": "127.0.0.1",
        "port": port,
        "from": "burrow@example.org",
        "to": "team@example.org",
        "send-close": True,
        "template-open": str(template),
    }
    (notifier,) = notifiers_of({"mail": table})
    store = lagging()
    late = store.evaluate("billing", 10_000_000)
    assert late is not None
    notifier.look_at("local", late, 0)
    opened = received.get(timeout=90)
    assert (opened["Subject"], opened["To"]) == ("billing is late", "team@example.org")
    assert opened.get_payload().strip() == "10"
    store.add_commit("billing", "orders", 0, 100, 10_000_000, 10_000_000)
    caught_up = store.evaluate("billing", 10_000_000)
    assert caught_up is not None
    notifier.look_at("local", caught_up, 60)
    assert received.get(timeout=90)["Subject"] == "[close] billing: OK"
    assert not notifier.incidents


def test_a_mail_that_is_not_taken_is_tried_again() -> None:
    table = {"server": "127.0.0.1", "port": 1, "from": "a@b.c", "to": "d@e.f", "timeout": 1}
    notifier = EmailNotifier("mail", table)
    late = lagging().evaluate("billing", 10_000_000)
    assert late is not None
    notifier.look_at("local", late, 0)
    (incident,) = notifier.incidents.values()
    assert incident.told_at_s is None


def test_mail_needs_a_server_and_addresses() -> None:
    with pytest.raises(BurrowConfigError, match="needs from"):
        EmailNotifier("mail", {"server": "localhost"})
