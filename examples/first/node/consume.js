import { Kafka, logLevel } from "kafkajs";

const kafka = new Kafka({
  brokers: [process.env.KAFKA ?? "localhost:9092"],
  logLevel: logLevel.ERROR,
});
const consumer = kafka.consumer({ groupId: "first-node" });
await consumer.connect();
await consumer.subscribe({ topic: "first", fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => console.log(`${message.key} ${message.value}`),
});
process.once("SIGINT", () => consumer.disconnect());
