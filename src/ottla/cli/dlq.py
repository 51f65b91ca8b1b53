"""`ottla dlq`: what lies in dead-letter topics, why, and sending it back."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from ottla.cli.demo import add_connection_arguments, connection_settings
from ottla.cli.errors import CommandError
from ottla.cli.output import add_output_argument, print_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_connection_arguments(parser)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the dead-letter topics and how much lies in each")
    add_output_argument(listing)
    show = actions.add_parser("show", help="the letters of a topic with their history")
    show.add_argument("topic")
    show.add_argument("--json", action="store_true", help="one JSON object a line")
    replay = actions.add_parser("replay", help="send the letters of a topic back where they failed")
    replay.add_argument("topic")
    for action in (listing, show, replay):
        add_connection_arguments(action, is_repeated=True)


def run(args: argparse.Namespace) -> int:
    """Returns the exit status. Errors: CommandError."""
    from confluent_kafka import KafkaException

    from ottla.demos.kafka_clients import DemoError

    settings = connection_settings(args)
    try:
        return {"list": list_topics, "show": show, "replay": replay}[args.action](settings, args)
    except DemoError as error:
        raise CommandError(str(error)) from None
    except KafkaException as error:
        raise CommandError(f"Kafka says: {error.args[0].str()}") from None


def list_topics(settings: dict[str, str], args: argparse.Namespace) -> int:
    from ottla.demos.services import dead_letters

    rows = [
        {
            "topic": name,
            "letters": sum(1 for _ in dead_letters.letters(settings, name)),
            "not_replayed": sum(
                1 for _ in dead_letters.letters(settings, name, dead_letters.REPLAY_GROUP)
            ),
        }
        for name in dead_letters.topics(settings)
    ]
    empty = "There is no dead-letter topic; they end in .dlt"
    print_rows(rows, ("topic", "letters", "not_replayed"), args.output, empty=empty)
    return 0


def show(settings: dict[str, str], args: argparse.Namespace) -> int:
    from ottla.demos.services import dead_letters

    for letter in dead_letters.letters(settings, args.topic):
        value = (letter.value or b"").decode("utf-8", "replace")
        if args.json:
            line = {
                "partition": letter.partition,
                "offset": letter.offset,
                "origin": letter.origin,
                "error": letter.error,
                "history": letter.history,
                "value": value,
            }
            print(json.dumps(line, ensure_ascii=False))
            continue
        print(f"{letter.topic}-{letter.partition} offset {letter.offset}, from {letter.origin}")
        print(f"  value  {value}")
        for entry in letter.history:
            moment = datetime.fromtimestamp(int(str(entry["at_ms"])) / 1000, UTC)
            print(f"  try {entry['attempt']}  {moment:%H:%M:%S} UTC  {entry['error']}")
    return 0


def replay(settings: dict[str, str], args: argparse.Namespace) -> int:
    from ottla.demos.services import dead_letters

    count = dead_letters.replay(settings, args.topic)
    went = "letter went back to its topic" if count == 1 else "letters went back to their topics"
    print(f"{count:,} {went}")
    return 0
