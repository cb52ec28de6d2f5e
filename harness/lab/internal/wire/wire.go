// Package wire is what a lab's clients and its supervisor say to each other: JSON messages
// over a Unix socket, with open files beside them.
//
// A message is its length, four bytes with the highest first, and that many bytes of JSON;
// files travel with the first byte. A connection carries one request and its answer. The
// request that runs a process keeps its connection as long as the process lives.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Version is the version of the protocol. Both sides refuse another one.
const Version = 1

// Limits of a message.
const (
	maxMessage = 64 << 20 // a plan of 128 stacks is below one megabyte
	maxFiles   = 8
)

// Send sends a value and files. The files stay the caller's.
func Send(conn *net.UnixConn, value any, files ...*os.File) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("message of %d bytes is longer than %d", len(body), maxMessage)
	}
	message := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	rights, err := rightsOf(files)
	if err != nil {
		return err
	}
	sent, _, err := conn.WriteMsgUnix(message, rights, nil)
	if err == nil && sent < len(message) {
		_, err = conn.Write(message[sent:])
	}
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// rightsOf makes a control message of files. It leaves their blocking mode alone, which
// File.Fd would not, and which both sides share.
func rightsOf(files []*os.File) ([]byte, error) {
	var descriptors []int
	for _, file := range files {
		raw, err := file.SyscallConn()
		if err == nil {
			err = raw.Control(func(descriptor uintptr) { descriptors = append(descriptors, int(descriptor)) })
		}
		if err != nil {
			return nil, fmt.Errorf("send file %s: %w", file.Name(), err)
		}
	}
	if len(descriptors) == 0 {
		return nil, nil
	}
	return unix.UnixRights(descriptors...), nil
}

// Receive receives a value and the files that come with it, which are then the caller's, also
// on an error of the value's form. At the end of the stream it returns io.EOF.
func Receive(conn *net.UnixConn, value any) ([]*os.File, error) {
	header := make([]byte, 4)
	space := make([]byte, unix.CmsgSpace(4*maxFiles))
	read, control, flags, _, err := conn.ReadMsgUnix(header, space)
	if err != nil {
		return nil, fmt.Errorf("receive message: %w", err)
	}
	if read == 0 {
		return nil, io.EOF
	}
	files, err := filesOf(space[:control])
	if err != nil {
		return nil, err
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return files, errors.New("receive message: more files than a message may carry, or no descriptors left")
	}
	if err := readRest(conn, header[read:]); err != nil {
		return files, err
	}
	length := binary.BigEndian.Uint32(header)
	if length > maxMessage {
		return files, fmt.Errorf("message of %d bytes is longer than %d", length, maxMessage)
	}
	body := make([]byte, length)
	if err := readRest(conn, body); err != nil {
		return files, err
	}
	if err := json.Unmarshal(body, value); err != nil {
		return files, fmt.Errorf("decode message: %w", err)
	}
	return files, nil
}

// readRest fills in what belongs to a message that has begun.
func readRest(conn *net.UnixConn, into []byte) error {
	_, err := io.ReadFull(conn, into)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("receive message: %w", err)
	}
	return nil
}

// filesOf turns the descriptors of control messages into files.
func filesOf(control []byte) ([]*os.File, error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("receive files: %w", err)
	}
	var files []*os.File
	for _, message := range messages {
		descriptors, err := unix.ParseUnixRights(&message)
		if err != nil {
			return files, fmt.Errorf("receive files: %w", err)
		}
		for _, descriptor := range descriptors {
			files = append(files, os.NewFile(uintptr(descriptor), "received"))
		}
	}
	return files, nil
}

// CloseAll closes files; nil ones are left out.
func CloseAll(files []*os.File) {
	for _, file := range files {
		if file != nil {
			file.Close()
		}
	}
}
