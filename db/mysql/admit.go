package mysql

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// admitter lets an account through the guard. A CHECK can not ask who writes, so triggers take its place: first they are there too,
// then the triggers and the CHECK that refuse everybody go. So there is no moment at which everybody can write.
type admitter struct{ *database }

// admitting are triggers that refuse sessions which are neither ours nor the account's. USER() is who the session says it is, whoever's
// rights a trigger has; the host after the last @ is left out, since an account's host may be a pattern.
func admitting(t *schema.Table, user string) []trigger {
	body := strings.Replace(refuseOthers, "@whimbrel_run IS NULL", "@whimbrel_run IS NULL AND CAST(LEFT(USER(), CHAR_LENGTH(USER()) - 1 - CHAR_LENGTH(SUBSTRING_INDEX(USER(), '@', -1))) AS BINARY) <> x'"+
		hex.EncodeToString([]byte(user))+"'", 1)
	var all []trigger
	for _, e := range events {
		all = append(all, trigger{numberedNames(t, "guard_admit_"+strings.ToLower(e))[0], "BEFORE", e, body})
	}
	return all
}

// Admit lets one account's sessions write to a guarded table.
func (d admitter) Admit(ctx context.Context, t *schema.Table, account string) error {
	err := d.control.with(ctx, func(s *session) error {
		wait := driver.Wait{Lock: 10 * time.Second}
		checked, err := guard(d).checked(ctx, s, t)
		if err != nil {
			return err
		}
		there, err := d.triggers(ctx, s, t)
		if err != nil {
			return err
		}
		guarded := checked
		for _, h := range there {
			guarded = guarded || strings.HasPrefix(h.name, "whimbrel_guard_")
		}
		if !guarded {
			return nil // everybody can write, and nobody asked us to shut it
		}
		user, _ := userOf(account)
		if err := d.raise(ctx, s, t, admitting(t, user), wait); err != nil {
			return err
		}
		if err := d.lower(ctx, s, t, numberedNames(t, "guard_insert", "guard_update", "guard_delete"), wait); err != nil || !checked {
			return err
		}
		return d.uncheck(ctx, s, t)
	})
	if err != nil {
		return fmt.Errorf("admit %s to %s: %w", account, t.Name, err)
	}
	return nil
}
