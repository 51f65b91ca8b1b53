"""The pytest plugin's own tests, through the second door, on Apache Kafka."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ottla.engine.apache import ApacheKafka

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_plugins_tests_pass_on_apache_kafka(apache_kafka: ApacheKafka) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-n0", "tests/apps/test_pytest_plugin.py"),
            f"--kafka-bootstrap-servers={apache_kafka.bootstrap_servers}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
