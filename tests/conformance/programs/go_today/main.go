// Today's sarama and kafka-go: transactions, groups, and what their admin clients tell.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	kafka "github.com/segmentio/kafka-go"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

type reader struct{ seen chan string }

func (r reader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (r reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (r reader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		session.MarkMessage(message, "")
		r.seen <- string(message.Value)
	}
	return nil
}

func expect(seen chan string, count int) {
	for i := 0; i < count; i++ {
		select {
		case value := <-seen:
			if value == "dropped" {
				check(fmt.Errorf("read what was aborted"))
			}
		case <-time.After(30 * time.Second):
			check(fmt.Errorf("read only %d", i))
		}
	}
}

func useSarama(servers []string, topic string) {
	config := sarama.NewConfig()
	config.Version = sarama.V3_8_0_0
	config.Producer.Return.Successes = true
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Compression = sarama.CompressionZSTD
	config.Producer.Transaction.ID = topic
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Retry.Max = 50 // a new topic's leaders may know of it later than the controller
	config.Net.MaxOpenRequests = 1
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	admin, err := sarama.NewClusterAdmin(servers, config)
	check(err)
	check(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false))
	for ready := 0; ready < 3; {
		topics, err := admin.DescribeTopics([]string{topic})
		check(err)
		ready = 0
		for _, partition := range topics[0].Partitions {
			if partition.Err == sarama.ErrNoError {
				ready++
			}
		}
	}
	producer, err := sarama.NewSyncProducer(servers, config)
	check(err)
	for _, value := range []string{"kept", "dropped", "kept"} {
		check(producer.BeginTxn())
		for i := 0; i < 15; i++ {
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic,
				Partition: int32(i % 3), Value: sarama.StringEncoder(value)})
			check(err)
		}
		if value == "kept" {
			check(producer.CommitTxn())
		} else {
			check(producer.AbortTxn())
		}
	}
	check(producer.Close())
	group, err := sarama.NewConsumerGroup(servers, topic+"-sarama", config)
	check(err)
	seen := make(chan string, 100)
	limited, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- group.Consume(limited, []string{topic}, reader{seen}) }()
	expect(seen, 30)
	groups, err := admin.DescribeConsumerGroups([]string{topic + "-sarama"})
	check(err)
	if groups[0].State != "Stable" || len(groups[0].Members) != 1 {
		check(fmt.Errorf("the group is %s", groups[0].State))
	}
	configs, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	check(err)
	if len(configs) < 20 {
		check(fmt.Errorf("only %d configurations", len(configs)))
	}
	cancel()
	check(<-ended)
	check(group.Close())
	offsets, err := admin.ListConsumerGroupOffsets(topic+"-sarama", map[string][]int32{topic: {0, 1, 2}})
	check(err)
	for index, block := range offsets.Blocks[topic] {
		if block.Offset < 10 {
			check(fmt.Errorf("sarama committed partition %d at %d", index, block.Offset))
		}
	}
	check(admin.DeleteConsumerGroup(topic + "-sarama"))
	check(admin.Close())
}

func useKafkaGo(servers []string, topic string) {
	writer := &kafka.Writer{Addr: kafka.TCP(servers...), Topic: topic, BatchTimeout: 5 * time.Millisecond,
		Compression: kafka.Lz4, RequiredAcks: kafka.RequireAll}
	for i := 0; i < 10; i++ {
		check(writer.WriteMessages(context.Background(), kafka.Message{
			Key: []byte(fmt.Sprint(i)), Value: []byte("go"),
			Headers: []kafka.Header{{Key: "h", Value: []byte("x")}}}))
	}
	check(writer.Close())
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: servers, Topic: topic, GroupID: topic + "-go",
		MinBytes: 1, MaxBytes: 1e6, IsolationLevel: kafka.ReadCommitted})
	limited, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for i := 0; i < 55; i++ { // kafka-go leaves aborted records in
		message, err := reader.ReadMessage(limited)
		check(err)
		if string(message.Value) == "go" && string(message.Headers[0].Value) != "x" {
			check(fmt.Errorf("a header was lost"))
		}
	}
	check(reader.Close())
	client := &kafka.Client{Addr: kafka.TCP(servers...), Timeout: 10 * time.Second}
	found, err := client.OffsetFetch(limited, &kafka.OffsetFetchRequest{
		GroupID: topic + "-go", Topics: map[string][]int{topic: {0, 1, 2}}})
	check(err)
	for _, partition := range found.Topics[topic] {
		if partition.CommittedOffset < 10 {
			check(fmt.Errorf("kafka-go committed partition %d at %d", partition.Partition, partition.CommittedOffset))
		}
	}
	gone, err := client.DeleteTopics(limited, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	check(err)
	check(gone.Errors[topic])
}

func main() {
	servers, topic := []string{os.Args[1]}, os.Args[2]
	useSarama(servers, topic)
	useKafkaGo(servers, topic)
	fmt.Println("ok")
}
