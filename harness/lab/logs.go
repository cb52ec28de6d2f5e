package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// Logs opens a log: that of an application on a node; where application is empty, that of
// the stack, or of the routing daemon of a router; where node is empty too, the supervisor's. With follow the reader waits at the
// end for more, until the context or the lab ends, which is then its io.EOF. The caller closes it.
func (l *Lab) Logs(ctx context.Context, node, application string, follow bool) (io.ReadCloser, error) {
	file, err := l.askFile(ctx, wire.Request{Operation: wire.OperationLog, Node: node, Application: application})
	if err != nil || !follow {
		return file, err
	}
	followed, err := l.follow(ctx, file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("follow log: %w", err)
	}
	return followed, nil
}

// followed is a file that is read as it grows.
type followed struct {
	file    *os.File
	changes *os.File // inotify
	close   func()
}

// follow watches a file.
func (l *Lab) follow(ctx context.Context, file *os.File) (*followed, error) {
	descriptor, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("create inotify instance: %w", err)
	}
	f := &followed{file: file, changes: os.NewFile(uintptr(descriptor), "inotify")}
	path := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	if _, err := unix.InotifyAddWatch(descriptor, path, unix.IN_MODIFY); err != nil {
		f.changes.Close()
		return nil, fmt.Errorf("watch: %w", err)
	}
	// Closing it is what wakes a reader.
	closed := make(chan struct{})
	f.close = sync.OnceFunc(func() { close(closed); f.changes.Close() })
	go func() {
		select {
		case <-ctx.Done():
		case <-l.ended:
		case <-closed:
		}
		f.close()
	}()
	return f, nil
}

// Read reads what is there, or waits for more.
func (f *followed) Read(into []byte) (int, error) {
	events := make([]byte, 4096)
	for {
		read, err := f.file.Read(into)
		if read > 0 || !errors.Is(err, io.EOF) {
			return read, err
		}
		if _, err := f.changes.Read(events); err != nil {
			// What was written last comes before the end.
			return f.file.Read(into)
		}
	}
}

// Close ends the reading.
func (f *followed) Close() error {
	f.close()
	return f.file.Close()
}
