package orders

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

func TestOrdersAreShippedOnceAndInOrder(t *testing.T) {
	address := os.Getenv("KAFKA_BOOTSTRAP_SERVERS")
	if address == "" {
		t.Skip("start me with: ottla run -- go test ./...")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	topic := fmt.Sprintf("orders-%d", time.Now().UnixNano())
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
