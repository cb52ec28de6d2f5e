package sockets

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call32 makes a system call the way that 32-bit programs do, by the interrupt 0x80. A kernel
// without CONFIG_IA32_EMULATION ends the process for it.
func call32() error {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	const resultAt = 64 // in the page, behind the code
	code := append(page[:0],
		0x53,       // push rbx
		0x48, 0xbb, // mov rbx, address of the result
	)
	code = binary.LittleEndian.AppendUint64(code, uint64(uintptr(unsafe.Pointer(&page[resultAt]))))
	_ = append(code,
		0xb8, 20, 0, 0, 0, // mov eax, 20: getpid of 32-bit programs
		0xcd, 0x80, // int 0x80
		0x89, 0x03, // mov [rbx], eax
		0x5b, // pop rbx
		0xc3, // ret
	)
	entry := &page[0]
	closure := &entry // a func is a pointer to a pointer to its code
	(*(*func())(unsafe.Pointer(&closure)))()
	if result := int32(binary.LittleEndian.Uint32(page[resultAt:])); result < 0 {
		return unix.Errno(-result)
	}
	return nil
}
