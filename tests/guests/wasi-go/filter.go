// Checks the WASI environment as a Go program sees it; a record passes if everything is as expected.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"mask/weir"
)

func init() {
	weir.Run(weir.Filter{Name: "wasi", Version: "1.0.0", Description: "looks at the world", Process: process})
}

func process(record *weir.Record) weir.Verdict {
	if record.Message() == "panic" {
		panic("on purpose")
	}
	if wrong := look(); wrong != "" {
		return record.Fail(wrong)
	}
	record.Set("as_it_should_be", true)
	return weir.Keep
}

func look() string {
	now := weir.Now()
	if mine := time.Now().UnixNano(); mine < now || mine-now > int64(time.Minute) {
		return fmt.Sprintf("the time is %d here and %d in weir", mine, now)
	}
	before := time.Now()
	time.Sleep(250 * time.Millisecond)
	if slept := time.Since(before); slept < 250*time.Millisecond {
		return fmt.Sprintf("slept only %v", slept)
	}
	if len(os.Args) > 1 || len(os.Environ()) > 0 {
		return fmt.Sprintf("it has arguments %v or an environment %v", os.Args, os.Environ())
	}
	if _, err := os.ReadFile("/etc/passwd"); err == nil {
		return "it reads files"
	}
	if err := os.WriteFile("here", nil, 0o600); err == nil {
		return "it writes files"
	}
	if in, err := io.ReadAll(os.Stdin); err != nil || len(in) > 0 {
		return fmt.Sprintf("standard input is %v, %v", in, err)
	}
	var once, twice [32]byte
	rand.Read(once[:])
	rand.Read(twice[:])
	if once == twice || once == [32]byte{} {
		return "chance is no chance"
	}
	done := make(chan int)
	go func() { done <- 1 }()
	<-done
	runtime.GC()
	fmt.Println("printed in Go")
	fmt.Fprintln(os.Stderr, "an error in Go")
	return ""
}

func main() {}
