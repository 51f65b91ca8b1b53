"""`kafka-features`: the cluster's features and their finalised levels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
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

COMMANDS: Final = (
    "describe",
    "upgrade",
    "downgrade",
    "disable",
    "version-mapping",
    "feature-dependencies",
)
METADATA: Final = "metadata.version"
UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3

#: Names of the metadata versions, the first being level 1.
METADATA_VERSIONS: Final = (
    *("3.0-IV1", "3.1-IV0", "3.2-IV0", "3.3-IV0", "3.3-IV1", "3.3-IV2", "3.3-IV3"),
    *("3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2"),
    *("3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0"),
    *("4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0"),
    *("4.2-IV1", "4.3-IV0", "4.4-IV0"),
)

#: Feature → (level, level of metadata.version since which it is the default), ascending.
LEVELS: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "kraft.version": ((0, 0), (1, 21)),
    "transaction.version": ((0, 0), (1, 24), (2, 24)),
    "group.version": ((0, 0), (1, 22)),
    "eligible.leader.replicas.version": ((0, 0), (1, 26)),
    "share.version": ((0, 0), (1, 28)),
    "streams.version": ((0, 0), (1, 29)),
}
#: The level of metadata.version that a level of a feature needs at least.
NEEDED: Final = {("eligible.leader.replicas.version", 1): 23}
#: The oldest level that Kafka 4 still runs with.
OLDEST: Final = 7


def build_parser() -> OptionParser:
    """The options of kafka-features."""
    parser = OptionParser("kafka-features", f"One of: {', '.join(COMMANDS)}.")
    add_connection_options(parser)
    value = parser.value
    value("--bootstrap-controller", "controllers to ask instead", metavar="SERVERS")
    value("--node-id", "with describe: ask this broker", type_=int)
    parser.values("--feature", "NAME=LEVEL to upgrade or downgrade to; NAME to disable")
    value("--metadata", "deprecated: metadata.version by its name, such as 4.0-IV3")
    value("--release-version", "metadata.version by its name, such as 4.0-IV3")
    parser.flag("--unsafe", "downgrade even if metadata is lost")
    parser.flag("--dry-run", "only check")
    return parser


def level_text(feature: str, level: int) -> str:
    """A level as Kafka prints it: metadata versions by name."""
    if feature != METADATA:
        return str(level)
    if 1 <= level <= len(METADATA_VERSIONS):
        return METADATA_VERSIONS[level - 1]
    return f"UNKNOWN {level}"


def metadata_level(name: str) -> int:
    """Level of a metadata version by its name. Errors: `CommandError`."""
    for level, known in reversed(list(enumerate(METADATA_VERSIONS, 1))):
        if level >= OLDEST and (known == name or known.startswith(f"{name}-")):
            return level
    raise CommandError(
        f"Unknown metadata.version '{name}'. Supported metadata.version are: "
        f"{', '.join(METADATA_VERSIONS[OLDEST - 1 :])}"
    )


def default_levels(metadata: int) -> dict[str, int]:
    """Level of every other feature where metadata.version is this."""
    return {
        name: max(level for level, since in levels if since <= metadata)
        for name, levels in LEVELS.items()
    }


def _show_mapping(options: argparse.Namespace) -> None:
    name = options.release_version or METADATA_VERSIONS[-2]
    level = metadata_level(name)
    print(f"{METADATA}={level} ({name})")
    for feature, default in default_levels(level).items():
        print(f"{feature}={default}")


def _show_dependencies(options: argparse.Namespace) -> None:
    for feature, level in _levels_of(options.feature).items():
        if feature == METADATA and 1 <= level <= len(METADATA_VERSIONS):
            print(f"{feature}={level} ({level_text(feature, level)}) has no dependencies.")
            continue
        if feature not in LEVELS and feature != METADATA:
            raise CommandError(f"Unknown feature: {feature}")
        if level not in dict(LEVELS.get(feature, ())):
            raise CommandError(f"No feature:{feature} with feature level {level}")
        needed = NEEDED.get((feature, level))
        if needed is None:
            print(f"{feature}={level} has no dependencies.")
        else:
            print(f"{feature}={level} requires:")
            print(f"    {METADATA}={needed} ({level_text(METADATA, needed)})")


def run(arguments: Sequence[str]) -> int:
    """Do what the first word says."""
    options, words = build_parser().parse(arguments)
    command = words[0] if words else ""
    if command not in COMMANDS:
        raise CommandError(f"kafka-features needs one of {', '.join(COMMANDS)}.")
    if command == "version-mapping":
        _show_mapping(options)
        return 0
    if command == "feature-dependencies":
        _show_dependencies(options)
        return 0
    servers = bootstrap_servers(options.bootstrap_server, [options.bootstrap_controller])

    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        if command == "describe":
            _describe(cluster, options)
            return 0
        return _update(cluster, command, options)


def _describe(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.wire.messages.api_versions import ApiVersionsRequest

    request = ApiVersionsRequest(client_software_name="ottla", client_software_version="1")
    if options.node_id is None:
        response = cluster.request(request)
    else:
        response = cluster.broker(options.node_id).request(request)
    finalized = {one.name: one.max_version_level for one in response.finalized_features}
    epoch = response.finalized_features_epoch
    for feature in sorted(response.supported_features, key=lambda feature: feature.name):
        name = feature.name
        print(
            f"Feature: {name:<40}  "
            f"SupportedMinVersion: {level_text(name, feature.min_version):<15}  "
            f"SupportedMaxVersion: {level_text(name, feature.max_version):<15}  "
            f"FinalizedVersionLevel: {level_text(name, finalized.get(name, 0)):<15}  "
            f"Epoch: {epoch if epoch >= 0 else '-'}"
        )


def _updates(command: str, options: argparse.Namespace) -> dict[str, int]:
    """Feature → level. Errors: `CommandError`."""
    release = options.release_version
    if release and (options.metadata or options.feature):
        raise CommandError("Can not specify `release-version` with other feature flags.")
    updates: dict[str, int] = {}
    if release or options.metadata:
        updates[METADATA] = metadata_level(release or options.metadata)
    if release:
        defaults = default_levels(updates[METADATA])
        is_up = command == "upgrade"
        updates |= {name: level for name, level in defaults.items() if level or not is_up}
    if command == "disable":
        updates |= dict.fromkeys(options.feature, 0)
    else:
        updates |= _levels_of(options.feature)
    if not updates:
        raise CommandError(f"You must specify at least one feature to {command}")
    return updates


def _levels_of(texts: Sequence[str]) -> dict[str, int]:
    """`NAME=LEVEL` words. Errors: `CommandError`."""
    levels: dict[str, int] = {}
    for text in texts:
        name, equals, level = text.partition("=")
        name, level = name.strip(), level.strip()
        if not equals:
            raise CommandError(f"Can't parse feature=level string {text}: equals sign not found.")
        if not level.isdigit():
            raise CommandError(
                f"Can't parse feature=level string {text}: unable to parse {level} as a short."
            )
        if name in levels:
            raise CommandError(f"Feature {name} was specified more than once.")
        levels[name] = int(level)
    return levels


def _update(cluster: Cluster, command: str, options: argparse.Namespace) -> int:
    from ottla.cli.workers.failures import sentence
    from ottla.wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest

    updates = _updates(command, options)
    kind = UPGRADE
    if command != "upgrade":
        kind = UNSAFE_DOWNGRADE if options.unsafe else SAFE_DOWNGRADE
    response = cluster.request_controller(
        UpdateFeaturesRequest(
            cluster.settings.request_timeout_ms,
            [FeatureUpdateKey(name, level, kind) for name, level in updates.items()],
            options.dry_run,
        )
    )
    codes = {result.feature: result.error_code for result in response.results}
    message = response.error_message
    failed = 0
    done = {"upgrade": "upgraded", "downgrade": "downgraded", "disable": "disabled"}[command]
    for name in sorted(updates):
        code = codes.get(name, response.error_code)
        target = "" if command == "disable" else f" to {updates[name]}"
        if code:
            failed += 1
            can = "Can not" if options.dry_run else "Could not"
            print(f"{can} {command} {name}{target}. {sentence(code, message)}")
        elif options.dry_run:
            print(f"{name} can be {done}{target}.")
        else:
            print(f"{name} was {done}{target}.")
    if failed:
        raise CommandError(f"{failed} out of {len(updates)} operation(s) failed.")
    return 0


def main() -> int:
    """Entry point of kafka-features."""
    return exit_status_of(lambda: run(sys.argv[1:]))
