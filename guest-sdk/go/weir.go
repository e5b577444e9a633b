// Package weir is for writing Weir filters in Go. You need only Go's own compiler.
//
// A filter calls [Run] from an init function; Weir calls its Process for each record. Records are read in place, as
// MessagePack: reading a field copies nothing. A [Record] or [Value], and text from [Value.Text], are valid until
// Process returns; [Value.String] makes a copy.
//
// Paths have dots and reach into lists by index: "context.user.email", "tags.0". Escape a dot or a backslash inside a
// key with a backslash; a backslash at the very end stands for itself.
//
// A filter that keeps state also calls stateful.Keep from the package next to this one.
package weir

import "unsafe"

// Filter describes a filter and its functions.
type Filter struct {
	Name, Version, Description string
	// Options points to a struct into which the operator's options are read, as encoding/json does; its initial values
	// are the defaults. An option without a field is refused.
	Options any
	// Configure is called after Options have been read. If it returns an error, the filter is not used and the error is
	// shown to the operator. It may be nil.
	Configure func() error
	// Process decides what happens to a record.
	Process func(record *Record) Verdict
}

// Run registers the filter. Call it from init: main is never called.
func Run(filter Filter) { running = filter }

var running Filter

// Level is the severity of a record.
type Level uint8

// The levels, from least to most severe.
const (
	Trace Level = iota
	Debug
	Info
	Warning
	Error
	Critical
)

var levels = [...]string{"TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}

// String returns the level as records contain it.
func (level Level) String() string { return levels[level] }

// Verdict is what happens to a record.
type Verdict uint8

const (
	// Keep lets it go on, with your changes.
	Keep Verdict = iota
	// Drop drops it; its sender is told that it was accepted.
	Drop
	// Replace replaces it with the records made with [Record.Another].
	Replace
	// Fail means that the filter failed; see [Record.Fail].
	Fail
)

// Log writes a line to Weir's log. Standard output goes there too.
func Log(level Level, line string) { hostLog(uint32(level), start(line), uint32(len(line))) }

// Count adds to a counter, which Weir shows in its metrics. At most 64 names.
func Count(counter string, add uint64) { hostCounter(start(counter), uint32(len(counter)), add) }

// Now returns the time, in nanoseconds since 1970-01-01 UTC.
func Now() int64 { return hostNow() }

// Get reads from a small key-value store in memory, shared by all instances and versions of the filter.
func Get(key string) (value string, found bool) {
	var list [3]uint32
	hostGet(start(key), uint32(len(key)), unsafe.Pointer(&list))
	if list[0]&1 == 0 {
		return "", false
	}
	// Weir wrote it into the room.
	from := list[1] - pointer(unsafe.Pointer(unsafe.SliceData(room)))
	return string(room[from : from+list[2]]), true
}

// Set stores a value, for some milliseconds.
func Set(key, value string, ttlMS uint64) {
	hostSet(start(key), uint32(len(key)), start(value), uint32(len(value)), ttlMS)
}

// Add adds to the number under a key and returns the sum.
func Add(key string, delta int64, ttlMS uint64) int64 {
	return hostAdd(start(key), uint32(len(key)), delta, ttlMS)
}

// Delete removes a key from the store.
func Delete(key string) { hostDelete(start(key), uint32(len(key))) }

func start(text string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(text)) }

//go:wasmimport weir:filter/host@1.0.0 log
func hostLog(level uint32, at unsafe.Pointer, length uint32)

//go:wasmimport weir:filter/host@1.0.0 counter
func hostCounter(at unsafe.Pointer, length uint32, add uint64)

//go:wasmimport weir:filter/host@1.0.0 now
func hostNow() int64

//go:wasmimport weir:filter/host@1.0.0 kv-get
func hostGet(at unsafe.Pointer, length uint32, list unsafe.Pointer)

//go:wasmimport weir:filter/host@1.0.0 kv-set
func hostSet(at unsafe.Pointer, length uint32, value unsafe.Pointer, size uint32, ttl uint64)

//go:wasmimport weir:filter/host@1.0.0 kv-add
func hostAdd(at unsafe.Pointer, length uint32, delta int64, ttl uint64) int64

//go:wasmimport weir:filter/host@1.0.0 kv-delete
func hostDelete(at unsafe.Pointer, length uint32)
