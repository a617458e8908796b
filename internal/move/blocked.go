package move

import (
	"context"
	"fmt"
	"time"
)

// guardCapture looks every ten seconds, until the context ends, whether sessions of the application that begin now can run what
// capture has put at the source. Where twice in a row they can not, capture is taken off every table: their writes fail because
// of it (HAZARDS 27).
func (m *Move) guardCapture(ctx context.Context) {
	for seen := false; ; {
		blocked, err := m.blocked(ctx, seen)
		if err != nil && ctx.Err() == nil {
			m.log.Warn("it could not be seen whether capture holds the application up", "error", err)
		}
		pause := 10 * time.Second
		if seen = blocked; seen {
			pause = 2 * time.Second // a file that is being replaced is gone for a moment
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// blocked reports that capture holds sessions up that begin now. Where that was seen before, it is taken off. Again: looks again.
func (m *Move) blocked(ctx context.Context, before bool) (bool, error) {
	source, err := m.source(ctx)
	if err != nil || source.Blocked == nil {
		return false, err
	}
	why, err := source.Blocked(ctx)
	if err != nil || why == "" || !before {
		return why != "", err
	}
	for _, t := range of(m.tables(), Uptime) {
		lost, err := m.lost(ctx, t)
		if err == nil && lost == "" {
			err = m.giveUp(ctx, source, t, fmt.Sprintf("sessions of the application could not write to it any more (%s), so its capture was taken off", why))
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}
