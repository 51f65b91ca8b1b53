"""Write-up 0: the playground and its shop analytics."""

from __future__ import annotations

import json
import re

from tour.run import shows
from tour.stage import Stage

MINUTES = 4  # of run time, in a few seconds: two simulated days
SPEED = 40


@shows("0.1")
def platform(stage: Stage) -> str:
    topic = stage.unique("tour-expiry")
    stage.types(f"ottla demo analytics --topic {topic} --no-pace --events 10", lines=3)
    stage.types(
        f"kafka-topics --bootstrap-server localhost:9092 --describe --topic {topic}",
        shows=r"(?=.*retention\.ms=3600000)(?=.*segment\.ms=600000)",
    )
    stage.types('curl -s "http://localhost:8082/topics"', shows=topic)
    stage.types(
        "curl -s -L -o /dev/null -w 'console: %{http_code}' http://localhost:9021/",
        shows="console: 200",
    )
    return (
        f"broker, REST API and console ready after {stage.ready_s:.1f} s; the demo's topic has "
        "retention.ms=3600000 and segment.ms=600000"
    )


@shows("0.2")
def traffic(stage: Stage) -> str:
    topic = stage.unique("tour-traffic")
    with stage.leaves_running(f"ottla demo analytics --topic {topic} --status 0.5") as demo:
        first = demo.wait_for(r"([\d,]+) events/s +([\d,]+) sent")
        stage.sees(first[2] != "0", "no event within the first second")
    stage.sees(demo.process.returncode == 0, "SIGINT did not end the demo with status 0")
    output = stage.types(
        f"ottla demo analytics --topic {topic} --speed {SPEED} --duration {MINUTES * 60 / SPEED:g}",
        shows="0 failed",
    )
    sent = int(re.search(r"([\d,]+) events sent", output)[1].replace(",", ""))  # type: ignore[index]
    stage.sees(4_500 <= sent / MINUTES <= 5_500, f"{sent / MINUTES:,.0f} messages a minute")
    return (
        f"{sent / MINUTES:,.0f} messages a minute over two simulated days; events within the "
        "first second; all acknowledged at Ctrl-C"
    )


@shows("0.3")
def users(stage: Stage) -> str:
    topic = stage.unique("tour-users")
    stage.types(f"ottla demo analytics --topic {topic} --speed {SPEED} --duration 6")
    event = stage.types(
        "kafka-console-consumer --bootstrap-server localhost:9092 "
        f"--topic {topic} --from-beginning --max-messages 1",
    )
    text = next(line for line in event.splitlines() if line.startswith("{"))
    properties = set(json.loads(text))
    wanted = {"userId", "sessionId", "time", "country", "userAgent"}
    stage.sees(wanted <= properties, f"the event lacks {wanted - properties}")
    lists = stage.types(f"ottla dash --once --topic {topic}", lines=4)
    shares = re.search(r"([\d.]+)% recurring, ([\d.]+)% anonymous", lists)
    assert shares is not None
    recurring, anonymous = float(shares[1]), float(shares[2])
    stage.sees(33 <= recurring <= 47, f"{recurring} % of the sessions are recurring")
    stage.sees(7 <= anonymous <= 13, f"{anonymous} % of the sessions are anonymous")
    return f"measured: {recurring} % recurring, {anonymous} % anonymous"


@shows("0.4")
def rules(stage: Stage) -> str:
    topic = stage.unique("tour-rules")
    file = f"{topic}.toml"
    stage.types(f"ottla demo analytics --write-rules {file}")
    stage.types(f"printf '[event.newsletter]\\nweight = 900\\nmood = \"fine\"\\n' >> {file}")
    stage.types(f"ottla demo analytics --rules {file} --topic {topic} --no-pace --events 500")
    stage.types(f"ottla dash --once --topic {topic}", shows=r"^ +\d+  newsletter$", lines=14)
    return "an event added to the rules file flows, and the dashboard counts it"


@shows("0.5")
def dashboard(stage: Stage) -> str:
    topic = stage.unique("tour-dash")
    stage.types(f"ottla demo analytics --topic {topic} --no-pace --events 20000")
    output = stage.types(f"ottla dash --once --topic {topic} --rows 3", lines=60)
    for title in (
        "Top elements clicked", "Top products by money", "Top colours bought",
        "Errors by module", "Top products in carts", "Top colours in carts", "Last errors",
        "Top pages", "Users by country",
    ):  # fmt: skip
        stage.sees(title in output, f"the dashboard lacks {title!r}")
    stage.sees(output.startswith("20,000 events, 0 malformed"), "not all events were counted")
    groups = stage.types("kafka-consumer-groups --bootstrap-server localhost:9092 --list")
    stage.sees("ottla-dash" not in groups, "the dashboard left a group behind")
    return "all 20,000 events in nine lists; no group, no commits"


@shows("0.6")
def hello(stage: Stage) -> str:
    topic = stage.unique("tour-hello")
    output = stage.types(
        f"ottla demo hello --topic {topic} --group {topic} --exit",
        shows=r"25 messages read: consumer 1 read \d+, consumer 2 read \d+",
        lines=10,
    )
    return output.strip().splitlines()[-1]


@shows("0.7")
def questions(stage: Stage) -> str:
    topic = stage.unique("tour-sql")
    stage.types(f"ottla demo analytics --topic {topic} --no-pace --events 5000", lines=3)
    where = "--bootstrap-servers localhost:9092"
    answer = stage.types(
        f"ottla sql 'SELECT event, count(*) AS n FROM \"{topic}\" GROUP BY event ORDER BY n DESC' "
        f"-o jsonl {where}"
    )
    counts = [json.loads(line) for line in answer.splitlines() if line.startswith("{")]
    stage.sees(sum(row["n"] for row in counts) == 5000, "SQL did not count all 5,000 events")
    kind = counts[0]["event"]
    pattern = f'/"event": *"{kind}"/'
    found = stage.types(
        f"ottla search '{pattern}' {topic} --count {where}", shows=rf"^{topic}: \d+"
    )
    number = int(re.search(rf"^{topic}: (\d+)", found, re.MULTILINE)[1])  # type: ignore[index]
    stage.sees(number == counts[0]["n"], f"search found {number}, SQL {counts[0]['n']}")
    stage.types("ottla dashboards export dashboards")
    dashboards = list((stage.scratch / "dashboards").glob("*.json"))
    panels = [panel for file in dashboards for panel in json.loads(file.read_text())["panels"]]
    stage.sees(len(panels) > 10, f"{len(panels)} panels in {len(dashboards)} Grafana dashboards")
    return (
        f"SQL counts 5,000 events of {len(counts)} kinds; search agrees on {number:,} {kind}s; "
        f"{len(dashboards)} Grafana dashboards with {len(panels)} panels"
    )
