package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/example/microservices/internal/catalog"
)

// host is the only address on which the services listen: development services must not be
// reachable from the network.
const host = "127.0.0.1"

// check finds problems before the services start and log them. Its errors are one line, and
// name the variable to change.
func (s settings) check(ctx context.Context) error {
	for _, service := range s.services {
		err := checkPort(ctx, service.Name, s.ports[service.Name], portVariable(service))
		if err != nil {
			return err
		}
	}
	return s.checkData()
}

func checkPort(ctx context.Context, service string, port int, variable string) error {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s can't listen on %s: %w; choose another port: make run %s=%d",
			service, address, reason(err), variable, port%65000+100)
	}
	return listener.Close()
}

// checkData creates the data folder if missing, and checks that it is writable.
func (s settings) checkData() error {
	explain := func(err error) error {
		return fmt.Errorf("can't write to the data folder %s: %w; choose another: make run DATA_DIR=/path/to/folder", s.dataDir, reason(err))
	}
	err := os.MkdirAll(s.dataDir, 0o750)
	if err != nil {
		return explain(err)
	}
	probe, err := os.CreateTemp(s.dataDir, ".writable-")
	if err != nil {
		return explain(err)
	}
	err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	if err != nil {
		return explain(err)
	}
	for _, service := range catalog.Names(s.services) {
		if s.elsewhere[service] {
			continue
		}
		file, err := os.OpenFile(s.database(service), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("can't write to the database %s: %w; choose another folder: make run DATA_DIR=/path/to/folder",
				s.database(service), reason(err))
		}
		file.Close()
	}
	return nil
}

// database returns the path of a service's database file.
func (s settings) database(service string) string {
	return filepath.Join(s.dataDir, service+".db")
}

// reason returns the innermost error, such as "address already in use", without operation
// and path, which the message already has.
func reason(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}
