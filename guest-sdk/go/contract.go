package weir

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"unsafe"
)

// The functions that Weir calls, as the component model defines them.

// The output of a batch: verdicts and the maps that they refer to.
var verdicts, maps []byte

// Results with several parts are stored here for Weir.
var answer [10]uint32

// Memory for data that Weir passes during a call; reused after the call. Outgrown memory lives until then.
var (
	room     = make([]byte, 0, 64<<10)
	outgrown [][]byte
)

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	from := (len(room) + 15) &^ 15
	if from+int(size) > cap(room) {
		outgrown = append(outgrown, room)
		room = make([]byte, 0, max(2*cap(room), int(size)+16))
		from = 0
	}
	room = room[:from+int(size)]
	at := unsafe.Pointer(unsafe.SliceData(room[from:]))
	if old != nil {
		copy(room[from:], unsafe.Slice((*byte)(old), min(oldSize, size)))
	}
	return at
}

// EndCall releases the data that Weir passed. It must be the last statement of each call.
func EndCall() {
	room = room[:0]
	if len(outgrown) > 0 {
		outgrown = nil
	}
}

func pointer(at unsafe.Pointer) uint32 { return uint32(uintptr(at)) }

// AnswerError is the result of a function that may fail.
func AnswerError(err error) unsafe.Pointer {
	answer[0] = 0
	if err != nil {
		reason = err.Error()
		answer[0], answer[1], answer[2] = 1, pointer(start(reason)), uint32(len(reason))
	}
	return unsafe.Pointer(&answer)
}

// AnswerBytes is the result of a function that returns bytes.
func AnswerBytes(bytes []byte) unsafe.Pointer {
	result = bytes
	answer[0], answer[1] = pointer(unsafe.Pointer(unsafe.SliceData(bytes))), uint32(len(bytes))
	return unsafe.Pointer(&answer)
}

// Keeps what the answer points to alive until Weir has read it.
var (
	reason string
	result []byte
)

//go:wasmexport weir:filter/lifecycle@1.0.0#describe
func describe() unsafe.Pointer {
	// It reads and may change all fields.
	answer = [10]uint32{}
	for i, text := range []string{running.Name, running.Version, running.Description} {
		answer[2*i], answer[2*i+1] = pointer(start(text)), uint32(len(text))
	}
	return unsafe.Pointer(&answer)
}

//go:wasmexport weir:filter/lifecycle@1.0.0#configure
func configure(at unsafe.Pointer, length uint32) unsafe.Pointer {
	err := readOptions(unsafe.Slice((*byte)(at), length))
	EndCall()
	return AnswerError(err)
}

func readOptions(text []byte) error {
	if running.Options == nil {
		running.Options = &struct{}{}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(running.Options); err != nil && err != io.EOF {
		return optionError{strings.TrimPrefix(err.Error(), "json: ")}
	}
	if running.Configure == nil {
		return nil
	}
	return running.Configure()
}

type optionError struct{ reason string }

func (err optionError) Error() string { return err.reason }

//go:wasmexport weir:filter/packed@1.0.0#encoding
func encoding() uint32 { return 0 } // MessagePack

//go:wasmexport weir:filter/packed@1.0.0#process
func process(at unsafe.Pointer, length uint32) unsafe.Pointer {
	verdicts, maps = verdicts[:0], maps[:0]
	batch := unsafe.Slice((*byte)(at), length)
	for len(batch) > 0 {
		current.begin(Value{batch})
		made = 0
		if running.decide() == Fail {
			reason = current.reason
			answer[0], answer[1], answer[2] = 1, pointer(start(reason)), uint32(len(reason))
			EndCall()
			return unsafe.Pointer(&answer)
		}
		batch = skip(batch)
	}
	current.begin(Value{})
	EndCall()
	answer[0] = 0
	answer[1], answer[2] = pointer(unsafe.Pointer(unsafe.SliceData(verdicts))), uint32(len(verdicts))
	answer[3], answer[4] = pointer(unsafe.Pointer(unsafe.SliceData(maps))), uint32(len(maps))
	return unsafe.Pointer(&answer)
}

// decide writes the verdict on the current record.
func (filter *Filter) decide() Verdict {
	verdict := filter.Process(&current)
	switch verdict {
	case Keep:
		if len(current.changes) == 0 {
			verdicts = append(verdicts, 0)
			break
		}
		verdicts = append(verdicts, 2)
		current.write()
	case Drop:
		verdicts = append(verdicts, 1)
	case Replace:
		if made > 0 {
			next.write()
		}
		verdicts = binary.LittleEndian.AppendUint32(append(verdicts, 4), made)
	}
	return verdict
}

// Emit collects the records that a filter with state makes in a tick.
func Emit(say func(out *Record)) []byte {
	maps = maps[:0]
	made = 0
	current.begin(Value{})
	say(&current)
	if made > 0 {
		next.write()
	}
	return maps
}
