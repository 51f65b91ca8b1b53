"""`ottla api-coverage`: what a broker serves beside what Apache Kafka 4.3.1 serves.

The broker is asked (ApiVersions), so the table cannot flatter: a throw-away
embedded one, or any that is named.
"""

from __future__ import annotations

import argparse
from typing import Final

from ottla.cli.errors import CommandError
from ottla.cli.tables import aligned
from ottla.client import ClientError, Connection
from ottla.wire.messages import API_NAMES

#: API key -> (oldest, newest) on a broker listener of Apache Kafka 4.3.1, and names of
#: those we have no messages for.
KAFKA: Final[dict[int, tuple[int, int]]] = {
    0: (0, 13), 1: (4, 18), 2: (1, 11), 3: (0, 13), 8: (2, 10), 9: (1, 10), 10: (0, 6),
    11: (0, 9), 12: (0, 4), 13: (0, 5), 14: (0, 5), 15: (0, 6), 16: (0, 5), 17: (0, 1),
    18: (0, 4), 19: (2, 7), 20: (1, 6), 21: (0, 2), 22: (0, 5), 23: (2, 4), 24: (0, 5),
    25: (0, 4), 26: (0, 5), 27: (1, 2), 28: (0, 5), 29: (1, 3), 30: (1, 3), 31: (1, 3),
    32: (1, 4), 33: (0, 2), 34: (1, 2), 35: (1, 5), 36: (0, 2), 37: (0, 3), 38: (1, 3),
    39: (1, 2), 40: (1, 2), 41: (1, 3), 42: (0, 2), 43: (0, 2), 44: (0, 1), 45: (0, 1),
    46: (0, 0), 47: (0, 0), 48: (0, 1), 49: (0, 1), 50: (0, 0), 51: (0, 0), 55: (0, 2),
    57: (0, 2), 60: (0, 2), 61: (0, 0), 64: (0, 0), 65: (0, 0), 66: (0, 2), 68: (0, 1),
    69: (0, 1), 74: (0, 1), 75: (0, 0), 76: (1, 1), 77: (1, 1), 78: (1, 2), 79: (1, 2),
    80: (0, 1), 81: (0, 0), 83: (0, 0), 84: (0, 0), 85: (0, 1), 86: (0, 0), 87: (0, 1),
    88: (0, 0), 89: (0, 0), 90: (0, 1), 91: (0, 0), 92: (0, 0),
}  # fmt: skip

#: Names of APIs that this Ottla has no messages for.
_OTHER_NAMES: Final = {
    64: "unregister_broker",
    80: "add_raft_voter",
    81: "remove_raft_voter",
    83: "initialize_share_group_state",
    84: "read_share_group_state",
    85: "write_share_group_state",
    86: "delete_share_group_state",
    87: "read_share_group_state_summary",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap-server",
        metavar="HOST:PORT",
        help="ask this broker instead of a throw-away embedded one",
    )


def run(args: argparse.Namespace) -> int:
    """Print the table; 0 unless the broker cannot be asked."""
    if args.bootstrap_server:
        served = _ask(args.bootstrap_server)
    else:
        import ottla

        with ottla.Broker(durability="page-cache") as broker:
            served = _ask(broker.bootstrap_servers)
    for line in aligned(table(served)):
        print(line)
    both = len(KAFKA.keys() & served.keys())
    print(f"\n{both} of {len(KAFKA)} APIs of Apache Kafka 4.3.1 are served.")
    return 0


def table(served: dict[int, tuple[int, int]]) -> list[list[str]]:
    """A row for each API that either serves."""
    rows = [["KEY", "API", "OTTLA", "KAFKA 4.3.1"]]
    for key in sorted(KAFKA.keys() | served.keys()):
        snake = API_NAMES.get(key) or _OTHER_NAMES.get(key, "?")
        name = "".join(part.capitalize() for part in snake.split("_"))
        rows.append([str(key), name, _range(served.get(key)), _range(KAFKA.get(key))])
    return rows


def _range(versions: tuple[int, int] | None) -> str:
    if versions is None:
        return "-"
    oldest, newest = versions
    return str(oldest) if oldest == newest else f"{oldest} to {newest}"


def _ask(address: str) -> dict[int, tuple[int, int]]:
    host, _, port = address.split(",", maxsplit=1)[0].rpartition(":")
    try:
        with Connection(host.strip("[]"), int(port)) as connection:
            return connection.api_versions()
    except (ClientError, ValueError) as error:
        raise CommandError(str(error)) from None
