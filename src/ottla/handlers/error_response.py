"""The error response of each API, for a request that is refused as a whole.

Most responses have an error code of their own. The others answer every item of
the request with the same error: they are made by mirroring the request's lists,
whose items have the same names there as in the response. What does not follow
that rule has a builder of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import Message

if TYPE_CHECKING:
    from ottla.broker.request import RequestContext
    from ottla.handlers.registry import Api

Builder: TypeAlias = Callable[[Any, Any, RequestError], Message]


def error_response(
    api: Api, request: RequestContext, message: Message, error: RequestError
) -> Message | None:
    """The response that refuses the request, or None when only closing tells it.

    An error that this version cannot show would be taken for success.
    """
    builder = BUILDERS.get(api.name)
    if builder is not None:
        return builder(request, message, error)
    response: Message = api.response_class()
    _set_error(response, error)
    if not _shows_error(response, request.version):
        _mirror(message, response, error)
        if _has_items(message) and not _shows_error(response, request.version):
            return None
    return response


def _shows_error(message: Message, version: int) -> bool:
    """Whether an error code anywhere in the message is carried by this version."""
    for field in message.SCHEMA:
        if not field.first <= version <= field.last:
            continue
        value = getattr(message, field.name)
        if field.name == "error_code" and value:
            return True
        items = value if field.is_array and not isinstance(field.type_, str) else ()
        if any(_shows_error(item, version) for item in items or ()):
            return True
    return False


def _has_items(message: Message) -> bool:
    return any(field.is_array and getattr(message, field.name) for field in message.SCHEMA)


def _set_error(item: Any, error: RequestError) -> bool:
    """Write the error into a structure; whether it has room for one."""
    if not hasattr(item, "error_code"):
        return False
    item.error_code = int(error.code)
    if hasattr(item, "error_message"):
        item.error_message = error.message or error.code.name
    return True


def _mirror(source: Message, target: Message, error: RequestError) -> None:
    """Give `target` the fields of `source` that it has as well, and every item its error.

    A list of the target that the source has under another name mirrors the
    only list there. Plain items (names, partition numbers) become the item's
    key, its first field of that type.
    """
    lists = [f.name for f in source.SCHEMA if f.is_array]
    for field in target.SCHEMA:
        if not field.is_array or isinstance(field.type_, str):
            known = field.name
            if known == "partition_index" and hasattr(source, "partition"):
                known = "partition"
            if hasattr(source, known):
                setattr(target, field.name, getattr(source, known))
            continue
        name = field.name if field.name in lists else lists[0] if lists else None
        items = getattr(source, name) if name else None
        setattr(target, field.name, [_mirrored(i, field.type_, error) for i in items or ()])


def _mirrored(item: object, cls: type[Message], error: RequestError) -> Message:
    result = cls()
    if isinstance(item, Message):
        _mirror(item, result, error)
    else:
        wanted = "string" if isinstance(item, str) else "int32"
        key = next(f.name for f in cls.SCHEMA if f.type_ == wanted and "error" not in f.name)
        setattr(result, key, item)
    _set_error(result, error)
    return result


def _add_partitions_to_txn(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.handlers.add_partitions_to_txn import refuse_all

    return refuse_all(message, request.version, error.code)


def _api_versions(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.handlers import api_versions

    if error.code is ErrorCode.UNSUPPORTED_VERSION:
        return api_versions.unsupported_version(request.broker)
    return api_versions.refused(error.code)


def _produce(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.wire.messages.produce import (
        PartitionProduceResponse,
        ProduceResponse,
        TopicProduceResponse,
    )

    return ProduceResponse(
        [
            TopicProduceResponse(
                topic.topic_id,
                topic.name,
                [
                    PartitionProduceResponse(
                        partition.index,
                        error.code,
                        base_offset=-1,
                        log_append_time_ms=-1,
                        error_message=error.message,
                    )
                    for partition in topic.partition_data
                ],
            )
            for topic in message.topic_data
        ]
    )


def _metadata(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.wire.messages.metadata import MetadataResponse, MetadataResponseTopic

    topics = [
        MetadataResponseTopic(error.code, topic.name or "", topic.topic_id)
        for topic in message.topics or ()
    ]
    return MetadataResponse(controller_id=-1, topics=topics, error_code=error.code)


def _delete_topics(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.wire.messages.delete_topics import DeletableTopicResult, DeleteTopicsResponse

    wanted = [(topic.name, topic.topic_id) for topic in message.topics]
    wanted += [(name, bytes(16)) for name in message.topic_names]
    return DeleteTopicsResponse(
        responses=[
            DeletableTopicResult(name, topic_id, error.code, error.message or error.code.name)
            for name, topic_id in wanted
        ]
    )


def _alter_replica_log_dirs(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.wire.messages.alter_replica_log_dirs import (
        AlterReplicaLogDirPartitionResult,
        AlterReplicaLogDirsResponse,
        AlterReplicaLogDirTopicResult,
    )

    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic.name,
                [AlterReplicaLogDirPartitionResult(p, error.code) for p in topic.partitions],
            )
            for directory in message.dirs
            for topic in directory.topics
        ]
    )


def _alter_user_scram_credentials(
    request: RequestContext, message: Any, error: RequestError
) -> Message:
    from ottla.wire.messages.alter_user_scram_credentials import (
        AlterUserScramCredentialsResponse,
        AlterUserScramCredentialsResult,
    )

    users = dict.fromkeys(row.name for row in [*message.deletions, *message.upsertions])
    return AlterUserScramCredentialsResponse(
        results=[
            AlterUserScramCredentialsResult(user, error.code, error.message or error.code.name)
            for user in users
        ]
    )


def _describe_log_dirs(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.wire.messages.describe_log_dirs import (
        DescribeLogDirsResponse,
        DescribeLogDirsResult,
    )

    return DescribeLogDirsResponse(
        error_code=error.code, results=[DescribeLogDirsResult(error_code=error.code)]
    )


BUILDERS: Final[dict[str, Builder]] = {
    "add_partitions_to_txn": _add_partitions_to_txn,
    "alter_replica_log_dirs": _alter_replica_log_dirs,
    "alter_user_scram_credentials": _alter_user_scram_credentials,
    "api_versions": _api_versions,
    "delete_topics": _delete_topics,
    "describe_log_dirs": _describe_log_dirs,
    "metadata": _metadata,
    "produce": _produce,
}
