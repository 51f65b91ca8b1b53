"""API v3's envelope: every resource says what it is and where it lives.

A resource is `{kind, metadata: {self, resource_name}, …}`, a collection
`{kind, metadata: {self, next}, data: […]}`, and a neighbour is named by
`{related: URL}`. URLs use the host the request came to.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ottla.gateway.errors import JSON_TYPE, RestError, unprocessable
from ottla.gateway.kafka_access import KafkaAccess

#: Segments of a URL whose name differs from the one in a resource name.
_SINGULAR = {
    "topics": "topic",
    "partitions": "partition",
    "brokers": "broker",
    "replicas": "replica",
    "configs": "config",
    "broker-configs": "broker-config",
    "consumer-groups": "consumer-group",
    "consumers": "consumer",
    "assignments": "assignment",
    "lags": "lag",
    "acls": "acl",
}


def v3_json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type=JSON_TYPE)


def no_content() -> Response:
    return Response(status_code=204)


def cluster_not_found(cluster: str) -> RestError:
    return RestError(404, 404, f"Cluster {cluster} cannot be found.")


def unknown_topic_or_partition() -> RestError:
    return RestError(404, 40403, "This server does not host this topic-partition.")


def not_found(what: str) -> RestError:
    return RestError(404, 404, f"{what} cannot be found.")


class Place:
    """The cluster a request speaks of; builds the URLs and names of its resources."""

    def __init__(self, request: Request, cluster: str) -> None:
        self.root = f"{request.url.scheme}://{request.url.netloc}/v3/clusters"
        self.cluster = cluster

    def url(self, *segments: object) -> str:
        tail = "".join(f"/{quote(str(s), safe='-')}" for s in segments)
        return f"{self.root}/{quote(self.cluster, safe='-')}{tail}"

    def related(self, *segments: object) -> dict[str, str]:
        return {"related": self.url(*segments)}

    def resource_name(self, *segments: object) -> str:
        names = [_SINGULAR.get(str(s), str(s)) for s in segments]
        pairs = [
            f"{kind}={quote(value, safe='-')}"
            for kind, value in zip(names[::2], names[1::2], strict=False)
        ]
        tail = names[-1:] if len(names) % 2 else []
        return "/".join([f"crn:///kafka={self.cluster}", *pairs, *tail])

    def resource(self, kind: str, segments: tuple[object, ...], **fields: Any) -> dict[str, Any]:
        return {
            "kind": kind,
            "metadata": {
                "self": self.url(*segments),
                "resource_name": self.resource_name(*segments),
            },
            "cluster_id": self.cluster,
            **fields,
        }

    def collection(
        self, kind: str, segments: tuple[object, ...], data: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "kind": kind,
            "metadata": {"self": self.url(*segments), "next": None},
            "data": data,
        }


async def place_of(kafka: KafkaAccess, request: Request) -> Place:
    """The place a request names. Errors: 404 when it names another cluster than ours."""
    cluster = await kafka.cluster_id()
    named = request.path_params["cluster"]
    if named != cluster:
        raise cluster_not_found(named)
    return Place(request, cluster)


def number_in_path(request: Request, name: str) -> int:
    """Errors: 404 when the segment is not a number."""
    text: str = request.path_params[name]
    if not (text.isascii() and text.isdigit()):
        raise RestError(404, 404, "HTTP 404 Not Found")
    return int(text)


def number_in_query(request: Request, name: str, default: int, low: int, high: int) -> int:
    """Errors: 400 when the parameter is not a number in its bounds."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        raise RestError(400, 400, f"{name} must be a number") from None
    if not low <= number <= high:
        raise RestError(400, 400, f"{name} must be between {low} and {high}")
    return number


def optional_bool(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise unprocessable(f"{name} must be true or false")
    return value
