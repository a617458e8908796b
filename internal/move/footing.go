package move

import (
	"context"
	"errors"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
)

// footing is what the configuration said when the move made its first table or its shadow: by it a reset finds what is the move's. By
// another one it would leave that behind, and take away what is somebody else's.
type footing struct {
	Rules  string // of the release
	Schema string // of the target
	At     driver.Side
	Place  string // of the shadow, empty where there is none
	Lock   Lock
}

const footingKey = "footing"

func (m *Move) footing() (f footing, err error) {
	f = footing{Rules: m.config.New.Digest(), Schema: m.config.Target.Schema}
	if m.config.New.Shadowed() {
		f.At, f.Lock = m.config.Shadow.At, m.config.Shadow.Lock
		f.Place, err = m.config.place()
	}
	return f, err
}

// keepFooting notes it before anything is made. Again: does nothing.
func (m *Move) keepFooting(ctx context.Context) error {
	f, err := m.footing()
	if err != nil {
		return err
	}
	return m.state.SetDocument(ctx, footingKey, f)
}

// sameFooting refuses to go on, or to take back, by another configuration than the one by which tables and shadow were made.
func (m *Move) sameFooting(ctx context.Context) error {
	var was footing
	there, err := m.state.Document(ctx, footingKey, &was)
	if err != nil || !there || m.engine.Position().Procedure == "" || !m.engine.Position().Ended.IsZero() {
		return err
	}
	if was.Rules != "" && m.config.New == nil {
		return errors.New("this move is one to a new release, and the configuration names none any more; put release: back as it was, then go on or reset the move")
	}
	is, err := m.footing()
	switch {
	case err != nil || is == was:
		return err
	case is.Rules != was.Rules:
		return errors.New("the release's rules are not those that this move began with; put them back as they were, then go on, or reset the move before they are changed")
	case is.Schema != was.Schema:
		return fmt.Errorf("target.schema was %q when this move made its tables, and is %q; put it back, then go on or reset the move", was.Schema, is.Schema)
	}
	return fmt.Errorf("the shadow of this move is %s, and by the configuration and the release's name, repository and build it is %s; put them back as they were, then go on or reset the move",
		was.shadow(), is.shadow())
}

func (f footing) shadow() string {
	if f.Place == "" {
		return "nowhere"
	}
	return fmt.Sprintf("%s at the %s with the lock %s", f.Place, f.At, f.Lock)
}
