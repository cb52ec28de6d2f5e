package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// starvedFor is how old the last beat of a stack may be that waits for a processor, until it counts as frozen.
const starvedFor = 500 * time.Millisecond

// excused says of a partner that is silent on XCF that it is so because it does not get a processor: its beat stands, as
// that of a frozen one, but it would run. On a machine with too much to do it would be wrong to believe that it has failed.
func (s *stack) excused(m contract.Member) bool {
	if s.peers == nil {
		return false // nothing tells
	}
	peers, err := s.peers()
	if err != nil {
		return false
	}
	for _, p := range peers {
		if p.XCF == m.XCF && p.Incarnation == m.Incarnation {
			return p.Alive && p.Beats && p.Age > stillAfter && starved(p.PID)
		}
	}
	return false
}

// starved says whether a thread of the process runs or waits for a processor (state R, proc_pid_stat(5)). A process
// that is not in /proc is not.
func starved(pid int) bool {
	// Not a pattern of the files, for which the directory of each thread would be listed too: that is most of the time.
	tasks := fmt.Sprintf("/proc/%d/task", pid)
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return false
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(filepath.Join(tasks, thread.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		// The state follows the name, which may have anything in it.
		if _, state, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" ")); ok && bytes.HasPrefix(state, []byte("R")) {
			return true
		}
	}
	return false
}
