"""Dialogs in which a person changes something; errors stay in the dialog."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from nicegui import ui

from ottla.console import actions, administration
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.configuration import Setting
from ottla.console.formatting import in_words, moment_ms
from ottla.console.layout import passing_dialog, path, zone, zone_name

Action = Callable[[], Any]
#: The return key in a field of one line does what the dialog's button does.
ENTER = "e => { if (e.target.matches('input:not([role=combobox]):not([type=checkbox])')) emit() }"
T = TypeVar("T")


class ActionDialog:
    """A titled dialog with a button that does one thing, and says what went wrong.

    What is done goes through `actions.perform` as `audit`, with `details` as they
    are then: an action may add to them.
    """

    def __init__(
        self,
        cluster: ClusterView,
        title: str,
        button: str,
        audit: str,
        *,
        is_dangerous: bool = False,
        **details: Any,
    ) -> None:
        self.cluster = cluster
        self.details = details
        with passing_dialog() as self.dialog, ui.card().classes("w-[26rem] gap-3") as self.card:
            ui.label(title).classes("text-h6").style("word-break: break-all")
        self._audit = audit
        self._button_text = button
        self._color = "negative" if is_dangerous else "primary"

    def show(self, action: Action, finished: Callable[[Any], Any]) -> None:
        """Add the buttons below what the caller has put in, and open."""
        with self.card:
            fault = ui.label().classes("text-negative").props("role=alert")

            async def perform() -> None:
                if not button.enabled:
                    return  # the return key, pressed twice
                button.disable()
                try:
                    result = await actions.perform(self.cluster, self._audit, self.details, action)
                except (ClusterError, ValueError) as error:
                    fault.set_text(str(error))
                    button.enable()
                    return
                self.dialog.close()
                after = finished(result)
                if inspect.isawaitable(after):
                    await after

            with ui.row().classes("justify-end w-full"):
                ui.button("Cancel", on_click=self.dialog.close).props("flat no-caps")
                button = ui.button(self._button_text, on_click=perform).props(
                    f"no-caps unelevated color={self._color}"
                )
        self.card.on("keydown.enter", perform, js_handler=ENTER)
        for element in self.card.descendants():
            if isinstance(element, ui.input | ui.number | ui.textarea):
                element.props("autofocus")
                break
        self.dialog.open()


def config_of(text: str) -> dict[str, str]:
    """`key=value` lines. Errors: `ValueError` with a sentence."""
    found = {}
    for line in filter(None, (part.strip() for part in text.splitlines())):
        key, separator, value = line.partition("=")
        if not separator or not key.strip():
            raise ValueError(f"{line!r} is not of the form key=value.")
        found[key.strip()] = value.strip()
    return found


async def _asked(question: Callable[[str], T], name: str) -> T | None:
    """What Kafka answers; None when it does not, which the page has then said."""
    try:
        return await asyncio.to_thread(question, name)
    except ClusterError as error:
        ui.notify(str(error), type="negative")
        return None


async def clone_topic(cluster: ClusterView, topic: str) -> None:
    """Ask for a topic with another's partitions and settings; records are not copied."""
    entries = await _asked(cluster.topic_configs, topic)
    numbers = await _asked(cluster.partition_numbers, topic)
    if entries is None or numbers is None:
        return
    template = {e["key"]: str(e["value"]) for e in entries if e["is_own"]}
    create_topic(cluster, f"{topic}-copy", len(numbers), template)


def create_topic(
    cluster: ClusterView,
    proposed: str = "",
    partition_count: int = 1,
    template: dict[str, str] | None = None,
) -> None:
    """Ask for a topic; `template` are the settings of one to clone."""
    box = ActionDialog(cluster, "Create a topic", "Create", "create topic")
    with box.card:
        name = ui.input("Name", value=proposed).classes("w-full")
        partitions = ui.number("Partitions", value=partition_count, min=1, format="%d")
        partitions.classes("w-full")
        replicas = ui.number("Replicas (-1: default)", value=-1, format="%d").classes("w-full")
        text = "\n".join(f"{k}={v}" for k, v in (template or {}).items())
        config = ui.textarea("Configuration, key=value", value=text).classes("w-full mono")

    def act() -> str:
        topic = (name.value or "").strip()
        if not topic:
            raise ValueError("Give the topic a name.")
        box.details["topic"] = topic
        administration.create_topic(
            cluster,
            topic,
            int(partitions.value or 1),
            int(replicas.value or -1),
            config_of(config.value or ""),
        )
        return topic

    box.show(act, lambda topic: ui.navigate.to(path("topics", topic)))


def delete_topic(cluster: ClusterView, topic: str) -> None:
    """The name has to be typed: this cannot be taken back."""
    box = ActionDialog(
        cluster,
        f"Delete {topic}",
        "Delete for ever",
        "delete topic",
        topic=topic,
        is_dangerous=True,
    )
    with box.card:
        ui.label("All its records and every group's offsets for it are lost.")
        typed = ui.input(f"Type {topic} to confirm").classes("w-full")

    def act() -> None:
        if typed.value != topic:
            raise ValueError("That is not the topic's name.")
        administration.delete_topic(cluster, topic)

    box.show(act, lambda _: ui.navigate.to("/topics"))


def empty_topic(cluster: ClusterView, topic: str) -> None:
    box = ActionDialog(
        cluster,
        f"Empty {topic}",
        "Delete all records",
        "empty topic",
        topic=topic,
        is_dangerous=True,
    )
    with box.card:
        typed = ui.input(f"Type {topic} to confirm").classes("w-full")

    def act() -> None:
        if typed.value != topic:
            raise ValueError("That is not the topic's name.")
        administration.empty_topic(cluster, topic)

    box.show(act, lambda _: ui.notify(f"{topic} is empty"))


async def add_partitions(cluster: ClusterView, topic: str) -> None:
    numbers = await _asked(cluster.partition_numbers, topic)
    if numbers is None:
        return
    now = len(numbers)
    box = ActionDialog(cluster, f"Partitions of {topic}", "Add", "add partitions", topic=topic)
    with box.card:
        ui.label(
            "Records with keys go to other partitions afterwards: order per key holds only among"
            " the new ones."
        )
        total = ui.number("Partitions in all", value=now + 1, min=now + 1, format="%d")

    def act() -> None:
        box.details["partitions"] = int(total.value or 0)
        administration.add_partitions(cluster, topic, int(total.value or 0))

    box.show(act, lambda _: ui.notify("Partitions added"))


def set_config(
    cluster: ClusterView, topic: str, setting: Setting, refresh: Callable[[], Any]
) -> None:
    """Change one key of a topic; shows what it means, what it is and what it would be."""
    key = setting.key
    box = ActionDialog(cluster, key, "Set", "configure topic", topic=topic, key=key)
    with box.card:
        if setting.documentation:
            ui.label(setting.documentation).style("max-height: 12rem; overflow-y: auto")
        ui.label(
            f"Now {in_words(key, setting.value) or '(empty)'}, set by {setting.source};"
            f" default here {in_words(key, setting.default) or '(empty)'}."
            f" {setting.type.capitalize()}."
        ).classes("text-dim")
        field = ui.input("Value (empty: the default)", value=setting.value).classes("w-full mono")

    def act() -> None:
        box.details["value"] = field.value or None
        administration.set_config(cluster, topic, key, field.value or None)

    box.show(act, lambda _: refresh())


def produce(cluster: ClusterView, topic: str, refresh: Callable[[], Any]) -> None:
    """Ask for a record; headers are `name=value` lines."""
    box = ActionDialog(cluster, f"Produce to {topic}", "Produce", "produce", topic=topic)
    with box.card:
        key = ui.input("Key (empty: none)").classes("w-full mono")
        value = ui.textarea("Value").classes("w-full mono")
        is_null = ui.checkbox("no value: null, which deletes the key where a topic is compacted")
        value.bind_enabled_from(is_null, "value", backward=lambda chosen: not chosen)
        headers = ui.textarea("Headers, name=value").classes("w-full mono")
        partition = ui.input("Partition (empty: chosen)").classes("w-full")

    def act() -> tuple[int, int]:
        number = (partition.value or "").strip()
        if number and not number.isdigit():
            raise ValueError("The partition is a number.")
        return administration.produce(
            cluster,
            topic,
            None if is_null.value else value.value or "",
            key.value or None,
            list(config_of(headers.value or "").items()),
            int(number) if number else None,
        )

    def finished(place: tuple[int, int]) -> None:
        ui.notify(f"partition {place[0]}, offset {place[1]}")
        refresh()

    box.show(act, finished)


RESETS = {
    "earliest": "to the beginning",
    "latest": "to the end",
    "time": "to a time",
    "offset": "to an offset",
    "shift": "by so many records",
}
#: What is to be typed for each of them; the others need nothing.
RESET_FIELDS = {
    "time": "Time, such as 2026-01-31 12:00",
    "offset": "Offset, the same for each partition",
    "shift": "Records, such as -100 for a hundred back",
}
SHOWN_CHANGES = 20


class ResetDialog:
    """Choose, look at what would change, then do just that."""

    def __init__(self, cluster: ClusterView, group: str) -> None:
        self.cluster = cluster
        self.group = group
        self.plan: list[tuple[str, int, int, int]] = []
        self.box = ActionDialog(
            cluster,
            f"Reset offsets of {group}",
            "Reset",
            "reset offsets",
            group=group,
            is_dangerous=True,
        )
        with self.box.card:
            self.where = ui.select(RESETS, value="earliest", on_change=self._forget)
            self.where.classes("w-full").props('aria-label="Where"')
            self.number = ui.input(on_change=self._forget).classes("w-full")
            self.preview = ui.label().classes("mono").props("role=status")
            ui.button("Preview", on_click=self._look).props("flat no-caps")
        self._forget()

    def open(self) -> None:
        self.box.show(self._act, lambda _: ui.notify("Offsets were reset"))

    def _forget(self) -> None:
        """Something else was chosen: what was looked at is no longer what would be done."""
        self.plan = []
        self.preview.set_text("")
        hint = RESET_FIELDS.get(self.where.value)
        self.number.set_visibility(hint is not None)
        if hint == RESET_FIELDS["time"]:
            hint += f" ({zone_name()})"
        self.number.props["label"] = hint or ""

    async def _look(self) -> None:
        try:
            self.plan = await asyncio.to_thread(
                administration.planned_offsets,
                self.cluster,
                self.group,
                self.where.value,
                self._position(),
            )
        except (ClusterError, ValueError) as error:
            self.preview.set_text(str(error))
            return
        lines = [f"{t}-{p}: {now} → {then}" for t, p, now, then in self.plan[:SHOWN_CHANGES]]
        if len(self.plan) > SHOWN_CHANGES:
            lines.append(f"and {len(self.plan) - SHOWN_CHANGES} partitions more")
        self.preview.set_text("\n".join(lines))

    def _position(self) -> int:
        """What was typed. Errors: `ValueError` with a sentence."""
        text = (self.number.value or "").strip()
        if self.where.value == "time":
            return moment_ms(text, zone())
        if self.where.value not in RESET_FIELDS:
            return 0
        try:
            return int(text)
        except ValueError:
            raise ValueError(f"Give a number: {RESET_FIELDS[self.where.value].lower()}.") from None

    def _act(self) -> None:
        if not self.plan:
            raise ValueError("Look at the preview first.")
        self.box.details["offsets"] = {f"{t}-{p}": then for t, p, _, then in self.plan}
        administration.reset_offsets(self.cluster, self.group, self.plan)


def delete_group(cluster: ClusterView, group: str) -> None:
    box = ActionDialog(
        cluster, f"Delete {group}", "Delete", "delete group", group=group, is_dangerous=True
    )
    with box.card:
        ui.label("Its committed offsets are lost.")

    box.show(
        lambda: administration.delete_group(cluster, group), lambda _: ui.navigate.to("/groups")
    )
