package weir

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// Record is a record and the changes made to it.
type Record struct {
	whole   Value
	values  []byte
	changes []change
	reason  string
}

// A change without a value removes.
type change struct {
	path     string
	from, to int
}

// The current record, the one that Another makes, and how many it made.
var (
	current, next Record
	made          uint32
)

// Get returns the value at a path.
func (record *Record) Get(path string) Value { return record.whole.Get(path) }

// Has reports whether there is a value at a path.
func (record *Record) Has(path string) bool { return record.Get(path).Exists() }

// All iterates over the record's keys: for key, item := range record.All.
func (record *Record) All(yield func(key string, item Value) bool) { record.whole.All(yield) }

// Time returns the timestamp, in nanoseconds since 1970-01-01 UTC.
func (record *Record) Time() int64 { return record.Get("timestamp").Int() }

// Level returns the level.
func (record *Record) Level() Level {
	word := record.Get("level").Text()
	if word == "" {
		return Info
	}
	switch word[0] {
	case 'T':
		return Trace
	case 'D':
		return Debug
	case 'W':
		return Warning
	case 'E':
		return Error
	case 'C':
		return Critical
	}
	return Info
}

// Source returns the component or service that logged the record.
func (record *Record) Source() string { return record.Get("source").Text() }

// Message returns the message.
func (record *Record) Message() string { return record.Get("message").Text() }

// Set sets the value at a path and creates missing maps on it. The value is a string, a number, a bool, a Level, a
// Value, a []string, or a []any or map[string]any of these. A map is merged into an existing one. Set returns false and
// changes nothing if the path leads into a list (set the whole list), if a value above the path was set before, or if
// the value has another type.
func (record *Record) Set(path string, value any) bool {
	// The slot comes last: without a value it would remove what is there.
	from := len(record.values)
	if !record.append(value) {
		return false
	}
	place := record.place(path)
	if place == nil {
		return false
	}
	place.from, place.to = from, len(record.values)
	return true
}

// Remove removes the value at a path, if there is one.
func (record *Record) Remove(path string) bool {
	place := record.place(path)
	if place == nil {
		return false
	}
	if !record.Has(path) {
		// There is nothing to remove, and a patch would replace what is on the path with a map: take the slot away.
		last := len(record.changes) - 1
		*place = record.changes[last]
		record.changes = record.changes[:last]
	}
	return true
}

// AddRoute adds a label that sinks can select by, if it is missing; at most one per record.
func (record *Record) AddRoute(label string) bool {
	labels := []string{}
	for _, route := range record.Get("routes").All {
		if route.Text() == label {
			return true
		}
		labels = append(labels, route.Text())
	}
	return record.Set("routes", append(labels, label))
}

// Another makes a new record to replace this one. Call it again for each further record, and return Replace. The new
// record is empty: set its content. Unless you set them, it inherits the time, level and source of this record.
func (record *Record) Another() *Record {
	if made > 0 {
		next.write()
	}
	made++
	next.begin(Value{})
	return &next
}

// Fail sets the reason for the verdict Fail.
func (record *Record) Fail(reason string) Verdict {
	record.reason = reason
	return Fail
}

func (record *Record) begin(whole Value) {
	record.whole = whole
	record.values = record.values[:0]
	record.changes = record.changes[:0]
}

// place adds a slot for a change, which removes until it gets a value.
func (record *Record) place(path string) *change {
	at := record.whole.bytes
	for rest := path; len(at) > 0; {
		key, after, more := cut(rest)
		if !more {
			break
		}
		at = step(at, key)
		if (Value{at}).Kind() == List {
			return nil
		}
		rest = after
	}
	end := len(record.values)
	for i := range record.changes {
		other := &record.changes[i]
		if other.path == path {
			other.from, other.to = end, end
			return other
		}
		if leadsInto(other.path, path) || leadsInto(path, other.path) {
			return nil
		}
	}
	record.changes = append(record.changes, change{path, end, end})
	return &record.changes[len(record.changes)-1]
}

func leadsInto(path, above string) bool {
	return len(path) > len(above) && path[len(above)] == '.' && path[:len(above)] == above
}

func (record *Record) append(value any) bool {
	out := &record.values
	switch value := value.(type) {
	case nil:
		*out = append(*out, 0xc0)
	case bool:
		if value {
			*out = append(*out, 0xc3)
		} else {
			*out = append(*out, 0xc2)
		}
	case string:
		appendText(out, value)
	case Level:
		appendText(out, value.String())
	case int:
		appendInt(out, int64(value))
	case int64:
		appendInt(out, value)
	case uint64:
		appendUint(out, value)
	case float64:
		appendFloat(out, value)
	case Value:
		if !value.Exists() {
			return false
		}
		*out = append(*out, value.whole()...)
	case []string:
		*out = binary.BigEndian.AppendUint32(append(*out, 0xdd), uint32(len(value)))
		for _, item := range value {
			appendText(out, item)
		}
	case []any:
		*out = binary.BigEndian.AppendUint32(append(*out, 0xdd), uint32(len(value)))
		for _, item := range value {
			if !record.append(item) {
				return false
			}
		}
	case map[string]any:
		*out = binary.BigEndian.AppendUint32(append(*out, 0xdf), uint32(len(value)))
		for key, item := range value {
			appendText(out, key)
			if !record.append(item) {
				return false
			}
		}
	case fmt.Stringer:
		appendText(out, value.String())
	default:
		switch number := reflect.ValueOf(value); {
		case number.CanInt():
			appendInt(out, number.Int())
		case number.CanUint():
			appendUint(out, number.Uint())
		case number.CanFloat():
			appendFloat(out, number.Float())
		default:
			return false
		}
	}
	return true
}

func appendInt(out *[]byte, value int64) {
	*out = binary.BigEndian.AppendUint64(append(*out, 0xd3), uint64(value))
}

func appendUint(out *[]byte, value uint64) {
	*out = binary.BigEndian.AppendUint64(append(*out, 0xcf), value)
}

func appendFloat(out *[]byte, value float64) {
	*out = binary.BigEndian.AppendUint64(append(*out, 0xcb), math.Float64bits(value))
}

func appendText(out *[]byte, text string) {
	switch {
	case len(text) < 32:
		*out = append(*out, 0xa0|byte(len(text)))
	case len(text) < 0x10000:
		*out = binary.BigEndian.AppendUint16(append(*out, 0xda), uint16(len(text)))
	default:
		*out = binary.BigEndian.AppendUint32(append(*out, 0xdb), uint32(len(text)))
	}
	*out = append(*out, text...)
}

func (record *Record) write() { record.writeBelow("") }

// writeBelow writes the changes below a path as a map. In a patch, null stands for removal; a new record omits the key.
func (record *Record) writeBelow(above string) {
	head := len(maps)
	maps = append(maps, 0xdf, 0, 0, 0, 0)
	entries := uint32(0)
	for i := range record.changes {
		one := &record.changes[i]
		if !strings.HasPrefix(one.path, above) {
			continue
		}
		written, _, more := cut(one.path[len(above):])
		below := one.path[:len(above)+len(written)]
		isRemoved := one.from == one.to
		if !more && isRemoved && !record.whole.Exists() {
			continue
		}
		if more && record.isSeen(i, below) {
			continue
		}
		entries++
		if strings.Contains(written, `\`) {
			written = unescape(written)
		}
		appendText(&maps, written)
		switch {
		case more:
			record.writeBelow(one.path[:len(below)+1])
		case isRemoved:
			maps = append(maps, 0xc0)
		default:
			maps = append(maps, record.values[one.from:one.to]...)
		}
	}
	binary.BigEndian.PutUint32(maps[head+1:], entries)
}

func (record *Record) isSeen(before int, below string) bool {
	for i := range record.changes[:before] {
		if leadsInto(record.changes[i].path, below) {
			return true
		}
	}
	return false
}

func unescape(written string) string {
	var key strings.Builder
	for i := 0; i < len(written); i++ {
		if written[i] == '\\' && i+1 < len(written) {
			i++
		}
		key.WriteByte(written[i])
	}
	return key.String()
}
