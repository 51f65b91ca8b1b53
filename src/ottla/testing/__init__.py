"""Kafka in test suites of any kind: `KafkaForTests` and the waits that end flakiness.

pytest users get these as fixtures (`ottla.pytest_plugin`); with unittest::

    class OrdersTest(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.kafka = cls.enterClassContext(KafkaForTests.start())
"""

from ottla.testing.kafka import (
    KafkaForTests,
    NotEmbeddedError,
    Record,
    eventually,
    keys_and_values,
)

__all__ = ["KafkaForTests", "NotEmbeddedError", "Record", "eventually", "keys_and_values"]
