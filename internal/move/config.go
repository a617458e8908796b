package move

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/procedure"
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

	File   string   `yaml:"-"` // the configuration's own path, as it was given
	Dir    string   `yaml:"-"` // its folder, absolute: relative paths in it begin here, and commands run here
	Listed []Listed `yaml:"-"` // the uptime tables that Tables.List or Tables.Uptime name, in order, none twice
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
type ConfigError struct {
	File         string
	Line, Column int // 0 when it has no place
	Message      string
}

// Error is one sentence that begins with the place.
func (e *ConfigError) Error() string {
	switch {
	case e.Line == 0:
		return e.File + ": " + e.Message
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

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
	r := reading{file: path, mode: info.Mode().Perm()}
	c := &Config{
		Procedure: DowntimeOptimized().Name,
		Sessions:  Sessions{Source: 4, Target: 4},
		Wait:      Wait{Lock: 2 * time.Second, Settled: 10 * time.Minute},
		File:      path, Dir: dir,
	}
	if err := r.decode(text, c); err != nil {
		return nil, err
	}
	if err := r.complete(c, environment); err != nil {
		return nil, err
	}
	return c, r.validate(c, schemes)
}

// reading is one configuration on its way in.
type reading struct {
	file string
	mode fs.FileMode // who may read the file
	body ast.Node    // of the document; nil for an empty one
}

// decode reads the text strictly.
func (r *reading) decode(text []byte, c *Config) error {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return r.explain(err)
	}
	if len(tree.Docs) > 0 {
		r.body = tree.Docs[0].Body
	}
	if r.body == nil {
		return &ConfigError{File: r.file, Message: "it is empty; source and target must be named"}
	}
	if len(tree.Docs) > 1 {
		return r.at(tree.Docs[1].Body.GetToken(), "a second document begins here; one file is one move")
	}
	for _, key := range []string{"lock", "settled"} {
		if n := child(child(r.body, "wait"), key); n != nil {
			if d, err := time.ParseDuration(n.GetToken().Value); err != nil || d <= 0 {
				return r.at(n.GetToken(), "here belongs a duration, such as 2s or 10m")
			}
		}
	}
	err = yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(c)
	if err != nil && !errors.Is(err, io.EOF) {
		return r.explain(err)
	}
	return nil
}

// explain turns what the YAML reader says into one sentence with its place.
func (r *reading) explain(err error) error {
	var unknown *yaml.UnknownFieldError
	var wrong *yaml.TypeError
	var unexpected *yaml.UnexpectedNodeTypeError
	var placed yaml.Error
	switch {
	case errors.As(err, &unknown):
		return r.at(unknown.Token, fmt.Sprintf("there is no key %q here", unknown.Token.Value))
	case errors.As(err, &wrong):
		return r.at(wrong.Token, "here belongs "+wanted(wrong.DstType))
	case errors.As(err, &unexpected):
		return r.at(unexpected.Token, "here belongs "+kinds[unexpected.Expected])
	case errors.As(err, &placed):
		message, _, _ := strings.Cut(placed.GetMessage(), "\n")
		return r.at(placed.GetToken(), message)
	}
	return &ConfigError{File: r.file, Message: "it can not be read: it is not the YAML of a configuration"}
}

// kinds are the words of a person who writes YAML.
var kinds = map[ast.NodeType]string{
	ast.MappingType: "a group of keys", ast.MappingValueType: "a group of keys", ast.SequenceType: "a list, such as [a, b]",
	ast.StringType: "a text", ast.IntegerType: "a whole number",
}

// wanted names a type in these words.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return kinds[ast.SequenceType]
	case reflect.Int:
		return kinds[ast.IntegerType]
	case reflect.String:
		return kinds[ast.StringType]
	}
	return kinds[ast.MappingType]
}

// at makes an error with the place of a token.
func (r *reading) at(t *token.Token, message string) *ConfigError {
	e := &ConfigError{File: r.file, Message: message}
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

// wrong makes an error about the value of a key, by its path, or, where it is not there, about the nearest group around it.
func (r *reading) wrong(message string, path ...string) *ConfigError {
	node := r.body
	for _, key := range path {
		next := child(node, key)
		if next == nil {
			break
		}
		node = next
	}
	return r.at(first(node), message)
}

// first is the token that a node begins with: for a group its first key, not the colon behind it.
func first(node ast.Node) *token.Token {
	switch n := node.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return node.GetToken()
}

// child is the value of a key in a group, or an item of a list by its place from 0; nil when there is none.
func child(node ast.Node, key string) ast.Node {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.GetToken().Value == key {
				return v.Value
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == key {
			return n.Value
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i < len(n.Values) {
			return n.Values[i]
		}
	}
	return nil
}

// complete fills in variables and reads the table list.
func (r *reading) complete(c *Config, environment func(string) (string, bool)) error {
	for _, s := range []struct {
		name string
		side *Side
	}{{"source", &c.Source}, {"target", &c.Target}} {
		if r.mode&0o077 != 0 && reveals(s.side.URL.Reveal()) {
			return r.wrong("the URL holds a password and others than its owner can read this file; chmod 600 it, or write ${NAME} for the password", s.name, "url")
		}
		full, missing := expand(s.side.URL.Reveal(), environment)
		if missing != "" {
			return r.wrong(unset(missing), s.name, "url")
		}
		s.side.URL = NewSecret(full)
		if s.side.PasswordFile, missing = expand(s.side.PasswordFile, environment); missing != "" {
			return r.wrong(unset(missing), s.name, "password-file")
		}
	}
	list, missing := expand(c.Tables.List, environment)
	if missing != "" {
		return r.wrong(unset(missing), "tables", "list")
	}
	c.Tables.List = list
	return r.list(c)
}

func unset(name string) string {
	return fmt.Sprintf("the environment variable %s is not set", name)
}

// list gathers the uptime tables.
func (r *reading) list(c *Config) error {
	if c.Tables.List != "" && c.Tables.Uptime != nil {
		return r.wrong("uptime tables come from a list or from here, not from both; leave one out", "tables", "uptime")
	}
	if c.Tables.List == "" {
		seen := map[string]bool{}
		for i, name := range c.Tables.Uptime {
			e := r.wrong(name+" is listed twice", "tables", "uptime", strconv.Itoa(i))
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
		return r.wrong(fmt.Sprintf("the table list %s can not be read: %s", c.Tables.List, cause(err)), "tables", "list")
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
		return r.wrong(fmt.Sprintf("there is no procedure %q; take downtime-optimized or standard", c.Procedure), "procedure")
	}
	if err := r.side(c.Source, c.Dir, "source", schemes); err != nil {
		return err
	}
	if err := r.side(c.Target, c.Dir, "target", schemes); err != nil {
		return err
	}
	switch {
	case c.Source.Schema != "":
		return r.wrong("schema belongs to the target; the source has schemas, a list", "source", "schema")
	case c.Target.Schemas != nil:
		return r.wrong("schemas belongs to the source; the target has schema, one name", "target", "schemas")
	case c.Source.URL.Reveal() == c.Target.URL.Reveal():
		return r.wrong("source and target are the same database", "target", "url")
	case c.Sessions.Source < 1 || c.Sessions.Source > 1000:
		return r.wrong("sessions are 1 to 1000", "sessions", "source")
	case c.Sessions.Target < 1 || c.Sessions.Target > 1000:
		return r.wrong("sessions are 1 to 1000", "sessions", "target")
	}
	for i, pattern := range c.Tables.Skip {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return r.wrong(fmt.Sprintf("the pattern %q is not complete", pattern), "tables", "skip", strconv.Itoa(i))
		}
	}
	return r.levels(c.Verify.Levels)
}

func (r *reading) side(s Side, dir, name string, schemes []string) error {
	if s.URL.Reveal() == "" {
		return r.wrong(fmt.Sprintf("the %s has no url", name), name, "url")
	}
	u, err := s.Resolve(dir)
	switch {
	case err != nil && s.PasswordFile != "":
		return r.wrong(err.Error(), name, "password-file")
	case err != nil:
		return r.wrong(err.Error(), name, "url")
	case !slices.Contains(schemes, u.Scheme):
		return r.wrong(fmt.Sprintf("no database is known by %s:; take one of %s", u.Scheme, strings.Join(schemes, ", ")), name, "url")
	}
	return nil
}

func (r *reading) levels(levels map[string]Level) error {
	for _, pattern := range slices.Sorted(maps.Keys(levels)) {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return r.wrong(fmt.Sprintf("the pattern %q is not complete", pattern), "verify", "levels", pattern)
		}
		if level := levels[pattern]; level != FullDowntime && level != FullUptimeChanged && level != Sample {
			return r.wrong(fmt.Sprintf("there is no level %q; take %s, %s or %s", level, FullDowntime, FullUptimeChanged, Sample),
				"verify", "levels", pattern)
		}
	}
	return nil
}
