"""The services' deployment files: each by its schema, all of them by one another.

There is no container engine here. So the files are read as their readers would,
and the compose file's commands are run as processes, with its variables.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from ottla.demos.services import program
from ottla.engine.ports import free_ports

ROOT = Path(__file__).parents[2]
HERE = ROOT / "examples" / "services-deployment"
SERVICES = ("producer", "consumer")
PORTS = {"producer": 7000, "consumer": 7001}


class Strict(BaseModel):
    """Keys that are not written here are misspelt."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Build(Strict):
    context: str
    dockerfile: str
    args: dict[str, str] = {}


class ComposeCheck(Strict):
    test: list[str]
    interval: str
    timeout: str
    retries: int
    start_period: str = "0s"


class Dependency(Strict):
    condition: Literal["service_healthy", "service_started", "service_completed_successfully"]


class ComposeService(Strict):
    image: str | None = None
    build: Build | None = None
    command: list[str] | None = None
    environment: dict[str, str] = {}
    ports: list[str] = []
    volumes: list[str] = []
    depends_on: dict[str, Dependency] = {}
    healthcheck: ComposeCheck | None = None
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = "no"
    read_only: bool = False
    cap_drop: list[str] = []
    security_opt: list[str] = []
    tmpfs: list[str] = []


class Compose(Strict):
    name: str | None = None
    services: dict[str, ComposeService]
    volumes: dict[str, None] = {}


class CopilotCheck(Strict):
    command: list[str]
    interval: str
    timeout: str
    retries: int
    start_period: str


class CopilotImage(Strict):
    build: Build
    port: int
    healthcheck: CopilotCheck


class HttpCheck(Strict):
    path: str
    interval: str
    timeout: str


class CopilotHttp(Strict):
    path: str
    healthcheck: HttpCheck
    deregistration_delay: str


class CountRange(Strict):
    range: str = Field(pattern=r"^\d+-\d+$")
    cpu_percentage: int


class Vpc(Strict):
    placement: Literal["public", "private"]


class Network(Strict):
    vpc: Vpc


class Manifest(Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    type: Literal["Backend Service", "Load Balanced Web Service"]
    image: CopilotImage
    http: CopilotHttp | None = None
    command: list[str]
    cpu: Literal[256, 512, 1024]
    memory: int = Field(ge=512, le=2048)
    count: int | CountRange
    exec: bool
    network: Network
    variables: dict[str, str]
    secrets: dict[str, str]


class Step(Strict):
    name: str | None = None
    uses: str | None = Field(None, pattern=r"^[\w-]+/[\w./-]+@v\d+$")
    run: str | None = None
    with_: dict[str, Any] = Field({}, alias="with")


class Job(Strict):
    runs_on: str = Field(alias="runs-on")
    timeout_minutes: int = Field(alias="timeout-minutes")
    needs: str | None = None
    if_: str | None = Field(None, alias="if")
    environment: str | None = None
    steps: list[Step]


class Push(Strict):
    branches: list[str] = []
    paths: list[str]


class Events(Strict):
    push: Push
    pull_request: Push


class Workflow(Strict):
    name: str
    on: Events
    permissions: dict[str, Literal["read", "write", "none"]]
    concurrency: dict[str, str]
    jobs: dict[str, Job]


class ComposeLoader(yaml.SafeLoader):
    """Knows Compose's two tags for files laid over others."""


ComposeLoader.add_constructor("!reset", lambda *_: None)
ComposeLoader.add_multi_constructor(
    "!override",
    lambda loader, _, node: (
        loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.MappingNode)
        else loader.construct_sequence(node, deep=True)
    ),
)


def compose(file: str = "compose.yaml") -> Compose:
    content = yaml.load((HERE / file).read_text(), ComposeLoader)
    return Compose.model_validate({k: v for k, v in content.items() if not k.startswith("x-")})


def manifest(service: str) -> Manifest:
    text = (HERE / "copilot" / service / "manifest.yml").read_text()
    return Manifest.model_validate(yaml.safe_load(text))


def workflow(service: str) -> Workflow:
    content = yaml.safe_load((HERE / "workflows" / f"{service}-service.yml").read_text())
    content["on"] = content.pop(True)  # "on" is a truth value in YAML 1.1
    return Workflow.model_validate(content)


def parsed_command(words: list[str]) -> argparse.Namespace:
    """What `ottla demo services …` makes of them."""
    assert words[:2] == ["demo", "services"]
    parser = argparse.ArgumentParser()
    program.add_arguments(parser)
    return parser.parse_args(words[2:])


def health_path(test: list[str]) -> str:
    (found,) = re.findall(r"http://127\.0\.0\.1:(\d+/\S+?)'", " ".join(test))
    return str(found)


def test_the_compose_files_fit_their_schema_and_one_another() -> None:
    base, over = compose(), compose("compose.apache.yaml")
    assert set(base.services) == {"kafka", "postgres", *SERVICES}
    assert set(over.services) == {"kafka"}
    for name, service in base.services.items():
        assert set(service.depends_on) <= set(base.services), name
        for volume in service.volumes:
            assert volume.split(":")[0] in base.volumes
        if service.build is not None:
            assert (HERE / service.build.context / service.build.dockerfile).is_file()
    apache = over.services["kafka"]
    assert {volume.split(":")[0] for volume in apache.volumes} <= set(over.volumes)
    for kafka in (base.services["kafka"], apache):
        told = kafka.environment["KAFKA_ADVERTISED_LISTENERS"]
        assert told == "PLAINTEXT://kafka:9092"
    # Whoever is waited for must be able to say that he is well.
    waited_for = {d for service in base.services.values() for d in service.depends_on}
    assert waited_for == {"kafka", "postgres", "producer"}
    assert "HEALTHCHECK" in (ROOT / "Containerfile").read_text()  # Ottla's own
    assert all(base.services[name].healthcheck for name in waited_for - {"kafka"})


@pytest.mark.parametrize("name", SERVICES)
def test_a_services_command_variables_and_ports_agree(name: str) -> None:
    service, copilot, port = compose().services[name], manifest(name), PORTS[name]
    for words in (service.command, copilot.command):
        assert words is not None
        args = parsed_command(words)
        assert args.service == name
        assert args.host == "0.0.0.0"
        assert getattr(args, f"{name}_port") == port
    assert service.ports == [f"{port}:{port}"]
    assert copilot.image.port == port
    assert service.healthcheck is not None
    for test in (service.healthcheck.test, copilot.image.healthcheck.command):
        assert health_path(test) == f"{port}/health/ready"
    given = {*copilot.variables, *copilot.secrets}
    assert given == set(service.environment)
    assert not set(copilot.variables) & {"DATABASE_URL", "TOKEN_SECRET"}, "a secret in the open"
    assert (ROOT / copilot.image.build.dockerfile).is_file()


def test_the_consumer_finds_the_producer_by_its_name() -> None:
    assert compose().services["consumer"].environment["PRODUCER_URL"] == "http://producer:7000"
    url = manifest("consumer").variables["PRODUCER_URL"]
    name, port = manifest("producer").name, manifest("producer").image.port
    place = "${COPILOT_ENVIRONMENT_NAME}.${COPILOT_APPLICATION_NAME}.local"
    assert url == f"http://{name}.{place}:{port}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_workflow_fits_its_schema_and_its_files_are_there(name: str) -> None:
    flow = workflow(name)
    assert flow.on.push.paths == flow.on.pull_request.paths
    for path in flow.on.push.paths:
        assert list(ROOT.glob(path)), path
    for job in flow.jobs.values():
        assert job.needs is None or job.needs in flow.jobs
        assert all((step.uses is None) != (step.run is None) for step in job.steps)
    runs = [step.run for job in flow.jobs.values() for step in job.steps if step.run]
    for run in runs:
        subprocess.run(["bash", "-n"], input=run, text=True, check=True)
        for file in re.findall(r"tests/\S+\.py", run):
            assert (ROOT / file).is_file(), file
    words = " ".join(runs)
    assert f"--name {name}" in words
    assert "make test" in words


def test_the_image_runs_as_nobody_special_and_holds_what_is_copied() -> None:
    text = (ROOT / "Containerfile").read_text()
    last_stage = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001$", last_stage, re.MULTILINE)
    assert "pip install" not in last_stage
    shown = (ROOT / ".containerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in shown, f"{source} is ignored"
    for entry in ("ENTRYPOINT", "CMD"):
        (words,) = re.findall(rf"^{entry} (\[.*\])$", last_stage, re.MULTILINE)
        assert all(isinstance(word, str) for word in json.loads(words))


@contextmanager
def as_composed(name: str, ports: dict[str, int], variables: dict[str, str]) -> Iterator[None]:
    """A service's command as a process; names of services mean this machine."""
    service = compose().services[name]
    assert service.command is not None
    words = [word.replace("0.0.0.0", "127.0.0.1") for word in service.command]
    words[words.index(str(PORTS[name]))] = str(ports[name])
    environment = {**service.environment, **variables}
    for other, usual in PORTS.items():
        environment = {
            key: value.replace(f"//{other}:{usual}", f"//127.0.0.1:{ports[other]}")
            for key, value in environment.items()
        }
    process = subprocess.Popen(
        [sys.executable, "-m", "ottla.cli.main", *words],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert service.healthcheck is not None
    path = health_path(service.healthcheck.test).partition("/")[2]
    try:
        ask(f"http://127.0.0.1:{ports[name]}/{path}")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0


def ask(url: str, body: Any = None, *, until: str = "") -> Any:
    """Ask again and again until there is an answer with that text in it."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                text = answer.read().decode()
            if until in text:
                return json.loads(text)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
        except OSError as error:
            text = str(error)
        assert time.monotonic() < deadline, f"{url} says {text}"
        time.sleep(0.05)  # polling the condition


def test_the_composed_commands_work_together(bootstrap_servers: str, tmp_path: Path) -> None:
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "DATABASE_URL": f"sqlite:///{tmp_path}/services.db",
        "TOKEN_SECRET": "0123456789abcdef0123456789abcdef",
    }
    with ExitStack() as stack:
        for name in SERVICES:
            stack.enter_context(as_composed(name, ports, variables))
        producer = f"http://127.0.0.1:{ports['producer']}"
        consumer = f"http://127.0.0.1:{ports['consumer']}"
        person = {"name": "Ada", "email": "ada@example.org", "password": "correct horse"}
        user = ask(f"{producer}/users", person)
        ask(f"{producer}/tokens", {key: person[key] for key in ("email", "password")})
        # Asked of the producer service by the consumer service, which has seen the token, too.
        found = ask(f"{consumer}/users/{user['id']}", until='"tokens_seen":1')
    assert found["email"] == "ada@example.org"
