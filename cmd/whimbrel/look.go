package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/console"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

func (p *program) checkCommand() *cobra.Command {
	var grants bool
	var account string
	cmd := &cobra.Command{
		Use: "check", Args: cobra.NoArgs, Short: "Find what would go wrong, and change nothing",
		RunE: failing(func(cmd *cobra.Command, _ []string) error {
			if grants || account != "" {
				return p.grants(cmd.Context(), account)
			}
			return p.with(cmd.Context(), nothing, func(o *opened) error {
				found, err := o.Check(cmd.Context())
				if err != nil {
					return err
				}
				forbidden := 0
				for _, f := range found {
					place := f.Place()
					if place != "" {
						place += " "
					}
					fmt.Fprintf(p.out, "[%s] %s\n", f.Level, plain.Line(place+f.Message+detail(f.Detail)))
					if f.Do != "" {
						fmt.Fprintln(p.out, "    "+plain.Line(f.Do))
					}
					if f.Level == driver.Forbidden {
						forbidden++
					}
				}
				if forbidden > 0 {
					return fmt.Errorf("the move is forbidden by %d of %d findings", forbidden, len(found))
				}
				fmt.Fprintf(p.out, "%d findings, none of which forbids the move\n", len(found))
				return nil
			})
		}),
	}
	p.showing(cmd)
	cmd.Flags().BoolVar(&grants, "grants", false, "print the rights that the accounts of the URLs need, as statements")
	cmd.Flags().StringVar(&account, "account", "", "print the rights that this account needs, on both sides, instead")
	return cmd
}

func detail(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

func (p *program) statusCommand() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use: "status", Args: cobra.NoArgs, Short: "Show where the move stands",
		RunE: failing(func(cmd *cobra.Command, _ []string) error {
			if watch {
				return p.watch(cmd.Context(), asJSON)
			}
			return p.see(cmd.Context(), func(m console.Move) error {
				s, err := stands(cmd.Context(), m)
				if err != nil {
					return err
				}
				return p.print(s, asJSON)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVar(&watch, "watch", false, "again and again, until the move ends")
	return cmd
}

// stands is the status of a move. What a process was at when it died is not under way any more: only a process that answers
// can have something under way.
func stands(ctx context.Context, m console.Move) (move.Status, error) {
	s, err := m.Status(ctx)
	if _, alive := m.(*console.Client); err != nil || alive {
		return s, err
	}
	halt(&s.State)
	for _, p := range s.Phases {
		for i := range p.Steps {
			halt(&p.Steps[i].State)
		}
	}
	return s, nil
}

func halt(s *procedure.State) {
	if *s == procedure.Underway || *s == procedure.Settled {
		*s = procedure.Halted
	}
}

// print writes a status, as JSON or as a picture.
func (p *program) print(s move.Status, asJSON bool) error {
	if asJSON {
		return printJSON(p.out, s)
	}
	for _, line := range picture(s, frame{}) {
		fmt.Fprintln(p.out, line)
	}
	if s.Question != nil {
		p.question(s.Question)
	}
	return nil
}

// watch prints the status every second until the move is done or the context ends; on a terminal in place.
func (p *program) watch(ctx context.Context, asJSON bool) error {
	pen := &pen{out: p.out, terminal: p.terminal}
	if p.terminal != nil {
		pen.out = p.terminal
	}
	for {
		var s move.Status
		err := p.see(ctx, func(m console.Move) (err error) {
			s, err = stands(ctx, m)
			return err
		})
		if err != nil {
			return err
		}
		if asJSON || pen.terminal == nil {
			err = p.print(s, asJSON)
		} else {
			pen.draw(picture(s, pen.frame()))
		}
		if err != nil || s.State == procedure.Complete {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *program) verifyCommand() *cobra.Command {
	var repair bool
	var certificate, key string
	cmd := &cobra.Command{
		Use: "verify", Args: cobra.NoArgs, Short: "Compare every table in full, as both sides are now",
		Long: "Compares every table in full, as both sides are now.\n\n" +
			"With --repair, in the downtime and before the target opens: mends exactly the rows that differ, and compares again.\n" +
			"With --certificate: opens no database, but checks that a certificate is what was signed with the run's key.",
		RunE: failing(func(cmd *cobra.Command, _ []string) error {
			if certificate != "" {
				return p.checkCertificate(certificate, key)
			}
			return p.with(cmd.Context(), lines, func(o *opened) error {
				prove := o.Verify
				if repair {
					prove = o.Repair
				}
				tables, err := prove(cmd.Context())
				if err != nil {
					return err
				}
				return p.verdicts(tables)
			})
		}),
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "mend exactly the rows that differ")
	cmd.Flags().StringVar(&certificate, "certificate", "", "check this certificate instead")
	cmd.Flags().StringVar(&key, "key", "", "with --certificate: the run's public key, or the file that holds it (default: "+keyName+" beside the certificate)")
	cmd.MarkFlagsMutuallyExclusive("repair", "certificate")
	return cmd
}

// verdicts prints what was found of tables; one that is not equal is an error.
func (p *program) verdicts(tables []move.TableReport) error {
	if err := (move.Report{Tables: tables}).WriteTables(p.out); err != nil {
		return err
	}
	for _, t := range tables {
		if t.Mended > 0 {
			fmt.Fprintf(p.out, "%s: %d rows differed and were mended: %s\n", plain.Line(t.Name), t.Mended, plain.Line(t.Why))
		}
		for _, key := range t.Keys {
			if t.Verdict == move.Different {
				fmt.Fprintf(p.out, "%s differs at %s: %s\n", plain.Line(t.Name), plain.Line(key), plain.Line(t.Why))
			}
		}
	}
	unequal := slices.DeleteFunc(tables, func(t move.TableReport) bool { // what a release builds from is not moved, but what it built is
		return t.Class == move.Skip || t.Class == move.Repository && t.Target == "" || t.Verdict == move.Equal
	})
	if len(unequal) > 0 {
		return fmt.Errorf("%d tables are not proven equal", len(unequal))
	}
	return nil
}

func (p *program) reportCommand() *cobra.Command {
	var asJSON bool
	var certificates string
	cmd := &cobra.Command{
		Use: "report", Args: cobra.NoArgs, Short: "Say what the move has done so far",
		RunE: failing(func(cmd *cobra.Command, _ []string) error {
			return p.see(cmd.Context(), func(m console.Move) error {
				r, err := m.Report(cmd.Context())
				if err != nil {
					return err
				}
				if certificates != "" {
					return p.writeCertificates(certificates, r)
				}
				if asJSON {
					return printJSON(p.out, r)
				}
				return r.WriteText(p.out)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().StringVar(&certificates, "certificates", "", "write the tables' certificates, and the key to check them with, into this folder instead")
	return cmd
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Args: cobra.NoArgs, Short: "Say which whimbrel this is",
		RunE: failing(func(*cobra.Command, []string) error {
			name := version()
			if name == "" {
				return errors.New("this program was built without its version")
			}
			fmt.Fprintln(p.out, name)
			return nil
		}),
	}
}

// version is the program's name and version; empty where it was built without.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	words := []string{"whimbrel", info.Main.Version, info.GoVersion}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			words = append(words, s.Value)
		}
	}
	return strings.Join(words, " ")
}
