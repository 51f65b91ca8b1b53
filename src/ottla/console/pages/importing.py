"""Records from a file: what was exported here, or one value per line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import events, ui

from ottla.console import actions, administration
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.exchange import ImportFormatError, records_of
from ottla.console.layout import passing_dialog

MAX_FILE_BYTES = 64 * 1024 * 1024
PROGRESS_S = 0.3


def import_dialog(cluster: ClusterView, topic: str, finished: Callable[[], Any]) -> None:
    """Ask for a file and produce its records; says how far it has come."""
    counted = [0]
    with passing_dialog() as dialog, ui.card().classes("w-[28rem] gap-3"):
        ui.label(f"Import into {topic}").classes("text-h6").style("word-break: break-all")
        ui.label(
            "JSON lines or CSV as exported here; of any other file each line becomes a value."
            " At most 64 MiB."
        ).classes("text-dim")
        keeps = ui.checkbox("into the partitions that the file names")
        state = ui.label().props("role=status")

        async def take(event: events.UploadEventArguments) -> None:
            name = event.file.name
            content = await event.file.read()
            state.classes(remove="text-negative")
            timer = ui.timer(PROGRESS_S, lambda: state.set_text(f"{counted[0]:,} records…"))

            def act() -> int:
                try:
                    # All lines are read first: a bad one changes nothing.
                    records = list(records_of(name, content))
                except ImportFormatError as error:
                    raise ClusterError(str(error)) from None
                return administration.produce_many(
                    cluster,
                    topic,
                    records,
                    lambda count: counted.__setitem__(0, count),
                    keeps_partitions=bool(keeps.value),
                )

            try:
                count = await actions.perform(
                    cluster, "import", {"topic": topic, "file": name}, act
                )
            except ClusterError as error:
                timer.cancel()
                state.set_text(str(error))
                state.classes("text-negative")
            else:
                timer.cancel()
                state.set_text(f"{count:,} records imported")
                finished()

        ui.upload(
            label="Choose a file",
            auto_upload=True,
            max_file_size=MAX_FILE_BYTES,
            on_upload=take,
            on_rejected=lambda _: state.set_text("The file is larger than 64 MiB."),
        ).classes("w-full").props('flat bordered aria-label="File to import"')
        ui.button("Close", on_click=dialog.close).props("flat no-caps")
    dialog.open()
