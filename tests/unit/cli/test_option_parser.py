import pytest

from ottla.cli.errors import CommandError
from ottla.cli.option_parser import OptionParser


def parser() -> OptionParser:
    parser = OptionParser("kafka-x", "x")
    parser.value("--topic", "topic")
    parser.flag("--list", "list")
    parser.optional_value("--describe", "describe")
    parser.retire("--zookeeper", "--zookeeper is not used")
    return parser


def test_words_that_belong_to_no_option_are_kept() -> None:
    options, words = parser().parse(["--list", "orders", "--topic=t"])
    assert (options.list, options.topic, words) == (True, "t", ["orders"])


def test_options_are_never_abbreviated() -> None:
    with pytest.raises(CommandError, match=r"top is not a recognized option\. See kafka-x --help"):
        parser().parse(["--top", "t"])


def test_an_option_of_long_ago_is_taken_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    options, _ = parser().parse(["--zookeeper", "zookeeper:2181", "--list"])
    assert options.list
    assert capsys.readouterr().err == "note: --zookeeper is not used\n"


def test_help_succeeds() -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse(["--help"])
    assert end.value.code == 0
