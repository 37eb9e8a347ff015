// Command reach shows what can be reached from where it runs, which network
// policies decide:
//
//	reach          answers every request on port 8080, until it's ended
//	reach URL...   asks for each and prints a line, URL and result: the answer's status,
//	               "no connection" if nothing is there or lets it through, or what else failed
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

// timeout is more than a second try for a connection takes, should the first be
// lost: policies drop rather than refuse.
const timeout = 4 * time.Second

func main() {
	if len(os.Args) == 1 {
		// Every pattern's answer is 200 without a body.
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

// result is what a request for the URL comes to.
func result(url string) string {
	client := &http.Client{Timeout: 2 * timeout, Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: timeout}).DialContext}}
	response, err := client.Get(url)
	if err != nil {
		var unresolved *net.DNSError
		var failed *net.OpError
		// A name that isn't resolved says nothing of what is behind it.
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
