// kafkajs: transactions, a group, and what its admin client tells.
const { Kafka, logLevel } = require("kafkajs");

const [broker, topic] = process.argv.slice(2);

(async () => {
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] });
  const producer = kafka.producer({
    idempotent: true, maxInFlightRequests: 1, transactionalId: topic,
  });
  await producer.connect();
  const kept = await producer.transaction();
  await kept.send({ topic, messages: [...Array(10)].map((_, i) => ({ key: `k${i}`, value: "v" })) });
  await kept.commit();
  const dropped = await producer.transaction();
  await dropped.send({ topic, messages: [{ value: "no" }] });
  await dropped.abort();
  const consumer = kafka.consumer({ groupId: topic });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let count = 0;
  let tenth;
  const all = new Promise((resolve) => { tenth = resolve; });
  await consumer.run({ eachMessage: async ({ message }) => {
    if (message.value.toString() !== "v") throw new Error("an aborted record was read");
    if (++count === 10) tenth();
  } });
  await Promise.race([all, new Promise((_, no) => setTimeout(() => no(new Error(`read ${count}`)), 20000))]);
  const { groups } = await admin.describeGroups([topic]);
  if (groups[0].state !== "Stable") throw new Error(groups[0].state);
  await consumer.disconnect();
  await producer.disconnect();
  await admin.disconnect();
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
