const assert = require("node:assert/strict");
const { test } = require("node:test");
const { connect, place, ship } = require("./orders.js");

const address = process.env.KAFKA_BOOTSTRAP_SERVERS;
const skip = address ? false : "start me with: ottla run -- npm test";

test("orders are shipped once and in order", { skip, timeout: 90_000 }, async () => {
  const kafka = connect(address);
  const topic = `orders-${Date.now()}`;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
  await admin.disconnect();
  const chair = { customer: "ada", item: "a chair" };
  const lamp = { customer: "ada", item: "a lamp" };
  await place(kafka, topic, [chair, lamp]);
  assert.deepEqual(await ship(kafka, topic, `${topic}-ship`, 1), [chair]);
  assert.deepEqual(await ship(kafka, topic, `${topic}-ship`, 1), [lamp]);
});
