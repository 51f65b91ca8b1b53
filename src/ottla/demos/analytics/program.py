"""`ottla demo analytics`: its flags, and what it prints."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import sys
from pathlib import Path
from random import Random, SystemRandom

from ottla.demos.analytics.rules import Rules, RulesError, default_rules_text
from ottla.demos.analytics.shop import MAX_PEAK, PRESETS, Shop, ShopSettings
from ottla.demos.analytics.traffic import DEFAULT_FACTORS, TrafficPattern
from ottla.demos.kafka_clients import DemoError, Settings, Stop, create_topic

REPEATABLE_START = "2026-01-01T08:00"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_scale(parser)
    _add_clock(parser)
    topic = parser.add_argument_group("topic")
    topic.add_argument("--topic", default="analytics", help="(default: %(default)s)")
    topic.add_argument("--partitions", type=int, default=4, help="(default: %(default)s)")
    topic.add_argument("--retention-ms", type=int, default=3_600_000, help="(default: an hour)")
    topic.add_argument("--segment-ms", type=int, default=600_000, help="(default: 10 minutes)")


def _add_scale(parser: argparse.ArgumentParser) -> None:
    default = ShopSettings()
    scale = parser.add_argument_group("scale")
    scale.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="5000",
        help="messages a minute, averaged over a simulated day (default: %(default)s); the "
        "flags below change single numbers of it",
    )
    scale.add_argument(
        "--peak", type=int, metavar="USERS", help=f"users online at the peak, 1 … {MAX_PEAK:,}"
    )
    scale.add_argument(
        "--events-per-minute", type=float, metavar="N", help="of one user, on average"
    )
    scale.add_argument("--batch-max", type=int, metavar="N", help="most events of one batch")
    scale.add_argument(
        "--recurring", type=float, metavar="SHARE",
        help=f"sessions of users seen before (default: {default.recurring})",
    )  # fmt: skip
    scale.add_argument(
        "--anonymous", type=float, metavar="SHARE",
        help=f"sessions without a userId (default: {default.anonymous})",
    )  # fmt: skip
    scale.add_argument(
        "--session", type=float, metavar="SECONDS",
        help=f"average life of a session before it is killed (default: {default.session_s:g})",
    )  # fmt: skip
    scale.add_argument("--seed", type=int, help="the same seed makes the same events")
    scale.add_argument("--rules", metavar="FILE", help="which events, and what is drawn for them")
    scale.add_argument(
        "--write-rules", metavar="FILE", help="write the default rules (- for the screen) and end"
    )


def _add_clock(parser: argparse.ArgumentParser) -> None:
    default = ShopSettings()
    clock = parser.add_argument_group("time")
    clock.add_argument(
        "--hour", type=float, metavar="SECONDS",
        help=f"length of a simulated hour (default: {default.hour_s:g})",
    )  # fmt: skip
    clock.add_argument(
        "--speed", type=float, default=1.0, help="run everything so many times as fast"
    )
    clock.add_argument(
        "--start", metavar="TIME",
        help="simulated UTC time at the start, such as 2026-03-01T08:00 (default: today at "
        f"08:00; with --seed {REPEATABLE_START})",
    )  # fmt: skip
    clock.add_argument(
        "--pattern", metavar="F0,F1,…,F23",
        help="users online at each hour, as shares of the peak "
        f"(default: {','.join(f'{f:g}' for f in DEFAULT_FACTORS)})",
    )  # fmt: skip
    clock.add_argument("--events", type=int, metavar="N", help="end after so many events")
    clock.add_argument("--duration", type=float, metavar="SECONDS", help="end after so long")
    clock.add_argument(
        "--no-pace", action="store_true", help="do not wait for the clock: as fast as possible"
    )
    clock.add_argument(
        "--status", type=float, default=5.0, metavar="SECONDS", help="between two status lines"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Returns 0 when everything sent was acknowledged, else 1. Errors: DemoError."""
    if args.write_rules:
        return _write_rules(args.write_rules)
    shop = _make_shop(args)
    from ottla.demos.analytics.producer import Pace, ShopProducer

    if args.speed <= 0:
        raise DemoError("--speed must be above 0.")
    pace = Pace(args.speed, not args.no_pace, args.events, args.duration, args.status)
    with Stop() as stop:
        producer = ShopProducer(settings, args.topic, shop, pace, stop)
        config = {"retention.ms": str(args.retention_ms), "segment.ms": str(args.segment_ms)}
        create_topic(settings, producer.topic, args.partitions, config)
        create_topic(settings, producer.traffic_topic, 1, config)
        rate = shop.settings.average_events_per_minute * args.speed
        _say(
            f"Sending shop events to the topic {args.topic} on {settings['bootstrap.servers']}: "
            f"up to {shop.settings.peak_users:,} users, about {rate:,.0f} events a minute over "
            "a simulated day. Ctrl-C ends it."
        )
        tally = producer.run(_say)
    rate = tally.sent / tally.elapsed_s if tally.elapsed_s else 0
    _say(
        f"{tally.sent:,} events sent in {tally.elapsed_s:,.1f} s ({rate:,.0f}/s): "
        f"{tally.acknowledged:,} acknowledged, {tally.failed:,} failed, "
        f"{tally.pending + tally.unsent:,} not delivered."
    )
    _say(
        f"{shop.spawned:,} sessions started, {shop.killed:,} ended, {shop.online:,} online "
        "at the end."
    )
    if tally.slowed_s >= 0.1:
        _say(f"Sending could not keep up: the shop's clock stands {tally.slowed_s:,.1f} s behind.")
    if not tally.is_complete and tally.last_error:
        _say(f"Last error: {tally.last_error}")
    return 0 if tally.is_complete else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _write_rules(target: str) -> int:
    text = default_rules_text()
    if target == "-":
        sys.stdout.write(text)
        return 0
    try:
        with Path(target).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DemoError(f"The rules cannot be written to {target}: {error.strerror}.") from None
    _say(f"Wrote {target}. Edit it and give it back with --rules {target}")
    return 0


def _make_shop(args: argparse.Namespace) -> Shop:
    given = {
        "peak_users": args.peak,
        "events_per_minute": args.events_per_minute,
        "batch_max": args.batch_max,
        "recurring": args.recurring,
        "anonymous": args.anonymous,
        "session_s": args.session,
        "hour_s": args.hour,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    seed = args.seed if args.seed is not None else SystemRandom().getrandbits(64)
    random = Random(seed)
    try:
        settings = dataclasses.replace(
            PRESETS[args.preset],
            **changes,
            start_time_s=_start_time_s(args.start, is_repeatable=args.seed is not None),
            pattern=_pattern(args.pattern),
        )
    except ValueError as error:
        raise DemoError(f"These settings make no shop: {error}.") from None
    source = args.rules or "the default rules"
    try:
        text = Path(args.rules).read_text(encoding="utf-8") if args.rules else default_rules_text()
        return Shop(settings, Rules(text, random), random)
    except RulesError as error:
        raise DemoError(f"{source}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DemoError(f"The rules file {source} cannot be read: {error}.") from None


def _start_time_s(text: str | None, *, is_repeatable: bool) -> int:
    if text is None:
        if not is_repeatable:
            today = dt.datetime.now(dt.UTC)
            return int(today.replace(hour=8, minute=0, second=0, microsecond=0).timestamp())
        text = REPEATABLE_START
    start = dt.datetime.fromisoformat(text)
    if start.tzinfo is None:
        start = start.replace(tzinfo=dt.UTC)
    return int(start.timestamp())


def _pattern(text: str | None) -> TrafficPattern:
    if text is None:
        return TrafficPattern()
    return TrafficPattern([float(word) for word in text.split(",")])
