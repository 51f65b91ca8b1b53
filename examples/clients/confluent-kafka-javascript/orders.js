// Orders through Kafka, with confluent-kafka-javascript, by its promises.
const { Kafka } = require("@confluentinc/kafka-javascript").KafkaJS;

const connect = (address) => new Kafka({ "bootstrap.servers": address, log_level: 3 });

// Write the orders, by customer; resolves when Kafka has all of them.
async function place(kafka, topic, orders) {
  const producer = kafka.producer({ "enable.idempotence": true });
  await producer.connect();
  const messages = orders.map((order) => ({
    key: order.customer,
    value: JSON.stringify(order),
  }));
  await producer.send({ topic, messages });
  await producer.disconnect();
}

// Handle the next orders, each at least once: commit after the work.
async function ship(kafka, topic, group, count) {
  const consumer = kafka.consumer({
    "group.id": group,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": false,
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic] });
  const shipped = [];
  await new Promise((resolve, reject) => {
    const eachMessage = async ({ partition, message }) => {
      if (shipped.length === count) return;
      shipped.push(JSON.parse(message.value.toString()));
      const offset = String(Number(message.offset) + 1);
      await consumer.commitOffsets([{ topic, partition, offset }]);
      if (shipped.length === count) resolve();
    };
    consumer.run({ eachMessage }).catch(reject);
  });
  await consumer.disconnect();
  return shipped;
}

module.exports = { connect, place, ship };
