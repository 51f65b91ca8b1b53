"""`kafka-delegation-tokens`: create, renew, expire and describe delegation tokens (KIP-48).

Ottla's broker refuses to make any; this is for Apache Kafka. Its tool ends some lines with
no line end, and so does this. Without owners it asks for nobody's tokens and shows none;
this shows those that the user may see, as both say that they do.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.client.cluster import Cluster

ACTIONS: Final = ("create", "renew", "expire", "describe")
WIDTHS: Final = (15, 30, 15, 15, 25, 15, 15, 15)
HEADING: Final = (
    *("TOKENID", "HMAC", "OWNER", "REQUESTER"),
    *("RENEWERS", "ISSUEDATE", "EXPIRYDATE", "MAXDATE"),
)

#: (type, name) of a principal, such as ("User", "alice").
Principal = tuple[str, str]


def build_parser() -> OptionParser:
    """The options of kafka-delegation-tokens."""
    parser = OptionParser(
        "kafka-delegation-tokens", "Create, renew, expire and describe delegation tokens."
    )
    add_connection_options(parser)
    parser.flag("--create", "create a token for whom --command-config authenticates")
    parser.flag("--renew", "let a token live longer")
    parser.flag("--expire", "let a token end sooner, or now")
    parser.flag("--describe", "show tokens")
    parser.values("--owner-principal", "User:NAME whose token it is", metavar="PRINCIPAL")
    parser.values("--renewer-principal", "User:NAME who may renew it", metavar="PRINCIPAL")
    parser.value("--max-life-time-period", "ms it may live at most; -1 as the broker says",
                 type_=int)  # fmt: skip
    parser.value("--renew-time-period", "ms until it expires; -1 as the broker says", type_=int)
    parser.value("--expiry-time-period", "ms until it expires; -1 is now", type_=int)
    parser.value("--hmac", "the token's HMAC, in Base64")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Do what was asked; a refusal is one sentence."""
    options, _ = build_parser().parse(arguments)
    if sum(bool(getattr(options, action)) for action in ACTIONS) != 1:
        raise CommandError(
            "Command must include exactly one action: --create, --renew, --expire or --describe"
        )
    needed = {"create": "max_life_time_period", "renew": "renew_time_period",
              "expire": "expiry_time_period"}  # fmt: skip
    for action, name in needed.items():
        missing = [n for n in (name, "hmac") if getattr(options, n) is None]
        if action == "create":
            missing = [n for n in missing if n != "hmac"]
        if getattr(options, action) and missing:
            raise CommandError(f'Missing required argument "[{missing[0].replace("_", "-")}]"')
    servers = bootstrap_servers(options.bootstrap_server)

    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        if options.create:
            _create(cluster, options)
        elif options.describe:
            _describe(cluster, _principals(options.owner_principal))
        else:
            _move_expiry(cluster, options)
    return 0


def _principals(words: Sequence[str]) -> list[Principal]:
    """Errors: `CommandError` for a word that is not TYPE:NAME."""
    found = []
    for word in words:
        type_, colon, name = word.strip().partition(":")
        if not (type_ and colon and name):
            raise CommandError(
                f"expected a string in format principalType:principalName but got {word}"
            )
        found.append((type_, name))
    return found


def _create(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.failures import raise_for
    from ottla.wire.messages.create_delegation_token import (
        CreatableRenewers,
        CreateDelegationTokenRequest,
    )

    renewers = _principals(options.renewer_principal)
    owners = _principals(options.owner_principal)
    print(
        f"Calling create token operation with renewers :{_listed(renewers)} , "
        f"max-life-time-period :{options.max_life_time_period}"
    )
    owner_type, owner_name = owners[0] if owners else (None, None)
    response = cluster.request_controller(
        CreateDelegationTokenRequest(
            owner_principal_type=owner_type,
            owner_principal_name=owner_name,
            renewers=[CreatableRenewers(*renewer) for renewer in renewers],
            max_lifetime_ms=options.max_life_time_period,
        ),
        at_least=3 if owners else 0,
    )
    raise_for(response.error_code)
    print(f"Created delegation token with tokenId : {response.token_id}")
    owner = (response.principal_type, response.principal_name)
    requester = (
        response.token_requester_principal_type,
        response.token_requester_principal_name,
    )
    times = (
        response.issue_timestamp_ms,
        response.expiry_timestamp_ms,
        response.max_timestamp_ms,
    )
    _print_rows([_row(response.token_id, response.hmac, owner, requester, renewers, times)])


def _describe(cluster: Cluster, owners: list[Principal]) -> None:
    from ottla.cli.workers.failures import raise_for
    from ottla.wire.messages.describe_delegation_token import (
        DescribeDelegationTokenOwner,
        DescribeDelegationTokenRequest,
    )

    if owners:
        print(f"Calling describe token operation for owners: {_listed(owners)}")
    else:
        print("Calling describe token operation for current user.")
    wanted = [DescribeDelegationTokenOwner(*owner) for owner in owners] or None
    response = cluster.request(DescribeDelegationTokenRequest(wanted))
    raise_for(response.error_code)
    print(f"Total number of tokens : {len(response.tokens)}", end="")
    _print_rows(
        [
            _row(
                token.token_id,
                token.hmac,
                (token.principal_type, token.principal_name),
                (token.token_requester_principal_type, token.token_requester_principal_name),
                [(renewer.principal_type, renewer.principal_name) for renewer in token.renewers],
                (token.issue_timestamp, token.expiry_timestamp, token.max_timestamp),
            )
            for token in response.tokens
        ]
    )


def _move_expiry(cluster: Cluster, options: argparse.Namespace) -> None:
    """Renew or expire."""
    from ottla.cli.workers.failures import raise_for
    from ottla.wire.messages.expire_delegation_token import ExpireDelegationTokenRequest
    from ottla.wire.messages.renew_delegation_token import RenewDelegationTokenRequest

    try:
        hmac = base64.b64decode(options.hmac, validate=True)
    except binascii.Error:
        raise CommandError(f"{options.hmac} is not an HMAC in Base64.") from None
    what = "renew" if options.renew else "expire"
    period = options.renew_time_period if options.renew else options.expiry_time_period
    print(
        f"Calling {what} token operation with hmac :{options.hmac} , {what}-time-period :{period}"
    )
    if options.renew:
        renewed = cluster.request_controller(RenewDelegationTokenRequest(hmac, period))
        raise_for(renewed.error_code)
        moment = renewed.expiry_timestamp_ms
    else:
        expired = cluster.request_controller(ExpireDelegationTokenRequest(hmac, period))
        raise_for(expired.error_code)
        moment = expired.expiry_timestamp_ms
    print(f"Completed {what} operation. New expiry date : {_date(moment)}", end="")


def _row(
    token_id: str,
    hmac: bytes | bytearray | memoryview,
    owner: Principal,
    requester: Principal,
    renewers: list[Principal],
    times_ms: tuple[int, int, int],
) -> tuple[str, ...]:
    return (
        token_id,
        base64.b64encode(hmac).decode(),
        ":".join(owner),
        ":".join(requester),
        _listed(renewers),
        *map(_date, times_ms),
    )


def _listed(principals: list[Principal]) -> str:
    return f"[{', '.join(map(':'.join, principals))}]"


def _date(moment_ms: int) -> str:
    """In the zone of this machine, as Kafka's."""
    return datetime.fromtimestamp(moment_ms / 1000).astimezone().strftime("%Y-%m-%dT%H:%M")


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    for row in [HEADING, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, WIDTHS, strict=True))
        print(f"\n{' '.join(cells)}")


def main() -> int:
    """Entry point of kafka-delegation-tokens."""
    return exit_status_of(lambda: run(sys.argv[1:]))
