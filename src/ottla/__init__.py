"""Ottla: Kafka's little sister, the whole Kafka platform in one `pip install`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ottla.embedded import Broker as Broker
    from ottla.embedded import StartError as StartError

__version__ = "0.1.0"
__all__ = ["Broker", "StartError", "__version__"]


def __getattr__(name: str) -> object:
    """Load the broker when it is first asked for: `import ottla` alone costs nothing."""
    if name in ("Broker", "StartError"):
        from ottla import embedded

        return getattr(embedded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
