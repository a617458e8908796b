package move

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Secret is a text that is never harmless: it prints, logs and marshals as ***, in whatever it stands. Reveal returns it.
type Secret struct{ text *string }

// hidden is what people see of a secret.
const hidden = "***"

// NewSecret hides a text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text, empty for the zero Secret.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String hides the text.
func (s Secret) String() string { return hidden }

// GoString hides the text.
func (s Secret) GoString() string { return hidden }

// Format hides the text from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalJSON hides the text.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// MarshalYAML hides the text.
func (s Secret) MarshalYAML() (any, error) { return hidden, nil }

// LogValue hides the text.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// UnmarshalYAML takes a text.
func (s *Secret) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return err
	}
	*s = NewSecret(text)
	return nil
}

// Resolve returns the side's URL, ready for a driver: with the password from the password file, or for MariaDB and MySQL
// from the user's .my.cnf where neither the URL nor a file has one (PostgreSQL's .pgpass is read by its driver), and with
// the path of an SQLite file made absolute from dir. No error shows the URL. Again: the files as they are then.
func (s Side) Resolve(dir string) (*url.URL, error) {
	u, err := parse(s.URL.Reveal())
	if err != nil {
		return nil, err
	}
	if u.Scheme == "sqlite" {
		return anchored(u, dir)
	}
	if _, has := u.User.Password(); has {
		if s.PasswordFile != "" {
			return nil, errors.New("the URL has a password already; leave one of url and password-file without it")
		}
		return u, nil
	}
	switch {
	case s.PasswordFile != "":
		password, err := readPassword(under(dir, s.PasswordFile))
		if err != nil {
			return nil, err
		}
		u.User = url.UserPassword(u.User.Username(), password)
	case u.Scheme == "mariadb" || u.Scheme == "mysql":
		return fromMyCnf(u)
	}
	return u, nil
}

// parse reads a URL. Its errors never hold a part of it: what looks like a port may be the half of a password.
func parse(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("this is not a URL; write product://user@host:port/database, and give a password with " +
			"special characters as ${NAME} or in a password-file")
	}
	if u.Scheme != "sqlite" && (u.Fragment != "" || u.RawFragment != "" || strings.Contains(text, "#")) { // half a password, perhaps
		return nil, errors.New("a URL of a server has no #; in a password it is written %23, or the password as ${NAME} or in a password-file")
	}
	if u.Scheme != "sqlite" && u.Opaque != "" {
		return nil, errors.New("this is not a URL of a server; write product://user@host:port/database")
	}
	return u, nil
}

// anchored makes the path of an SQLite URL absolute: sqlite:shop.db lies in the configuration's folder.
func anchored(u *url.URL, dir string) (*url.URL, error) {
	path := u.Path
	if u.Opaque != "" {
		var err error
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return nil, errors.New("this is not a URL of a file; write sqlite:path")
		}
	}
	if path == "" || u.Host != "" {
		return nil, errors.New("this is not a URL of a file; write sqlite:path")
	}
	return &url.URL{Scheme: u.Scheme, Path: under(dir, path), RawQuery: u.RawQuery}, nil
}

// under is a path as seen from a folder.
func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// readPassword reads a file that holds nothing but a password, and that nobody but its owner may read.
func readPassword(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("password-file %s: %s", path, cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("password-file %s: %s", path, cause(err))
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("password-file %s: others than its owner can read it; chmod 600 it", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err != nil {
		return "", fmt.Errorf("password-file %s: %s", path, cause(err))
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", fmt.Errorf("password-file %s: it is empty", path)
	}
	return password, nil
}

// fromMyCnf adds user and password of the [client] group of ~/.my.cnf where the URL has none. A file that is not there
// adds nothing.
func fromMyCnf(u *url.URL) (*url.URL, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return u, nil //nolint:nilerr // without a home there is no such file
	}
	f, err := os.Open(filepath.Join(home, ".my.cnf"))
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ~/.my.cnf: %s", cause(err))
	}
	defer f.Close()
	client, err := group(f, "[client]")
	if err != nil {
		return nil, fmt.Errorf("read ~/.my.cnf: %w", err)
	}
	user := u.User.Username()
	if user == "" {
		user = client["user"]
	}
	if password := client["password"]; password != "" {
		u.User = url.UserPassword(user, password)
	} else if user != "" {
		u.User = url.User(user)
	}
	return u, nil
}

// group reads the settings of one group of an option file.
func group(r io.Reader, name string) (map[string]string, error) {
	settings, inside := map[string]string{}, false
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			inside = line == name
		case inside:
			key, value, _ := strings.Cut(line, "=")
			settings[strings.TrimSpace(key)] = unquote(strings.TrimSpace(value))
		}
	}
	return settings, lines.Err()
}

// unquote takes the quotes of an option file's value away, or, without quotes, a comment behind it.
func unquote(value string) string {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	if i := strings.Index(value, " #"); i >= 0 {
		value = strings.TrimSpace(value[:i])
	}
	return value
}

// expand fills in each ${NAME}. In a URL's user, password and query the value is escaped, so that any password can stand
// there; elsewhere it stays as it is. missing names a variable that is not set.
func expand(text string, environment func(string) (string, bool)) (full, missing string) {
	var b strings.Builder
	user := userinfo(text)
	for i := 0; i < len(text); {
		start := strings.Index(text[i:], "${")
		if start < 0 {
			b.WriteString(text[i:])
			break
		}
		start += i
		end := strings.IndexByte(text[start:], '}')
		if end < 0 {
			b.WriteString(text[i:])
			break
		}
		end += start
		name := text[start+2 : end]
		value, ok := environment(name)
		if !ok {
			return "", name
		}
		b.WriteString(text[i:start])
		switch {
		case start < user:
			b.WriteString(strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
		case strings.ContainsRune(text[:start], '?'):
			b.WriteString(url.QueryEscape(value))
		default:
			b.WriteString(value)
		}
		i = end + 1
	}
	return b.String(), ""
}

// reveals reports whether a URL as it is written holds a password, and not only the name of a variable.
func reveals(text string) bool {
	password := func(s string) bool { return s != "" && !(strings.HasPrefix(s, "${") && strings.HasSuffix(s, "}")) }
	if end := userinfo(text); end > 0 {
		_, after, _ := strings.Cut(text[:end], "://")
		_, secret, _ := strings.Cut(after, ":")
		if password(secret) {
			return true
		}
	}
	_, query, _ := strings.Cut(text, "?")
	for word := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(word, "=")
		if strings.EqualFold(name, "password") && password(value) {
			return true
		}
	}
	return false
}

// userinfo returns where the user and password of a URL end, 0 when it has none.
func userinfo(text string) int {
	slashes := strings.Index(text, "://")
	if slashes < 0 {
		return 0
	}
	rest := text[slashes+3:]
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return 0
	}
	return slashes + 3 + at
}

// harmless are the parameters of a URL that people may see; all others might hold a password.
var harmless = []string{"sslmode", "tls", "application_name", "connect_timeout", "search_path", "charset"}

// Mask is a URL for people: without its password, and of its parameters only those that are known to be harmless.
func Mask(u *url.URL) string {
	m := *u
	if _, has := m.User.Password(); has {
		m.User = url.User(m.User.Username())
	}
	query := m.Query()
	for name := range query {
		if !slices.Contains(harmless, name) {
			query.Set(name, "hidden")
		}
	}
	m.RawQuery, m.Fragment = query.Encode(), ""
	return m.String()
}

// cause is the reason of a file error, without the path, which the sentence has already.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
