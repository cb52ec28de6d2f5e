package sockets

import (
	"context"
	"log/slog"
	"strings"
)

// overflowHandler is a log that tells of overflows.
type overflowHandler struct {
	slog.Handler
	overflowed chan<- struct{}
}

func (h overflowHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h overflowHandler) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "overflowed") {
		select {
		case h.overflowed <- struct{}{}:
		default:
		}
	}
	return nil
}
