package move

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/schema"
)

// When a comparison ran, as a certificate says it.
const (
	inUptime   = "uptime"
	inDowntime = "downtime"
)

// now is whether the source is shut.
func (m *Move) now() string {
	if at, _ := m.engine.Position().At("shut-source"); at.State == procedure.Complete {
		return inDowntime
	}
	return inUptime
}

// certificateKey is the setting that holds the seed of the run's private key, in a file that only its owner can read.
const certificateKey = "certificate-key"

// key returns the private key of this run, made when it is first asked for. Again: the same, until the run is forgotten.
func (m *Move) key(ctx context.Context) (ed25519.PrivateKey, error) {
	kept, err := m.state.Setting(ctx, certificateKey)
	if err != nil {
		return nil, err
	}
	if kept == "" {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, fmt.Errorf("make the key of the certificates: %w", err)
		}
		kept = hex.EncodeToString(private.Seed())
		if err := m.state.Set(ctx, certificateKey, kept); err != nil {
			return nil, err
		}
	}
	seed, err := hex.DecodeString(kept)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the setting %s is not a key", certificateKey)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// publicKey is the other half of the run's key, in hexadecimal; empty before there is one.
func (m *Move) publicKey(ctx context.Context) (string, error) {
	if kept, err := m.state.Setting(ctx, certificateKey); err != nil || kept == "" {
		return "", err
	}
	private, err := m.key(ctx)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(public(private)), nil
}

// public is a key's other half.
func public(key ed25519.PrivateKey) ed25519.PublicKey {
	p, _ := key.Public().(ed25519.PublicKey)
	return p
}

// concluded completes a proof with its last part: it explains what differs and signs what was compared.
func (m *Move) concluded(ctx context.Context, t *table, p verify.Pair, found proof, last verify.Part, tally verify.Tally) (proof, error) {
	if !tally.Equal() {
		why, err := m.why(ctx, t, p, tally.Differing)
		if err != nil {
			return proof{}, err
		}
		found.Why = why
		found.name(t, tally)
	}
	found.Parts = append(found.Parts, last)
	private, err := m.key(ctx)
	if err != nil {
		return proof{}, err
	}
	run, err := m.state.Run(ctx)
	if err != nil {
		return proof{}, err
	}
	found.Certificate = verify.Certificate{
		Move: run, Program: m.program, Level: string(found.Level), Verdict: string(found.Verdict), At: time.Now(),
		Source: party(p.Source.Database, t.source), Target: party(p.Target.Database, t.target),
		Columns: columns(t.compared.source), Seed: p.Seed, Parts: found.Parts,
	}.Sign(private)
	return found, nil
}

func party(d *driver.Database, t *schema.Table) verify.Party {
	return verify.Party{Database: d.Info.Name, Version: d.Info.Product + " " + d.Info.Version, Server: d.Info.Server, Table: t.Name.String()}
}

// columns names what is compared: each column with the kind of its cells.
func columns(s schema.Shape) []string {
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Column.Name + " " + c.Cell.String()
	}
	return names
}

// uncertified says in a clause why a table's certificate does not say what its proof does; empty when it does.
func (m *Move) uncertified(ctx context.Context, t *table, p proof) (string, error) {
	private, err := m.key(ctx)
	if err != nil {
		return "", err
	}
	run, err := m.state.Run(ctx)
	if err != nil {
		return "", err
	}
	checked, err := verify.Check([]byte(p.Certificate), public(private))
	if err != nil || checked.Value("move") != run || checked.Value("source-table") != t.source.Name.String() ||
		checked.Value("verdict") != string(p.Verdict) || checked.Value("level") != string(p.Level) {
		return "has no certificate that holds", nil
	}
	return "", nil
}

// struckKey is where is kept what strike found equal in the uptime.
func struckKey(t *table) string { return fmt.Sprintf("struck/%d", t.number) }

// keepStruck adds the keys that were found equal and struck to what is kept of them. What a crash loses of it is missing in
// the certificate only.
func (m *Move) keepStruck(ctx context.Context, t *table, s verify.Struck, began time.Time) error {
	part := verify.Part{What: verify.ChangedKeys, While: inUptime, Began: began.UTC()}
	if _, err := m.state.Document(ctx, struckKey(t), &part); err != nil {
		return err
	}
	part.Keys, part.Ended = part.Keys+s.Struck, time.Now().UTC()
	part.Source.Add(s.Equal)
	part.Target.Add(s.Equal)
	return m.state.NoteDocument(ctx, struckKey(t), part)
}
