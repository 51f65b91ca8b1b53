"""All targets, by name."""

from __future__ import annotations

from typing import Final

from fuzzing import batches, decoders, files, formats, requests, sasl, stream
from fuzzing.target import Target

TARGETS: Final[dict[str, Target]] = {
    module.TARGET.name: module.TARGET
    for module in (decoders, requests, stream, batches, formats, files, sasl)
}
