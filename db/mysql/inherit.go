package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
)

// A server shows nobody which of its sessions are a certain program's, so each of ours holds a lock whose name only those of our run
// and side ask for. A lock of this kind keeps nobody from anything.

// signatures is how many of our sessions can be told from others'. There are fewer, but for those that earlier processes left.
const signatures = 512

// signature is the name of such a lock without its number.
func (d *database) signature() string {
	digest := sha256.Sum256([]byte(d.cfg.DBName + "\n" + string(d.options.Side) + "\n" + d.options.Run))
	return "whimbrel " + hex.EncodeToString(digest[:16]) + " "
}

// sign takes the first lock that is free. Where the server gives none (a cluster's nodes do not), a session has none, and is not told from others'.
func (s *session) sign(ctx context.Context, d *database) error {
	if d.options.Run == "" {
		return nil
	}
	for range signatures {
		place := (d.signed.Add(1) - 1) % signatures
		got, err := s.rows(ctx, "SELECT GET_LOCK(?, 0)", d.signature()+strconv.FormatInt(place, 10))
		if err != nil || len(got) != 1 || got[0][0] == "1" {
			if s.gone() {
				return err
			}
			return nil
		}
	}
	return nil
}

// inherit ends the sessions that hold a lock of our run's and are not this process's.
func (d *database) inherit(ctx context.Context) error {
	err := d.control.with(ctx, func(s *session) error {
		numbers := make([]uint64, signatures)
		for i := range numbers {
			numbers[i] = uint64(i)
		}
		held, err := s.rows(ctx, "SELECT h.id FROM (SELECT IS_USED_LOCK(CONCAT(?, n)) AS id FROM "+numbered(numbers)+" AS numbers) AS h WHERE h.id IS NOT NULL", d.signature())
		if err != nil {
			return err
		}
		ours := d.sessions()
		for _, h := range held {
			id, err := strconv.ParseInt(h[0], 10, 64)
			if err != nil {
				return fmt.Errorf("read a session's number: %w", err)
			}
			if ours[id] {
				continue
			}
			if err := s.endOther(ctx, h[0]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end the sessions that an earlier process has left: %w", err)
	}
	return nil
}

// committing is the state of a session that must not be ended: one that writes the binary log, as far as that shows. A full disk makes it wait
// in the middle of an event; ended there, MariaDB leaves half an event in the log and writes the next transactions behind it, and what they
// acknowledged is rolled back when the server recovers from a crash (MDEV-27803; docs/reliability.md has the trial).
const committing = "SELECT state FROM information_schema.processlist WHERE id = ? AND (info = 'COMMIT' OR state IN ('Waiting for someone to free space', 'Waiting for disk space'))"

// endOther ends another session, and fails with Classify's Transient while it commits: it comes to its end without us. Again: does nothing.
func (s *session) endOther(ctx context.Context, id string) error {
	at, err := s.rows(ctx, committing, id)
	if err != nil {
		return err
	}
	if len(at) > 0 {
		return &waitError{fmt.Sprintf("session %s commits still (%s) and must not be ended there; where the server's disk is full, make room", id, at[0][0])}
	}
	err = s.run(ctx, "KILL CONNECTION "+id)
	if n := number(err); n == unknownThread || n == othersThread {
		return nil
	}
	return err
}

// The server's numbers for a session that has ended meanwhile, and for one of another account, which is waited for.
const (
	unknownThread = 1094
	othersThread  = 1095
)
