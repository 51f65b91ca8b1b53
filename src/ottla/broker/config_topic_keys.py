"""The keys of topics and of groups, as Kafka 4.3 names them.

Deliberate difference: Kafka 4 refuses segments below 1 MB (KIP-1030). Here the
older floor of 14 bytes stands, because showing how a log rolls, expires and is
compacted needs small segments.
"""

from __future__ import annotations

from typing import Final

from ottla.broker.config_types import (
    INT64_MAX,
    ConfigKey,
    ConfigType,
    Level,
    OneOf,
    Range,
    Update,
    Valid,
)

_FOREVER: Final = str(INT64_MAX)
COMPRESSION_TYPES: Final = OneOf(("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"))
CLEANUP_POLICIES: Final = OneOf(("compact", "delete"))
TIMESTAMP_TYPES: Final = OneOf(("CreateTime", "LogAppendTime"))


def _key(
    name: str,
    kind: ConfigType,
    default: str,
    importance: str,
    documentation: str,
    valid: Valid | None = None,
    synonyms: tuple[str, ...] = (),
    *,
    has_use: bool = True,
) -> ConfigKey:
    return ConfigKey(
        name,
        kind,
        default,
        importance,
        documentation,
        valid,
        Update.CLUSTER_WIDE,
        synonyms,
        has_use,
    )


_BOOLEAN, _INT, _LONG = ConfigType.BOOLEAN, ConfigType.INT, ConfigType.LONG
_STRING, _LIST, _DOUBLE = ConfigType.STRING, ConfigType.LIST, ConfigType.DOUBLE

TOPIC_KEYS: Final = (
    _key("cleanup.policy", _LIST, "delete", "medium",
         "What happens to old segments: delete removes them by age and size, compact keeps "
         "the last record of each key; both together do both.",
         CLEANUP_POLICIES, ("log.cleanup.policy",)),
    _key("compression.gzip.level", _INT, "-1", "medium",
         "Level for compression.type=gzip; -1 is the codec's own choice.",
         Level(1, 9, -1), ("compression.gzip.level",)),
    _key("compression.lz4.level", _INT, "9", "medium",
         "Level for compression.type=lz4.", Range(1, 17), ("compression.lz4.level",)),
    _key("compression.type", _STRING, "producer", "medium",
         "Codec batches are stored with; producer keeps each as it was sent.",
         COMPRESSION_TYPES, ("compression.type",)),
    _key("compression.zstd.level", _INT, "3", "medium",
         "Level for compression.type=zstd.", Range(-131072, 22), ("compression.zstd.level",)),
    _key("delete.retention.ms", _LONG, "86400000", "medium",
         "How long a compacted topic keeps tombstones, so that a reader starting at the "
         "beginning still sees them.",
         Range(0), ("log.cleaner.delete.retention.ms",)),
    _key("file.delete.delay.ms", _LONG, "60000", "medium",
         "Wait before the files of a removed segment are unlinked.",
         Range(0), ("log.segment.delete.delay.ms",)),
    _key("flush.messages", _LONG, _FOREVER, "medium",
         "Flush after this many records. Ottla flushes before it acknowledges, unless its "
         "durability is page-cache.",
         Range(1), ("log.flush.interval.messages",)),
    _key("flush.ms", _LONG, _FOREVER, "medium",
         "Flush after this long. Ottla flushes before it acknowledges, unless its durability "
         "is page-cache.",
         Range(0), ("log.flush.interval.ms", "log.flush.scheduler.interval.ms")),
    _key("follower.replication.throttled.replicas", _LIST, "", "medium",
         "Replicas whose catching up is throttled on the follower's side.", has_use=False),
    _key("index.interval.bytes", _INT, "4096", "medium",
         "Bytes of log between two entries of its offset index.",
         Range(0), ("log.index.interval.bytes",)),
    _key("leader.replication.throttled.replicas", _LIST, "", "medium",
         "Replicas whose catching up is throttled on the leader's side.", has_use=False),
    _key("local.retention.bytes", _LONG, "-2", "medium",
         "Bytes kept locally under tiered storage; -2 follows retention.bytes.",
         Range(-2), ("log.local.retention.bytes",), has_use=False),
    _key("local.retention.ms", _LONG, "-2", "medium",
         "Time kept locally under tiered storage; -2 follows retention.ms.",
         Range(-2), ("log.local.retention.ms",), has_use=False),
    _key("max.compaction.lag.ms", _LONG, _FOREVER, "medium",
         "A record becomes due for compaction after this long at the latest.",
         Range(1), ("log.cleaner.max.compaction.lag.ms",)),
    _key("max.message.bytes", _INT, "1048588", "medium",
         "Largest record batch the topic takes, after compression.",
         Range(0), ("message.max.bytes",)),
    _key("message.timestamp.after.max.ms", _LONG, "3600000", "medium",
         "How far a record's timestamp may lie in the future.",
         Range(0), ("log.message.timestamp.after.max.ms",)),
    _key("message.timestamp.before.max.ms", _LONG, _FOREVER, "medium",
         "How far a record's timestamp may lie in the past.",
         Range(0), ("log.message.timestamp.before.max.ms",)),
    _key("message.timestamp.type", _STRING, "CreateTime", "medium",
         "Whether a record keeps its producer's time or gets the time it was appended.",
         TIMESTAMP_TYPES, ("log.message.timestamp.type",)),
    _key("min.cleanable.dirty.ratio", _DOUBLE, "0.5", "medium",
         "Share of the log that must be new since the last compaction before the next one.",
         Range(0, 1), ("log.cleaner.min.cleanable.ratio",)),
    _key("min.compaction.lag.ms", _LONG, "0", "medium",
         "A record is left alone by compaction for at least this long.",
         Range(0), ("log.cleaner.min.compaction.lag.ms",)),
    _key("min.insync.replicas", _INT, "1", "medium",
         "In-sync replicas needed before acks=all is answered. Kept and shown; one node is "
         "all there is.",
         Range(1), ("min.insync.replicas",), has_use=False),
    _key("preallocate", _BOOLEAN, "false", "medium",
         "Give a new segment its full size at once.", None, ("log.preallocate",), has_use=False),
    _key("remote.log.copy.disable", _BOOLEAN, "false", "medium",
         "Stop copying to tiered storage.", has_use=False),
    _key("remote.log.delete.on.disable", _BOOLEAN, "false", "medium",
         "Drop the tiered data when tiering is switched off.", has_use=False),
    _key("remote.storage.enable", _BOOLEAN, "false", "medium",
         "Tiered storage; not available here.", has_use=False),
    _key("retention.bytes", _LONG, "-1", "medium",
         "Bytes a partition keeps before its oldest segments go; -1 is no limit.",
         None, ("log.retention.bytes",)),
    _key("retention.ms", _LONG, "604800000", "medium",
         "How long a partition keeps a segment after its newest record; -1 is for ever.",
         Range(-1), ("log.retention.ms", "log.retention.minutes", "log.retention.hours")),
    _key("segment.bytes", _INT, "1073741824", "medium",
         "Size at which a partition starts a new segment.",
         Range(14), ("log.segment.bytes",)),
    _key("segment.index.bytes", _INT, "10485760", "medium",
         "Largest size of a segment's index; a full one starts a new segment.",
         Range(4), ("log.index.size.max.bytes",)),
    _key("segment.jitter.ms", _LONG, "0", "medium",
         "Random time taken off segment.ms, so that segments do not all roll together.",
         Range(0), ("log.roll.jitter.ms", "log.roll.jitter.hours")),
    _key("segment.ms", _LONG, "604800000", "medium",
         "Age at which a partition starts a new segment even if it is not full.",
         Range(1), ("log.roll.ms", "log.roll.hours")),
    _key("unclean.leader.election.enable", _BOOLEAN, "false", "medium",
         "Let a replica lead that may miss acknowledged records.",
         None, ("unclean.leader.election.enable",), has_use=False),
)  # fmt: skip

GROUP_KEYS: Final = (
    _key("consumer.assignment.interval.ms", _INT, "0", "medium",
         "Shortest time between two new assignments of a consumer group.", Range(0)),
    _key("consumer.heartbeat.interval.ms", _INT, "5000", "medium",
         "How often members of a consumer group report.", Range(1)),
    _key("consumer.session.timeout.ms", _INT, "45000", "medium",
         "Silence after which a member of a consumer group is dropped.", Range(1)),
    _key("share.assignment.interval.ms", _INT, "0", "medium",
         "Shortest time between two new assignments of a share group.", Range(0)),
    _key("share.auto.offset.reset", _STRING, "latest", "medium",
         "Where a share group starts on a new partition: latest, earliest, or "
         "by_duration:PnDTnHnMn.nS."),
    _key("share.delivery.count.limit", _INT, "5", "medium",
         "Deliveries of a record before a share group archives it.", Range(2, 10)),
    _key("share.heartbeat.interval.ms", _INT, "5000", "medium",
         "How often members of a share group report.", Range(1)),
    _key("share.isolation.level", _STRING, "read_uncommitted", "medium",
         "Whether a share group sees records of open and aborted transactions.",
         OneOf(("read_committed", "read_uncommitted"))),
    _key("share.partition.max.record.locks", _INT, "2000", "medium",
         "Records of one partition a share group may have out at once.", Range(100, 10000)),
    _key("share.record.lock.duration.ms", _INT, "30000", "medium",
         "How long a record stays with the share consumer that acquired it.",
         Range(1000, 3600000)),
    _key("share.renew.acknowledge.enable", _BOOLEAN, "true", "medium",
         "Whether share consumers may extend the lock of a record."),
    _key("share.session.timeout.ms", _INT, "45000", "medium",
         "Silence after which a member of a share group is dropped.", Range(1)),
    _key("streams.assignment.interval.ms", _INT, "1000", "medium",
         "Shortest time between two new assignments of a streams group.", Range(0)),
    _key("streams.heartbeat.interval.ms", _INT, "5000", "medium",
         "How often members of a streams group report.", Range(1)),
    _key("streams.initial.rebalance.delay.ms", _INT, "3000", "medium",
         "Wait for more members before a streams group's first assignment.", Range(0)),
    _key("streams.num.standby.replicas", _INT, "0", "medium",
         "Standby copies of each task of a streams group.", Range(0)),
    _key("streams.session.timeout.ms", _INT, "45000", "medium",
         "Silence after which a member of a streams group is dropped.", Range(1)),
)  # fmt: skip

CLIENT_METRICS_KEYS: Final = (
    _key("interval.ms", _INT, "300000", "medium",
         "How often clients push the metrics of this subscription.", Range(100, 3600000)),
    _key("match", _LIST, "", "medium", "Which clients the subscription is for."),
    _key("metrics", _LIST, "", "medium", "Prefixes of the metrics asked for."),
)  # fmt: skip
