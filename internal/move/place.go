package move

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Shadow says where a new release's own tables are built, by whom, and what becomes of changes to them meanwhile.
type Shadow struct {
	At           driver.Side `yaml:"at"`            // target unless said
	URL          Secret      `yaml:"url"`           // with the account that builds; empty: the side's own, as where accounts are unknown
	PasswordFile string      `yaml:"password-file"` // as a side's
	Place        string      `yaml:"place"`         // a schema, a database or a file; empty: one that is called after the release
	Lock         Lock        `yaml:"lock"`          // refuse unless said
}

// Lock says what happens when somebody changes one of the release's own tables at the source between the build and the switch.
type Lock string

// Refuse: the change fails, with a sentence that says why. Watch: it is noted, and looked at in the downtime.
const (
	Refuse Lock = "refuse"
	Watch  Lock = "watch"
)

// Update says by which account the new release changes the shut target.
type Update struct {
	URL          Secret `yaml:"url"` // empty: the target's own
	PasswordFile string `yaml:"password-file"`
}

// addressed is a URL of a shadow or an update as that of a side; an empty one is the side's own.
func (c *Config) addressed(url Secret, file string, of driver.Side) Side {
	switch {
	case url.Reveal() != "":
		return Side{URL: url, PasswordFile: file}
	case of == driver.Source:
		return c.Source
	}
	return c.Target
}

// builder is the URL of the account that builds the shadow.
func (c *Config) builder() (*url.URL, error) {
	return c.addressed(c.Shadow.URL, c.Shadow.PasswordFile, c.Shadow.At).Resolve(c.Dir)
}

// updater is the URL of the account that updates the target.
func (c *Config) updater() (*url.URL, error) {
	return c.addressed(c.Update.URL, c.Update.PasswordFile, driver.Target).Resolve(c.Dir)
}

// fixed tells what of the release may not change during a move: its rules and tables, and where its shadow is. It is empty for no release.
func (c *Config) fixed() string {
	digest := c.New.Digest()
	if !c.New.Shadowed() {
		return digest
	}
	return strings.Join([]string{digest, string(c.Shadow.At), string(c.Shadow.Lock), c.Shadow.Place}, " ")
}

// updatesAsItself reports that the update comes by the account that the move itself has at the target.
func (c *Config) updatesAsItself() bool {
	own, err := c.Target.Resolve(c.Dir)
	if err != nil || account(own) == "" {
		return false
	}
	u, err := c.updater()
	return err == nil && account(u) == account(own)
}

// account is the user of a URL, empty where there is none.
func account(u *url.URL) string { return u.User.Username() }

// place is where the shadow is: for a server the name of a schema or a database, else the path of a file.
func (c *Config) place() (string, error) {
	u, err := c.builder()
	if err != nil {
		return "", err
	}
	if u.Host != "" || u.Path == "" {
		if c.Shadow.Place != "" {
			return c.Shadow.Place, nil
		}
		return named(c.New.Name) + "_shadow", nil
	}
	if c.Shadow.Place != "" {
		return under(c.Dir, c.Shadow.Place), nil
	}
	side, err := c.addressed(Secret{}, "", c.Shadow.At).Resolve(c.Dir)
	if err != nil {
		return "", err
	}
	end := filepath.Ext(side.Path)
	return strings.TrimSuffix(side.Path, end) + "_shadow" + end, nil
}

// named makes a name for a database of one for people.
func named(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, text)
	if name = strings.Trim(name, "_"); name == "" {
		name = "release"
	}
	return name[:min(len(name), 40)]
}

// shadow fills in what the shadow and the update leave out.
func (r *reading) shadow(c *Config, environment func(string) (string, bool)) error {
	if c.Shadow.At == "" {
		c.Shadow.At = driver.Target
	}
	if c.Shadow.Lock == "" {
		c.Shadow.Lock = Refuse
	}
	if err := r.address("shadow", &c.Shadow.URL, &c.Shadow.PasswordFile, environment); err != nil {
		return err
	}
	var missing string
	if c.Shadow.Place, missing = expand(c.Shadow.Place, environment); missing != "" {
		return r.Wrong(unset(missing), "shadow", "place")
	}
	return r.address("update", &c.Update.URL, &c.Update.PasswordFile, environment)
}

// places refuses a shadow and an update that can not be meant.
func (r *reading) places(c *Config, schemes []string) error {
	for _, key := range []string{"shadow", "update"} {
		if _, said := r.Value(key); said && c.New == nil {
			return r.Wrong(fmt.Sprintf("%s is for a move to a new release; name its folder with release: or take this out", key), key)
		}
	}
	switch {
	case c.New == nil:
		return nil
	case c.Shadow.At != driver.Source && c.Shadow.At != driver.Target:
		return r.Wrong("the shadow is at the source or at the target", "shadow", "at")
	case c.Shadow.Lock != Refuse && c.Shadow.Lock != Watch:
		return r.Wrong("the lock is refuse or watch", "shadow", "lock")
	}
	if err := r.account("shadow", c.Shadow.URL, c.Shadow.PasswordFile, c, schemes); err != nil {
		return err
	}
	return r.account("update", c.Update.URL, c.Update.PasswordFile, c, schemes)
}

// account looks at the URL of an account that reaches one of the sides beside the side's own.
func (r *reading) account(key string, at Secret, file string, c *Config, schemes []string) error {
	switch {
	case at.Reveal() != "":
		return r.side(Side{URL: at, PasswordFile: file}, c.Dir, key, schemes)
	case file != "":
		return r.Wrong("there is no url that this password could belong to", key, "password-file")
	}
	return nil
}
