// Orders through Kafka, with KafkaJS.
import { Kafka, logLevel } from "kafkajs";

export const connect = (address) =>
  new Kafka({ brokers: [address], clientId: "orders", logLevel: logLevel.ERROR });

// Write the orders, by customer; resolves when Kafka has all of them.
export async function place(kafka, topic, orders) {
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  const messages = orders.map((order) => ({
    key: order.customer,
    value: JSON.stringify(order),
  }));
  await producer.send({ topic, acks: -1, messages });
  await producer.disconnect();
}

// Handle the next orders, each at least once: commit after the work.
export async function ship(kafka, topic, groupId, count) {
  const consumer = kafka.consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const shipped = [];
  await new Promise((resolve, reject) => {
    const eachMessage = async ({ partition, message }) => {
      if (shipped.length === count) return;
      shipped.push(JSON.parse(message.value.toString()));
      const offset = String(Number(message.offset) + 1);
      await consumer.commitOffsets([{ topic, partition, offset }]);
      if (shipped.length === count) resolve();
    };
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({ autoCommit: false, eachMessage }).catch(reject);
  });
  await consumer.disconnect();
  return shipped;
}
