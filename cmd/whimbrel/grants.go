package main

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/plain"
)

// grants prints what each side needs of its account, or of the account named, as statements for an administrator.
func (p *program) grants(ctx context.Context, account string) error {
	return p.with(ctx, nothing, func(o *opened) error {
		sides, err := o.Grants(ctx, account)
		if err != nil {
			return err
		}
		for _, s := range sides {
			fmt.Fprintf(p.out, "-- the %s, %s\n", s.Side, plain.Line(s.Name))
			if len(s.Rights) == 0 {
				fmt.Fprintln(p.out, "-- needs nothing but the rights to the file and its folder")
			}
			for _, r := range s.Rights {
				needed := "without it"
				if r.Level == driver.Note {
					needed = "not indispensable; without it"
				}
				fmt.Fprintf(p.out, "-- %s: %s\n", needed, plain.Line(r.Message))
				if r.Grant != "" {
					fmt.Fprintln(p.out, r.Grant+";")
				}
			}
		}
		return nil
	})
}
