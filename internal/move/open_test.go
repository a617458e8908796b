package move

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// slowGuard opens a table when so many others are being opened at the same time, as if each waited for somebody who gives way later.
type slowGuard struct {
	driver.Guard
	together int
	mu       sync.Mutex
	opened   []string
	waiting  int
	all      chan struct{}
}

func (g *slowGuard) Open(ctx context.Context, t *schema.Table) error {
	g.mu.Lock()
	g.opened = append(g.opened, t.Name.Name)
	if g.waiting++; g.waiting == g.together {
		close(g.all)
	}
	g.mu.Unlock()
	select {
	case <-g.all:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Who has the target's housekeeping leave does not keep a move from being closed.
func TestClosingWaitsForNoHousekeeping(t *testing.T) {
	began := make(chan struct{}, 1)
	slow := &driver.Database{Vacate: func(ctx context.Context, _ *schema.Table) error {
		began <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	m := &Move{}
	ctx := m.vacating.begin(t.Context())
	m.vacating.Go(func() { _ = slow.Vacate(ctx, nil) })
	<-began
	done := make(chan error)
	go func() { done <- m.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("closing waits for the target's housekeeping")
	}
}

// Tables that are each waited for are waited for together; the smallest is opened behind the others.
func TestTablesAreOpenedTogether(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	g := &slowGuard{together: openAtOnce, all: make(chan struct{})}
	var tables []*table
	for name, rows := range map[string]int64{"a": 7, "b": 1, "c": 9, "d": 8} {
		tables = append(tables, &table{name: name, target: &schema.Table{Name: schema.Name{Name: name}}, rows: rows})
	}
	if err := (&Move{}).openTables(ctx, &driver.Database{Guard: g}, tables); err != nil {
		t.Fatal(err)
	}
	if len(g.opened) != len(tables) || g.opened[len(tables)-1] != "b" {
		t.Errorf("opened in the order %q", g.opened)
	}
}
