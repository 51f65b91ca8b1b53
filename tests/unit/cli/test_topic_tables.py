from __future__ import annotations

import pytest

from ottla.cli.errors import CommandError
from ottla.cli.workers.topic_tables import NoFieldsYetError, TopicTables


def test_topics_that_differ_in_case_only_are_not_mixed_up() -> None:
    tables = TopicTables()
    tables.add("orders", [])
    with pytest.raises(CommandError, match="cannot tell orders from Orders"):
        tables.add("Orders", [])
    tables.close()


def test_what_is_missing_is_named() -> None:
    tables = TopicTables()
    tables.add("orders", [])
    with pytest.raises(CommandError, match="There is no topic nope;"):
        tables.run("SELECT * FROM nope")
    with pytest.raises(NoFieldsYetError, match="No JSON was read from orders"):
        tables.run("SELECT id FROM orders")
    tables.close()
