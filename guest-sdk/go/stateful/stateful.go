// Package stateful is for filters that keep state between batches. Such a filter has one instance, which sees every
// record.
package stateful

import (
	"unsafe"

	"my-filter/weir"
)

// State has the functions of a filter with state.
type State struct {
	// Tick is called about once a second, and a last time, with closing, before Weir stops or the filter is removed.
	// Records made with out.Another go on to the next filters.
	Tick func(closing bool, out *weir.Record)
	// Save returns the state for the next version of the filter.
	Save func() []byte
	// Restore is called before the first record with the state that the previous version saved. If it returns an error,
	// this version is not used.
	Restore func(state []byte) error
}

var kept State

// Keep registers the functions. Call it from init, next to weir.Run.
func Keep(state State) { kept = state }

//go:wasmexport weir:filter/packed-state@1.0.0#tick
func tick(closing uint32) unsafe.Pointer {
	records := weir.Emit(func(out *weir.Record) { kept.Tick(closing != 0, out) })
	weir.EndCall()
	return weir.AnswerBytes(records)
}

//go:wasmexport weir:filter/packed-state@1.0.0#save
func save() unsafe.Pointer {
	state := kept.Save()
	weir.EndCall()
	return weir.AnswerBytes(state)
}

//go:wasmexport weir:filter/packed-state@1.0.0#restore
func restore(at unsafe.Pointer, length uint32) unsafe.Pointer {
	err := kept.Restore(append([]byte(nil), unsafe.Slice((*byte)(at), length)...))
	weir.EndCall()
	return weir.AnswerError(err)
}
