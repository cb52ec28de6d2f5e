package home

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

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

// watch calls changed with the index of every interface of running that comes up or goes down, until the
// watcher is closed; running says which are up at first. Where changes come too fast to be heard, every
// interface counts as one that came up.
func (w *watcher) watch(running map[int]bool, changed func(index int, up bool)) {
	for {
		messages, err := w.conn.Receive()
		if errors.Is(err, unix.ENOBUFS) {
			for index := range running {
				running[index] = true
				changed(index, true)
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
			was, known := running[index]
			is := binary.NativeEndian.Uint32(m.Data[8:])&unix.IFF_RUNNING != 0
			if known && is != was {
				running[index] = is
				changed(index, is)
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
	outside := slices.Contains(slices.Collect(maps.Values(running)), true)
	if !outside && h.outsideChanged != nil {
		h.outsideChanged(false)
	}
	go h.watcher.watch(running, func(_ int, up bool) {
		if up {
			h.advertiseAnew()
		}
		now := slices.Contains(slices.Collect(maps.Values(running)), true)
		if now != outside && h.outsideChanged != nil {
			outside = now
			h.outsideChanged(now)
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
