package orders;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.junit.jupiter.api.Test;

class OrdersTest {
  @Test
  void ordersAreShippedOnceAndInOrder() throws Exception {
    String address = System.getenv("KAFKA_BOOTSTRAP_SERVERS");
    assumeTrue(address != null, "start me with: ottla run -- mvn test");
    String topic = "orders-" + System.nanoTime();
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
      admin.createTopics(List.of(new NewTopic(topic, Optional.of(1), Optional.empty()))).all().get();
    }
    Orders.place(address, topic, "ada", List.of("a chair", "a lamp"));
    assertEquals(List.of("a chair"), Orders.ship(address, topic, topic + "-ship", 1));
    assertEquals(List.of("a lamp"), Orders.ship(address, topic, topic + "-ship", 1));
  }
}
