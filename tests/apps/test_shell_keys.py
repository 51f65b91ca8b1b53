"""Keys at the prompt of `ottla shell`."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from ottla.cli import shell


def test_tab_takes_the_only_candidate_at_once(
    bootstrap_servers: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed ahead of the completions that come while one types."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    monkeypatch.setenv("OTTLA_CONTEXTS", str(tmp_path / "contexts.json"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(unique, 1)])[unique].result(20)
    parser = argparse.ArgumentParser()
    shell.add_arguments(parser)
    session = shell.Shell(parser.parse_args([]))
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text(f"topics describe {unique[:-2]}\t --watch\r")
        line = session._session(vi=False).prompt()
    assert line == f"topics describe {unique} --watch"
