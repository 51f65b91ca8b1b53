package orders

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// newTopic asks the controller for a topic and gives its name.
func newTopic(t *testing.T, address string) string {
	t.Helper()
	name := fmt.Sprintf("orders-%d", time.Now().UnixNano())
	connection, err := kafka.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	broker, err := connection.Controller()
	if err != nil {
		t.Fatal(err)
	}
	controller, err := kafka.Dial("tcp", net.JoinHostPort(broker.Host, strconv.Itoa(broker.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer controller.Close()
	wanted := kafka.TopicConfig{Topic: name, NumPartitions: 1, ReplicationFactor: 1}
	if err := controller.CreateTopics(wanted); err != nil {
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
	if err := Place(ctx, address, topic, "ada", "a chair", "a lamp"); err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"a chair", "a lamp"} {
		shipped, err := Ship(ctx, address, topic, topic+"-ship", 1)
		if err != nil || len(shipped) != 1 || shipped[0] != wanted {
			t.Fatalf("wanted %q, got %q, %v", wanted, shipped, err)
		}
	}
}
