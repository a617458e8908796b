package move

import (
	"time"
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

	File string `yaml:"-"` // the configuration's own path, as it was given
	Dir  string `yaml:"-"` // its folder, absolute: relative paths in it begin here, and commands run here
}

// Side is one of the two databases.
type Side struct {
	URL          Secret   `yaml:"url"`
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

// Sessions are the most sessions to hold at each side.
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

// Secret is a text that is never shown: it prints, logs and marshals as ***.
type Secret string
