"""The settings of group coordination; each is Kafka's key with underscores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """Defaults are Kafka's, except `group_initial_rebalance_delay_ms`.

    Kafka waits three seconds for more members before it starts a new group's
    first generation; a broker on one machine is asked by impatient people.
    """

    group_min_session_timeout_ms: int = 6_000
    group_max_session_timeout_ms: int = 1_800_000
    group_initial_rebalance_delay_ms: int = 0
    group_max_size: int = 2_147_483_647
    group_consumer_session_timeout_ms: int = 45_000
    group_consumer_heartbeat_interval_ms: int = 5_000
    group_consumer_max_size: int = 2_147_483_647
    group_consumer_migration_policy: str = "bidirectional"
    group_share_session_timeout_ms: int = 45_000
    group_share_heartbeat_interval_ms: int = 5_000
    group_share_max_size: int = 200
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_minutes: int = 10_080
    offsets_retention_check_interval_ms: int = 600_000

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
