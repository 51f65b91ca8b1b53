"""What else administrators ask: access, quotas, credentials, placement, features."""

from __future__ import annotations

from typing import Any

from tests.conformance.scenarios import scenario
from tests.conformance.talk import Talk

from ottla.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    EntityData,
    EntryData,
    OpData,
)
from ottla.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from ottla.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from ottla.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from ottla.wire.messages.create_acls import AclCreation, CreateAclsRequest
from ottla.wire.messages.create_delegation_token import CreateDelegationTokenRequest
from ottla.wire.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest
from ottla.wire.messages.describe_acls import DescribeAclsRequest
from ottla.wire.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
)
from ottla.wire.messages.describe_delegation_token import DescribeDelegationTokenRequest
from ottla.wire.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from ottla.wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    UserName,
)
from ottla.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from ottla.wire.messages.list_config_resources import ListConfigResourcesRequest
from ottla.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from ottla.wire.messages.sasl_handshake import SaslHandshakeRequest
from ottla.wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest

ANY, TOPIC, GROUP = 1, 2, 3
READ, WRITE = 3, 4
DENY, ALLOW = 2, 3
LITERAL, PREFIXED, MATCH = 3, 4, 2


class Acls:
    """Rules about topics of the talk's own."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.user = "User:" + talk.name("alice")

    def creation(self, text: str, pattern: int = LITERAL, **how: Any) -> AclCreation:
        name = self.talk.name(text)
        given = {
            "resource_name": name,
            "principal": self.user,
            "host": "*",
            "operation": READ,
            "permission_type": ALLOW,
            **how,
        }
        return AclCreation(TOPIC, resource_pattern_type=pattern, **given)

    def create(self, *texts: str) -> None:
        creations = [self.creation(text) for text in texts]
        self.talk.do(CreateAclsRequest(creations), 3)
        self.talk.wait_for(lambda: len(self.found().resources) >= len(texts))

    def found(self) -> Any:
        return self.talk.do(self.description(principal_filter=self.user), 3)

    def description(self, **how: Any) -> DescribeAclsRequest:
        given = {
            "resource_type_filter": ANY,
            "resource_name_filter": None,
            "pattern_type_filter": 1,
            "principal_filter": None,
            "host_filter": None,
            "operation": ANY,
            "permission_type": ANY,
            **how,
        }
        return DescribeAclsRequest(**given)

    def close(self) -> None:
        given = DeleteAclsFilter(ANY, None, 1, self.user, None, ANY, ANY)
        self.talk.do(DeleteAclsRequest([given]), 3)


@scenario(30, 1, 3)
def create_acls(talk: Talk) -> None:
    acls = Acls(talk)

    def ask(label: str, *creations: AclCreation) -> None:
        talk.ask(label, CreateAclsRequest(list(creations)))

    ask("one", acls.creation("a"))
    ask("again", acls.creation("a"))
    ask("prefixed", acls.creation("b", PREFIXED))
    ask("of any pattern", acls.creation("c", MATCH))
    ask("of an unknown pattern", acls.creation("c", 0))
    ask("without a user's kind", acls.creation("c", principal="alice"))
    ask("with an empty name", acls.creation("c", resource_name=""))
    ask("of any operation", acls.creation("c", operation=ANY))
    ask("of an unknown operation", acls.creation("c", operation=0))
    ask("of any permission", acls.creation("c", permission_type=ANY))
    ask("one right and one wrong", acls.creation("d"), acls.creation("e", operation=ANY))
    acls.close()


@scenario(29, 1, 3)
def describe_acls(talk: Talk) -> None:
    acls = Acls(talk)
    acls.create("a", "b")
    talk.ask("of a user", acls.description(principal_filter=acls.user))
    name = talk.name("a")
    talk.ask("of a topic", acls.description(resource_name_filter=name, principal_filter=acls.user))
    talk.ask("that match", acls.description(resource_name_filter=name, pattern_type_filter=MATCH))
    talk.ask("of nobody", acls.description(principal_filter="User:" + talk.name("bob")))
    talk.ask("of an unknown kind", acls.description(resource_type_filter=0))
    talk.ask("of an unknown operation", acls.description(operation=0))
    acls.close()


@scenario(31, 1, 3)
def delete_acls(talk: Talk) -> None:
    acls = Acls(talk)
    acls.create("a", "b")

    def ask(label: str, **how: Any) -> None:
        given = {
            "resource_type_filter": TOPIC,
            "resource_name_filter": None,
            "pattern_type_filter": 1,
            "principal_filter": acls.user,
            "host_filter": None,
            "operation": ANY,
            "permission_type": ANY,
            **how,
        }
        talk.ask(label, DeleteAclsRequest([DeleteAclsFilter(**given)]))

    ask("of a topic", resource_name_filter=talk.name("a"))
    ask("again", resource_name_filter=talk.name("a"))
    ask("of a user")
    ask("of an unknown operation", operation=0)
    acls.close()


def forget_quotas(talk: Talk, user: str) -> None:
    """Have the talk remove, in the end, what it set for its user."""
    keys = ("producer_byte_rate", "consumer_byte_rate", "request_percentage")
    removals = [OpData(key, 0.0, True) for key in keys]
    alone = [EntityData("user", user)]
    entries = [EntryData(e, removals) for e in (alone, [*alone, EntityData("client-id", "c")])]
    talk.undoing.append(AlterClientQuotasRequest(entries, False))


@scenario(49, 0, 1)
def alter_client_quotas(talk: Talk) -> None:
    user = talk.name("user")
    forget_quotas(talk, user)

    def ask(
        label: str, *ops: OpData, entity: list[EntityData] | None = None, only: bool = False
    ) -> None:
        whom = [EntityData("user", user)] if entity is None else entity
        talk.ask(label, AlterClientQuotasRequest([EntryData(whom, list(ops))], only))

    ask("only validated", OpData("producer_byte_rate", 10.0), only=True)
    ask("set", OpData("producer_byte_rate", 1024.0), OpData("request_percentage", 50.5))
    ask("removed", OpData("request_percentage", 0.0, True))
    ask("removed again", OpData("request_percentage", 0.0, True))
    ask("an unknown key", OpData("no_such_rate", 1.0))
    ask("a negative rate", OpData("producer_byte_rate", -1.0))
    ask("half a byte", OpData("producer_byte_rate", 0.5))
    ask("nobody", OpData("producer_byte_rate", 1.0), entity=[])
    ask("an unknown kind", OpData("producer_byte_rate", 1.0), entity=[EntityData("car", "x")])
    ask("an empty name", OpData("producer_byte_rate", 1.0), entity=[EntityData("user", "")])
    both = [EntityData("user", user), EntityData("client-id", "c")]
    ask("a user and a client", OpData("consumer_byte_rate", 5.0), entity=both)
    address = [EntityData("ip", "127.0.0.9")]
    ask("an address", OpData("connection_creation_rate", 5.0), entity=address)
    ask("an address removed", OpData("connection_creation_rate", 0.0, True), entity=address)
    ask("an address' bytes", OpData("producer_byte_rate", 5.0), entity=address)
    no_address = [EntityData("ip", "not an address")]
    ask("no address", OpData("connection_creation_rate", 5.0), entity=no_address)


@scenario(48, 0, 1)
def describe_client_quotas(talk: Talk) -> None:
    user = talk.name("user")
    forget_quotas(talk, user)
    alone = EntryData([EntityData("user", user)], [OpData("producer_byte_rate", 1024.0)])
    both = EntryData(
        [EntityData("user", user), EntityData("client-id", "c")],
        [OpData("consumer_byte_rate", 5.0)],
    )
    talk.do(AlterClientQuotasRequest([alone, both]), 1)

    def is_there() -> bool:
        request = DescribeClientQuotasRequest([ComponentData("user", 0, user)])
        return len(talk.do(request, 1).entries or []) == 2

    talk.wait_for(is_there)

    def ask(label: str, *components: ComponentData, strict: bool = False) -> None:
        talk.ask(label, DescribeClientQuotasRequest(list(components), strict))

    ask("of a user", ComponentData("user", 0, user))
    ask("of a user alone", ComponentData("user", 0, user), strict=True)
    ask("of a client", ComponentData("user", 0, user), ComponentData("client-id", 0, "c"))
    ask("of any client", ComponentData("user", 0, user), ComponentData("client-id", 2, None))
    default = ComponentData("client-id", 1, None)
    ask("of the default client", ComponentData("user", 0, user), default)
    ask("of nobody known", ComponentData("user", 0, talk.name("nobody")))
    ask("of an unknown kind", ComponentData("car", 0, "x"))
    ask("twice", ComponentData("user", 0, user), ComponentData("user", 0, user))
    ask("of an unknown match", ComponentData("user", 9, user))


@scenario(51, 0, 0)
def alter_user_scram_credentials(talk: Talk) -> None:
    user = talk.name("user")

    def upsertion(**how: Any) -> ScramCredentialUpsertion:
        given = {
            "name": user,
            "mechanism": 1,
            "iterations": 4096,
            "salt": b"salt",
            "salted_password": b"p" * 32,
            **how,
        }
        return ScramCredentialUpsertion(**given)

    def ask(label: str, *upsertions: ScramCredentialUpsertion) -> None:
        talk.ask(label, AlterUserScramCredentialsRequest([], list(upsertions)))

    forget = AlterUserScramCredentialsRequest([ScramCredentialDeletion(user, 1)], [])
    talk.undoing.append(forget)
    ask("one", upsertion())
    ask("too few iterations", upsertion(iterations=100))
    ask("too many iterations", upsertion(iterations=100_000))
    ask("an unknown mechanism", upsertion(mechanism=9))
    ask("an empty name", upsertion(name=""))
    ask("twice", upsertion(), upsertion())
    ask("the other mechanism", upsertion(mechanism=2, salted_password=b"p" * 64))
    ask("both mechanisms", upsertion(), upsertion(mechanism=2, salted_password=b"p" * 64))
    deletion = ScramCredentialDeletion(user, 2)
    talk.wait_for(lambda: len(_credentials(talk, user)) == 2)
    talk.ask("deleted", AlterUserScramCredentialsRequest([deletion], []))
    talk.wait_for(lambda: len(_credentials(talk, user)) == 1)
    talk.ask("deleted again", AlterUserScramCredentialsRequest([deletion], []))
    crossed = AlterUserScramCredentialsRequest([ScramCredentialDeletion(user, 1)], [upsertion()])
    talk.ask("deleted and set", crossed)


def _credentials(talk: Talk, user: str) -> list[Any]:
    request = DescribeUserScramCredentialsRequest([UserName(user)])
    infos: list[Any] = talk.do(request, 0).results[0].credential_infos
    return infos


@scenario(50, 0, 0)
def describe_user_scram_credentials(talk: Talk) -> None:
    user = talk.name("user")
    upsertion = ScramCredentialUpsertion(user, 1, 4096, b"salt", b"p" * 32)
    talk.do(AlterUserScramCredentialsRequest([], [upsertion]), 0)
    forget = AlterUserScramCredentialsRequest([ScramCredentialDeletion(user, 1)], [])
    talk.undoing.append(forget)
    talk.wait_for(lambda: _credentials(talk, user))

    def ask(label: str, *users: str) -> None:
        talk.ask(label, DescribeUserScramCredentialsRequest([UserName(u) for u in users]))

    ask("one", user)
    ask("an unknown one", talk.name("nobody"))
    ask("twice", user, user)
    ask("an empty name", "")


@scenario(34, 1, 2)
def alter_replica_log_dirs(talk: Talk) -> None:
    topic = talk.topic("moved")

    def ask(label: str, path: str, name: str, *partitions: int) -> None:
        topics = [AlterReplicaLogDirTopic(name, list(partitions))]
        talk.ask(label, AlterReplicaLogDirsRequest([AlterReplicaLogDir(path, topics)]))

    ask("to nowhere", "/no/such/directory", topic.name or "", 0)
    ask("of a missing topic", "/no/such/directory", talk.name("missing"), 0)
    ask("to a relative path", "here", topic.name or "", 0)


@scenario(43, 0, 2)
def elect_leaders(talk: Talk) -> None:
    topic = talk.topic("led", 2)

    def ask(label: str, name: str, *partitions: int, kind: int = 0) -> None:
        wanted = [TopicPartitions(name, list(partitions))]
        talk.ask(label, ElectLeadersRequest(kind, wanted, 5_000))

    ask("preferred ones", topic.name or "", 0, 1)
    ask("a partition too many", topic.name or "", 7)
    ask("of a missing topic", talk.name("missing"), 0)
    if talk.version >= 1:
        ask("unclean ones", topic.name or "", 0, kind=1)
        ask("of no known kind", topic.name or "", 0, kind=9)


@scenario(45, 0, 1)
def alter_partition_reassignments(talk: Talk) -> None:
    topic = talk.topic("placed")

    def ask(label: str, name: str, partition: int, replicas: list[int] | None) -> None:
        parts = [ReassignablePartition(partition, replicas)]
        topics = [ReassignableTopic(name, parts)]
        talk.ask(label, AlterPartitionReassignmentsRequest(5_000, topics=topics))

    name = topic.name or ""
    ask("to where it is", name, 0, [1])
    ask("to nobody known", name, 0, [77])
    ask("to nobody", name, 0, [])
    ask("twice to one", name, 0, [1, 1])
    ask("cancelled", name, 0, None)
    ask("of a partition too many", name, 7, [1])
    ask("of a missing topic", talk.name("missing"), 0, [1])


@scenario(46, 0, 0)
def list_partition_reassignments(talk: Talk) -> None:
    topic = talk.topic("placed")
    talk.ask("all", ListPartitionReassignmentsRequest(5_000, None))
    wanted = [ListPartitionReassignmentsTopics(topic.name or "", [0])]
    talk.ask("of a topic", ListPartitionReassignmentsRequest(5_000, wanted))
    missing = [ListPartitionReassignmentsTopics(talk.name("missing"), [0])]
    talk.ask("of a missing topic", ListPartitionReassignmentsRequest(5_000, missing))


@scenario(55, 0, 2)
def describe_quorum(talk: Talk) -> None:
    def ask(label: str, topic: str, partition: int) -> None:
        request = DescribeQuorumRequest([TopicData(topic, [PartitionData(partition)])])
        answer = talk.do(request, talk.version)
        for data in answer.topics:
            for part in data.partitions:
                part.leader_epoch = min(part.leader_epoch, 1)
                part.high_watermark = min(part.high_watermark, 1)
                for replica in [*part.current_voters, *part.observers]:
                    replica.log_end_offset = min(replica.log_end_offset, 1)
        for node in answer.nodes:
            for listener in node.listeners:
                listener.port = 1
        talk.note(label, talk.plain(answer, talk.version))

    ask("of the metadata", "__cluster_metadata", 0)
    ask("of another partition", "__cluster_metadata", 1)
    ask("of another topic", talk.name("other"), 0)


@scenario(57, 0, 2)
def update_features(talk: Talk) -> None:
    def ask(label: str, *updates: FeatureUpdateKey) -> None:
        talk.ask(label, UpdateFeaturesRequest(5_000, list(updates), True))

    if talk.version < 1:
        return
    ask("to where it is", FeatureUpdateKey("group.version", 1))
    ask("too far", FeatureUpdateKey("group.version", 99))
    ask("an unknown one", FeatureUpdateKey("no.such.version", 1))
    ask("below nothing", FeatureUpdateKey("group.version", -1))
    ask("nothing")


CLIENT_METRICS = 16


@scenario(74, 0, 1)
def list_config_resources(talk: Talk) -> None:
    def ask(label: str, *kinds: int) -> None:
        answer = talk.do(ListConfigResourcesRequest(list(kinds)), talk.version)
        # Other tests leave subscriptions to client metrics behind.
        seen = sorted({r.resource_type for r in answer.config_resources} - {CLIENT_METRICS})
        talk.note(label, {"error_code": answer.error_code, "kinds": seen})

    talk.topic("listed")
    if talk.version >= 1:
        ask("topics and brokers", 2, 4)
    ask("client metrics", CLIENT_METRICS)
    ask("of no known kind", 99)


@scenario(38, 1, 3)
def create_delegation_token(talk: Talk) -> None:
    talk.ask("without authentication", CreateDelegationTokenRequest(max_lifetime_ms=1_000))


@scenario(41, 1, 3)
def describe_delegation_token(talk: Talk) -> None:
    talk.ask("without authentication", DescribeDelegationTokenRequest(None))


@scenario(17, 0, 1)
def sasl_handshake(talk: Talk) -> None:
    talk.ask("on a listener without SASL", SaslHandshakeRequest("PLAIN"), on=talk.connect())
