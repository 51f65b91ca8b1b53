"""What tests in several rooms share: a real Apache Kafka, when one was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from ottla.engine.apache import ApacheKafka
from ottla.engine.errors import MissingJavaError

# How long examples take to draw says how busy the machine is.
settings.register_profile(
    "patient",
    settings.default,
    suppress_health_check=[HealthCheck.too_slow],
    deadline=None,
)
settings.load_profile("patient")

#: Kafka's defaults, but quick: nobody waits for offsets to expire or deleted files to go.
ORACLE_PROPERTIES = {
    "group.coordinator.rebalance.protocols": "classic,consumer,share,streams",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    # The records of the written-down talks are from 2017.
    "log.retention.check.interval.ms": "86400000",
}

#: More tests than these in need of a second try, where CI gives one, fail the run.
MAY_RETRY = 3


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[ApacheKafka]:
    """One node of Apache Kafka for the whole run (`make conformance`)."""
    if os.environ.get("OTTLA_CONFORMANCE") != "1":
        pytest.skip("[apache-kafka-not-asked-for] run `make conformance`")
    try:
        kafka = ApacheKafka(properties=ORACLE_PROPERTIES)
    except MissingJavaError as error:
        pytest.skip(f"[no-java] {error}")
    with kafka:
        yield kafka


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs Apache Kafka is marked so."""
    for item in items:
        if "apache_kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.apache)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """CI gives a failed test a second try; many that need one are no accident any more."""
    if session.exitstatus == pytest.ExitCode.OK and len(_failed_once(session.config)) > MAY_RETRY:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A test that passed at its second try is a fault to be found: here is all it said."""
    for report in _failed_once(config):
        terminalreporter.section(f"failed once: {report.nodeid}", red=True)
        terminalreporter.write_line(report.longreprtext)


def _failed_once(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return [] if reporter is None else reporter.stats.get("rerun", [])
