"""What could come next on a command line: verbs, flags, topics, groups, keys, values.

One engine for the shell's menu and for completion in bash, zsh and fish. The
command lines describe themselves: their own parsers are asked.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from ottla.cli.errors import CommandError
from ottla.cli.main import VERBS, Parser, available
from ottla.cli.workers.resource_types import BROKER, GROUP, TOPIC

if TYPE_CHECKING:
    from ottla.client.cluster import Cluster

#: How long names of topics and groups are believed, in seconds.
FRESH_S: Final = 3.0
#: How long a cluster may take to answer before names are left out, and where to say otherwise.
PATIENCE_MS: Final = 1500
PATIENCE_VARIABLE: Final = "OTTLA_COMPLETION_MS"

#: Name of an argument or option → the kind of names it takes.
KINDS: Final = {
    "topic": "topic",
    "topics": "topic",
    "group": "group",
    "context": "context",
    "config": "setting",
    "add_config": "setting",
    "delete_config": "key",
    "group_id": "group",
    "entity_type": "entity_type",
    "entity_names": "entity",
}
#: Verbs whose positional `name` or `names` means something else than a topic.
NAMES_OF: Final = {"groups": "group", "context": "context"}

#: Values of settings that have only these.
SETTING_VALUES: Final = {
    "cleanup.policy": ("delete", "compact", "compact,delete"),
    "compression.type": ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"),
    "message.timestamp.type": ("CreateTime", "LogAppendTime"),
    "log.cleanup.policy": ("delete", "compact", "compact,delete"),
    "log.message.timestamp.type": ("CreateTime", "LogAppendTime"),
    "share.auto.offset.reset": ("earliest", "latest", "by_duration:P1D"),
    "share.isolation.level": ("read_committed", "read_uncommitted"),
    "match": ("client_id=", "client_software_name=", "client_source_address="),
}
#: What a flag of kafka-configs or of `ottla configs` makes of the keys that follow.
ENTITY_FLAGS: Final = {
    "--topic": "topics",
    "--broker": "brokers",
    "--broker-defaults": "brokers",
    "--group": "groups",
    "--client": "clients",
    "--client-defaults": "clients",
    "--user": "users",
    "--user-defaults": "users",
    "--ip": "ips",
    "--ip-defaults": "ips",
    "--client-metrics": "client-metrics",
}
#: Keys that no broker lists.
QUOTAS: Final = (
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
)
FIXED_KEYS: Final = {
    "users": (*QUOTAS, "SCRAM-SHA-256", "SCRAM-SHA-512"),
    "clients": QUOTAS,
    "ips": ("connection_creation_rate",),
    "client-metrics": ("interval.ms", "match", "metrics"),
}
#: Options that take several words of `key=value` or key, in `ottla configs`.
CONFIG_ACTIONS: Final = {"set": "setting", "unset": "key"}
#: Keys of topics, offered while none is there to be asked.
COMMON_KEYS: Final = (
    "cleanup.policy",
    "compression.type",
    "delete.retention.ms",
    "max.message.bytes",
    "message.timestamp.type",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.ms",
)


class Candidate(NamedTuple):
    """A word that could come next, and what it means."""

    text: str
    meaning: str = ""


COMMON: Final = [Candidate(key) for key in COMMON_KEYS]


def _patience_ms() -> int:
    given = os.environ.get(PATIENCE_VARIABLE, "")
    return int(given) if given.isdecimal() else PATIENCE_MS


class ClusterNames:
    """Names of topics, groups and keys, asked for when needed and kept a moment.

    Whatever goes wrong leaves names out: completion never fails.
    """

    def __init__(self, options: Callable[[], argparse.Namespace]) -> None:
        self._options = options
        self._kept: dict[str, tuple[float, list[Candidate]]] = {}

    def forget(self) -> None:
        """Ask anew next time, as after a change of the cluster."""
        self._kept.clear()

    def of(self, kind: str) -> list[Candidate]:
        """Candidates of a kind: topic, group, broker, and keys of what is named: topics, …

        `topics NAME` are the keys with the values that this topic has now.
        """
        now = time.monotonic()
        kept = self._kept.get(kind)
        if kept is not None and now - kept[0] < FRESH_S:
            return kept[1]
        try:
            found = self._ask(kind)
        except (CommandError, OSError):
            found = []
        self._kept[kind] = (now, found)
        return found

    def _ask(self, kind: str) -> list[Candidate]:
        from ottla.cli.verbs.connection import connection_of
        from ottla.cli.workers.groups import list_groups
        from ottla.cli.workers.opening import open_cluster

        connection = connection_of(self._options())
        with open_cluster(
            connection.servers, connection.properties, timeout_ms=_patience_ms()
        ) as cluster:
            if kind == "group":
                return [
                    Candidate(group.group_id, f"{group.type.lower()} group, {group.state}")
                    for group in sorted(list_groups(cluster), key=lambda group: group.group_id)
                ]
            metadata = cluster.metadata()
            if kind == "broker":
                return [
                    Candidate(str(b.node_id), f"{b.host}:{b.port}")
                    for b in sorted(metadata.brokers, key=lambda broker: broker.node_id)
                ]
            topics = sorted(metadata.topics, key=lambda topic: topic.name or "")
            if kind == "topic":
                return [
                    Candidate(topic.name or "", _partitions(len(topic.partitions)))
                    for topic in topics
                    if not topic.is_internal
                ]
            if kind == "groups":
                # Any name will do: these are what a group has without settings of its own.
                return _keys(cluster, GROUP, "ottla")
            if kind == "brokers":
                return _keys(cluster, BROKER, str(metadata.brokers[0].node_id))
            named = kind.removeprefix("topics").strip()
            if named:
                return _keys(cluster, TOPIC, named) if named in {t.name for t in topics} else []
            if not topics:
                return COMMON
            # Any topic has the keys, and the defaults where nobody set anything.
            some = next((topic for topic in topics if not topic.is_internal), topics[0])
            return _keys(cluster, TOPIC, some.name or "", only_defaults=True)


def _partitions(count: int) -> str:
    return f"{count} partition{'s'[: count != 1]}"


def _keys(
    cluster: Cluster, type_: int, name: str, *, only_defaults: bool = False
) -> list[Candidate]:
    from ottla.cli.workers.configs import describe_configs, is_default

    entries = describe_configs(cluster, type_, [name])[name]
    if only_defaults:
        return [Candidate(e.name, f"default {e.value}" * is_default(e)) for e in entries]
    return [Candidate(entry.name, f"now {entry.value}") for entry in entries]


def kafka_tools() -> dict[str, str]:
    """Name of each Kafka-named tool → its module."""
    from importlib.metadata import entry_points

    prefix = "ottla.cli.kafka_tools."
    return {
        entry.name: entry.module
        for entry in entry_points(group="console_scripts")
        if entry.value.startswith(prefix) and not entry.name.endswith(".sh")
    }


def parser_of(command: str) -> argparse.ArgumentParser | None:
    """The parser of a verb or of a Kafka-named tool; None for anything else."""
    verb = VERBS.get(command)
    if verb is not None and find_spec(verb.module) is not None:
        parser = Parser(prog=f"ottla {command}")
        import_module(verb.module).add_arguments(parser)
        return parser
    module = kafka_tools().get(command.removesuffix(".sh").rpartition("/")[2])
    if module is None:
        return None
    build = getattr(import_module(module), "build_parser", None)
    return None if build is None else build()


def candidates(
    words: Sequence[str], current: str, names: ClusterNames, *, builtins: Sequence[Candidate] = ()
) -> list[Candidate]:
    """What the word under the cursor could become, given the whole words before it."""
    if not words:
        commands = [Candidate(name, verb.summary) for name, verb in available().items()]
        commands = [c for c in commands if VERBS[c.text].is_listed]
        if current.startswith("k") or not current:
            commands += [Candidate(name, "Kafka's tool") for name in sorted(kafka_tools())]
        return _starting([*builtins, *commands], current)
    parser = parser_of(words[0])
    if parser is None:
        return []
    command = words[0]
    actions = [word for word in words[1:] if not word.startswith("-")]
    parser, chosen = _descend(parser, actions)
    option = _awaiting_option(parser, words)
    if option is not None:
        return _starting(_values(option, command, words, current, names), current)
    if current.startswith("-"):
        return _starting(_flags(parser), current)
    found: list[Candidate] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and not chosen:
            found += [
                Candidate(choice.dest, choice.help or "") for choice in action._choices_actions
            ]
        elif not action.option_strings and action.dest != "action_name":
            found += _values(action, command, words, current, names)
    return _starting(found, current)


def _starting(found: Sequence[Candidate], current: str) -> list[Candidate]:
    return [candidate for candidate in found if candidate.text.startswith(current)]


def _descend(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> tuple[argparse.ArgumentParser, bool]:
    """The parser of the action among the words; and whether there is one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word in words:
                if word in action.choices:
                    return action.choices[word], True
    return parser, False


def _awaiting_option(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> argparse.Action | None:
    """The option that stands last and still wants its value."""
    action = parser._option_string_actions.get(words[-1])
    if action is not None and action.nargs != 0:
        return action
    return None


def _flags(parser: argparse.ArgumentParser) -> list[Candidate]:
    return [
        Candidate(name, action.help.replace("%%", "%"))
        for action in parser._actions
        if action.help and action.help != argparse.SUPPRESS
        for name in action.option_strings
        if name.startswith("--") or len(action.option_strings) == 1
    ]


def _values(
    action: argparse.Action,
    command: str,
    words: Sequence[str],
    current: str,
    names: ClusterNames,
) -> list[Candidate]:
    if action.choices:
        return [Candidate(str(choice)) for choice in action.choices]
    kind = KINDS.get(action.dest)
    if action.dest in ("name", "names", "words"):
        kind = NAMES_OF.get(command, "topic")
    entity = _entity(words)
    if command == "configs" and action.dest == "words":
        kind = _kind_in_configs(words)
    elif command == "configs" or command.startswith("kafka-configs"):
        kind = {"group": "group", "broker": "broker"}.get(action.dest, kind)
    if kind == "context":
        from ottla.cli.contexts import load_contexts

        known = load_contexts().by_name
        return [Candidate(name, context.bootstrap_servers) for name, context in known.items()]
    if kind == "setting":
        return settings(current, names, entity, _topic_named(words))
    if kind == "key":
        return _known_keys(names, entity, _topic_named(words))
    if kind == "entity_type":
        return [Candidate(name) for name in dict.fromkeys(ENTITY_FLAGS.values())]
    if kind == "entity":
        kind = {"groups": "group", "brokers": "broker", "topics": "topic"}.get(entity)
    if kind is not None:
        return names.of(kind)
    if action.dest in ("file", "files", "command_config", "config_file", "from_file"):
        return [Candidate(path) for path in _paths(current)]
    return []


def _entity(words: Sequence[str]) -> str:
    """What the configuration is about: topics, brokers, groups, users, …"""
    for before, word in zip(words, [*words[1:], ""], strict=True):
        if before == "--entity-type":
            return word
        if before in ENTITY_FLAGS:
            return ENTITY_FLAGS[before]
    return "topics"


def _kind_in_configs(words: Sequence[str]) -> str:
    """What the next word of `ottla configs ACTION …` is: a topic first, then keys."""
    action, *rest = [word for word in words[1:] if word] or [""]
    is_named = bool(rest) or _entity(words) != "topics"
    return CONFIG_ACTIONS.get(action, "topic") if is_named else "topic"


def _topic_named(words: Sequence[str]) -> str:
    """The topic whose configuration is to change, where one is named already."""
    for before, word in pairwise(words):
        if before in ("--topic", "--entity-name"):
            return word
    if words[0] == "configs":
        return next((word for word in words[2:] if word and not word.startswith("-")), "")
    return ""


def _known_keys(names: ClusterNames, entity: str, topic: str = "") -> list[Candidate]:
    fixed = FIXED_KEYS.get(entity)
    if fixed is not None:
        return [Candidate(key) for key in fixed]
    if entity == "topics" and topic:
        return names.of(f"topics {topic}") or names.of(entity)
    return names.of(entity)


def settings(
    current: str, names: ClusterNames, entity: str = "topics", topic: str = ""
) -> list[Candidate]:
    """`key=value` words: keys, then the values that a key allows, of a topic if it is named.

    Several may stand in one word, with commas between.
    """
    done, comma, last = current.rpartition(",") if "[" not in current else ("", "", current)
    if "=" not in done and comma:
        done, comma, last = "", "", current
    before = f"{done}{comma}"
    key, equals, _ = last.partition("=")
    keys = _known_keys(names, entity, topic)
    if not equals:
        return [Candidate(f"{before}{known.text}=", known.meaning) for known in keys]
    values = SETTING_VALUES.get(key, ())
    meaning = next((known.meaning for known in keys if known.text == key), "")
    _, _, now = meaning.partition(" ")
    if not values and now in ("true", "false"):
        values = ("true", "false")
    if not values and now:
        values = (now,)
    return [Candidate(f"{before}{key}={value}") for value in values]


def _paths(current: str) -> list[str]:
    directory, _, start = current.rpartition("/")
    try:
        entries = sorted(os.scandir(directory or "."), key=lambda entry: entry.name)
    except OSError:
        return []
    head = f"{directory}/" if directory or current.startswith("/") else ""
    return [
        f"{head}{entry.name}{'/' * entry.is_dir()}"
        for entry in entries
        if entry.name.startswith(start) and (start or not entry.name.startswith("."))
    ]
