"""The sentences for what brokers refuse, and for brokers that do not answer."""

from __future__ import annotations

from typing import Final

from ottla.cli.errors import CommandError
from ottla.wire.errors import ErrorCode

#: What an error code means when the broker says no more; scripts match the
#: first of these, which Kafka's own clients word alike.
MEANINGS: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "This server does not host this topic-partition.",
    ErrorCode.GROUP_ID_NOT_FOUND: "The group id does not exist.",
    ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC: "Deleting offsets of a topic is forbidden while the "
    "consumer group is actively subscribed to it.",
    ErrorCode.NON_EMPTY_GROUP: "The group is not empty.",
    ErrorCode.INVALID_GROUP_ID: "The group id is invalid.",
    ErrorCode.INVALID_TOPIC_EXCEPTION: "The topic name is not allowed.",
    ErrorCode.TOPIC_ALREADY_EXISTS: "Topic with this name already exists.",
    ErrorCode.OFFSET_OUT_OF_RANGE: "The requested offset is not within the range of offsets "
    "maintained by the server.",
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "Cluster authorization failed.",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "Group authorization failed.",
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "Topic authorization failed.",
    ErrorCode.DELEGATION_TOKEN_NOT_FOUND: "There is no such delegation token.",
    ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: "The broker gives no delegation token over "
    "this connection: it wants clients that authenticate, and not with such a token.",
    ErrorCode.SECURITY_DISABLED: "Security features are disabled.",
}

#: Symptom in an error text → what to call it.
SYMPTOMS: Final = {
    "refused": "connection refused",
    "timed out": "connection timed out",
    "no answer": "no answer in time",
    "no such host": "the name does not resolve",
    "Failed to resolve": "the name does not resolve",
}


#: Error codes whose exception in Kafka's Java client is not called after them.
JAVA_EXCEPTIONS: Final = {
    ErrorCode.INVALID_TOPIC_EXCEPTION: "InvalidTopicException",
    ErrorCode.MESSAGE_TOO_LARGE: "RecordTooLargeException",
    ErrorCode.NON_EMPTY_GROUP: "GroupNotEmptyException",
    ErrorCode.REQUEST_TIMED_OUT: "TimeoutException",
    ErrorCode.TOPIC_ALREADY_EXISTS: "TopicExistsException",
}


def java_text(code: int, message: str | None = None) -> str:
    """An error code as Kafka's tools print the exception it becomes in Java."""
    try:
        known = ErrorCode(code)
    except ValueError:
        known = ErrorCode.UNKNOWN_SERVER_ERROR
    name = JAVA_EXCEPTIONS.get(known)
    if name is None:
        name = "".join(word.capitalize() for word in known.name.split("_")) + "Exception"
    return f"org.apache.kafka.common.errors.{name}: {sentence(code, message)}"


class RefusedError(CommandError):
    """A broker answered with an error code; the text is its meaning."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(sentence(code, message))
        self.code = code
        self.message = message


def sentence(code: int, message: str | None = None) -> str:
    """An error code as a sentence: the broker's own words where it sent any."""
    if message:
        return message
    try:
        known = ErrorCode(code)
    except ValueError:
        return f"The broker answered with the unknown error {code}."
    if known in MEANINGS:
        return MEANINGS[known]
    return f"The broker answered {known.name}."


def unreachable(servers: str, reason: str) -> CommandError:
    """The sentence for a cluster nobody answers for."""
    why = next((f" ({name})" for symptom, name in SYMPTOMS.items() if symptom in reason), "")
    return CommandError(
        f"No broker answers at {servers}{why}; start one with `ottla up`, "
        "or name another with --bootstrap-server."
    )


def raise_for(code: int, message: str | None = None) -> None:
    """Raise `RefusedError` for an error code other than 0."""
    if code:
        raise RefusedError(code, message)
