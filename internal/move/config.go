package move

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/release"
	"github.com/whimbrel/whimbrel/internal/strict"
)

// Config is what a move is to do, as whimbrel.yaml says it. Load reads it.
type Config struct {
	Procedure   string      `yaml:"procedure"`
	Source      Side        `yaml:"source"`
	Target      Side        `yaml:"target"`
	Tables      Tables      `yaml:"tables"`
	Application Application `yaml:"application"`
	Sessions    Sessions    `yaml:"sessions"`
	Verify      Verify      `yaml:"verify"`
	Wait        Wait        `yaml:"wait"`
	Release     string      `yaml:"release"` // the folder of the application's new release; empty: only the database changes
	Shadow      Shadow      `yaml:"shadow"`
	Update      Update      `yaml:"update"`
	Records     Records     `yaml:"records"`

	File   string           `yaml:"-"` // the configuration's own path, as it was given
	Dir    string           `yaml:"-"` // its folder, absolute: relative paths in it begin here, and commands run here
	New    *release.Release `yaml:"-"` // what the folder Release holds; nil for none
	Listed []Listed         `yaml:"-"` // the uptime tables that Tables.List or Tables.Uptime name, in order, none twice

	Private []string `yaml:"-"` // the environment variables that URLs of servers name: what a release builds and updates with does not get them
}

// Side is one of the two databases.
type Side struct {
	URL          Secret   `yaml:"url"`           // with each ${NAME} filled in; Resolve makes it complete
	Schemas      []string `yaml:"schemas"`       // source: the schemas to move; none is the connection's own
	Schema       string   `yaml:"schema"`        // target: where tables go when the source has one schema; empty is the connection's own
	PasswordFile string   `yaml:"password-file"` // a file with nothing but the password, readable by its owner only
}

// Tables say which tables move how. What is named nowhere is a downtime table.
type Tables struct {
	List   string   `yaml:"list"`   // a file with one uptime table a line
	Uptime []string `yaml:"uptime"` // or their names
	Skip   []string `yaml:"skip"`   // names or patterns (tmp_*) of tables that do not move
}

// Application are the operator's commands, run by a shell in the configuration's folder. An empty one does nothing.
type Application struct {
	Stop        string `yaml:"stop"`         // returns when the application has stopped writing
	Start       string `yaml:"start"`        // starts it on the target
	StartSource string `yaml:"start-source"` // starts it on the source again, after a reset that had stopped it
}

// Sessions are how many ranges each side bears at one time; up to 4n+2 sessions are held (docs/decisions/0005).
type Sessions struct {
	Source int `yaml:"source"`
	Target int `yaml:"target"`
}

// Verify overrides the level of tables, by name or pattern; the longest pattern that fits counts.
type Verify struct {
	Levels map[string]Level `yaml:"levels"`
}

// Wait bounds how long a step waits for others.
type Wait struct {
	Lock    time.Duration `yaml:"lock"`    // for one lock at the source
	Settled time.Duration `yaml:"settled"` // for transactions that were older than a step
}

// Listed is one name of the table list, as it was written.
type Listed struct {
	Name  string
	Place string // file and line, or file, line and column: where an error about it begins
}

// ConfigError is a mistake in the configuration, with its place. It never holds a value that might be a password.
type ConfigError = strict.Error

// Load reads a configuration, fills in what it leaves out, and refuses with a *ConfigError what can not be meant. Schemes
// are the URL schemes that are known, environment looks up a variable (os.LookupEnv). It reads the files that the
// configuration names and opens no database.
func Load(path string, schemes []string, environment func(string) (string, bool)) (*Config, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &ConfigError{File: path, Message: "there is no such file; whimbrel init writes one to start from"}
	}
	if err != nil {
		return nil, &ConfigError{File: path, Message: "it can not be read: " + cause(err)}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, &ConfigError{File: path, Message: err.Error()}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, &ConfigError{File: path, Message: "it can not be read: " + cause(err)}
	}
	r := reading{mode: info.Mode().Perm()}
	c := &Config{
		Procedure: DowntimeOptimized().Name,
		Sessions:  Sessions{Source: 4, Target: 4},
		Wait:      Wait{Lock: 2 * time.Second, Settled: 10 * time.Minute},
		Records:   Records{LimitMiB: 8 << 10, LeastFreeMiB: 512},
		File:      path, Dir: dir,
	}
	if err := r.decode(path, text, c); err != nil {
		return nil, err
	}
	defer func() { c.Private = r.private }()
	if err := r.complete(c, environment); err != nil {
		return nil, err
	}
	return c, r.validate(c, schemes)
}

// reading is one configuration on its way in.
type reading struct {
	*strict.File
	mode    fs.FileMode // who may read the file
	private []string    // variables that URLs of servers name
}

// decode reads the text strictly.
func (r *reading) decode(path string, text []byte, c *Config) (err error) {
	words := strict.Words{Empty: "source and target must be named", Second: "one file is one move", What: "a configuration"}
	if r.File, err = strict.Parse(path, text, words); err != nil {
		return err
	}
	for _, key := range []string{"lock", "settled"} {
		if value, there := r.Value("wait", key); there {
			if d, err := time.ParseDuration(value); err != nil || d <= 0 {
				return r.Wrong("here belongs a duration, such as 2s or 10m", "wait", key)
			}
		}
	}
	return r.Decode(c)
}

// complete fills in variables and reads the table list.
func (r *reading) complete(c *Config, environment func(string) (string, bool)) error {
	for _, s := range []struct {
		name string
		side *Side
	}{{"source", &c.Source}, {"target", &c.Target}} {
		if err := r.address(s.name, &s.side.URL, &s.side.PasswordFile, environment); err != nil {
			return err
		}
	}
	list, missing := expand(c.Tables.List, environment)
	if missing != "" {
		return r.Wrong(unset(missing), "tables", "list")
	}
	c.Tables.List = list
	if err := r.release(c, environment); err != nil {
		return err
	}
	return r.list(c)
}

// address fills the variables of a URL and of the file with its password in.
func (r *reading) address(of string, at *Secret, file *string, environment func(string) (string, bool)) error {
	if r.mode&0o077 != 0 && reveals(at.Reveal()) {
		return r.Wrong("the URL holds a password and others than its owner can read this file; chmod 600 it, or write ${NAME} for the password", of, "url")
	}
	full, missing := expand(at.Reveal(), func(name string) (string, bool) {
		if !strings.HasPrefix(at.Reveal(), "sqlite:") {
			r.private = append(r.private, name)
		}
		return environment(name)
	})
	if missing != "" {
		return r.Wrong(unset(missing), of, "url")
	}
	*at = NewSecret(full)
	if *file, missing = expand(*file, environment); missing != "" {
		return r.Wrong(unset(missing), of, "password-file")
	}
	return nil
}

// release reads the new release.
func (r *reading) release(c *Config, environment func(string) (string, bool)) (err error) {
	folder, missing := expand(c.Release, environment)
	if missing != "" {
		return r.Wrong(unset(missing), "release")
	}
	if folder != "" {
		if c.New, err = release.Load(under(c.Dir, folder)); err != nil {
			return err
		}
	}
	return r.shadow(c, environment)
}

func unset(name string) string {
	return fmt.Sprintf("the environment variable %s is not set", name)
}

// list gathers the uptime tables.
func (r *reading) list(c *Config) error {
	if c.Tables.List != "" && c.Tables.Uptime != nil {
		return r.Wrong("uptime tables come from a list or from here, not from both; leave one out", "tables", "uptime")
	}
	if c.Tables.List == "" {
		seen := map[string]bool{}
		for i, name := range c.Tables.Uptime {
			e := r.Wrong(name+" is listed twice", "tables", "uptime", strconv.Itoa(i))
			if seen[name] {
				return e
			}
			seen[name] = true
			c.Listed = append(c.Listed, Listed{Name: name, Place: fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)})
		}
		return nil
	}
	text, err := within(c.Dir, c.Tables.List)
	if err != nil {
		return r.Wrong(fmt.Sprintf("the table list %s can not be read: %s", c.Tables.List, cause(err)), "tables", "list")
	}
	c.Listed, err = readList(c.Tables.List, text)
	return err
}

// longestList bounds a table list.
const longestList = 16 << 20

// within reads an ordinary file of a folder, or of one in it: not what a path or a link outside of it names, because what is
// wrong with a list is said in its own words, and a list may come from a stranger.
func within(dir, path string) ([]byte, error) {
	folder, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if filepath.IsAbs(path) {
		if path, err = filepath.Rel(dir, path); err != nil {
			return nil, err
		}
	}
	info, err := folder.Stat(path)
	switch {
	case err != nil && strings.Contains(cause(err), "escapes"):
		return nil, errors.New("it lies outside of the configuration's folder; put it beside the configuration")
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not an ordinary file")
	case info.Size() > longestList:
		return nil, fmt.Errorf("it is larger than %d MiB", longestList>>20)
	}
	return folder.ReadFile(path)
}

// readList reads a table list and refuses a name that is there twice.
func readList(file string, text []byte) ([]Listed, error) {
	entries, err := plan.ParseList(file, text)
	var bad *plan.ListError
	if errors.As(err, &bad) {
		return nil, &ConfigError{File: file, Line: bad.Entry.Line, Message: "this line " + bad.Why}
	}
	var listed []Listed
	seen := map[string]int{}
	for _, e := range entries {
		if seen[e.Name] > 0 {
			return nil, &ConfigError{
				File: file, Line: e.Line,
				Message: fmt.Sprintf("%s is listed twice; line %d has it already", e.Name, seen[e.Name]),
			}
		}
		seen[e.Name] = e.Line
		listed = append(listed, Listed{Name: e.Name, Place: fmt.Sprintf("%s:%d", file, e.Line)})
	}
	return listed, err
}

// validate refuses what can not be meant.
func (r *reading) validate(c *Config, schemes []string) error {
	if !slices.ContainsFunc(Procedures(), func(s procedure.Story) bool { return s.Name == c.Procedure }) {
		return r.Wrong(fmt.Sprintf("there is no procedure %q; take downtime-optimized or standard", c.Procedure), "procedure")
	}
	if err := r.side(c.Source, c.Dir, "source", schemes); err != nil {
		return err
	}
	if err := r.side(c.Target, c.Dir, "target", schemes); err != nil {
		return err
	}
	switch {
	case c.Source.Schema != "":
		return r.Wrong("schema belongs to the target; the source has schemas, a list", "source", "schema")
	case c.Target.Schemas != nil:
		return r.Wrong("schemas belongs to the source; the target has schema, one name", "target", "schemas")
	case c.Source.URL.Reveal() == c.Target.URL.Reveal():
		return r.Wrong("source and target are the same database", "target", "url")
	case c.Records.LimitMiB < 1 || c.Records.LimitMiB > 1<<30:
		return r.Wrong("the limit is 1 MiB to 1 PiB", "records", "limit-mib")
	case c.Records.LeastFreeMiB < 1 || c.Records.LeastFreeMiB > 1<<30:
		return r.Wrong("what stays free is 1 MiB to 1 PiB", "records", "least-free-mib")
	case c.Sessions.Source < 1 || c.Sessions.Source > 1000:
		return r.Wrong("sessions are 1 to 1000", "sessions", "source")
	case c.Sessions.Target < 1 || c.Sessions.Target > 1000:
		return r.Wrong("sessions are 1 to 1000", "sessions", "target")
	}
	if err := r.places(c, schemes); err != nil {
		return err
	}
	for i, pattern := range c.Tables.Skip {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return r.Wrong(fmt.Sprintf("the pattern %q is not complete", pattern), "tables", "skip", strconv.Itoa(i))
		}
	}
	return r.levels(c.Verify.Levels)
}

func (r *reading) side(s Side, dir, name string, schemes []string) error {
	if s.URL.Reveal() == "" {
		return r.Wrong(fmt.Sprintf("the %s has no url", name), name, "url")
	}
	u, err := s.Resolve(dir)
	switch {
	case err != nil && s.PasswordFile != "":
		return r.Wrong(err.Error(), name, "password-file")
	case err != nil:
		return r.Wrong(err.Error(), name, "url")
	case !slices.Contains(schemes, u.Scheme):
		return r.Wrong(fmt.Sprintf("no database is known by the word that this URL begins with; take one of %s", strings.Join(schemes, ", ")), name, "url") // which may be a password in the wrong place
	}
	return nil
}

func (r *reading) levels(levels map[string]Level) error {
	for _, pattern := range slices.Sorted(maps.Keys(levels)) {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return r.Wrong(fmt.Sprintf("the pattern %q is not complete", pattern), "verify", "levels", pattern)
		}
		if level := levels[pattern]; level != FullDowntime && level != FullUptimeChanged && level != Sample {
			return r.Wrong(fmt.Sprintf("there is no level %q; take %s, %s or %s", level, FullDowntime, FullUptimeChanged, Sample),
				"verify", "levels", pattern)
		}
	}
	return nil
}
