"""The settings of group coordination; each is Kafka's key with underscores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


def no_overrides(group_id: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """Defaults are Kafka's, except where it waits for more members to come.

    Kafka waits three seconds before it starts a new classic group's first
    generation, and a second between two assignments of other groups; a broker on
    one machine is asked by impatient people.

    `overrides_of(group_id)` are a group's own settings, by Kafka's group keys.
    """

    group_min_session_timeout_ms: int = 6_000
    group_max_session_timeout_ms: int = 1_800_000
    group_initial_rebalance_delay_ms: int = 0
    group_max_size: int = 2_147_483_647
    group_consumer_session_timeout_ms: int = 45_000
    group_consumer_heartbeat_interval_ms: int = 5_000
    group_consumer_assignment_interval_ms: int = 0
    group_consumer_max_size: int = 2_147_483_647
    group_consumer_migration_policy: str = "bidirectional"
    group_share_session_timeout_ms: int = 45_000
    group_share_heartbeat_interval_ms: int = 5_000
    group_share_assignment_interval_ms: int = 0
    group_share_max_size: int = 200
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_minutes: int = 10_080
    offsets_retention_check_interval_ms: int = 600_000
    overrides_of: Callable[[str], Mapping[str, str]] = no_overrides

    def of_group(self, group_id: str, key: str) -> int:
        """The value of a group key, such as `consumer.session.timeout.ms`."""
        own = self.overrides_of(group_id).get(key)
        if own is not None:
            return int(own)
        value: int = getattr(self, "group_" + key.replace(".", "_"))
        return value

    @property
    def can_upgrade(self) -> bool:
        """Whether a classic group becomes a consumer group when such a member joins."""
        return self.group_consumer_migration_policy.lower() in ("bidirectional", "upgrade")

    @property
    def can_downgrade(self) -> bool:
        """Whether a consumer group whose members are all classic becomes a classic one."""
        return self.group_consumer_migration_policy.lower() in ("bidirectional", "downgrade")

    @property
    def offsets_retention_ms(self) -> int:
        return self.offsets_retention_minutes * 60_000
