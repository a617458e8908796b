package drivertest

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/row"
)

// takeLarge takes rows that are too large for one batch: keys of the record, and keys from elsewhere.
func (s *scene) takeLarge() {
	const each = 24
	mebibyte := strings.Repeat("0123456789abcdef", 1<<16)
	large := func(first int) (rows [][]string) {
		for i := range each {
			rows = append(rows, []string{strconv.Itoa(first + i), null, mebibyte, null})
		}
		return rows
	}
	c := s.captured(items, large(1000)...)
	for _, r := range large(1) {
		s.insert(c.t, r)
	}
	left, also := int64(each), map[string]bool{}
	for i := range each {
		also[strconv.Itoa(1000+i)] = true
	}
	for left > 0 || len(also) > 0 {
		left = c.takeSome(left, also)
	}
	c.backlog("all taken", 0)
}

// takeSmallThenLarge: a batch that is short and small, because what comes after its rows is large, does not pass for the end of
// the record.
func (s *scene) takeSmallThenLarge() {
	c := s.captured(items)
	const small, large = 70, 40
	body := strings.Repeat("0123456789abcdef", 1<<16)
	for i := range small + large {
		r := []string{strconv.Itoa(i), null, "small", null}
		if i >= small {
			r[2] = body
		}
		s.insert(c.t, r)
	}
	for left := int64(small + large); left > 0; {
		left = c.takeSome(left, nil)
	}
	c.backlog("all taken", 0)
	r, _, _ := c.take(c.most())
	if r.Cut() {
		s.Error("a record without an entry is said to have more")
	}
	s.check(r.Close())
}

// takeSome takes one batch, and strikes what came; it returns how many entries are left.
func (c *captured) takeSome(left int64, also map[string]bool) int64 {
	c.Helper()
	w := c.most()
	w.Also = row.NewBatch(1)
	for k := range also {
		w.Also.AppendString(k)
	}
	keys, images, wanted := row.NewBatch(1), row.NewBatch(c.shape.Width()), left+int64(len(also))
	r, err := c.d.Recorder.Take(c.ctx, w, keys, images)
	c.check(err)
	if int64(keys.Len()) < wanted && !r.Cut() {
		c.Errorf("%d keys of %d were taken, and nothing says that there are more", keys.Len(), wanted)
	}
	if keys.Len() == 0 || keys.Len() != images.Len() || images.Size() > 36<<20 {
		c.Fatalf("%d keys and %d rows of %d bytes; %d entries and %d keys are left", keys.Len(), images.Len(), images.Size(), left, len(also))
	}
	entries := int64(0)
	for i := range keys.Len() {
		key := string(keys.Cell(i, 0))
		if !also[key] {
			entries++
		}
		delete(also, key)
	}
	if int64(r.Entries()) != entries {
		c.Fatalf("the receipt covers %d entries, %d keys of entries were read", r.Entries(), entries)
	}
	c.forget(r)
	if b := c.backlog("what was not read", left-entries); b.Entries != left-entries {
		c.Fatalf("%d entries are left, want %d", b.Entries, left-entries)
	}
	return left - entries
}

// takeAtOnce takes rows while a value moves from one to another and back: it is always in one of them.
func (s *scene) takeAtOnce() {
	const rows = 900
	c := s.captured(items, slices.Concat([][]string{item(1, "it")}, many(2, rows))...)
	w := c.most()
	w.Most, w.Also = 1, row.NewBatch(1)
	for i := range rows {
		w.Also.AppendString(strconv.Itoa(i + 1))
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- c.moving(stop, 1, rows) }()
	for range 40 {
		r, _, images := c.take(w)
		s.check(r.Close())
		if n := len(slices.DeleteFunc(images, func(l string) bool { return !strings.Contains(l, strconv.Quote("it")) })); n != 1 {
			s.Errorf("%d rows of one batch have the value that one row has at any time", n)
			break
		}
	}
	close(stop)
	s.check(<-done)
}

// moving moves a value from a row to another and back, in a transaction each, until it is told to stop.
func (c *captured) moving(stop chan struct{}, from, to int) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		x := c.place.App.Begin(c.T)
		err := errors.Join(x.Update(c.t, key(strconv.Itoa(from)), cells(item(from, "")...)...),
			x.Update(c.t, key(strconv.Itoa(to)), cells(item(to, "it")...)...))
		if err != nil {
			return errors.Join(err, x.Rollback())
		}
		if err := x.Commit(); err != nil {
			return err
		}
		from, to = to, from
	}
}
