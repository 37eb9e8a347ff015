// Command pause runs in a pod's sandbox: it keeps the pod's namespaces open until it is
// stopped.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
}
