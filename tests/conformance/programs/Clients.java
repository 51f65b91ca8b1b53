// Java's producer, its consumer with both group protocols, and its share consumer.
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Clients {
  static String servers, name;

  static Properties with(Object... settings) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", servers);
    properties.put("enable.auto.commit", "false");
    for (int i = 0; i < settings.length; i += 2) properties.put((String) settings[i], settings[i + 1]);
    return properties;
  }

  static KafkaConsumer<String, String> consumer(Object... settings) {
    return new KafkaConsumer<>(with(settings), new StringDeserializer(), new StringDeserializer());
  }

  static void require(boolean condition, String sentence) {
    if (!condition) throw new IllegalStateException(sentence);
  }

  public static void main(String[] arguments) throws Exception {
    servers = arguments[0];
    name = arguments[1];
    try (Admin admin = Admin.create(with())) {
      admin.createTopics(List.of(new NewTopic(name, 3, (short) 1))).all().get();
      ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, name + "-share");
      admin.incrementalAlterConfigs(Map.of(group, List.of(new AlterConfigOp(
          new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET)))).all().get();
    }
    Set<String> sent = produce();
    for (String protocol : List.of("classic", "consumer")) consume(protocol, sent);
    share(sent);
    System.out.println("ok");
  }

  static Set<String> produce() throws Exception {
    Set<String> sent = new TreeSet<>();
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
      try (KafkaProducer<String, String> producer = new KafkaProducer<>(
          with("compression.type", codec, "linger.ms", "5"), new StringSerializer(), new StringSerializer())) {
        for (int i = 0; i < 100; i++) {
          sent.add(codec + i);
          producer.send(new ProducerRecord<>(name, "k" + i, codec + i));
        }
      }
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(
        with("transactional.id", name), new StringSerializer(), new StringSerializer())) {
      producer.initTransactions();
      for (String end : List.of("commit", "abort")) {
        producer.beginTransaction();
        for (int i = 0; i < 20; i++) producer.send(new ProducerRecord<>(name, end + i));
        producer.flush();  // what was not sent yet would be dropped here, not aborted there
        if (end.equals("abort")) {
          producer.abortTransaction();
          continue;
        }
        try (KafkaConsumer<String, String> group = consumer("group.id", name + "-input")) {
          producer.sendOffsetsToTransaction(
              Map.of(new TopicPartition(name, 0), new OffsetAndMetadata(7)), group.groupMetadata());
        }
        for (int i = 0; i < 20; i++) sent.add(end + i);
        producer.commitTransaction();
      }
    }
    return sent;
  }

  static void consume(String protocol, Set<String> sent) {
    Object[] settings = {"group.id", name + "-" + protocol, "group.protocol", protocol,
        "auto.offset.reset", "earliest", "isolation.level", "read_committed"};
    List<String> seen = new ArrayList<>();
    try (KafkaConsumer<String, String> one = consumer(settings);
        KafkaConsumer<String, String> other = consumer(settings)) {
      one.subscribe(List.of(name));
      other.subscribe(List.of(name));
      long end = System.currentTimeMillis() + 60_000;
      while (seen.size() < sent.size() && System.currentTimeMillis() < end)
        for (KafkaConsumer<String, String> each : List.of(one, other)) {
          each.poll(Duration.ofMillis(50)).forEach(record -> seen.add(record.value()));
          each.commitSync();
        }
      require(seen.size() == sent.size() && new TreeSet<>(seen).equals(sent), protocol + " read " + seen.size());
      while (one.assignment().isEmpty() || other.assignment().isEmpty()) {
        require(System.currentTimeMillis() < end, protocol + ": partitions are not shared");
        one.poll(Duration.ofMillis(50));
        other.poll(Duration.ofMillis(50));
      }
      require(one.assignment().size() + other.assignment().size() == 3, "three partitions");
    }
    try (KafkaConsumer<String, String> later = consumer(settings)) {
      later.subscribe(List.of(name));
      for (int i = 0; i < 10; i++)
        require(later.poll(Duration.ofMillis(100)).isEmpty(), protocol + " forgot its offsets");
    }
  }

  static void share(Set<String> sent) {
    Set<String> accepted = new TreeSet<>(), released = new TreeSet<>(), rejected = new TreeSet<>();
    Properties settings = with("group.id", name + "-share", "share.acknowledgement.mode", "explicit");
    settings.remove("enable.auto.commit");
    try (KafkaShareConsumer<String, String> one =
            new KafkaShareConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        KafkaShareConsumer<String, String> other =
            new KafkaShareConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
      one.subscribe(List.of(name));
      other.subscribe(List.of(name));
      long end = System.currentTimeMillis() + 60_000;
      int wanted = sent.size() + 20;  // the default isolation level reads what was aborted, too
      while (accepted.size() + rejected.size() < wanted && System.currentTimeMillis() < end)
        for (KafkaShareConsumer<String, String> each : List.of(one, other)) {
          for (ConsumerRecord<String, String> record : each.poll(Duration.ofMillis(50))) {
            String value = record.value();
            if (value.startsWith("lz4") && released.add(value)) {
              each.acknowledge(record, AcknowledgeType.RELEASE);
              continue;
            }
            if (value.startsWith("lz4"))
              require(record.deliveryCount().get() > 1, "delivery count of " + value);
            boolean isBad = value.startsWith("snappy");
            require((isBad ? rejected : accepted).add(value), value + " came twice");
            each.acknowledge(record, isBad ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT);
          }
          each.commitSync().values().forEach(e -> e.ifPresent(x -> require(false, x.toString())));
        }
      require(accepted.size() + rejected.size() == wanted && released.size() == 100 && rejected.size() == 100,
          "shared " + accepted.size() + ", released " + released.size() + ", rejected " + rejected.size());
    }
  }
}
