"""Where the broker listens, and what clients are told to come back to.

`listeners` is Kafka's key, with one difference: an address without a host
means this machine only (both loopback addresses), not every interface.
Clients are told the very address they came in on, unless
`advertised.listeners` says otherwise for their listener.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import ssl
from dataclasses import dataclass, field, replace
from typing import Final

from ottla.broker.config import CONTAINERS_LISTENER, BrokerConfig
from ottla.broker.config_types import ConfigError
from ottla.server.counted_sockets import (
    COUNTS_AT_ACCEPT,
    ConnectionLimits,
    CountingListener,
)
from ottla.server.errors import StartError
from ottla.server.tls import make_context

#: Listening queue of each socket, at least; a burst of clients must not be refused.
MIN_BACKLOG: Final = 511

#: Attempts to find one free port for both loopback addresses.
_FREE_PORT_ATTEMPTS: Final = 20

SECURITY_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")

_ENDPOINT: Final = re.compile(r"([A-Za-z0-9_.-]+)://(\[[0-9a-fA-F:.%]+\]|[^:/\s]*):(-?\d+)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One `NAME://host:port` of a configuration; host "" is not given."""

    name: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.name}://{host}:{self.port}"


@dataclass(slots=True)
class BoundListener:
    """A listener with its bound sockets, which do not accept yet."""

    name: str
    limits: ConnectionLimits
    advertised_host: str = ""
    advertised_port: int = 0
    sockets: list[socket.socket] = field(default_factory=list)
    #: Present when the listener speaks TLS.
    tls: ssl.SSLContext | None = None
    principal_rules: str = "DEFAULT"
    #: Whether its sockets count connections; else each connection has to.
    is_counted: bool = False

    def advertise(self, local: tuple[str, int]) -> tuple[str, int]:
        """What a client that reached us at `local` is told."""
        return (self.advertised_host or local[0], self.advertised_port or local[1])

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of each socket."""
        return [tuple(s.getsockname()[:2]) for s in self.sockets]


@dataclass(slots=True)
class Listeners:
    """Everything bound for one broker, and what its owner should be told."""

    bound: list[BoundListener]
    warnings: list[str]
    #: host:port for clients in containers on this machine; "" without `--containers`.
    container_address: str = ""

    @property
    def bootstrap_servers(self) -> str:
        """One host:port by which a client on this machine finds the broker."""
        hosts = [(a, b) for b in self.bound for a in b.addresses]
        (host, port), bound = min(hosts, key=lambda pair: _preference(pair[0][0]))
        host, port = bound.advertise((_reachable(host), port))
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        for bound in self.bound:
            for sock in bound.sockets:
                sock.close()


def _preference(host: str) -> int:
    order = ("127.0.0.1", "0.0.0.0", "::", "::1")
    return order.index(host) if host in order else 1


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)


def parse_endpoints(key: str, text: str) -> list[Endpoint]:
    """The endpoints of a `listeners` value; raises ConfigError."""
    endpoints = []
    for part in (p.strip() for p in text.split(",")):
        if not part:
            continue
        match = _ENDPOINT.fullmatch(part)
        if match is None or not 0 <= int(match[3]) <= 65535:
            raise ConfigError(
                f"Invalid value {part} for configuration {key}: allowed is NAME://host:port, "
                "as PLAINTEXT://127.0.0.1:9092 (host may be left out, port 0 takes a free one)"
            )
        endpoints.append(Endpoint(match[1].upper(), match[2].strip("[]"), int(match[3])))
    return endpoints


def bind(config: BrokerConfig, *, containers: bool = False) -> Listeners:
    """Bind every listener of the configuration.

    Raises ConfigError for values that make no sense and StartError, in one
    sentence, when an address cannot be had. On an error nothing stays bound.
    """
    wanted = _wanted(config)
    advertised = _advertised(config, wanted)
    limits = ConnectionLimits(config)
    result = Listeners([], [])
    endpoints = [_kept_here(config, endpoint, result) for endpoint in wanted]
    try:
        for endpoint in endpoints:
            bound = BoundListener(endpoint.name, limits)
            result.bound.append(bound)
            if (config.security_protocol(endpoint.name) or "").endswith("SSL"):
                bound.tls = make_context(config, endpoint.name)
                bound.principal_rules = config.text("ssl.principal.mapping.rules")
            bound.sockets = _bind_endpoint(endpoint)
            count_connections(bound)
            told = advertised.get(endpoint.name)
            if told is not None:
                bound.advertised_host, bound.advertised_port = told.host, told.port
        _warn_of_missing_hosts(config, wanted, result)
        if containers:
            _add_containers(result, limits)
    except BaseException:
        result.close()
        raise
    return result


def count_connections(bound: BoundListener) -> None:
    """From now on the listener's sockets refuse connections above its limits."""
    if not COUNTS_AT_ACCEPT:
        return
    counting = []
    for plain in bound.sockets:
        sock = CountingListener(plain.family, plain.type, plain.proto, fileno=plain.detach())
        sock.limits = bound.limits
        counting.append(sock)
    bound.sockets[:] = counting
    bound.is_counted = True


def _wanted(config: BrokerConfig) -> list[Endpoint]:
    """The client listeners of the configuration; those of controllers are left out."""
    key = "listeners"
    text = _derived(config) or config.text(key)
    controllers = {name.upper() for name in config.words("controller.listener.names")}
    named = [e for e in parse_endpoints(key, text) if e.name not in controllers]
    endpoints = [replace(e, host=e.host or config.text("ottla.listen.host")) for e in named]
    if not endpoints:
        raise ConfigError(
            f"Invalid value {text!r} for configuration {key}: allowed is at least one "
            "NAME://host:port for clients"
        )
    for endpoint in endpoints:
        protocol = config.security_protocol(endpoint.name)
        if protocol is None:
            raise ConfigError(
                f"Invalid value {text} for configuration {key}: no security protocol is defined "
                f"for {endpoint.name}; add it to listener.security.protocol.map"
            )
        if protocol not in SECURITY_PROTOCOLS:
            raise ConfigError(
                f"Invalid value {text} for configuration {key}: {endpoint.name} speaks "
                f"{protocol}; allowed are {', '.join(SECURITY_PROTOCOLS)}"
            )
    return endpoints


def _derived(config: BrokerConfig) -> str | None:
    """Listeners to go with advertised ones that name others than the default does.

    The images that many compose files are written for derive them so.
    """
    if config.is_set("listeners"):
        return None
    told = parse_endpoints("advertised.listeners", config.text("advertised.listeners"))
    default = {e.name for e in parse_endpoints("listeners", config.text("listeners"))}
    if {endpoint.name for endpoint in told} <= default:
        return None
    return ",".join(str(replace(endpoint, host="")) for endpoint in told)


def _advertised(config: BrokerConfig, endpoints: list[Endpoint]) -> dict[str, Endpoint]:
    key = "advertised.listeners"
    known = {e.name for e in endpoints}
    told: dict[str, Endpoint] = {}
    for endpoint in parse_endpoints(key, config.text(key)):
        if endpoint.host in ("0.0.0.0", "::"):
            raise ConfigError(
                f"Invalid value {endpoint} for configuration {key}: allowed is an address "
                "that clients can connect to"
            )
        if endpoint.name not in known:
            raise ConfigError(
                f"Invalid value {endpoint} for configuration {key}: allowed are the names in "
                f"listeners, which are {', '.join(sorted(known))}"
            )
        told[endpoint.name] = endpoint
    return told


def _warn_of_missing_hosts(
    config: BrokerConfig, endpoints: list[Endpoint], result: Listeners
) -> None:
    missing = [e for e in endpoints if not e.host]
    if missing and (config.is_set("listeners") or _derived(config)):
        is_safe = all(_authenticates(config, endpoint.name) for endpoint in missing)
        insecure = "" if is_safe else "--insecure "
        opened = ",".join(str(replace(e, host=e.host or "0.0.0.0")) for e in endpoints)
        result.warnings.append(
            f"{', '.join(map(str, missing))}: without a host, only this machine can connect. "
            f"To open it to others: {insecure}--set listeners={opened}"
        )


def _kept_here(config: BrokerConfig, endpoint: Endpoint, result: Listeners) -> Endpoint:
    """The endpoint, on loopback instead if anybody on the network could walk in."""
    if endpoint.host in ("", "localhost") or _is_loopback(endpoint.host):
        return endpoint
    if config.flag("ottla.insecure") or _authenticates(config, endpoint.name):
        return endpoint
    result.warnings.append(
        f"{endpoint} would let anybody on the network in, so it listens on this machine only. "
        "`ottla secure` sets up TLS and passwords; --insecure (or OTTLA_INSECURE=1) opens it as "
        "it is."
    )
    return replace(endpoint, host="")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authenticates(config: BrokerConfig, listener: str) -> bool:
    if config.is_sasl(listener):
        return True
    return (
        config.security_protocol(listener) == "SSL"
        and (config.listener_text(listener, "ssl.client.auth") or "").lower() == "required"
    )


def _bind_endpoint(endpoint: Endpoint) -> list[socket.socket]:
    if endpoint.host in ("", "localhost"):
        return _bind_loopback(endpoint)
    try:
        found = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise StartError(
            f"cannot listen on {endpoint}: the host name is not known here ({error.strerror})"
        ) from None
    family, _, _, _, address = found[0]
    try:
        return [_bind_socket(family, address)]
    except OSError as error:
        raise _cannot_bind(endpoint, error) from None


def _bind_loopback(endpoint: Endpoint) -> list[socket.socket]:
    """Both loopback addresses on the same port; only IPv4 where there is no IPv6."""
    for attempt in range(_FREE_PORT_ATTEMPTS):
        try:
            first = _bind_socket(socket.AF_INET, ("127.0.0.1", endpoint.port))
        except OSError as error:
            raise _cannot_bind(endpoint, error) from None
        port = first.getsockname()[1]
        try:
            return [first, _bind_socket(socket.AF_INET6, ("::1", port))]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return [first]
            first.close()
            if endpoint.port or attempt == _FREE_PORT_ATTEMPTS - 1:
                raise _cannot_bind(endpoint, error) from None
    raise AssertionError("the loop returns or raises")


def _bind_socket(family: int, address: object) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is spelt out; without it an answer can
    # wait 40 ms for the acknowledgement of the one before.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            dual = isinstance(address, tuple) and address[0] == "::"
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.setblocking(False)
        sock.bind(address)  # type: ignore[arg-type]
        # Bound is not enough: with SO_REUSEADDR two may bind, and only one may listen.
        sock.listen(MIN_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _cannot_bind(endpoint: Endpoint, error: OSError) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return StartError(
            f"port {endpoint.port} is in use by another program; stop it, or take another port "
            "with --port (0 picks a free one)"
        )
    if error.errno == errno.EACCES:
        return StartError(f"no permission to listen on {endpoint}; ports below 1024 need root")
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"cannot listen on {endpoint}: this machine has no such address")
    return StartError(f"cannot listen on {endpoint}: {error.strerror}")


# -- containers on this machine -------------------------------------------------------


def _add_containers(result: Listeners, limits: ConnectionLimits) -> None:
    """Listen where containers on this machine can reach us.

    With Docker on Linux, containers reach the host at its bridges' addresses.
    With Docker Desktop they reach its loopback under the name
    host.docker.internal, which then has to be what they are told.
    """
    port = result.bound[0].addresses[0][1]
    hosts = _bridge_addresses()
    if hosts:
        taken = {host for b in result.bound for host, _ in b.addresses}
        bound = BoundListener(CONTAINERS_LISTENER, limits)
        result.bound.append(bound)
        if "0.0.0.0" not in taken and "::" not in taken:
            for host in hosts:
                bound.sockets += _bind_endpoint(Endpoint(CONTAINERS_LISTENER, host, port))
        count_connections(bound)
        result.container_address = f"{hosts[0]}:{port}"
    elif os.name == "posix" and os.uname().sysname == "Linux":
        result.warnings.append(
            "--containers: no container bridge (docker0, podman0, …) has an address on this "
            "machine; start the container engine first."
        )
    else:
        bound = BoundListener(CONTAINERS_LISTENER, limits, advertised_host="host.docker.internal")
        result.bound.append(bound)
        bound.sockets = _bind_loopback(Endpoint(CONTAINERS_LISTENER, "", 0))
        count_connections(bound)
        result.container_address = f"host.docker.internal:{bound.addresses[0][1]}"


def _bridge_addresses() -> list[str]:
    """IPv4 addresses of the container bridges of a Linux machine."""
    try:
        import fcntl
    except ImportError:
        return []
    hosts = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            if not re.match(r"(docker|podman|cni|br-|nerdctl)", name):
                continue
            request = name.encode()[:15].ljust(256, b"\0")
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue
            hosts.append(socket.inet_ntoa(answer[20:24]))
    return sorted(hosts)


_SIOCGIFADDR: Final = 0x8915
