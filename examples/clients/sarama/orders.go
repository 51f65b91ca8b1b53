// Package orders writes and reads orders through Kafka, with Sarama.
package orders

import (
	"context"

	"github.com/IBM/sarama"
)

// Config is what both sides share: a recent protocol, acknowledgements of all replicas.
func Config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	return config
}

// Place writes one record for each item, by customer; it returns when Kafka has all of them.
func Place(address, topic, customer string, items ...string) error {
	producer, err := sarama.NewSyncProducer([]string{address}, Config())
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, item := range items {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: topic,
			Key:   sarama.StringEncoder(customer),
			Value: sarama.StringEncoder(item),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

type shipper struct {
	count   int
	shipped []string
	done    context.CancelFunc
}

func (s *shipper) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (s *shipper) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim handles each order and commits it afterwards.
func (s *shipper) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	for message := range claim.Messages() {
		s.shipped = append(s.shipped, string(message.Value))
		session.MarkMessage(message, "")
		session.Commit()
		if len(s.shipped) == s.count {
			s.done()
			return nil
		}
	}
	return nil
}

// Ship handles the next count orders of a topic with one partition, each at least once.
func Ship(ctx context.Context, address, topic, group string, count int) ([]string, error) {
	consumers, err := sarama.NewConsumerGroup([]string{address}, group, Config())
	if err != nil {
		return nil, err
	}
	defer consumers.Close()
	running, done := context.WithCancel(ctx)
	defer done()
	s := &shipper{count: count, done: done}
	for running.Err() == nil {
		if err := consumers.Consume(running, []string{topic}, s); err != nil {
			return s.shipped, err
		}
	}
	return s.shipped, ctx.Err()
}
