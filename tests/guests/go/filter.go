// Uses all of package weir; `tests/e2e/helpers.rs` has the expected results.
package main

import (
	"encoding/binary"
	"errors"

	"mask/weir"
	"mask/weir/stateful"
)

var options struct {
	Nested struct {
		List []struct{ Text string }
	}
	Number int64
	Float  float64
}

var seen uint64

func init() {
	weir.Run(weir.Filter{
		Name:        "everything",
		Version:     "1.0.0",
		Description: "uses all that the helper has",
		Options:     &options,
		Configure:   configure,
		Process:     process,
	})
	stateful.Keep(stateful.State{Tick: tick, Save: save, Restore: restore})
}

func configure() error {
	if len(options.Nested.List) != 2 || options.Nested.List[1].Text != "ü \"☃\"\n🦀" {
		return errors.New("the options arrive otherwise than they were written")
	}
	if options.Number != -5000000000 || options.Float != -0.25 {
		return errors.New("numbers in options arrive otherwise than they were written")
	}
	return nil
}

func change(record *weir.Record) weir.Verdict {
	done := record.Set("context.user.name", "Ada")
	done = record.Set("context.user.age", uint8(36)) && done
	done = record.Set("context.user.name", "Ada Lovelace") && done
	done = record.Set(`a\.b`, "dotted") && done
	done = record.Set("ratio", float32(0.5)) && done
	done = record.Set("ok", true) && done
	done = record.Remove("secret") && record.Remove("context.token") && done
	// Nothing is there to remove, so what is on the paths stays as it is.
	done = record.Remove("keep.deep") && record.Remove("nowhere.deep") && done
	done = record.Set("keep.set", 1) && record.Remove("keep.set") && done
	done = record.Set("level", weir.Error) && record.Set("message", "changed") && done
	done = record.AddRoute("audit") && done
	done = record.Set("copy", record.Get("list.1")) && done
	undone := record.Set("list.0", "x") || record.Set("context.user", "x")
	// A value that a record can't have changes nothing, nor does it undo a change.
	undone = record.Set("keep", struct{}{}) || record.Set("ok", []any{1, struct{}{}}) || undone
	undone = record.Set("keep", record.Get("nowhere")) || undone
	if !done || undone {
		return record.Fail("a change was taken otherwise")
	}
	return weir.Keep
}

func split(record *weir.Record) weir.Verdict {
	one := record.Another()
	one.Set("message", "one")
	one.Set("n", record.Get("number").Int())
	two := record.Another()
	two.Set("message", "two")
	two.Set("context", record.Get("context"))
	return weir.Replace
}

func store(record *weir.Record) weir.Verdict {
	weir.Set("k", "kept", 60000)
	value, _ := weir.Get("k")
	record.Set("stored", value)
	weir.Delete("k")
	_, found := weir.Get("k")
	record.Set("gone", !found)
	weir.Add("n", 2, 60000)
	record.Set("n", weir.Add("n", 3, 60000))
	record.Set("later", weir.Now() > record.Time())
	weir.Log(weir.Warning, "the store was used")
	weir.Count("stored", 2)
	return weir.Keep
}

// The types of all values of a record, in order.
func kinds(record *weir.Record) weir.Verdict {
	text := ""
	for _, item := range record.All {
		text += "?nbiftBLMX"[item.Kind():][:1]
	}
	record.Set("kinds", text)
	record.Set("sum", record.Get("float").Float()+float64(record.Get("large").Int()))
	record.Set("bounded", record.Get("most").Int())
	record.Set("nearest", record.Get("most").Float())
	record.Set("length", record.Get("list").Len())
	return weir.Keep
}

func process(record *weir.Record) weir.Verdict {
	seen++
	switch record.Message() {
	case "change":
		return change(record)
	case "split":
		return split(record)
	case "store":
		return store(record)
	case "kinds":
		return kinds(record)
	case "fail":
		return record.Fail("no idea")
	}
	if record.Source() == "noise" {
		return weir.Drop
	}
	return weir.Keep
}

func tick(closing bool, out *weir.Record) {
	if closing {
		record := out.Another()
		record.Set("message", "seen")
		record.Set("n", seen)
	}
}

func save() []byte { return binary.LittleEndian.AppendUint64(nil, seen) }

func restore(state []byte) error {
	if len(state) != 8 {
		return errors.New("this is no state of mine")
	}
	seen = binary.LittleEndian.Uint64(state)
	return nil
}

func main() {}
