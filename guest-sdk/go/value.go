package weir

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Value is a value in a record. The zero Value means that there is no value. Weir passes only complete and valid
// records, so nothing is checked again.
type Value struct{ bytes []byte }

// Kind is the type of a value.
type Kind uint8

// The types of values.
const (
	Nothing Kind = iota
	Null
	Boolean
	Integer
	Float
	Text
	Binary
	List
	Map
	Extension
)

// Exists reports whether there is a value.
func (value Value) Exists() bool { return len(value.bytes) > 0 }

// Kind returns the type of the value.
func (value Value) Kind() Kind {
	if !value.Exists() {
		return Nothing
	}
	switch head := value.bytes[0]; {
	case head < 0x80 || head >= 0xe0 || head >= 0xcc && head <= 0xd3:
		return Integer
	case head < 0x90 || head >= 0xde:
		return Map
	case head < 0xa0 || head >= 0xdc:
		return List
	case head < 0xc0 || head >= 0xd9:
		return Text
	case head == 0xc0:
		return Null
	case head <= 0xc3:
		return Boolean
	case head <= 0xc6:
		return Binary
	case head == 0xca || head == 0xcb:
		return Float
	default:
		return Extension
	}
}

// Bool returns the boolean; false for other types.
func (value Value) Bool() bool { return value.Exists() && value.bytes[0] == 0xc3 }

// Int returns the integer, or the greatest int64 if it is greater; zero for other types.
func (value Value) Int() int64 {
	if !value.Exists() {
		return 0
	}
	head, rest := value.bytes[0], value.bytes[1:]
	if head < 0x80 || head >= 0xe0 {
		return int64(int8(head))
	}
	switch head {
	case 0xcc:
		return int64(rest[0])
	case 0xcd:
		return int64(binary.BigEndian.Uint16(rest))
	case 0xce:
		return int64(binary.BigEndian.Uint32(rest))
	case 0xcf:
		return int64(min(binary.BigEndian.Uint64(rest), math.MaxInt64))
	case 0xd0:
		return int64(int8(rest[0]))
	case 0xd1:
		return int64(int16(binary.BigEndian.Uint16(rest)))
	case 0xd2:
		return int64(int32(binary.BigEndian.Uint32(rest)))
	case 0xd3:
		return int64(binary.BigEndian.Uint64(rest))
	}
	return 0
}

// Float returns the number, whether integer or float; zero for other types.
func (value Value) Float() float64 {
	if !value.Exists() {
		return 0
	}
	switch rest := value.bytes[1:]; value.bytes[0] {
	case 0xca:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(rest)))
	case 0xcb:
		return math.Float64frombits(binary.BigEndian.Uint64(rest))
	case 0xcf:
		return float64(binary.BigEndian.Uint64(rest))
	}
	return float64(value.Int())
}

// Text returns the string or bytes without copying; empty for other types. It is valid until Process returns.
func (value Value) Text() string {
	text, _ := text(value.bytes)
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// String returns a copy of the string.
func (value Value) String() string {
	text, _ := text(value.bytes)
	return string(text)
}

// Len returns the number of values in a list or map.
func (value Value) Len() int {
	_, count, _ := items(value.bytes)
	return count
}

// Get returns the value at a path below this one.
func (value Value) Get(path string) Value {
	at := value.bytes
	for len(at) > 0 {
		key, rest, more := cut(path)
		at = step(at, key)
		if !more {
			break
		}
		path = rest
	}
	return Value{at}
}

// All iterates over a map, or over a list with empty keys: for key, item := range value.All.
func (value Value) All(yield func(key string, item Value) bool) {
	at, count, isMap := items(value.bytes)
	for ; count > 0; count-- {
		key := ""
		if isMap {
			key = Value{at}.Text()
			at = skip(at)
		}
		if !yield(key, Value{at}) {
			return
		}
		at = skip(at)
	}
}

// whole returns the bytes of the value alone.
func (value Value) whole() []byte { return value.bytes[:len(value.bytes)-len(skip(value.bytes))] }

// cut splits the first key off a path.
func cut(path string) (key, rest string, more bool) {
	for i := 0; i < len(path); i++ {
		if path[i] == '.' {
			return path[:i], path[i+1:], true
		}
		if path[i] == '\\' {
			i++
		}
	}
	return path, "", false
}

// isKey reports whether a key is equal to one in a path.
func isKey(key []byte, written string) bool {
	if string(key) == written {
		return true
	}
	if len(key) >= len(written) {
		return false
	}
	i := 0
	for at := 0; at < len(written); at++ {
		if written[at] == '\\' && at+1 < len(written) {
			at++
		}
		if i == len(key) || key[i] != written[at] {
			return false
		}
		i++
	}
	return i == len(key)
}

// step returns the value that a key selects in a map or list, if any.
func step(value []byte, key string) []byte {
	at, count, isMap := items(value)
	if !isMap {
		index := 0
		for _, digit := range []byte(key) {
			if digit < '0' || digit > '9' || index > count {
				return nil
			}
			index = index*10 + int(digit-'0')
		}
		if index >= count || key == "" {
			return nil
		}
		for ; index > 0; index-- {
			at = skip(at)
		}
		return at
	}
	for ; count > 0; count-- {
		found, after := text(at)
		if isKey(found, key) {
			return after
		}
		at = skip(after)
	}
	return nil
}

// text returns a string or bytes, and the rest.
func text(value []byte) (text, after []byte) {
	if len(value) == 0 {
		return nil, nil
	}
	head, length, from := value[0], 0, 0
	switch {
	case head >= 0xa0 && head < 0xc0:
		length, from = int(head&31), 1
	case head == 0xd9 || head == 0xc4:
		length, from = int(value[1]), 2
	case head == 0xda || head == 0xc5:
		length, from = int(binary.BigEndian.Uint16(value[1:])), 3
	case head == 0xdb || head == 0xc6:
		length, from = int(binary.BigEndian.Uint32(value[1:])), 5
	}
	return value[from : from+length], value[from+length:]
}

// items returns the start of the items of a list or map, and their number.
func items(value []byte) (at []byte, count int, isMap bool) {
	if len(value) == 0 {
		return nil, 0, false
	}
	switch head := value[0]; {
	case head >= 0x80 && head < 0x90:
		return value[1:], int(head & 15), true
	case head >= 0x90 && head < 0xa0:
		return value[1:], int(head & 15), false
	case head == 0xdc:
		return value[3:], int(binary.BigEndian.Uint16(value[1:])), false
	case head == 0xdd:
		return value[5:], int(binary.BigEndian.Uint32(value[1:])), false
	case head == 0xde:
		return value[3:], int(binary.BigEndian.Uint16(value[1:])), true
	case head == 0xdf:
		return value[5:], int(binary.BigEndian.Uint32(value[1:])), true
	}
	return nil, 0, false
}

// skip returns what follows a value.
func skip(at []byte) []byte {
	i := 0
	for left := 1; left > 0; left-- {
		head := at[i]
		i++
		switch {
		case head < 0x80 || head >= 0xe0:
		case head >= 0xa0 && head < 0xc0:
			i += int(head & 31)
		case head < 0x90:
			left += 2 * int(head&15)
		case head < 0xa0:
			left += int(head & 15)
		default:
			size, more := skipLong(head, at[i:])
			i += size
			left += more
		}
	}
	return at[i:]
}

// skipLong handles headers that are followed by a length or a number: it returns the bytes and then the values to skip.
func skipLong(head byte, at []byte) (size, more int) {
	switch head {
	case 0xc4, 0xd9:
		return 1 + int(at[0]), 0
	case 0xc5, 0xda:
		return 2 + int(binary.BigEndian.Uint16(at)), 0
	case 0xc6, 0xdb:
		return 4 + int(binary.BigEndian.Uint32(at)), 0
	case 0xc7:
		return 2 + int(at[0]), 0
	case 0xc8:
		return 3 + int(binary.BigEndian.Uint16(at)), 0
	case 0xc9:
		return 5 + int(binary.BigEndian.Uint32(at)), 0
	case 0xcc, 0xd0:
		return 1, 0
	case 0xcd, 0xd1, 0xd4:
		return 2, 0
	case 0xd5:
		return 3, 0
	case 0xca, 0xce, 0xd2:
		return 4, 0
	case 0xd6:
		return 5, 0
	case 0xcb, 0xcf, 0xd3:
		return 8, 0
	case 0xd7:
		return 9, 0
	case 0xd8:
		return 17, 0
	case 0xdc:
		return 2, int(binary.BigEndian.Uint16(at))
	case 0xdd:
		return 4, int(binary.BigEndian.Uint32(at))
	case 0xde:
		return 2, 2 * int(binary.BigEndian.Uint16(at))
	case 0xdf:
		return 4, 2 * int(binary.BigEndian.Uint32(at))
	}
	return 0, 0
}
