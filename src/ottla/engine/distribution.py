"""Apache Kafka's jars and a Java to run them: found, or fetched once.

`KAFKA_HOME` names an unpacked Apache Kafka. Without it the jars come from
Maven Central by way of `mvn`, into a directory of the user's cache; Maven
checks what it downloads, and the sums written down then are checked before
every use.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ottla.engine.errors import MissingJavaError, MissingKafkaError

KAFKA_VERSION: Final = "4.3.1"
OLDEST_JAVA: Final = 17
#: `kafka-storage format --initial-controllers` came with it (KIP-853).
OLDEST_KAFKA: Final = (3, 9)
FETCH_TIMEOUT_S: Final = 900
SUMS: Final = "SHA256SUMS"

Progress = Callable[[str], None]

#: What the POM of kafka_2.13 does not bring along: tools, and a place for log lines to go.
ARTIFACTS: Final = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-core", "2.25.4"),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"),
)


class Distribution(NamedTuple):
    """Apache Kafka ready to run: a directory of jars, its version, and a Java."""

    libs: Path
    version: str
    java: Path

    def command(self, main_class: str, java_options: Sequence[str] = ()) -> list[str]:
        """The words that run one of its classes."""
        return [str(self.java), *java_options, "-cp", f"{self.libs}/*", main_class]

    def run(self, main_class: str, *args: str, timeout_s: float = 60) -> str:
        """Run a tool to its end and return what it printed. Errors: `MissingKafkaError`."""
        options = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        done = subprocess.run(
            [*self.command(main_class, options), *args],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise MissingKafkaError(
                f"{main_class} failed: {(done.stderr or done.stdout).strip()[-2000:]}"
            )
        return done.stdout


def find_java() -> Path:
    """A Java of version 17 or newer: `JAVA_HOME`'s, else the one on the path.

    Errors: `MissingJavaError` with the remedy.
    """
    remedy = "install a JDK or JRE (apt install openjdk-17-jre-headless) or set JAVA_HOME"
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not found or not Path(found).exists():
        raise MissingJavaError(
            f"Apache Kafka needs Java {OLDEST_JAVA} or newer, and none was found: {remedy}"
        )
    text = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    major = int(match[1]) if match else 0
    if major < OLDEST_JAVA:
        raise MissingJavaError(
            f"Apache Kafka needs Java {OLDEST_JAVA} or newer, and {found} is"
            f" {f'version {major}' if major else 'no Java'}: {remedy}"
        )
    return Path(found)


def cache_directory() -> Path:
    """Where this user's programs keep what can be fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ottla"


def find(progress: Progress, *, may_fetch: bool = True) -> Distribution:
    """Apache Kafka from `KAFKA_HOME`, the cache, or Maven Central.

    Errors: `MissingJavaError`, `MissingKafkaError`.
    """
    java = find_java()
    home = os.environ.get("KAFKA_HOME")
    if home:
        libs = Path(home) / "libs"
        return Distribution(libs, _version_of(libs, f"KAFKA_HOME ({home})"), java)
    libs = cache_directory() / f"apache-kafka-{KAFKA_VERSION}"
    if not libs.exists():
        if not may_fetch:
            raise MissingKafkaError("Apache Kafka is not in the cache, and KAFKA_HOME is not set")
        _fetch(libs, progress)
    _verify(libs)
    return Distribution(libs, KAFKA_VERSION, java)


def _version_of(libs: Path, place: str) -> str:
    names = [p.name for p in libs.glob("kafka-clients-*.jar")]
    match = re.fullmatch(r"kafka-clients-((\d+)\.(\d+)\.\d+.*)\.jar", names[0]) if names else None
    if match is None:
        raise MissingKafkaError(f"{place} is not an unpacked Apache Kafka: no libs/kafka-clients")
    if (int(match[2]), int(match[3])) < OLDEST_KAFKA:
        oldest = ".".join(map(str, OLDEST_KAFKA))
        raise MissingKafkaError(f"{place} is Apache Kafka {match[1]}; {oldest} or newer is needed")
    return match[1]


def _pom() -> str:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, artifact, version in ARTIFACTS
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion>"
        "<groupId>ottla</groupId><artifactId>apache-kafka</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


@contextlib.contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    beside.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{beside.name}-", dir=beside.parent) as directory:
        yield Path(directory)


def _fetch(libs: Path, progress: Progress) -> None:
    """Fill `libs` with the jars; it appears whole or not at all."""
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingKafkaError(
            "Apache Kafka is fetched with Maven, and mvn was not found: install it"
            " (apt install maven), or set KAFKA_HOME to an unpacked Apache Kafka"
        )
    progress(f"fetching Apache Kafka {KAFKA_VERSION} from Maven Central (60 MB, once)")
    with _scratch(libs) as scratch:
        (scratch / "pom.xml").write_text(_pom())
        command = [maven, "-B", "--strict-checksums", "-f", str(scratch / "pom.xml")]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        command += [f"-DoutputDirectory={scratch / 'libs'}"]
        _run_maven(command, progress)
        sums = {
            jar.name: hashlib.sha256(jar.read_bytes()).hexdigest()
            for jar in sorted((scratch / "libs").glob("*.jar"))
        }
        if f"kafka-clients-{KAFKA_VERSION}.jar" not in sums:
            raise MissingKafkaError("Maven ended without error but brought no Apache Kafka")
        lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        (scratch / "libs" / SUMS).write_text(lines)
        try:
            (scratch / "libs").rename(libs)
        except OSError:
            if not libs.exists():
                raise
    progress(f"Apache Kafka {KAFKA_VERSION} is in {libs} ({len(sums)} jars)")


def _run_maven(command: list[str], progress: Progress) -> None:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as maven:
        assert maven.stdout is not None
        fetched, errors = 0, []
        for line in maven.stdout:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
            if plain.startswith("[ERROR]"):
                errors.append(plain.removeprefix("[ERROR]").strip())
            elif "Downloaded from" in plain and plain.split(" (")[0].endswith(".jar"):
                fetched += 1
                if fetched % 10 == 0:
                    progress(f"fetched {fetched} jars")
        status = maven.wait(FETCH_TIMEOUT_S)
    if status:
        reason = errors[0] if errors else f"mvn ended with status {status}"
        raise MissingKafkaError(f"Maven could not fetch Apache Kafka: {reason}")


def _verify(libs: Path) -> None:
    """Check every jar against the sums written when it was fetched."""
    remedy = f"remove {libs} to have it fetched again"
    try:
        lines = (libs / SUMS).read_text().splitlines()
        for digest, name in (line.split("  ", 1) for line in lines):
            if hashlib.sha256((libs / name).read_bytes()).hexdigest() != digest:
                raise MissingKafkaError(f"{libs / name} was changed since it was fetched: {remedy}")
    except (OSError, ValueError) as error:
        raise MissingKafkaError(
            f"the fetched Apache Kafka is damaged ({error}): {remedy}"
        ) from None
