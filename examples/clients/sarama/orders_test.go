package orders

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

func newTopic(t *testing.T, address string) string {
	t.Helper()
	name := fmt.Sprintf("orders-%d", time.Now().UnixNano())
	admin, err := sarama.NewClusterAdmin([]string{address}, Config())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}
	if err := admin.CreateTopic(name, detail, false); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestOrdersAreShippedOnceAndInOrder(t *testing.T) {
	address := os.Getenv("KAFKA_BOOTSTRAP_SERVERS")
	if address == "" {
		t.Skip("start me with: ottla run -- go test ./...")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	topic := newTopic(t, address)
	if err := Place(address, topic, "ada", "a chair", "a lamp"); err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"a chair", "a lamp"} {
		shipped, err := Ship(ctx, address, topic, topic+"-ship", 1)
		if err != nil || len(shipped) != 1 || shipped[0] != wanted {
			t.Fatalf("wanted %q, got %q, %v", wanted, shipped, err)
		}
	}
}
