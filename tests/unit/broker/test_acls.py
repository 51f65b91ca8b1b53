"""StandardAuthorizer's rules, each where it decides."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ottla.broker.acls import (
    ALLOW,
    ANY,
    DENY,
    LITERAL,
    MATCH,
    PREFIXED,
    Acl,
    AclAuthorizer,
    AclFilter,
    AclStore,
)
from ottla.broker.authorizer import Operation, Resource
from ottla.broker.connection import Connection


class Caller:
    """What the authorizer looks at of a connection."""

    def __init__(self, principal: str = "User:ada", peer_host: str = "10.0.0.1") -> None:
        self.principal = principal
        self.peer_host = peer_host


def as_connection(caller: Caller) -> Connection:
    return cast(Connection, caller)


def topic_acl(**changes: Any) -> Acl:
    plain = Acl(Resource.TOPIC, "orders", LITERAL, "User:ada", "*", Operation.READ, ALLOW)
    return plain._replace(**changes)


def authorizer(*acls: Acl, allow_if_no_acl: bool = False) -> AclAuthorizer:
    store = AclStore()
    for acl in acls:
        store.add(acl)
    return AclAuthorizer(store, ["User:root"], allow_if_no_acl)


def may(
    subject: AclAuthorizer,
    operation: Operation = Operation.READ,
    name: str = "orders",
    **caller: str,
) -> bool:
    return subject.is_allowed(as_connection(Caller(**caller)), operation, Resource.TOPIC, name)


def test_an_entry_allows_its_own_operation_resource_and_principal() -> None:
    subject = authorizer(topic_acl())
    assert may(subject)
    assert not may(subject, Operation.WRITE)
    assert not may(subject, name="orders2")
    assert not may(subject, principal="User:bob")


def test_deny_wins_whatever_the_order() -> None:
    deny = topic_acl(permission=DENY, principal="User:*")
    assert not may(authorizer(topic_acl(), deny))
    assert not may(authorizer(deny, topic_acl()))


def test_prefixes_wildcards_and_all() -> None:
    assert may(authorizer(topic_acl(resource_name="ord", pattern_type=PREFIXED)))
    assert not may(authorizer(topic_acl(resource_name="ordx", pattern_type=PREFIXED)))
    assert may(authorizer(topic_acl(resource_name="*")))
    assert may(authorizer(topic_acl(operation=Operation.ALL)), Operation.WRITE)
    assert may(authorizer(topic_acl(principal="User:*")), principal="User:bob")


def test_hosts() -> None:
    subject = authorizer(topic_acl(host="10.0.0.1"))
    assert may(subject)
    assert not may(subject, peer_host="10.0.0.2")


@pytest.mark.parametrize(
    "given", [Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER]
)
def test_describe_follows_from_using(given: Operation) -> None:
    assert may(authorizer(topic_acl(operation=given)), Operation.DESCRIBE)
    assert not may(authorizer(topic_acl(operation=given)), Operation.DESCRIBE_CONFIGS)


def test_denying_an_operation_does_not_deny_what_follows_from_it() -> None:
    subject = authorizer(topic_acl(operation=Operation.DESCRIBE), topic_acl(permission=DENY))
    assert may(subject, Operation.DESCRIBE)


def test_without_acls_the_configuration_decides_and_super_users_may_always() -> None:
    assert not may(authorizer())
    assert may(authorizer(allow_if_no_acl=True))
    elsewhere = authorizer(topic_acl(principal="User:bob"), allow_if_no_acl=True)
    assert not may(elsewhere)
    assert may(authorizer(topic_acl(permission=DENY)), principal="User:root")


def test_some_resource() -> None:
    caller = as_connection(Caller())

    def some(subject: AclAuthorizer) -> bool:
        return subject.is_allowed_for_some(caller, Operation.READ, Resource.TOPIC)

    assert some(authorizer(topic_acl()))
    assert not some(authorizer())
    assert not some(authorizer(topic_acl(operation=Operation.WRITE)))
    assert not some(authorizer(topic_acl(), topic_acl(resource_name="*", permission=DENY)))
    assert not some(authorizer(topic_acl(), topic_acl(permission=DENY)))


def test_removed_entries_are_gone_and_adding_twice_is_once() -> None:
    store = AclStore()
    for acl in (topic_acl(), topic_acl(), topic_acl(pattern_type=PREFIXED)):
        store.add(acl)
    assert len(list(store)) == 2
    store.remove(topic_acl())
    assert list(store) == [topic_acl(pattern_type=PREFIXED)]
    assert topic_acl() not in store


def wanted(**changes: Any) -> AclFilter:
    return AclFilter(ANY, None, ANY, None, None, ANY, ANY)._replace(**changes)


def test_filters() -> None:
    literal, prefixed = topic_acl(), topic_acl(resource_name="ord", pattern_type=PREFIXED)
    everything = topic_acl(resource_name="*")
    acls = (literal, prefixed, everything)

    def matching(**changes: Any) -> list[Acl]:
        return [a for a in acls if wanted(**changes).matches(a)]

    assert matching() == list(acls)
    assert matching(resource_name="orders") == [literal]
    assert matching(resource_name="orders", pattern_type=MATCH) == list(acls)
    assert matching(pattern_type=PREFIXED) == [prefixed]
    assert matching(principal="User:bob") == []
    assert matching(operation=Operation.WRITE) == []
    assert matching(permission=DENY) == []
    assert matching(host="10.0.0.1") == []
    assert matching(resource_type=Resource.GROUP) == []
