package drivertest

import (
	"context"
	"database/sql"
	"net/url"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// faultyRelease wraps the roles that build a release beside the running system.
func faultyRelease(w *driver.Database, d *driver.Database, h hook) {
	wrap[driver.Shadows](&w.Shadows, faultyShadows{d.Shadows, h})
	wrap[driver.Scripts](&w.Scripts, faultyScripts{d.Scripts, h})
	wrap[driver.Relics](&w.Relics, faultyRelics{d.Relics, h})
	wrap[driver.Admitter](&w.Admitter, faultyAdmitter{d.Admitter, h})
}

type faultyShadows struct {
	driver.Shadows
	h hook
}

func (f faultyShadows) Make(ctx context.Context, s driver.Shadow) error {
	return f.h.around("Shadows.Make", func() error { return f.Shadows.Make(ctx, s) })
}

func (f faultyShadows) Clone(ctx context.Context, s driver.Shadow, tables []*schema.Table) error {
	return f.h.around("Shadows.Clone", func() error { return f.Shadows.Clone(ctx, s, tables) })
}

func (f faultyShadows) Lend(ctx context.Context, s driver.Shadow, tables []*schema.Table) error {
	return f.h.around("Shadows.Lend", func() error { return f.Shadows.Lend(ctx, s, tables) })
}

func (f faultyShadows) Adopt(ctx context.Context, s driver.Shadow, schema string) error {
	return f.h.around("Shadows.Adopt", func() error { return f.Shadows.Adopt(ctx, s, schema) })
}

func (f faultyShadows) Outside(ctx context.Context, s driver.Shadow, tables []*schema.Table) (found []string, err error) {
	err = f.h.around("Shadows.Outside", func() (err error) { found, err = f.Shadows.Outside(ctx, s, tables); return err })
	return found, err
}

func (f faultyShadows) Drop(ctx context.Context, s driver.Shadow) error {
	return f.h.around("Shadows.Drop", func() error { return f.Shadows.Drop(ctx, s) })
}

type faultyScripts struct {
	driver.Scripts
	h hook
}

func (f faultyScripts) Pool(ctx context.Context, u *url.URL, place string) (*sql.DB, error) {
	var pool *sql.DB
	err := f.h.around("Scripts.Pool", func() (err error) { pool, err = f.Scripts.Pool(ctx, u, place); return err })
	if err != nil && pool != nil {
		return nil, closed(pool, err)
	}
	return pool, err
}

type faultyRelics struct {
	driver.Relics
	h hook
}

func (f faultyRelics) List(ctx context.Context, schema string) (found []string, err error) {
	err = f.h.around("Relics.List", func() (err error) { found, err = f.Relics.List(ctx, schema); return err })
	return found, err
}

func (f faultyRelics) Remove(ctx context.Context, schema string, keep []string) error {
	return f.h.around("Relics.Remove", func() error { return f.Relics.Remove(ctx, schema, keep) })
}

type faultyAdmitter struct {
	driver.Admitter
	h hook
}

func (f faultyAdmitter) Admit(ctx context.Context, t *schema.Table, account string) error {
	return f.h.around("Admitter.Admit", func() error { return f.Admitter.Admit(ctx, t, account) })
}
