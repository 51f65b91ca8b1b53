// The Java client of 2017 (0.11): every codec, a group, a transaction.
import java.util.Collections;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class OldClient {
  static Properties to(String servers, String... settings) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", servers);
    for (int i = 0; i < settings.length; i += 2) properties.put(settings[i], settings[i + 1]);
    return properties;
  }

  public static void main(String[] arguments) throws Exception {
    String servers = arguments[0], topic = arguments[1];
    for (String codec : new String[] {"none", "gzip", "snappy", "lz4"}) {
      KafkaProducer<String, String> producer = new KafkaProducer<>(
          to(servers, "compression.type", codec), new StringSerializer(), new StringSerializer());
      for (int i = 0; i < 100; i++)
        producer.send(new ProducerRecord<>(topic, "k" + i, codec + i)).get();
      producer.close();
    }
    KafkaProducer<String, String> producer = new KafkaProducer<>(
        to(servers, "transactional.id", topic), new StringSerializer(), new StringSerializer());
    producer.initTransactions();
    for (String end : new String[] {"commit", "abort", "commit"}) {
      producer.beginTransaction();
      producer.send(new ProducerRecord<>(topic, "t", end));
      if (end.equals("commit")) producer.commitTransaction(); else producer.abortTransaction();
    }
    producer.close();
    int wanted = 402, count = 0;
    KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
        to(servers, "group.id", topic, "auto.offset.reset", "earliest",
            "isolation.level", "read_committed"),
        new StringDeserializer(), new StringDeserializer());
    consumer.subscribe(Collections.singletonList(topic));
    long deadline = System.currentTimeMillis() + 30_000;
    while (count < wanted && System.currentTimeMillis() < deadline)
      count += consumer.poll(200).count();
    consumer.commitSync();
    consumer.close();
    System.out.println(count);
    System.exit(count == wanted ? 0 : 1);
  }
}
