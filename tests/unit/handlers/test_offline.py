"""After a sync that failed nothing is promised, not even what stands in the memory."""

from __future__ import annotations

import random

from simulation.disk import SimulatedDisk
from tests.support.core import Core
from tests.support.requests import create_topic

from ottla.wire.errors import ErrorCode


def test_a_topic_whose_creation_failed_is_not_said_to_exist() -> None:
    disk = SimulatedDisk(random.Random(1))
    disk.make_directory("/var")
    core = Core("/var/data", filesystem=disk)
    client = core.client()
    disk.set_fault(lambda kind, path: kind == "sync" and path.endswith(".journal"))
    for _ in range(2):
        answer = client.call(create_topic("t"), 7).topics[0]
        assert answer.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    disk.set_fault(None)
    assert client.call(create_topic("t"), 7).topics[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR
