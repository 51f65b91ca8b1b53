// Sarama 1.19 with its default configuration, and kafka-go 0.3 with a group.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/Shopify/sarama"
	kafka "github.com/segmentio/kafka-go"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	servers, topic := []string{os.Args[1]}, os.Args[2]
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer(servers, config)
	check(err)
	for i := 0; i < 20; i++ {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic,
			Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(fmt.Sprint("v", i))})
		check(err)
	}
	check(producer.Close())
	consumer, err := sarama.NewConsumer(servers, config)
	check(err)
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	check(err)
	for i := 0; i < 20; i++ {
		select {
		case message := <-partition.Messages():
			if string(message.Key) != "k" || string(message.Value) != fmt.Sprint("v", i) {
				check(fmt.Errorf("read %q instead of v%d", message.Value, i))
			}
		case <-time.After(10 * time.Second):
			check(fmt.Errorf("sarama read only %d", i))
		}
	}
	writer := kafka.NewWriter(kafka.WriterConfig{Brokers: servers, Topic: topic,
		BatchTimeout: 10 * time.Millisecond})
	for i := 0; i < 5; i++ {
		check(writer.WriteMessages(context.Background(), kafka.Message{Value: []byte("go")}))
	}
	check(writer.Close())
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: servers, Topic: topic,
		GroupID: topic, MinBytes: 1, MaxBytes: 1e6})
	limited, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for i := 0; i < 25; i++ {
		_, err := reader.ReadMessage(limited)
		check(err)
	}
	check(reader.Close())
	fmt.Println("ok")
}
