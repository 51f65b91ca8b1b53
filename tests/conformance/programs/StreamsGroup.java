// A Kafka Streams application of the new protocol (KIP-1071): counts words of NAME-in until its
// standard input ends, and says "running" once it has tasks and "stopped" at its end.
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;

public class StreamsGroup {
  public static void main(String[] arguments) throws Exception {
    String servers = arguments[0], name = arguments[1], state = arguments[2];
    String in = name + "-in";
    Map<String, Object> cluster = Map.of("bootstrap.servers", servers);
    try (Admin admin = Admin.create(cluster)) {
      admin.createTopics(List.of(new NewTopic(in, 2, (short) 1))).all().get();
    }
    try (KafkaProducer<String, String> producer =
        new KafkaProducer<>(cluster, new StringSerializer(), new StringSerializer())) {
      for (int i = 0; i < 10; i++)
        producer.send(new ProducerRecord<>(in, i % 2, "k" + i, "alpha beta w" + i));
    }
    StreamsBuilder builder = new StreamsBuilder();
    builder.<String, String>stream(in)
        .flatMapValues(line -> Arrays.asList(line.split(" ")))
        .groupBy((key, word) -> word).count();
    Properties settings = new Properties();
    settings.putAll(cluster);
    settings.putAll(Map.of(
        "application.id", name, "group.protocol", "streams", "client.id", "counter",
        "commit.interval.ms", "100", "state.dir", state, "replication.factor", "1",
        "consumer.auto.offset.reset", "earliest",
        "default.key.serde", Serdes.StringSerde.class,
        "default.value.serde", Serdes.StringSerde.class));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    CountDownLatch isRunning = new CountDownLatch(1);
    streams.setStateListener((now, before) -> {
      if (now == KafkaStreams.State.RUNNING) isRunning.countDown();
    });
    streams.start();
    isRunning.await();
    System.out.println("running");
    while (System.in.read() >= 0) { }
    streams.close(CloseOptions.groupMembershipOperation(
        CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
    System.out.println("stopped");
    System.exit(0);
  }
}
