"""Write-up 3: fraud detection."""

from __future__ import annotations

import json
import re

from tour.run import shows
from tour.stage import Stage


@shows("3.1")
def accounts(stage: Stage) -> str:
    topic = stage.unique("tour-accounts")
    output = stage.types(f"ottla demo fraud producer --topic {topic} --size 3", lines=4)
    for line in output.splitlines()[:3]:
        account = json.loads(line)
        stage.sees(
            list(account) == ["FirstName", "LastName", "CreditCardNumber", "Amount"],
            f"these are not the write-up's properties: {line}",
        )
        stage.sees(passes_luhn(account["CreditCardNumber"]), f"no valid card number: {line}")
    output = stage.types(
        f"ottla demo fraud producer --topic {topic} --size 200000",
        shows="200,000 acknowledged, 0 lost",
    )
    rate = re.search(r"\(([\d,]+)/s\)", output)
    assert rate is not None
    return f"valid by Luhn; 200,000 of them acknowledged at {rate[1]} a second"


@shows("3.2")
def producer(stage: Stage) -> str:
    topic = stage.unique("tour-bankaccount")
    listed = stage.types("kafka-topics --bootstrap-server localhost:9092 --list")
    stage.sees(topic not in listed, "the topic is there before the first send")
    stage.types(f"ottla demo fraud producer --topic {topic} --size 10", shows="10 acknowledged")
    output = stage.types(
        f"kafka-console-consumer --bootstrap-server localhost:9092 --topic {topic} "
        "--from-beginning --max-messages 10 --property print.key=true"
    )
    stage.sees(len(re.findall(r"^null\t\{", output, re.MULTILINE)) == 10, "not ten without a key")
    return "the first send made the topic; ten JSON documents, none with a key"


@shows("3.3")
def consumer(stage: Stage) -> str:
    topic = stage.unique("tour-fraud")
    with stage.leaves_running(f"ottla demo fraud consumer --topic {topic} --group {topic}") as log:
        log.wait_for("Consumer started")
        stage.types(f"echo nonsense | kafka-console-producer --topic {topic} "
                    "--bootstrap-server localhost:9092")  # fmt: skip
        stage.types(f"ottla demo fraud producer --topic {topic} --size 10", lines=3)
        log.wait_for(r"(?s)(--(UN)?AUTHORIZED-- bank account for user .*){10}")
        log.wait_for(r"--MALFORMED-- ")
    stage.sees(log.process.returncode == 0, "SIGINT did not end the consumer with status 0")
    tally = log.wait_for(r"11 received: .*")
    return f"started first on a topic that was not there: {tally[0]}"


def passes_luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
