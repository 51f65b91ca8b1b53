// Package orders writes and reads orders through Kafka, with franz-go.
package orders

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Place writes one record for each item, by customer; it returns when Kafka has all of them.
func Place(ctx context.Context, address, topic, customer string, items ...string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation())
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for _, item := range items {
		record := &kgo.Record{Topic: topic, Key: []byte(customer), Value: []byte(item)}
		records = append(records, record)
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

// Ship handles the next count orders, each at least once: it commits after the work.
func Ship(ctx context.Context, address, topic, group string, count int) ([]string, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(address),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
	)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var shipped []string
	for len(shipped) < count {
		fetches := client.PollRecords(ctx, count-len(shipped))
		if err := fetches.Err(); err != nil {
			return shipped, err
		}
		for _, record := range fetches.Records() {
			shipped = append(shipped, string(record.Value))
		}
		if err := client.CommitRecords(ctx, fetches.Records()...); err != nil {
			return shipped, err
		}
	}
	return shipped, nil
}
