"""Replica assignments by hand, of which one broker can keep only one kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ottla.broker.broker import Broker


def why_refused(broker: Broker, replicas: Sequence[int]) -> str | None:
    """Why a partition cannot be on these brokers; None when it can."""
    if not replicas:
        return "The manual partition assignment includes an empty replica list."
    if len(set(replicas)) < len(replicas):
        return "The manual partition assignment includes a broker more than once."
    for replica in replicas:
        if replica != broker.node_id:
            return (
                f"The manual partition assignment includes broker {replica}, but no such "
                "broker is registered."
            )
    return None
