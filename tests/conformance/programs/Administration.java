// Everything that Java's Admin offers one node, once well and, where it can be, once badly.
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.*;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.resource.*;
import org.apache.kafka.common.serialization.*;
import java.util.*;
import java.util.concurrent.*;
import java.time.Duration;

public class Administration {
  interface Act { Object run() throws Exception; }
  /** Does it, and says how it ended: nothing but the kind of error is compared. */
  static void t(String name, Act act) {
    try {
      act.run();
      System.out.println("= " + name + ": ok");
    } catch (ExecutionException error) {
      System.out.println("= " + name + ": " + error.getCause().getClass().getSimpleName());
    } catch (Throwable error) {
      System.out.println("= " + name + ": " + error.getClass().getSimpleName());
    }
  }

  public static void main(String[] args) throws Exception {
    String bs = args[0]; int node = Integer.parseInt(args[1]);
    Properties p = new Properties(); p.put("bootstrap.servers", bs); p.put("request.timeout.ms","8000"); p.put("default.api.timeout.ms","8000");
    Admin a = Admin.create(p);
    String N=args[2], T=N, G=N+"-group", X=N+"-x";
    t("createTopics", () -> a.createTopics(List.of(new NewTopic(T, 3, (short)1).configs(Map.of("retention.ms","123456")))).numPartitions(T).get());
    t("createTopics dup", () -> a.createTopics(List.of(new NewTopic(T, 3, (short)1))).all().get());
    t("createTopics badname", () -> a.createTopics(List.of(new NewTopic("a b", 3, (short)1))).all().get());
    t("createTopics badcfg", () -> a.createTopics(List.of(new NewTopic(X, 3, (short)1).configs(Map.of("nope","1")))).all().get());
    t("createTopics badval", () -> a.createTopics(List.of(new NewTopic(X, 3, (short)1).configs(Map.of("retention.ms","abc")))).all().get());
    t("createTopics 0p", () -> a.createTopics(List.of(new NewTopic(X, 0, (short)1))).all().get());
    t("createTopics assign", () -> a.createTopics(List.of(new NewTopic(N+"-as", Map.of(0, List.of(node), 1, List.of(node))))).all().get());
    t("createTopics assign bad", () -> a.createTopics(List.of(new NewTopic(N+"-as2", Map.of(0, List.of(77))))).all().get());
    Thread.sleep(500);
    t("listTopics", () -> a.listTopics().names().get().stream().filter(s->s.startsWith(N)).sorted().toList());
    t("describeTopics", () -> a.describeTopics(List.of(T)).allTopicNames().get().get(T).partitions().size());
    t("describeTopics missing", () -> a.describeTopics(List.of("nonono")).allTopicNames().get());
    t("createPartitions", () -> a.createPartitions(Map.of(T, NewPartitions.increaseTo(5))).all().get());
    t("createPartitions less", () -> a.createPartitions(Map.of(T, NewPartitions.increaseTo(2))).all().get());
    t("createPartitions same", () -> a.createPartitions(Map.of(T, NewPartitions.increaseTo(5))).all().get());
    t("describeCluster", () -> a.describeCluster().nodes().get().size()+" "+a.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true)).authorizedOperations().get());
    ConfigResource tr = new ConfigResource(ConfigResource.Type.TOPIC, T), br = new ConfigResource(ConfigResource.Type.BROKER, ""+node), gr=new ConfigResource(ConfigResource.Type.GROUP,N), cm=new ConfigResource(ConfigResource.Type.CLIENT_METRICS,N);
    t("describeConfigs topic", () -> { var c=a.describeConfigs(List.of(tr)).all().get().get(tr); return c.get("retention.ms").value()+" "+c.get("retention.ms").source()+" "+c.entries().size(); });
    t("describeConfigs broker", () -> { var c=a.describeConfigs(List.of(br)).all().get().get(br); return c.get("log.retention.hours")+""; });
    t("incrementalAlterConfigs", () -> a.incrementalAlterConfigs(Map.of(tr, List.of(new AlterConfigOp(new ConfigEntry("retention.ms","99"), AlterConfigOp.OpType.SET), new AlterConfigOp(new ConfigEntry("cleanup.policy","compact"), AlterConfigOp.OpType.APPEND)))).all().get());
    t("incrementalAlterConfigs bad", () -> a.incrementalAlterConfigs(Map.of(tr, List.of(new AlterConfigOp(new ConfigEntry("retention.ms","xx"), AlterConfigOp.OpType.SET)))).all().get());
    t("incrementalAlterConfigs unknown", () -> a.incrementalAlterConfigs(Map.of(tr, List.of(new AlterConfigOp(new ConfigEntry("rr","xx"), AlterConfigOp.OpType.SET)))).all().get());
    t("incrementalAlterConfigs broker", () -> a.incrementalAlterConfigs(Map.of(br, List.of(new AlterConfigOp(new ConfigEntry("log.cleaner.threads","2"), AlterConfigOp.OpType.SET)))).all().get());
    t("incrementalAlterConfigs broker del", () -> a.incrementalAlterConfigs(Map.of(br, List.of(new AlterConfigOp(new ConfigEntry("log.cleaner.threads",""), AlterConfigOp.OpType.DELETE)))).all().get());
    t("incrementalAlterConfigs broker ro", () -> a.incrementalAlterConfigs(Map.of(br, List.of(new AlterConfigOp(new ConfigEntry("node.id","2"), AlterConfigOp.OpType.SET)))).all().get());
    t("incrementalAlterConfigs group", () -> a.incrementalAlterConfigs(Map.of(gr, List.of(new AlterConfigOp(new ConfigEntry("consumer.session.timeout.ms","50000"), AlterConfigOp.OpType.SET)))).all().get());
    t("incrementalAlterConfigs cm", () -> a.incrementalAlterConfigs(Map.of(cm, List.of(new AlterConfigOp(new ConfigEntry("interval.ms","5000"), AlterConfigOp.OpType.SET)))).all().get());
    Thread.sleep(500);
    t("describeConfigs topic2", () -> { var c=a.describeConfigs(List.of(tr)).all().get().get(tr); return c.get("retention.ms").value()+" "+c.get("cleanup.policy").value(); });
    t("describeConfigs group", () -> { var c=a.describeConfigs(List.of(gr)).all().get().get(gr); return c.get("consumer.session.timeout.ms").value()+" "+c.entries().size(); });
    t("describeConfigs cm", () -> { var c=a.describeConfigs(List.of(cm)).all().get().get(cm); return c.entries().stream().map(e->e.name()+"="+e.value()).sorted().toList(); });
    t("listConfigResources", () -> a.listConfigResources().all().get().stream().map(r->r.type()+":"+r.name()).filter(s->!s.contains("TOPIC")).sorted().toList());
    t("listClientMetricsResources", () -> a.listClientMetricsResources().all().get().size());
    for (var x : List.of(gr,cm)) t("delete cfg", () -> a.incrementalAlterConfigs(Map.of(x, List.of(new AlterConfigOp(new ConfigEntry(x==gr?"consumer.session.timeout.ms":"interval.ms",""), AlterConfigOp.OpType.DELETE)))).all().get());
    t("describeLogDirs", () -> a.describeLogDirs(List.of(node)).allDescriptions().get().get(node).size());
    t("describeReplicaLogDirs", () -> a.describeReplicaLogDirs(List.of(new TopicPartitionReplica(T,0,node))).all().get().values().iterator().next().getCurrentReplicaLogDir()!=null);
    t("alterReplicaLogDirs", () -> a.alterReplicaLogDirs(Map.of(new TopicPartitionReplica(T,0,node), "/nonexistent")).all().get());
    TopicPartition tp = new TopicPartition(T,0);
    t("electLeaders", () -> a.electLeaders(ElectionType.PREFERRED, Set.of(tp)).partitions().get().get(tp).map(e->e.getClass().getSimpleName()));
    t("electLeaders all", () -> a.electLeaders(ElectionType.PREFERRED, null).partitions().get().size());
    t("electLeaders unknown", () -> a.electLeaders(ElectionType.UNCLEAN, Set.of(new TopicPartition("nonono",0))).partitions().get().values().iterator().next().map(e->e.getClass().getSimpleName()+e.getMessage()));
    t("alterPartitionReassignments", () -> a.alterPartitionReassignments(Map.of(tp, Optional.of(new NewPartitionReassignment(List.of(node))))).all().get());
    t("alterPartitionReassignments bad", () -> a.alterPartitionReassignments(Map.of(tp, Optional.of(new NewPartitionReassignment(List.of(77))))).all().get());
    t("alterPartitionReassignments cancel", () -> a.alterPartitionReassignments(Map.of(tp, Optional.empty())).all().get());
    t("listPartitionReassignments", () -> a.listPartitionReassignments().reassignments().get());
    // produce & consume
    Properties pp=new Properties(); pp.putAll(p); pp.put("key.serializer", StringSerializer.class); pp.put("value.serializer", StringSerializer.class);
    try (var prod=new KafkaProducer<String,String>(pp)) { for (int i=0;i<10;i++) prod.send(new ProducerRecord<>(T,0,1000L+i,"k"+i,"v"+i)).get(); }
    t("listOffsets", () -> { var m=new TreeMap<String,Object>(); for (var e : Map.of("latest",OffsetSpec.latest(),"earliest",OffsetSpec.earliest(),"max",OffsetSpec.maxTimestamp(),"ts",OffsetSpec.forTimestamp(1005),"local",OffsetSpec.earliestLocal(),"tiered",OffsetSpec.latestTiered()).entrySet()) { var r=a.listOffsets(Map.of(tp,e.getValue())).partitionResult(tp).get(); m.put(e.getKey(), r.offset()+"@"+r.timestamp()+"/"+r.leaderEpoch().orElse(-1)); } return m; });
    Properties cp=new Properties(); cp.putAll(p); cp.put("group.id",G); cp.put("auto.offset.reset","earliest"); cp.put("key.deserializer", StringDeserializer.class); cp.put("value.deserializer", StringDeserializer.class);
    var cons=new KafkaConsumer<String,String>(cp); cons.subscribe(List.of(T)); int n=0; long end=System.currentTimeMillis()+10000; while(n<10&&System.currentTimeMillis()<end) n+=cons.poll(Duration.ofMillis(300)).count(); cons.commitSync();
    int seen = n; t("consume", () -> { if (seen != 10) throw new IllegalStateException("read " + seen); return null; });
    t("listGroups", () -> a.listGroups().all().get().stream().filter(g->g.groupId().equals(G)).map(g->g.toString()).toList());
    t("listConsumerGroups", () -> a.listConsumerGroups().all().get().stream().filter(g->g.groupId().equals(G)).map(g->g.toString()).toList());
    t("describeConsumerGroups", () -> { var d=a.describeConsumerGroups(List.of(G)).all().get().get(G); return d.groupState()+" "+d.partitionAssignor()+" "+d.type()+" "+d.members().size()+" "+d.members().iterator().next().assignment().topicPartitions().size()+" "+d.groupEpoch(); });
    t("describeClassicGroups", () -> a.describeClassicGroups(List.of(G)).all().get().get(G).state());
    t("describeConsumerGroups missing", () -> a.describeConsumerGroups(List.of("nonono")).all().get());
    t("listConsumerGroupOffsets", () -> a.listConsumerGroupOffsets(G).partitionsToOffsetAndMetadata().get().get(tp));
    t("alterConsumerGroupOffsets active", () -> a.alterConsumerGroupOffsets(G, Map.of(tp,new OffsetAndMetadata(3))).all().get());
    t("deleteConsumerGroups active", () -> a.deleteConsumerGroups(List.of(G)).all().get());
    t("deleteConsumerGroupOffsets active", () -> a.deleteConsumerGroupOffsets(G, Set.of(tp)).all().get());
    t("removeMembers", () -> a.removeMembersFromConsumerGroup(G, new RemoveMembersFromConsumerGroupOptions()).all().get());
    cons.close();
    t("alterConsumerGroupOffsets", () -> a.alterConsumerGroupOffsets(G, Map.of(tp,new OffsetAndMetadata(3))).all().get());
    t("listConsumerGroupOffsets2", () -> a.listConsumerGroupOffsets(G).partitionsToOffsetAndMetadata().get().get(tp));
    t("deleteConsumerGroupOffsets", () -> a.deleteConsumerGroupOffsets(G, Set.of(tp)).all().get());
    t("deleteConsumerGroups", () -> a.deleteConsumerGroups(List.of(G)).all().get());
    t("deleteConsumerGroups missing", () -> a.deleteConsumerGroups(List.of("nonono")).all().get());
    t("deleteRecords compact", () -> a.deleteRecords(Map.of(tp,RecordsToDelete.beforeOffset(4))).all().get());
    TopicPartition tp2=new TopicPartition(N+"-as",0);
    t("deleteRecords", () -> a.deleteRecords(Map.of(tp2,RecordsToDelete.beforeOffset(0))).lowWatermarks().get(tp2).get().lowWatermark());
    t("deleteRecords oor", () -> a.deleteRecords(Map.of(tp2,RecordsToDelete.beforeOffset(40))).lowWatermarks().get(tp2).get().lowWatermark());
    // consumer protocol
    cp.put("group.protocol","consumer"); cp.put("group.id",G+"2");
    var c2=new KafkaConsumer<String,String>(cp); c2.subscribe(List.of(T)); n=0; end=System.currentTimeMillis()+10000; while(n<10&&System.currentTimeMillis()<end) n+=c2.poll(Duration.ofMillis(300)).count(); c2.commitSync();
    t("describeConsumerGroups 848", () -> { var d=a.describeConsumerGroups(List.of(G+"2")).all().get().get(G+"2"); return d.groupState()+" "+d.partitionAssignor()+" "+d.type()+" "+d.members().size()+" "+d.groupEpoch()+" "+d.targetAssignmentEpoch(); });
    c2.close();
    t("deleteConsumerGroups 848", () -> a.deleteConsumerGroups(List.of(G+"2")).all().get());
    // txn
    Properties xp=new Properties(); xp.putAll(pp); xp.put("transactional.id",N);
    try (var prod=new KafkaProducer<String,String>(xp)) { prod.initTransactions(); prod.beginTransaction(); prod.send(new ProducerRecord<>(T,1,"k","v")).get();
      t("listTransactions", () -> a.listTransactions().all().get().stream().filter(x->x.transactionalId().equals(N)).map(x->x.state()).toList());
      t("describeTransactions", () -> { var d=a.describeTransactions(List.of(N)).all().get().get(N); return d.state()+" "+d.topicPartitions()+" "+d.producerEpoch(); });
      t("describeProducers", () -> { var s=a.describeProducers(List.of(new TopicPartition(T,1))).all().get().values().iterator().next().activeProducers(); return s.size()+" "+s.get(0).currentTransactionStartOffset(); });
      prod.commitTransaction(); 
      prod.beginTransaction(); prod.send(new ProducerRecord<>(T,1,"k","v2")).get(); prod.abortTransaction(); }
    t("describeTransactions2", () -> { var d=a.describeTransactions(List.of(N)).all().get().get(N); return d.state()+" "+d.topicPartitions()+" "+d.producerEpoch(); });
    t("fenceProducers", () -> a.fenceProducers(List.of(N)).all().get());
    t("abortTransaction", () -> { var s=a.describeProducers(List.of(new TopicPartition(T,1))).all().get().values().iterator().next().activeProducers().get(0);
      return a.abortTransaction(new AbortTransactionSpec(new TopicPartition(T,1),s.producerId(),(short)s.producerEpoch(),0)).all().get(); });
    t("abortTransaction of nobody", () -> a.abortTransaction(new AbortTransactionSpec(new TopicPartition(T,0),987654321L,(short)1,0)).all().get());
    // quotas, scram, acls, features, quorum
    var ent=new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID,N));
    t("alterClientQuotas", () -> a.alterClientQuotas(List.of(new ClientQuotaAlteration(ent, List.of(new ClientQuotaAlteration.Op("producer_byte_rate",1000.0))))).all().get());
    Thread.sleep(300);
    t("describeClientQuotas", () -> a.describeClientQuotas(ClientQuotaFilter.containsOnly(List.of(ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID,N)))).entities().get());
    t("alterClientQuotas rm", () -> a.alterClientQuotas(List.of(new ClientQuotaAlteration(ent, List.of(new ClientQuotaAlteration.Op("producer_byte_rate",null))))).all().get());
    t("alterScram", () -> a.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(N, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256,4096),"pw"))).all().get());
    Thread.sleep(300);
    t("describeScram", () -> a.describeUserScramCredentials(List.of(N)).all().get());
    t("describeScram missing", () -> a.describeUserScramCredentials(List.of("nonono")).all().get());
    t("alterScram del", () -> a.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(N, ScramMechanism.SCRAM_SHA_256))).all().get());
    t("alterScram few", () -> a.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(N, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256,10),"pw"))).all().get());
    t("describeDelegationToken", () -> a.describeDelegationToken().delegationTokens().get());
    t("createDelegationToken", () -> a.createDelegationToken().delegationToken().get());
    t("describeFeatures", () -> new TreeMap<>(a.describeFeatures().featureMetadata().get().finalizedFeatures()));
    t("supportedFeatures", () -> new TreeMap<>(a.describeFeatures().featureMetadata().get().supportedFeatures()));
    t("updateFeatures bad", () -> a.updateFeatures(Map.of("nope", new FeatureUpdate((short)1, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions()).all().get());
    t("describeMetadataQuorum", () -> a.describeMetadataQuorum().quorumInfo().get().leaderId()==node);
    t("clientInstanceId", () -> a.clientInstanceId(Duration.ofSeconds(2)));
    t("deleteTopics", () -> a.deleteTopics(List.of(T,N+"-as")).all().get());
    t("deleteTopics missing", () -> a.deleteTopics(List.of("nonono")).all().get());
    t("deleteTopics id missing", () -> a.deleteTopics(TopicCollection.ofTopicIds(List.of(Uuid.randomUuid()))).all().get());
    a.close();
  }
}
