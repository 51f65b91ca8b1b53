// Fills in each template of a JSON list (the file named by the only argument) with one incident,
// and prints the answers as a JSON list: the text, or null where Go refuses the template.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"text/template"
	"time"
)

type Status int

var statusNames = []string{"NOTFOUND", "OK", "WARN", "ERR", "STOP", "STALL", "REWIND"}

func (s Status) String() string               { return statusNames[s] }
func (s Status) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

type Lag struct{ Value uint64 }

func (l Lag) MarshalJSON() ([]byte, error) { return json.Marshal(l.Value) }

type Commit struct {
	Offset            int64 `json:"offset"`
	Timestamp         int64 `json:"timestamp"`
	ObservedTimestamp int64 `json:"observedAt"`
	Lag               *Lag  `json:"lag"`
}

type Partition struct {
	Topic      string  `json:"topic"`
	Partition  int32   `json:"partition"`
	Owner      string  `json:"owner"`
	ClientID   string  `json:"client_id"`
	Status     Status  `json:"status"`
	Start      *Commit `json:"start"`
	End        *Commit `json:"end"`
	CurrentLag uint64  `json:"current_lag"`
	Complete   float32 `json:"complete"`
}

type Group struct {
	Cluster         string       `json:"cluster"`
	Group           string       `json:"group"`
	Status          Status       `json:"status"`
	Complete        float32      `json:"complete"`
	Partitions      []*Partition `json:"partitions"`
	TotalPartitions int          `json:"partition_count"`
	Maxlag          *Partition   `json:"maxlag"`
	TotalLag        uint64       `json:"totallag"`
}

var functions = template.FuncMap{
	"jsonencoder": func(v any) string { text, _ := json.Marshal(v); return string(text) },
	"topicsbystatus": func(partitions []*Partition) map[string][]string {
		found := map[string][]string{}
		for _, p := range partitions {
			known := false
			for _, topic := range found[p.Status.String()] {
				known = known || topic == p.Topic
			}
			if !known {
				found[p.Status.String()] = append(found[p.Status.String()], p.Topic)
			}
		}
		return found
	},
	"partitioncounts": func(partitions []*Partition) map[string]int {
		words := map[Status]string{2: "warn", 4: "stop", 5: "stall", 6: "rewind"}
		counts := map[string]int{"warn": 0, "stop": 0, "stall": 0, "rewind": 0, "unknown": 0}
		for _, p := range partitions {
			if word, ok := words[p.Status]; ok {
				counts[word]++
			} else if p.Status != 1 {
				counts["unknown"]++
			}
		}
		return counts
	},
	"add":      func(a, b int) int { return a + b },
	"minus":    func(a, b int) int { return a - b },
	"multiply": func(a, b int) int { return a * b },
	"divide":   func(a, b int) int { return a / b },
	"maxlag": func(p *Partition) uint64 {
		if p == nil {
			return 0
		}
		return p.CurrentLag
	},
	"formattimestamp": func(ms int64, layout string) string { return time.UnixMilli(ms).Format(layout) },
}

func incident() any {
	start := &Commit{90, 1700000000000, 1700000000100, &Lag{7}}
	stalled := &Partition{"orders", 0, "/10.0.0.1", "c<1>", 5, start,
		&Commit{90, 1700000600000, 1700000600100, nil}, 1234567, 1}
	behind := &Partition{"orders", 3, "", "", 2, start, nil, 10, 0.7}
	return struct {
		Cluster, Group, ID string
		Start              time.Time
		Extras             map[string]string
		Result             Group
	}{"local", "billing", "id-1", time.Date(2026, 3, 4, 15, 6, 7, 8900000, time.UTC),
		map[string]string{"app": "burrow", "tier": "STG"},
		Group{"local", "billing", 3, 0.8666667, []*Partition{stalled, behind}, 15, stalled, 1234577}}
}

func fill(source string, data any) *string {
	read, err := template.New("").Funcs(functions).Parse(source)
	if err != nil {
		return nil
	}
	var text bytes.Buffer
	if read.Execute(&text, data) != nil {
		return nil
	}
	answer := text.String()
	return &answer
}

func main() {
	given, err := os.ReadFile(os.Args[1])
	var sources []string
	if err != nil || json.Unmarshal(given, &sources) != nil {
		fmt.Fprintln(os.Stderr, "a file with a JSON list of templates is wanted")
		os.Exit(1)
	}
	answers := []*string{}
	for _, source := range sources {
		answers = append(answers, fill(source, incident()))
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.Encode(answers)
}
