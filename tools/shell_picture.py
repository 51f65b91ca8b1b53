"""Record `ottla shell` in tmux, a broker behind it: `python tools/shell_picture.py [FILE.svg]`.

The picture is an SVG whose frames follow each other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

from confluent_kafka import Consumer, Producer
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

import ottla

COLUMNS, LINES = 88, 21
CELL, LINE, FONT = 12.2, 24.4, 20
#: The frame for viewers that do not animate.
STILL = 8
SESSION = "ottla-picture"
BIN = Path(sys.executable).parent

#: What is typed, what is waited for, and how many seconds the frame is looked at.
SCRIPT: tuple[tuple[tuple[str, ...], str, float], ...] = (
    (("topics ",), "describe", 2.0),
    (("Enter",), "payments ", 2.5),
    (("groups lag ", "--watch 0.5", "Enter"), "every 0.5 s", 1.2),
    ((), "", 1.2),
    ((), "", 1.2),
    (("C-c",), "shop ›", 1.0),
    (("topics create audit --config cleanup.", "policy="), "compact,delete", 3.0),
    (("compact", "Enter"), "Created", 1.5),
    (('sql "SELECT country, count(*), sum(amount) FROM orders GROUP BY country ORDER BY 2 DESC"',
      "Enter"), "sum", 4.0),
    (("kafka-console-consumer --topic orders --from-beginning --max-messages 2", "Enter"),
     "Processed", 4.0),
)  # fmt: skip


def tmux(*words: str) -> str:
    return subprocess.run(
        ["tmux", "-L", SESSION, *words], check=True, capture_output=True, text=True
    ).stdout


@contextmanager
def shop() -> Iterator[str]:
    """A broker with orders, and a group that is behind and catches up."""
    with ottla.Broker(config={"num.partitions": "3"}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        countries = ("DE", "FR", "IT", "PL", "DE", "FR", "DE")
        for n in range(7000):
            country = countries[n % 7]
            value = f'{{"id": {n}, "country": "{country}", "amount": {n * 37 % 90 + 5}}}'
            producer.produce("orders", value, key=f"user-{n % 50}")
        producer.produce("payments", "{}")
        producer.flush()
        consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": "billing",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        consumer.subscribe(["orders"])
        consumer.consume(1500, 5)
        consumer.commit(asynchronous=False)
        reader = Reader(consumer)
        try:
            yield broker.bootstrap_servers
        finally:
            reader.stop()


class Reader(threading.Thread):
    """Goes on reading, slowly enough to be watched."""

    def __init__(self, consumer: Consumer) -> None:
        super().__init__()
        self._consumer = consumer
        self._stop_wanted = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stop_wanted.wait(0.2):
            if self._consumer.consume(30, 0.3):
                self._consumer.commit(asynchronous=False)

    def stop(self) -> None:
        self._stop_wanted.set()
        self.join()
        self._consumer.close()


def record(servers: str, home: Path) -> list[tuple[str, float]]:
    """Frames: what the terminal shows, with its colours, and for how long."""
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "XDG_STATE_HOME": str(home),
        "OTTLA_CONTEXTS": str(home / "contexts.json"),
    }
    environment.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    environment.pop("TMUX", None)
    ottla_words = [str(BIN / "ottla"), "context", "add", "shop", servers]
    subprocess.run(ottla_words, env=environment, check=True, stdout=subprocess.DEVNULL)
    size = ["-x", str(COLUMNS), "-y", str(LINES)]
    subprocess.run(
        ["tmux", "-L", SESSION, "new-session", "-d", *size, "ottla shell"],
        env=environment,
        check=True,
    )
    try:
        _wait(lambda: "shop ›" in tmux("capture-pane", "-p"))
        frames = []
        for keys, awaited, seconds in SCRIPT:
            for key in keys:
                tmux("send-keys", *(() if key in ("Enter", "C-c") else ("-l", "--")), key)
                time.sleep(0.8)
            _wait(lambda text=awaited: text in tmux("capture-pane", "-p"))  # type: ignore[misc]
            time.sleep(0.8)
            frames.append((tmux("capture-pane", "-p", "-e"), seconds))
        return frames
    finally:
        tmux("kill-server")


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(tmux("capture-pane", "-p"))
        time.sleep(0.1)


def picture(frames: list[tuple[str, float]]) -> str:
    """One SVG; each frame is shown for its seconds, round and round."""
    width, height = COLUMNS * CELL + 20, LINES * LINE + 52
    total = sum(seconds for _, seconds in frames)
    rules, groups, begin = [], [], 0.0
    for number, (text, seconds) in enumerate(frames):
        start, end = begin / total * 100, (begin + seconds) / total * 100
        begin += seconds
        hidden = "0%{visibility:hidden}" if number else ""
        rules.append(
            f"@keyframes k{number}{{{hidden}{start:.2f}%{{visibility:visible}}"
            f"{end:.2f}%,100%{{visibility:hidden}}}}"
            f".f{number}{{animation:k{number} {total:.1f}s step-end infinite"
            f"{'' if number == STILL else ';visibility:hidden'}}}"
        )
        groups.append(f'<g class="f{number}">\n{_frame(text)}\n</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}">\n'
        f"<style>text{{font:{FONT}px ui-monospace,Menlo,Consolas,monospace;white-space:pre}}"
        f"{''.join(rules)}</style>\n"
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#292929"/>\n'
        '<g transform="translate(26,22)"><circle r="7" fill="#ff5f57"/>'
        '<circle cx="22" r="7" fill="#febc2e"/><circle cx="44" r="7" fill="#28c840"/></g>\n'
        f'<text x="{width / 2:.0f}" y="28" text-anchor="middle" fill="#c5c8c6">ottla shell</text>\n'
        f'<g transform="translate(10,41)">\n' + "\n".join(groups) + "\n</g>\n</svg>\n"
    )


def _frame(text: str) -> str:
    console = Console(width=COLUMNS, color_system="truecolor", force_terminal=True)
    parts = []
    for row, line in enumerate(text.rstrip("\n").split("\n")):
        column = 0
        for segment in Text.from_ansi(line).render(console):
            words = segment.text.rstrip("\n")
            length = len(words)
            if words:
                parts.append(_cell(words, segment.style or Style(), column, row))
            column += length
    return "\n".join(part for part in parts if part)


def _cell(words: str, style: Style, column: int, row: int) -> str:
    theme = SVG_EXPORT_THEME
    colour = "#c5c8c6"
    if style.color is not None and not style.color.is_default:
        colour = style.color.get_truecolor(theme).hex
    behind = ""
    if style.bgcolor is not None and not style.bgcolor.is_default:
        behind = style.bgcolor.get_truecolor(theme).hex
    if style.reverse:
        colour, behind = behind or "#292929", colour
    x, y, wide = column * CELL, row * LINE, len(words) * CELL
    shape = ""
    if behind:
        shape = (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{LINE}" fill="{behind}"/>'
        )
    if not words.strip():
        return shape
    bold = ' font-weight="bold"' if style.bold else ""
    dim = ' opacity="0.6"' if style.dim else ""
    return (
        f'{shape}<text x="{x:.1f}" y="{y + 19:.1f}" textLength="{wide:.1f}" fill="{colour}"'
        f"{bold}{dim}>{escape(words)}</text>"
    )


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures/shell.svg")
    with tempfile.TemporaryDirectory() as home, shop() as servers:
        frames = record(servers, Path(home))
    target.write_text(picture(frames), encoding="utf-8")
    print(f"{target}: {len(frames)} frames, {target.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
