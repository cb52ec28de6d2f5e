package home

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A watcher hears of every change of an interface.
type watcher struct{ conn *netlink.Conn }

func newWatcher() (*watcher, error) {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, fmt.Errorf("open route netlink socket: %w", err)
	}
	if err := conn.JoinGroup(unix.RTNLGRP_LINK); err != nil {
		conn.Close()
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	return &watcher{conn}, nil
}

func (w *watcher) Close() error { return w.conn.Close() }

// watch calls up with the index of every interface that comes up, until the watcher is closed; running
// says which are up at first. Where changes come too fast to be heard, up is called for every interface
// that running knows.
func (w *watcher) watch(running map[int]bool, up func(index int)) {
	for {
		messages, err := w.conn.Receive()
		if errors.Is(err, unix.ENOBUFS) {
			for index := range running {
				up(index)
			}
			continue
		}
		if err != nil {
			return
		}
		for _, m := range messages {
			const header = 16 // struct ifinfomsg
			if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < header {
				continue
			}
			index := int(binary.NativeEndian.Uint32(m.Data[4:]))
			was := running[index]
			running[index] = binary.NativeEndian.Uint32(m.Data[8:])&unix.IFF_RUNNING != 0
			if !was && running[index] {
				up(index)
			}
		}
	}
}

// watch tells the network anew of what is advertised whenever an outside interface comes up:
// neighbours have missed what was announced meanwhile, and the kernel has forgotten whom to answer for.
func (h *Home) watch() error {
	if len(h.outside) == 0 {
		return nil
	}
	var err error
	if h.watcher, err = newWatcher(); err != nil {
		return err
	}
	running := make(map[int]bool)
	for _, a := range h.outside {
		link, err := h.nl.LinkByIndex(a.index)
		if err != nil {
			return fmt.Errorf("find outside interface %q: %w", a.name, err)
		}
		running[a.index] = link.Attrs().RawFlags&unix.IFF_RUNNING != 0
	}
	go h.watcher.watch(running, func(index int) {
		for _, a := range h.outside {
			if a.index == index {
				h.advertiseAnew()
			}
		}
	})
	return nil
}

func (h *Home) advertiseAnew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for dvipa := range h.advertised {
		if err := h.advertise(dvipa); err != nil {
			h.log.Error("not advertised anew", "dvipa", dvipa, "error", err)
		}
	}
}
