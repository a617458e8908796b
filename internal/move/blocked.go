package move

import (
	"context"
	"fmt"
	"time"

	"github.com/whimbrel/whimbrel/internal/procedure"
)

// guardCapture looks every ten seconds, until the context ends, whether sessions of the application that begin now can run what
// capture has put at the source. Where they can not for some seconds, capture is taken off every table: their writes fail because
// of it (HAZARDS 27), unless the driver can mend that. Once the source is shut nobody writes.
func (m *Move) guardCapture(ctx context.Context) {
	for seen := 0; ; {
		blocked, err := m.blocked(ctx, seen)
		if err != nil && ctx.Err() == nil {
			m.log.Warn("looking whether capture holds the application up has failed", "error", err)
		}
		seen++
		pause := 2 * time.Second
		if !blocked {
			seen, pause = 0, 10*time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// convinced is how many looks in a row, two seconds apart, must see the same: a file that is being replaced is gone for a moment.
const convinced = 4

// blocked reports that capture holds sessions up that begin now. Where that was seen so often before, it is taken off. Again: looks again.
func (m *Move) blocked(ctx context.Context, before int) (bool, error) {
	if at, _ := m.engine.Position().At("shut-source"); at.State != procedure.NotBegun {
		return false, nil
	}
	source, err := m.source(ctx)
	if err != nil || source.Blocked == nil {
		return false, err
	}
	why, err := source.Blocked(ctx)
	if err != nil || why == "" || before < convinced-1 {
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
