"""The commands that the administrators of a ZooKeeper know, by their documented names."""

from __future__ import annotations

COMMANDS = (
    "configuration",
    "connection_stat_reset",
    "connections",
    "dirs",
    "dump",
    "environment",
    "get_trace_mask",
    "is_read_only",
    "monitor",
    "ruok",
    "server_stats",
    "set_trace_mask",
    "stat_reset",
    "stats",
    "watch_summary",
    "watches",
    "watches_by_path",
)
