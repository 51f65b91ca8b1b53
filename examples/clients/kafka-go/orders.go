// Package orders writes and reads orders through Kafka, with kafka-go.
package orders

import (
	"context"

	"github.com/segmentio/kafka-go"
)

// Place writes one record for each item, by customer; it returns when Kafka has all of them.
func Place(ctx context.Context, address, topic, customer string, items ...string) error {
	writer := &kafka.Writer{
		Addr:                   kafka.TCP(address),
		Topic:                  topic,
		Balancer:               &kafka.Hash{},
		RequiredAcks:           kafka.RequireAll,
		BatchSize:              1,
		AllowAutoTopicCreation: true,
	}
	defer writer.Close()
	for _, item := range items {
		message := kafka.Message{Key: []byte(customer), Value: []byte(item)}
		if err := writer.WriteMessages(ctx, message); err != nil {
			return err
		}
	}
	return nil
}

// Ship handles the next count orders, each at least once: it commits after the work.
func Ship(ctx context.Context, address, topic, group string, count int) ([]string, error) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:     []string{address},
		GroupID:     group,
		Topic:       topic,
		StartOffset: kafka.FirstOffset,
	})
	defer reader.Close()
	var shipped []string
	for len(shipped) < count {
		message, err := reader.FetchMessage(ctx)
		if err != nil {
			return shipped, err
		}
		shipped = append(shipped, string(message.Value))
		if err := reader.CommitMessages(ctx, message); err != nil {
			return shipped, err
		}
	}
	return shipped, nil
}
