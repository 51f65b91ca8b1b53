"""What concerns the cluster rather than a topic or group: quorum, disks, rights, transactions.

Calls block and return when Kafka has answered. Errors of all: `ClusterError`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from confluent_kafka import ElectionType, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from ottla.client.cluster import TRANSACTION
from ottla.console.administration import done
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.raw import check, raw_cluster
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import alter_client_quotas, describe_client_quotas, describe_quorum
from ottla.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from ottla.wire.messages.describe_acls import DescribeAclsRequest
from ottla.wire.messages.describe_log_dirs import DescribeLogDirsRequest
from ottla.wire.messages.describe_producers import DescribeProducersRequest, TopicRequest
from ottla.wire.messages.describe_transactions import DescribeTransactionsRequest
from ottla.wire.messages.init_producer_id import InitProducerIdRequest
from ottla.wire.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from ottla.wire.messages.list_transactions import ListTransactionsRequest

Row = dict[str, Any]

TIMEOUT_MS = 20_000
TRANSACTION_TIMEOUT_MS = 60_000
OPEN_STATES = frozenset({"Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"})
QUOTA_KEYS = (
    "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate",
    "connection_creation_rate",
)  # fmt: skip
ENTITIES = ("user", "client-id", "ip")
RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "cluster": ResourceType.BROKER,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}
CLUSTER_NAME = "kafka-cluster"
#: Of Kafka's filters: all kinds, patterns, operations.
ANY = 1
OPERATIONS = [o.name for o in AclOperation if o.name not in ("UNKNOWN", "ANY")]
MECHANISMS = {
    "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512,
}
ITERATIONS = 4096


# --- quorum and disks


def quorum(cluster: ClusterView) -> list[Row]:
    """Voters and observers of the metadata quorum, the leader first."""
    asked = describe_quorum.TopicData(
        "__cluster_metadata", [describe_quorum.PartitionData(partition_index=0)]
    )
    with raw_cluster(cluster) as client:
        answer = client.request(describe_quorum.DescribeQuorumRequest([asked]))
        check(answer.error_code, answer.error_message)
        found = answer.topics[0].partitions[0]
        check(found.error_code, found.error_message)
    now = int(time.time() * 1000)
    rows = []
    for role, replicas in (("voter", found.current_voters), ("observer", found.observers)):
        for replica in replicas:
            is_leader = replica.replica_id == found.leader_id
            caught_up = replica.last_caught_up_timestamp
            rows.append(
                {
                    "node": replica.replica_id,
                    "role": f"leader, epoch {found.leader_epoch}" if is_leader else role,
                    "end": replica.log_end_offset,
                    "lag": max(0, found.high_watermark - replica.log_end_offset),
                    "behind_ms": 0 if is_leader else (now - caught_up if caught_up > 0 else None),
                }
            )
    return sorted(rows, key=lambda r: (not r["role"].startswith("leader"), r["node"]))


@dataclass(frozen=True)
class Disks:
    """Log directories of all brokers, and bytes of each partition's largest replica."""

    directories: list[Row]
    sizes: dict[tuple[str, int], int]

    @cached_property
    def by_topic(self) -> dict[str, int]:
        """Bytes of each topic, all partitions together."""
        totals: dict[str, int] = {}
        for (topic, _), size in self.sizes.items():
            totals[topic] = totals.get(topic, 0) + size
        return totals

    def largest(self, count: int) -> list[Row]:
        """The largest topics."""
        partitions = Counter(topic for topic, _ in self.sizes)
        ordered = sorted(self.by_topic.items(), key=lambda item: (-item[1], item[0]))
        return [
            {"topic": topic, "partitions": partitions[topic], "bytes": size}
            for topic, size in ordered[:count]
        ]


def disks(cluster: ClusterView) -> Disks:
    directories: list[Row] = []
    sizes: dict[tuple[str, int], int] = {}
    with raw_cluster(cluster) as client:
        for broker in client.brokers():
            connection = client.connect(broker.host, broker.port)
            answer = connection.request(DescribeLogDirsRequest(topics=None))
            check(answer.error_code)
            for directory in answer.results:
                used = count = 0
                for topic in directory.topics:
                    for p in topic.partitions:
                        key = topic.name, p.partition_index
                        sizes[key] = max(sizes.get(key, 0), p.partition_size)
                        used += p.partition_size
                        count += 1
                directories.append(
                    {
                        "broker": broker.node_id,
                        "directory": directory.log_dir,
                        "state": _name(directory.error_code) if directory.error_code else "fine",
                        "partitions": count,
                        "used": used,
                        "free": directory.usable_bytes if directory.usable_bytes >= 0 else None,
                        "total": directory.total_bytes if directory.total_bytes > 0 else None,
                    }
                )
    return Disks(directories, sizes)


def _name(code: int) -> str:
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code}"


# --- quotas


def quotas(cluster: ClusterView) -> list[Row]:
    """Every quota: whose, which, how much."""
    with raw_cluster(cluster) as client:
        answer = client.request(describe_client_quotas.DescribeClientQuotasRequest([]))
        check(answer.error_code, answer.error_message)
    rows = []
    for entry in answer.entries or []:
        entity = {part.entity_type: part.entity_name for part in entry.entity}
        whose = ", ".join(
            f"{kind} {'(default)' if name is None else name}"
            for kind, name in sorted(entity.items(), reverse=True)
        )
        for value in entry.values:
            row = {"id": f"{whose}/{value.key}", "whose": whose, "entity": entity}
            rows.append({**row, "key": value.key, "value": value.value})
    return sorted(rows, key=lambda r: str(r["id"]))


def set_quota(
    cluster: ClusterView, entity: dict[str, str | None], key: str, value: float | None
) -> None:
    """The entity (None is the default of its kind) has this quota; None removes it."""
    entry = alter_client_quotas.EntryData(
        [alter_client_quotas.EntityData(kind, name) for kind, name in entity.items()],
        [alter_client_quotas.OpData(key, value or 0.0, remove=value is None)],
    )
    with raw_cluster(cluster) as client:
        answer = client.request_controller(alter_client_quotas.AlterClientQuotasRequest([entry]))
        for result in answer.entries:
            check(result.error_code, result.error_message)


# --- access lists and users


def acls(cluster: ClusterView) -> list[Row]:
    with raw_cluster(cluster) as client:
        # The client library takes "there is no authorizer" for an empty list.
        answer = client.request(
            DescribeAclsRequest(
                resource_type_filter=ANY,
                pattern_type_filter=ANY,
                operation=ANY,
                permission_type=ANY,
                resource_name_filter=None,
                principal_filter=None,
                host_filter=None,
            )
        )
        check(answer.error_code, answer.error_message)
    any_text: Any = None
    everything = AclBindingFilter(
        ResourceType.ANY,
        any_text,
        ResourcePatternType.ANY,
        any_text,
        any_text,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    found = done(cluster.admin.describe_acls(everything))
    names = {kind: name for name, kind in RESOURCES.items()}
    rows = [
        {
            "id": number,
            "principal": a.principal,
            "permission": a.permission_type.name.lower(),
            "operation": a.operation.name.lower(),
            "resource": f"{names.get(a.restype, a.restype.name.lower())} {a.name}",
            "pattern": a.resource_pattern_type.name.lower(),
            "host": a.host,
            "binding": a,
        }
        for number, a in enumerate(found or [])
    ]
    return sorted(rows, key=lambda r: (r["principal"], r["resource"], r["operation"]))


def create_acl(
    cluster: ClusterView,
    principal: str,
    permission: str,
    operation: str,
    resource: str,
    name: str,
    *,
    is_prefix: bool,
    host: str,
) -> None:
    """The rule holds; `principal` is such as User:ada."""
    pattern = ResourcePatternType.PREFIXED if is_prefix else ResourcePatternType.LITERAL
    binding = AclBinding(
        RESOURCES[resource],
        CLUSTER_NAME if resource == "cluster" else name,
        pattern,
        principal,
        host,
        AclOperation[operation],
        AclPermissionType[permission],
    )
    done(cluster.admin.create_acls([binding])[binding])


def delete_acl(cluster: ClusterView, binding: AclBinding) -> None:
    rule = AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
    done(cluster.admin.delete_acls([rule])[rule])


def scram_users(cluster: ClusterView) -> list[Row]:
    described: Any = done(cluster.admin.describe_user_scram_credentials())  # type: ignore[arg-type]
    return [
        {
            "user": name,
            "credentials": ", ".join(
                f"{i.mechanism.name.replace('_', '-')}, {i.iterations:,} iterations"
                for i in user.scram_credential_infos
            ),
            "mechanisms": [i.mechanism for i in user.scram_credential_infos],
        }
        for name, user in sorted(described.items())
    ]


def set_scram(cluster: ClusterView, user: str, mechanism: str, password: str) -> None:
    """The user can log in with the password; only its salted hash travels."""
    info = ScramCredentialInfo(MECHANISMS[mechanism], ITERATIONS)
    wanted = UserScramCredentialUpsertion(user, info, password.encode())
    _finish(cluster.admin.alter_user_scram_credentials([wanted]).values())


def delete_scram(cluster: ClusterView, user: str, mechanisms: Iterable[ScramMechanism]) -> None:
    wanted: list[UserScramCredentialAlteration] = [
        UserScramCredentialDeletion(user, mechanism) for mechanism in mechanisms
    ]
    _finish(cluster.admin.alter_user_scram_credentials(wanted).values())


def _finish(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        done(future)


# --- transactions and producers


def transactions(cluster: ClusterView) -> list[Row]:
    """Transactional ids of all brokers, open transactions first."""
    now = int(time.time() * 1000)
    rows = []
    with raw_cluster(cluster) as client:
        for broker in client.brokers():
            connection = client.connect(broker.host, broker.port)
            answer = connection.request(ListTransactionsRequest())
            check(answer.error_code)
            ids = [listed.transactional_id for listed in answer.transaction_states]
            if not ids:
                continue
            states = connection.request(DescribeTransactionsRequest(ids)).transaction_states
            for found in states:
                start = found.transaction_start_time_ms
                # One that has ended keeps its start until the next begins.
                is_open = found.transaction_state in OPEN_STATES
                rows.append(
                    {
                        "id": found.transactional_id,
                        "state": found.transaction_state,
                        "producer": f"{found.producer_id}, epoch {found.producer_epoch}",
                        "coordinator": broker.node_id,
                        "open_ms": now - start if start > 0 and is_open else None,
                        "timeout_ms": found.transaction_timeout_ms,
                        "partitions": ", ".join(
                            f"{t.topic}-{p}" for t in found.topics for p in t.partitions
                        ),
                    }
                )
    return sorted(rows, key=lambda r: (-(r["open_ms"] or -1), r["id"]))


def end_transaction(cluster: ClusterView, transactional_id: str) -> None:
    """Its transaction is aborted, and whoever used the id is fenced."""
    request = InitProducerIdRequest(transactional_id, TRANSACTION_TIMEOUT_MS)
    with raw_cluster(cluster) as client:
        deadline = time.monotonic() + TIMEOUT_MS / 1000
        while True:
            answer = client.request_coordinator(transactional_id, request, key_type=TRANSACTION)
            if answer.error_code != ErrorCode.CONCURRENT_TRANSACTIONS:
                break
            if time.monotonic() > deadline:
                raise ClusterError("The transaction is still being ended; look again.")
            time.sleep(0.1)
        check(answer.error_code)


def producers(cluster: ClusterView, topic: str) -> list[Row]:
    """Producers with state in a topic's partitions, the latest first."""
    rows = []
    with raw_cluster(cluster) as client:
        by_leader: dict[int, list[int]] = {}
        for partition in client.topic(topic).partitions:
            by_leader.setdefault(partition.leader_id, []).append(partition.partition_index)
        for leader, numbers in by_leader.items():
            request = DescribeProducersRequest([TopicRequest(topic, numbers)])
            for found in client.broker(leader).request(request).topics[0].partitions:
                check(found.error_code, found.error_message)
                rows += [
                    {
                        "id": f"{found.partition_index}/{p.producer_id}",
                        "partition": found.partition_index,
                        "producer": p.producer_id,
                        "epoch": p.producer_epoch,
                        "sequence": p.last_sequence,
                        "last_ms": p.last_timestamp,
                        "open_from": None
                        if p.current_txn_start_offset < 0
                        else p.current_txn_start_offset,
                    }
                    for p in found.active_producers
                ]
    return sorted(rows, key=lambda r: (-int(r["last_ms"] or 0), str(r["id"])))


# --- leaders and replicas


def elect_preferred(cluster: ClusterView, topic: str | None) -> str:
    """The preferred replicas lead, of a topic or of all; returns what happened."""
    partitions = None
    if topic is not None:
        partitions = [TopicPartition(topic, number) for number in cluster.partition_numbers(topic)]
    found = done(cluster.admin.elect_leaders(ElectionType.PREFERRED, partitions))
    moved = 0
    for place, error in (found or {}).items():
        if error is None:
            moved += 1
        elif "preferred" not in error.str().lower() and "not needed" not in error.str().lower():
            raise ClusterError(f"{place.topic}-{place.partition}: {error.str()}")
    return f"{moved} leaders moved" if moved else "The preferred replicas lead already"


def reassignments(cluster: ClusterView) -> list[Row]:
    """Moves of replicas that are under way."""
    with raw_cluster(cluster) as client:
        request = ListPartitionReassignmentsRequest(TIMEOUT_MS, topics=None)
        answer = client.request_controller(request)
        check(answer.error_code, answer.error_message)
    return [
        {
            "id": f"{topic.name}-{p.partition_index}",
            "topic": topic.name,
            "partition": p.partition_index,
            "replicas": ", ".join(map(str, p.replicas)),
            "adding": ", ".join(map(str, p.adding_replicas)),
            "removing": ", ".join(map(str, p.removing_replicas)),
        }
        for topic in answer.topics
        for p in topic.partitions
    ]


def reassign(cluster: ClusterView, topic: str, partition: int, replicas: list[int] | None) -> None:
    """The move to these brokers has begun; None cancels the one under way."""
    wanted = ReassignableTopic(topic, [ReassignablePartition(partition, replicas)])
    with raw_cluster(cluster) as client:
        request = AlterPartitionReassignmentsRequest(TIMEOUT_MS, topics=[wanted])
        answer = client.request_controller(request)
        check(answer.error_code, answer.error_message)
        for result in answer.responses:
            for p in result.partitions:
                check(p.error_code, p.error_message)
