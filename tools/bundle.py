"""Write wheels for machines without a network: `make bundle`.

One directory holds Ottla and everything `ottla[all]` needs, as wheels, for Linux, macOS (Intel
and Apple silicon) and Windows. Each is checked against the hashes in requirements/run.txt, and at
the end each platform is resolved from the directory alone, so that nothing can be missing. There:

    pip install --no-index --find-links ottla-bundle 'ottla[all]'

Usage: python tools/bundle.py [--python 3.12 …] [--platform linux …] [DIRECTORY]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from packaging.markers import Marker

ROOT: Final = Path(__file__).parents[1]
LOCKED: Final = ROOT / "requirements" / "run.txt"
#: Only for building Ottla itself, which comes as a wheel.
NOT_NEEDED: Final = {"hatchling", "editables", "pathspec", "pluggy", "trove-classifiers", "tomlkit"}


class Platform(NamedTuple):
    """A kind of machine: its wheels' tags, best first, what markers see, and uv's name of it."""

    tags: tuple[str, ...]
    sys_platform: str
    machine: str
    uv_name: str


#: macOS 13 and later: pip also takes what was built for older ones.
MACOS: Final = "macosx_13_0"
PLATFORMS: Final = {
    "linux": Platform(
        ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
        "linux",
        "x86_64",
        "x86_64-manylinux_2_28",
    ),
    "macos-arm64": Platform((f"{MACOS}_arm64",), "darwin", "arm64", "aarch64-apple-darwin"),
    "macos-x86_64": Platform((f"{MACOS}_x86_64",), "darwin", "x86_64", "x86_64-apple-darwin"),
    "windows": Platform(("win_amd64",), "win32", "AMD64", "x86_64-pc-windows-msvc"),
}


class BundleError(Exception):
    """A wheel cannot be had; the text is one sentence, or what pip said."""


def locked_requirements(text: str) -> Iterator[tuple[str, Marker | None, str]]:
    """Name, marker and the whole entry (hashes included) of each locked requirement."""
    for entry in re.findall(r"^[\w.-]+==(?:[^\n]*\\\n)*[^\n]*", text, re.MULTILINE):
        head = entry.partition("\\\n")[0].strip()
        pinned, _, marker = head.partition(";")
        name = pinned.partition("==")[0].strip()
        yield name, Marker(marker.strip()) if marker.strip() else None, entry


def wanted(text: str, platform: Platform, python: str) -> list[str]:
    """The entries that a machine of this kind needs; pip would ask about the one it runs on."""
    environment = {
        "sys_platform": platform.sys_platform,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[
            platform.sys_platform
        ],
        "os_name": "nt" if platform.sys_platform == "win32" else "posix",
        "platform_machine": platform.machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    return [
        re.sub(r"\s*;[^\\]*\\\n", " \\\\\n", entry, count=1) if marker else entry
        for name, marker, entry in locked_requirements(text)
        if name not in NOT_NEEDED and (marker is None or marker.evaluate(environment))
    ]


def call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BundleError((done.stderr or done.stdout).strip())


def fetch(platform: Platform, python: str, directory: Path) -> None:
    """Download what one kind of machine needs; each wheel has one of the locked hashes."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(wanted(LOCKED.read_text(), platform, python)) + "\n")
        file.flush()
        call(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary=:all:", "--require-hashes", "-r", file.name),
            *("--implementation", "cp", "--python-version", python),
            *("--abi", f"cp{python.replace('.', '')}", "--abi", "abi3", "--abi", "none"),
            *(word for tag in platform.tags for word in ("--platform", tag)),
            *("--dest", str(directory)),
        )


def check(platform: Platform, python: str, directory: Path) -> None:
    """Resolve `ottla[all]` for one kind of machine from the directory, and nothing else."""
    uv = str(Path(sys.executable).with_name("uv"))
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("ottla[all]\n")
        file.flush()
        call(
            *(uv, "pip", "compile", "--quiet", "--no-index", "--find-links", str(directory)),
            *("--only-binary", ":all:", "--python-platform", platform.uv_name),
            *("--python-version", python, "--no-header", "--output-file", f"{file.name}.out"),
            file.name,
        )
    Path(f"{file.name}.out").unlink()


def write_bundle(directory: Path, platforms: list[str], pythons: list[str]) -> None:
    """Errors: BundleError."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("ottla-*.whl"):
        old.unlink()
    print("[1] Ottla itself", flush=True)
    call(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--no-build-isolation", "--wheel-dir", str(directory), str(ROOT)),
    )
    steps = [(name, python) for name in platforms for python in pythons]
    for number, (name, python) in enumerate(steps, 2):
        print(f"[{number}] {name}, Python {python}: ", end="", flush=True)
        fetch(PLATFORMS[name], python, directory)
        check(PLATFORMS[name], python, directory)
        print("complete", flush=True)
    wheels = list(directory.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels)
    print(f"{len(wheels)} wheels, {size / 1e6:.0f} MB, in {directory}. On a machine like those:")
    print(f"  pip install --no-index --find-links {directory.name} 'ottla[all]'")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write wheels for machines without a network.")
    parser.add_argument("directory", nargs="?", type=Path, default=ROOT / "dist" / "ottla-bundle")
    parser.add_argument("--python", action="append", metavar="3.N", help="may be given again")
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help="default: all")
    args = parser.parse_args()
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        write_bundle(args.directory, args.platform or [*PLATFORMS], args.python or [here, "3.12"])
    except BundleError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
