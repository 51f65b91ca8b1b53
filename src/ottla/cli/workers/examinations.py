"""What usually hurts between a client and a cluster, looked at one thing at a time."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ottla.cli.errors import CommandError
from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.client.settings import parse_bootstrap_servers

CONNECT_TIMEOUT_S: Final = 3.0
MAX_SKEW_MS: Final = 2_000
FEW_FILES: Final = 1024
#: Below this share of free room a disk is nearly full.
LITTLE_ROOM: Final = 0.05


class Finding(NamedTuple):
    """One sentence: `good`, `warning` or `bad`, with what to do about it."""

    verdict: str
    sentence: str
    remedy: str = ""


def try_address(host: str, port: int) -> str | None:
    """Why an address does not answer; None when it does."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return f"the name {host} does not resolve here"
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except TimeoutError:
        return f"{host}:{port} does not answer within {CONNECT_TIMEOUT_S:g} s"
    except OSError as error:
        return f"{host}:{port}: {(error.strerror or str(error)).lower()}"
    return None


def examine_bootstrap(servers: str) -> Iterator[Finding]:
    """Can the addresses be reached at all?"""
    for host, port in parse_bootstrap_servers(servers):
        problem = try_address(host, port)
        if problem is None:
            yield Finding("good", f"{host}:{port} answers.")
        else:
            yield Finding(
                "bad",
                f"No connection: {problem}.",
                "Is a broker running there? `ottla ps` lists those of this machine, "
                "`ottla up` starts one.",
            )


def examine_advertised(cluster: Cluster, servers: str) -> Iterator[Finding]:
    """Where would clients be sent, and do they arrive there?

    The commonest complaint about local Kafkas: the first connection works, and
    then the broker names an address that only it can reach.
    """
    asked = parse_bootstrap_servers(servers)
    for broker in cluster.brokers():
        address = f"{broker.host}:{broker.port}"
        problem = try_address(broker.host, broker.port)
        if problem is None:
            if (broker.host, broker.port) in asked:
                yield Finding("good", f"Broker {broker.node_id} sends clients to {address}.")
            else:
                yield Finding(
                    "good",
                    f"Broker {broker.node_id} sends clients to {address}, which answers, too.",
                )
            continue
        yield Finding(
            "bad",
            f"Broker {broker.node_id} sends clients to {address}, but {problem}.",
            _advertised_remedy(broker.host, asked[0]),
        )


def _advertised_remedy(host: str, asked: tuple[str, int]) -> str:
    wish = f"advertised.listeners=PLAINTEXT://{asked[0]}:{asked[1]}"
    try:
        is_private = ipaddress.ip_address(host).is_private
    except ValueError:
        is_private = False
    if is_private or "." not in host:
        return (
            f"{host} looks like an address inside a container or behind NAT: publish the port "
            f"and set {wish} on the broker."
        )
    return f"Set {wish} on the broker, or make {host} resolve to it."


def examine_clock(cluster: Cluster) -> Iterator[Finding]:
    """Do our clock and the controller's agree?"""
    from ottla.cli.workers.quorum import describe_quorum

    before = time.time() * 1000
    try:
        theirs = describe_quorum(cluster).leader.last_caught_up_timestamp
    except (CommandError, ClientError, StopIteration):
        return
    if theirs <= 0:
        return
    after = time.time() * 1000
    skew = 0 if before - 1000 <= theirs <= after + 1000 else theirs - (before + after) / 2
    if abs(skew) > MAX_SKEW_MS:
        side = "ahead of" if skew > 0 else "behind"
        yield Finding(
            "warning",
            f"The cluster's clock is {abs(skew) / 1000:.1f} s {side} ours.",
            "Retention and searches by time go by these clocks: synchronise both (NTP).",
        )
    else:
        yield Finding("good", "Our clock and the cluster's agree.")


def examine_partitions(cluster: Cluster) -> Iterator[Finding]:
    """Has every partition its leader and its replicas?"""
    headless: list[str] = []
    behind: list[str] = []
    count = 0
    for topic in cluster.metadata().topics:
        for partition in topic.partitions:
            count += 1
            name = f"{topic.name}-{partition.partition_index}"
            if partition.leader_id < 0:
                headless.append(name)
            elif len(partition.isr_nodes) < len(partition.replica_nodes):
                behind.append(name)
    if headless:
        yield Finding(
            "bad",
            f"{len(headless)} of {count} partitions have no leader: {', '.join(headless[:3])} …",
            "Start the brokers that hold them; `kafka-topics --describe "
            "--unavailable-partitions` lists all.",
        )
    if behind:
        yield Finding(
            "warning",
            f"{len(behind)} of {count} partitions lack replicas: {', '.join(behind[:3])} …",
            "A broker is down or slow; `kafka-topics --describe --under-replicated-partitions`.",
        )
    if not headless and not behind:
        yield Finding("good", f"All {count} partitions have a leader and their replicas.")


def examine_disks(cluster: Cluster) -> Iterator[Finding]:
    """Is there room where the brokers write?"""
    from ottla.cli.workers.log_directories import describe_log_directories

    for broker in cluster.brokers():
        try:
            directories = describe_log_directories(cluster, broker.node_id)
        except (CommandError, ClientError):
            continue
        for directory in directories:
            where = f"{directory.log_dir} of broker {broker.node_id}"
            if directory.error_code:
                yield Finding("bad", f"{where} is offline.", "Look at the disk, then restart.")
            elif directory.total_bytes > 0:
                yield from _room(where, directory.usable_bytes, directory.total_bytes)


def _room(where: str, usable: int, total: int) -> Iterator[Finding]:
    from ottla.cli.output import size_text

    share = usable / total
    if share < LITTLE_ROOM:
        yield Finding(
            "warning",
            f"{where} has only {size_text(usable)} left ({share:.0%}).",
            "Shorten retention.ms, trim topics, or give it a larger disk.",
        )
    else:
        yield Finding("good", f"{where} has {size_text(usable)} left ({share:.0%}).")


def examine_this_machine() -> Iterator[Finding]:
    """Limits and room of the machine we are on."""
    if sys.platform != "win32":
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    else:
        files = FEW_FILES
    if 0 <= files < FEW_FILES:
        yield Finding(
            "warning",
            f"Only {files} files may be open at once here.",
            "Raise it before starting a broker: ulimit -n 4096.",
        )
    data = Path("ottla-data")
    if data.is_dir():
        usage = shutil.disk_usage(data)
        yield from _room(str(data), usage.free, usage.total)
        if not os.access(data, os.W_OK):
            yield Finding("bad", f"{data} cannot be written by us.", f"chown or chmod {data}.")


def examine_ports(ports: dict[int, str]) -> Iterator[Finding]:
    """Which of the platform's usual ports are taken here?"""
    taken = []
    for port, use in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append(f"{port} ({use})")
    if taken:
        yield Finding(
            "warning",
            f"Taken on this machine: {', '.join(taken)}.",
            "`ottla ps` shows whether by us; otherwise --port, or stop what holds them.",
        )
    else:
        yield Finding("good", f"Free on this machine: {', '.join(map(str, ports))}.")
