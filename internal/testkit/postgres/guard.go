package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// guardScript waits on its standard input. A line means that [Server.Stop] has cleaned
// up. The end of the input without a line means that the process that started the server
// has died: then the guard stops the server and removes the folder. It watches
// postmaster.pid and not the process, because a zombie that nobody reaps would look alive
// for ever.
const guardScript = `
if read -r _; then exit 0; fi
pidfile="$1/data/postmaster.pid"
if [ -e "$pidfile" ]; then
	pid=$(head -n 1 "$pidfile")
	kill -INT "$pid"
	tries=0
	while [ -e "$pidfile" ] && [ "$tries" -lt 100 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
	if [ -e "$pidfile" ]; then kill -KILL "$pid"; fi
fi
rm -rf "$1"
`

// guard is a shell that outlives this process to clean up after it. The kernel closes our
// end of its pipe whatever kills us, SIGKILL included, on every Unix. A parent-death
// signal would work on Linux only, and depend on one thread.
type guard struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// newGuard starts a guard for the server in dir.
func newGuard(dir string, who *syscall.Credential) (*guard, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", guardScript, "guard", dir)
	cmd.Dir = "/"
	cmd.Stdin = read
	// Its own session, so that Ctrl-C in the terminal doesn't reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setsid: true}
	err = cmd.Start()
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	return &guard{cmd: cmd, pipe: write}, nil
}

// dismiss tells the guard that there is nothing to clean up, and waits for it.
func (g *guard) dismiss() error {
	_, err := g.pipe.WriteString("done\n")
	closeErr := g.pipe.Close()
	waitErr := g.cmd.Wait()
	err = errors.Join(err, closeErr, waitErr)
	if err != nil {
		return fmt.Errorf("dismiss the guard: %w", err)
	}
	return nil
}
