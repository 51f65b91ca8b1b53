import { Kafka, Partitioners } from "kafkajs";

const kafka = new Kafka({ brokers: [process.env.KAFKA ?? "localhost:9092"] });
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
await producer.connect();
for (let number = 0; number < 3; number++) {
  await producer.send({ topic: "first", messages: [{ key: "node", value: `hello ${number}` }] });
}
await producer.disconnect();
