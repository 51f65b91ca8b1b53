"""One fuzzer in a process of its own, which libFuzzer ends as it likes."""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Arguments: the target's name, and libFuzzer's."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["ottla"]):
        from fuzzing.targets import TARGETS
        from ottla.wire import codec

        target = TARGETS[name]
        # Loads what is loaded late, so that it is instrumented, too.
        for seed in target.seeds():
            target.run(seed)
    # Decoders and encoders are compiled from strings, which no import sees.
    for function in (*codec._decoders.values(), *codec._encoders.values()):
        atheris.instrument_func(function)
    atheris.Setup(sys.argv, target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
