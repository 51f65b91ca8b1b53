"""The tour: types the write-ups' own lines, and shows row by row what was seen.

`make tour` runs it on the embedded broker; `make tour ARGS=--apache` runs the rows that
promise it on Apache Kafka, too. To add a row, add one function to a module of
`tour/stories`:

    @shows("2.2")
    def command_line(stage: Stage) -> str:
        stage.types("kafka-topics --list --zookeeper zookeeper:2181")
        return "the sentence that stands in the table"

A function that raises `NotSeenError` (or fails an assert) makes its row red; a row without a
function is shown as missing.
"""
