package weir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/slogtest"
)

// kept returns a handler that sends nothing, and what it has encoded.
func kept(t *testing.T, options Options) (*Handler, func() []map[string]any) {
	// Nothing takes what waits.
	handler := &Handler{client: newClient(options), groups: []group{{}}}
	return handler, func() (records []map[string]any) {
		for _, line := range handler.client.waiting {
			var record map[string]any
			if err := json.Unmarshal(line, &record); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			records = append(records, record)
		}
		return
	}
}

func TestSlog(t *testing.T) {
	handler, records := kept(t, Options{})
	results := func() []map[string]any {
		all := records()
		for _, record := range all {
			// The names that slogtest expects; `source` means something else there.
			delete(record, slog.SourceKey)
			record[slog.MessageKey] = record["message"]
			if at, is := record["timestamp"]; is {
				record[slog.TimeKey] = at
			}
		}
		return all
	}
	if err := slogtest.TestHandler(handler, results); err != nil {
		t.Error(err)
	}
}

type rude struct{}

func (rude) LogValue() slog.Value { panic("rude") }

type circular struct{ Next *circular }

func TestRecords(t *testing.T) {
	handler, records := kept(t, Options{Source: "shop", Level: slog.Level(-8), AddSource: true})
	log := slog.New(handler)
	loop := &circular{}
	loop.Next = loop
	ctx := With(With(context.Background(), slog.Int("user", 1), slog.Int("order", 1)), slog.Int("order", 2))
	log.InfoContext(ctx, "paid", "amount", 20, "level", "mine", slog.Group("context", "order", 3))
	log.Error("failed", "err", errors.New("no order"), "nan", math.NaN(), "f", func() {}, "half", "\xff<&>")
	log.Warn("rude", "x", rude{})
	log.Log(ctx, slog.Level(-8), "trace")
	log.Log(ctx, slog.Level(12), "critical")
	all := records()
	want := []string{"INFO", "ERROR", "WARNING", "TRACE", "CRITICAL"}
	for at, level := range want {
		if all[at]["level"] != level || all[at]["source"] != "shop" {
			t.Errorf("%s: %v", level, all[at])
		}
	}
	metadata := all[0]["metadata"].(map[string]any)
	got := fmt.Sprintf("%v %v %v", all[0]["context"], all[0]["amount"], metadata["level"])
	if got != "map[order:3 user:1] 20 mine" {
		t.Error(got)
	}
	if file := metadata["file"]; !strings.HasSuffix(file.(string), "weir_test.go") {
		t.Error(file)
	}
	if all[1]["err"] != "no order" || all[1]["nan"] != "NaN" || all[1]["half"] != "\ufffd<&>" {
		t.Error(all[1])
	}
	if text := all[1]["f"].(string); !strings.HasPrefix(text, "a func() that") {
		t.Error(text)
	}
	if message := all[2]["message"].(string); !strings.Contains(message, "rude") {
		t.Error(message)
	}
	if got := fmt.Sprint(all[3]["context"]); got != "map[order:2 user:1]" {
		t.Error(got)
	}
	self := map[string]any{}
	self["self"], self["again"] = self, self
	log.Info("circular", "loop", loop, "self", self)
	if len(records()) != 6 {
		t.Error("lost")
	}
}

type wrapped struct{ http.RoundTripper }

func TestAnApplicationMayWrapTheDefaultTransport(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = wrapped{before}
	newClient(Options{})
}

func TestAStandardErrorThatNobodyReadsDoesNotEndTheProgram(t *testing.T) {
	if os.Getenv("WEIR_TEST_UNREAD") != "" {
		newClient(Options{}).say("nobody reads this")
		return
	}
	reader, unread, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	program := exec.Command(os.Args[0], "-test.run", t.Name())
	program.Env = append(os.Environ(), "WEIR_TEST_UNREAD=1")
	program.Stderr = unread
	if err := program.Run(); err != nil {
		t.Error(err)
	}
}
