package cf

import (
	"errors"
	"runtime"
	"runtime/debug"
	"unsafe"
)

// A page of a mapped file that is not there any more (truncated), or that has no room (a hole on a
// full file system), ends the process with SIGBUS unless the goroutine asked for a panic
// instead.

var errFault = errors.New("part of it is not there any more")

// memory is a mapped file.
type memory []byte

// safely runs f, which touches the memory, and returns errFault if a page was not there.
func (m memory) safely(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case interface {
			runtime.Error
			Addr() uintptr
		}:
			at := fault.Addr()
			if begin := uintptr(unsafe.Pointer(&m[0])); at < begin || at-begin >= uintptr(len(m)) {
				panic(fault)
			}
			err = errFault
		default:
			panic(fault)
		}
	}()
	return f()
}
