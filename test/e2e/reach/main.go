// Command reach tests which URLs network policies allow from where it runs:
//
//	reach          answers every request on port 8080, until it is stopped
//	reach URL...   requests each URL and prints a line, URL and result: the answer's status,
//	               "no connection" if it can't connect, or another error
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// timeout is long enough to retransmit a lost SYN: policies drop packets instead of rejecting
// them.
const timeout = 4 * time.Second

func main() {
	if len(os.Args) == 1 {
		// Answers 200 without a body to everything.
		server := &http.Server{Addr: ":8080", ReadHeaderTimeout: timeout, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
		fmt.Fprintln(os.Stderr, "reach:", server.ListenAndServe())
		os.Exit(1)
	}
	var wg sync.WaitGroup
	lines := make([]string, len(os.Args)-1)
	for i, url := range os.Args[1:] {
		wg.Go(func() { lines[i] = url + " " + result(url) })
	}
	wg.Wait()
	for _, line := range lines {
		fmt.Println(line)
	}
}

// result returns the result of a request for a URL.
func result(url string) string {
	client := &http.Client{Timeout: 2 * timeout, Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: timeout}).DialContext}}
	response, err := client.Get(url)
	if err != nil {
		var unresolved *net.DNSError
		var failed *net.OpError
		// A name that can't be resolved says nothing about the host.
		if errors.As(err, &failed) && failed.Op == "dial" && !errors.As(err, &unresolved) {
			return "no connection"
		}
		return err.Error()
	}
	err = response.Body.Close()
	if err != nil {
		return err.Error()
	}
	return response.Status
}
