// Masks e-mail addresses in `context`, drops DEBUG, counts what it masked.
package main

import "my-filter/weir"

// The options, with their defaults.
var options = struct {
	// Mask replaces an address.
	Mask string `json:"mask"`
}{
	Mask: "********",
}

func init() {
	weir.Run(weir.Filter{
		Name:        "my-filter",
		Version:     "0.1.0",
		Description: "masks e-mail addresses, drops DEBUG",
		Options:     &options,
		Process:     process,
	})
}

func process(record *weir.Record) weir.Verdict {
	if record.Level() <= weir.Debug {
		return weir.Drop
	}
	if record.Has("context.email") {
		record.Set("context.email", options.Mask)
		weir.Count("masked", 1)
	}
	return weir.Keep
}

func main() {}
