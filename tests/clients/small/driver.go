// Logs with weir.go as it is told on standard input; tests/e2e/small_clients/driver.rs describes how.
//
//	driver URL CAPACITY TIMEOUT_S DEADLINE_S
package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"example.com/shop/weir"
)

func number(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return number
}

func main() {
	handler := weir.New(weir.Options{
		URL:      os.Args[1],
		Source:   "driver",
		Capacity: number(os.Args[2]),
		Timeout:  time.Duration(number(os.Args[3])) * time.Second,
		Deadline: time.Duration(number(os.Args[4])) * time.Second,
	})
	log := slog.New(handler)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		for at := range number(words[2]) {
			log.Info("record", "id", fmt.Sprintf("%s-%d", words[1], at))
		}
		fmt.Println("lost", handler.Lost())
	}
	handler.Close()
	fmt.Println("lost", handler.Lost())
}
