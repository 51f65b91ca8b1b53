"""What usually hurts between a client and a cluster, looked at one thing at a time."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ottla.cli import instances
from ottla.cli.errors import CommandError
from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.client.settings import address_text, parse_bootstrap_servers

CONNECT_TIMEOUT_S: Final = 3.0
MAX_SKEW_MS: Final = 2_000
FEW_FILES: Final = 1024
#: Below this share of free room a disk is nearly full.
LITTLE_ROOM: Final = 0.05
#: A port in an address, with or without a path behind it.
_PORT: Final = re.compile(r":(\d+)(?=/|$)")


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
    then the broker names an address that only it can reach, or that somebody
    else answers at.
    """
    asked = parse_bootstrap_servers(servers)
    brokers = cluster.brokers()
    cluster_id = cluster.metadata([]).cluster_id
    are_mapped = not {port for _, port in asked} & {broker.port for broker in brokers}
    for broker in brokers:
        where = f"Broker {broker.node_id} sends clients to {broker.host}:{broker.port}"
        remedy = _advertised_remedy(broker.host, asked[0])
        problem = try_address(broker.host, broker.port)
        if problem is not None:
            yield Finding("bad", f"{where}, but {problem}.", remedy)
        elif (other := _cluster_at(cluster, broker.host, broker.port)) != cluster_id:
            who = "another Kafka" if other else "something that is no Kafka"
            yield Finding("bad", f"{where}, where {who} answers.", remedy)
        elif _is_here(broker.host) and not any(_is_here(host) for host, _ in asked):
            yield Finding(
                "warning",
                f"{where}: on any other machine clients look for it on themselves.",
                remedy,
            )
        elif are_mapped:
            yield Finding(
                "good",
                f"{where}: a port mapping or NAT lies between, and its own address answers, too.",
            )
        elif (broker.host, broker.port) in asked:
            yield Finding("good", f"{where}.")
        else:
            yield Finding("good", f"{where}, which answers, too.")
    yield from _names(asked)


def _cluster_at(cluster: Cluster, host: str, port: int) -> str | None:
    """The id of the cluster that answers at an address; None without a Kafka there."""
    with Cluster(address_text(host, port), cluster.settings) as there:
        try:
            return there.metadata([]).cluster_id
        except ClientError:
            return None


def _is_here(host: str) -> bool:
    """Whether a name means the machine that looks it up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _names(asked: list[tuple[str, int]]) -> Iterator[Finding]:
    """Names with several addresses of which not all answer make some clients slow."""
    for host, port in asked:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        deaf = sorted(address for address in found if try_address(address, port) is not None)
        if deaf and len(deaf) < len(found):
            yield Finding(
                "good",
                f"{host} is also {', '.join(deaf)}, where nobody listens; clients that try it "
                "first take a moment longer.",
            )


def _advertised_remedy(host: str, asked: tuple[str, int]) -> str:
    wish = f"advertised.listeners=PLAINTEXT://{asked[0]}:{asked[1]}"
    if _is_here(host) and _is_here(asked[0]):
        return f"Set {wish} on the broker."
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
    """Which of the platform's usual ports are taken here, and by whom?"""
    own = {
        _PORT.findall(address)[-1]: instance.name
        for instance in instances.running()
        for address in [
            *instance.bootstrap_servers.split(","),
            *(address for _, address in instance.doors),
            *(address for part in instance.parts for _, address in part.doors),
        ]
    }
    taken = []
    for port, use in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append((port, use))
    others = [f"{port} ({use})" for port, use in taken if str(port) not in own]
    if others:
        yield Finding(
            "warning",
            f"Taken on this machine, and not by `ottla up`: {', '.join(others)}.",
            "`ottla up` would want them: stop what holds them, or give it others (--port).",
        )
    ours = [f"{port} ({own[str(port)]})" for port, _ in taken if str(port) in own]
    if ours:
        yield Finding("good", f"Ports of a running platform: {', '.join(ours)}.")
    if not taken:
        yield Finding("good", f"Free on this machine: {', '.join(map(str, ports))}.")


def examine_versions(cluster: Cluster) -> Iterator[Finding]:
    """How old is what answers?"""
    from ottla.cli.kafka_tools.features import METADATA, METADATA_VERSIONS
    from ottla.wire.messages.api_versions import ApiVersionsRequest

    request = ApiVersionsRequest(client_software_name="ottla", client_software_version="1")
    response = cluster.request(request)
    count = len(response.api_keys)
    level = next(
        (f.max_version_level for f in response.finalized_features if f.name == METADATA), 0
    )
    if 0 < level <= len(METADATA_VERSIONS):
        name = METADATA_VERSIONS[level - 1]
        yield Finding("good", f"The cluster serves {count} APIs and is at metadata.version {name}.")
    else:
        yield Finding(
            "warning",
            f"The cluster serves {count} APIs and tells no metadata.version: a Kafka before 3.3, "
            "or one with ZooKeeper.",
            "Clients made for Kafka 4 may refuse it (KIP-896 asks for 2.1 at least).",
        )
