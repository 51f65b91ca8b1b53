// confluent-kafka-javascript, by its own interface for promises: transactions and both group protocols.
const { Kafka } = require("@confluentinc/kafka-javascript").KafkaJS;

const [broker, topic] = process.argv.slice(2);
const count = 30;

async function readAll(kafka, protocol) {
  const settings = { "group.id": `${topic}-${protocol}`, "group.protocol": protocol, "auto.offset.reset": "earliest" };
  const consumer = kafka.consumer(settings);
  await consumer.connect();
  await consumer.subscribe({ topics: [topic] });
  let seen = 0;
  const all = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${protocol}: read ${seen}`)), 40000).unref();
    consumer.run({ eachMessage: async ({ message }) => {
      if (message.value.toString() !== "v") reject(new Error("an aborted record was read"));
      if (++seen === count) resolve();
    } });
  });
  await all;
  await consumer.disconnect();
}

(async () => {
  const kafka = new Kafka({ "bootstrap.servers": broker, log_level: 2 });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] });
  const producer = kafka.producer({ "transactional.id": topic, "compression.codec": "gzip" });
  await producer.connect();
  const kept = await producer.transaction();
  await kept.send({ topic, messages: [...Array(count)].map((_, i) => ({ key: `k${i}`, value: "v", headers: { h: "x" } })) });
  await kept.commit();
  const dropped = await producer.transaction();
  await dropped.send({ topic, messages: [{ value: "no" }] });
  await dropped.abort();
  await producer.disconnect();
  await readAll(kafka, "classic");
  await readAll(kafka, "consumer");
  const { groups } = await admin.listGroups();
  if (!groups.some((group) => group.groupId === `${topic}-classic`)) throw new Error("the group is not listed");
  const offsets = await admin.fetchTopicOffsets(topic);
  if (offsets.length !== 2) throw new Error(JSON.stringify(offsets));
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
