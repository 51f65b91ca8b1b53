// Kafka Streams counts words, exactly once, and a consumer that reads only what is
// committed sees the sums.
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Produced;

public class WordCount {
  static final int LINES = 2000;

  static Properties to(String bootstrapServers, Object... settings) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrapServers);
    for (int i = 0; i < settings.length; i += 2) properties.put(settings[i], settings[i + 1]);
    return properties;
  }

  public static void main(String[] arguments) throws Exception {
    String servers = arguments[0], name = arguments[1], state = arguments[2];
    String in = name + "-in", out = name + "-out";
    try (Admin admin = Admin.create(to(servers))) {
      admin.createTopics(List.of(new NewTopic(in, 2, (short) 1), new NewTopic(out, 2, (short) 1)))
          .all().get();
    }
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(
        to(servers), new StringSerializer(), new StringSerializer())) {
      for (int i = 0; i < LINES; i++)
        producer.send(new ProducerRecord<>(in, "k" + i, "alpha beta w" + i % 10));
    }
    StreamsBuilder builder = new StreamsBuilder();
    builder.<String, String>stream(in)
        .flatMapValues(line -> Arrays.asList(line.split(" ")))
        .groupBy((key, word) -> word).count().toStream()
        .to(out, Produced.with(Serdes.String(), Serdes.Long()));
    KafkaStreams streams = new KafkaStreams(builder.build(), to(servers,
        "application.id", name, "processing.guarantee", "exactly_once_v2",
        "commit.interval.ms", "200", "state.dir", state, "replication.factor", "1",
        "consumer.auto.offset.reset", "earliest",
        "default.key.serde", Serdes.StringSerde.class,
        "default.value.serde", Serdes.StringSerde.class));
    streams.start();
    Map<String, Long> counts = new TreeMap<>();
    long end = System.currentTimeMillis() + 60_000;
    try (KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(
        to(servers, "group.id", name + "-reader", "auto.offset.reset", "earliest",
            "isolation.level", "read_committed"),
        new StringDeserializer(), new LongDeserializer())) {
      consumer.subscribe(List.of(out));
      while (System.currentTimeMillis() < end && !isComplete(counts))
        consumer.poll(Duration.ofMillis(200)).forEach(r -> counts.put(r.key(), r.value()));
    }
    System.out.println(counts);
    streams.close(Duration.ofSeconds(10));
    System.exit(isComplete(counts) ? 0 : 1);
  }

  static boolean isComplete(Map<String, Long> counts) {
    for (int i = 0; i < 10; i++)
      if (counts.getOrDefault("w" + i, 0L) != LINES / 10) return false;
    return counts.getOrDefault("alpha", 0L) == LINES && counts.getOrDefault("beta", 0L) == LINES;
  }
}
