// Connects with net.Dialer's timeout of 2 s.
package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	if _, err := dialer.Dial("tcp", os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
