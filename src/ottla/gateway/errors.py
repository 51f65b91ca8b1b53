"""Errors of the REST API: HTTP status, numeric code and sentence in one value.

Codes and their statuses are those of Confluent's REST Proxy; the pairs look odd
in places (40001 answers with 422) because existing clients rely on them.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException
from starlette.responses import JSONResponse

from ottla.wire.errors import RETRIABLE

JSON_TYPE: Final = "application/json"
V2_JSON_TYPE: Final = "application/vnd.kafka.v2+json"


class RestError(Exception):
    """An answer that is an error: `{"error_code": …, "message": …}` with a status."""

    def __init__(self, status: int, error_code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message

    def response(self, media_type: str = JSON_TYPE) -> JSONResponse:
        return JSONResponse(
            {"error_code": self.error_code, "message": self.message},
            status_code=self.status,
            media_type=media_type,
        )


def topic_not_found() -> RestError:
    return RestError(404, 40401, "Topic not found.")


def partition_not_found() -> RestError:
    return RestError(404, 40402, "Partition not found.")


def consumer_instance_not_found() -> RestError:
    return RestError(404, 40403, "Consumer instance not found.")


def consumer_format_mismatch() -> RestError:
    return RestError(
        406,
        40601,
        "The requested embedded data format does not match the deserializer for this consumer"
        " instance",
    )


def consumer_already_exists() -> RestError:
    return RestError(
        409,
        40902,
        "Consumer with specified consumer ID already exists in the specified consumer group.",
    )


def illegal_state(detail: str) -> RestError:
    return RestError(409, 40903, f"Illegal state: {detail}")


def json_conversion(detail: str) -> RestError:
    return RestError(422, 42203, f"Conversion of JSON to Object failed: {detail}")


def invalid_consumer_config(detail: str) -> RestError:
    return RestError(422, 42204, f"Invalid consumer configuration: {detail}")


def no_schema_registry() -> RestError:
    return RestError(
        422,
        42206,
        "Payload error. Schema Registry must be configured when using schemas.",
    )


def no_payload() -> RestError:
    return RestError(422, 42206, "Payload error. Null input provided. Data is required.")


def cannot_serialize() -> RestError:
    return RestError(
        422,
        42207,
        "Error serializing message. Schema Registry not defined, no Schema Registry client"
        " available to serialize message.",
    )


def unprocessable(detail: str) -> RestError:
    return RestError(422, 422, detail)


def bad_request(detail: str) -> RestError:
    return RestError(400, 400, detail)


def login_refused(detail: str) -> RestError:
    return RestError(401, 40101, f"Kafka refuses the gateway's login: {detail}")


_BAD_REQUEST: Final = {
    KafkaError.TOPIC_ALREADY_EXISTS,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_REPLICA_ASSIGNMENT,
    KafkaError.INVALID_REQUEST,
    KafkaError.POLICY_VIOLATION,
    KafkaError.SECURITY_DISABLED,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.TOPIC_EXCEPTION,
}
_AUTHENTICATION: Final = {
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
_AUTHORIZATION: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
_UNKNOWN_PARTITION: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
_TOO_LARGE: Final = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}
#: The client library gave up on something that may well succeed next time.
_LOCALLY_RETRIABLE: Final = {
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._WAIT_COORD,
    KafkaError._QUEUE_FULL,
    KafkaError._IN_PROGRESS,
}
_UNREACHABLE: Final = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError.BROKER_NOT_AVAILABLE,
}


def from_kafka(error: KafkaError | KafkaException) -> RestError:
    """The REST error for what a Kafka client library reported."""
    if isinstance(error, KafkaException):
        error = error.args[0]
    if not isinstance(error, KafkaError):
        return RestError(500, 50002, f"Kafka error: {error}")
    code, text = error.code(), error.str()
    if code in _AUTHENTICATION:
        return RestError(401, 40101, text)
    if code in _AUTHORIZATION:
        return RestError(403, 40301, text)
    if code in _UNKNOWN_PARTITION:
        return RestError(404, 40403, "This server does not host this topic-partition.")
    if code == KafkaError.GROUP_ID_NOT_FOUND:
        return RestError(404, 40405, "Consumer group id not found.")
    if code in _BAD_REQUEST:
        return RestError(400, 40002, text)
    if code in _UNREACHABLE:
        return RestError(503, 50302, f"Broker not available: {text}")
    if code in _TOO_LARGE:
        return RestError(413, 413, text)
    if code == KafkaError.LEADER_NOT_AVAILABLE:
        return RestError(404, 40404, text)
    if code == KafkaError.THROTTLING_QUOTA_EXCEEDED:
        return RestError(429, 42901, text)
    if code in RETRIABLE or code in _LOCALLY_RETRIABLE:
        return RestError(500, 50003, text)
    return RestError(500, 50002, f"Kafka error: {text}")
