// Package stateful is for filters that remember something between batches. Such a filter has one instance, which sees
// every record.
package stateful

import (
	"unsafe"

	"my-filter/weir"
)

// State says what a filter does about what it remembers.
type State struct {
	// Tick is called about once a second, and with closing once before Weir stops or the filter is taken out. The
	// records that out.Another makes go on to the filters after it.
	Tick func(closing bool, out *weir.Record)
	// Save returns the state, for the version that will replace this one.
	Save func() []byte
	// Restore takes the state that the version before this one saved, before the first record. An error keeps this
	// version from being used.
	Restore func(state []byte) error
}

var kept State

// Keep gives Weir the functions. Call it from init, beside weir.Run.
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
