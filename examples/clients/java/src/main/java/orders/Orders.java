package orders;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Orders through Kafka, with the Java client. */
public final class Orders {
  private Orders() {}

  /** Writes one record for each item, by customer; returns when Kafka has all of them. */
  public static void place(String address, String topic, String customer, List<String> items)
      throws ExecutionException, InterruptedException {
    Map<String, Object> config = Map.of("bootstrap.servers", address, "acks", "all");
    var text = new StringSerializer();
    try (var producer = new KafkaProducer<>(config, text, text)) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (String item : items) {
        sent.add(producer.send(new ProducerRecord<>(topic, customer, item)));
      }
      for (var record : sent) {
        record.get();
      }
    }
  }

  /** Handles the next count orders, each at least once: commits after the work. */
  public static List<String> ship(String address, String topic, String group, int count) {
    Map<String, Object> config =
        Map.of(
            "bootstrap.servers", address,
            "group.id", group,
            "auto.offset.reset", "earliest",
            "enable.auto.commit", "false",
            "max.poll.records", "1");
    var text = new StringDeserializer();
    List<String> shipped = new ArrayList<>();
    try (var consumer = new KafkaConsumer<>(config, text, text)) {
      consumer.subscribe(List.of(topic));
      while (shipped.size() < count) {
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          shipped.add(record.value());
        }
        consumer.commitSync();
      }
    }
    return shipped;
  }
}
