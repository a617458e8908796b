package move

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

var testSchemes = []string{"postgres", "postgresql", "mariadb", "mysql", "sqlite"}

// canary is a password that must be seen nowhere but in the URL that a driver gets.
const canary = "k4nary:/?#@%&= ß"

func testEnvironment(name string) (string, bool) {
	values := map[string]string{"SOURCE_PASSWORD": canary, "HOST": "db1:3307", "EMPTY": "", "URL": "postgres://a:b@c/d"}
	v, ok := values[name]
	return v, ok
}

// write makes a configuration with the files it names and returns its path.
func writeConfig(t *testing.T, text string, files map[string]string) string {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	dir := t.TempDir()
	t.Chdir(dir)
	files["whimbrel.yaml"] = text
	for name, body := range files {
		mode := os.FileMode(0o600)
		if strings.HasPrefix(name, "open") {
			mode = 0o644
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), mode); err != nil {
			t.Fatal(err)
		}
	}
	return "whimbrel.yaml"
}

const twoSides = "source: {url: \"mariadb://app:${SOURCE_PASSWORD}@db1/shop\", schemas: [shop]}\ntarget: {url: \"postgres://mover@db2/shop\"}\n"

func TestConfigurationIsRead(t *testing.T) {
	path := writeConfig(t, `
procedure: standard
source: {url: "mariadb://app:${SOURCE_PASSWORD}@${HOST}/shop", schemas: [shop]}
target: {url: "postgres://mover@db2/shop?sslmode=verify-full", schema: shop, password-file: secret}
tables: {list: uptime.txt, skip: ["tmp_*"]}
application: {stop: ./stop-shop, start: ./start-shop-new, start-source: ./start-shop}
sessions: {source: 3}
verify: {levels: {orders: sample, "log_*": full-downtime}}
wait: {settled: 90s}
`, map[string]string{"uptime.txt": "\uFEFForders\r\n# a remark\n\n  order lines  \n", "secret": "p w\n"})
	c, err := Load(path, testSchemes, testEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Listed{{"orders", "uptime.txt:1"}, {"order lines", "uptime.txt:4"}}; !reflect.DeepEqual(c.Listed, want) {
		t.Errorf("listed %v, want %v", c.Listed, want)
	}
	if c.Sessions != (Sessions{3, 4}) || c.Wait != (Wait{2 * time.Second, 90 * time.Second}) || c.Procedure != "standard" ||
		c.Application.StartSource != "./start-shop" || c.Verify.Levels["orders"] != Sample || !filepath.IsAbs(c.Dir) {
		t.Errorf("read %+v", c)
	}
	source, err := c.Source.Resolve(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := source.User.Password(); password != canary || source.Host != "db1:3307" || source.Path != "/shop" {
		t.Errorf("the source's URL is %q", source)
	}
	target, err := c.Target.Resolve(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := target.User.Password(); password != "p w" || target.Query().Get("sslmode") != "verify-full" {
		t.Errorf("the target's URL is %q", target)
	}
}

func TestWhatIsLeftOutIsFilledIn(t *testing.T) {
	c, err := Load(writeConfig(t, twoSides, map[string]string{}), testSchemes, testEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	if c.Procedure != "downtime-optimized" || c.Sessions != (Sessions{4, 4}) || c.Wait != (Wait{2 * time.Second, 10 * time.Minute}) {
		t.Errorf("read %+v", c)
	}
}

func TestMistakesInAConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		files      map[string]string
	}{
		"empty":             {"", `whimbrel.yaml: it is empty; source and target must be named`, nil},
		"only a remark":     {"# nothing\n", `whimbrel.yaml: it is empty; source and target must be named`, nil},
		"unknown key":       {twoSides + "sesions: {source: 4}\n", `whimbrel.yaml:3:1: there is no key "sesions" here`, nil},
		"unknown inner key": {"source: {url: x, shemas: [a]}\n", `whimbrel.yaml:1:18: there is no key "shemas" here`, nil},
		"twice":             {twoSides + "source: {url: x}\n", `whimbrel.yaml:3:1: mapping key "source" already defined at [1:1]`, nil},
		"two documents":     {twoSides + "---\nprocedure: standard\n", `whimbrel.yaml:3:1: a second document begins here; one file is one move`, nil},
		"an empty second":   {twoSides + "---\n", `whimbrel.yaml:3:1: a second document begins here; one file is one move`, nil},
		"after an end":      {twoSides + "...\nprocedure: standard\n", `whimbrel.yaml:4:10: a second document begins here; one file is one move`, nil},
		"not yaml":          {"source: {url: [}\n", `whimbrel.yaml:1:16: could not find '{' character corresponding to '}'`, nil},
		"a list":            {"- a\n", `whimbrel.yaml:1:1: here belongs a group of keys`, nil},
		"wrong type":        {twoSides + "sessions: {source: many}\n", `whimbrel.yaml:3:20: here belongs a whole number`, nil},
		"text for a list":   {twoSides + "tables: {uptime: orders}\n", `whimbrel.yaml:3:18: here belongs a list, such as [a, b]`, nil},
		"list for a url":    {"source: {url: [a]}\n", `whimbrel.yaml:1:15: here belongs a text`, nil},
		"not a duration":    {twoSides + "wait: {lock: soon}\n", `whimbrel.yaml:3:14: here belongs a duration, such as 2s or 10m`, nil},
		"no such procedure": {twoSides + "procedure: optimised\n", `whimbrel.yaml:3:12: there is no procedure "optimised"; take downtime-optimized or standard`, nil},
		"no source":         {"target: {url: \"postgres://db2/shop\"}\n", `whimbrel.yaml:1:1: the source has no url`, nil},
		"no url":            {"source: {schemas: [a]}\ntarget: {url: \"postgres://db2/shop\"}\n", `whimbrel.yaml:1:9: the source has no url`, nil},
		"unset variable":    {"source: {url: \"mariadb://a:${NOBODY}@db1/shop\"}\n", `whimbrel.yaml:1:15: the environment variable NOBODY is not set`, nil},
		"unreadable url": {
			"source: {url: \"mariadb://app:se/cr:et@db1/shop\"}\ntarget: {url: \"postgres://db2/shop\"}\n",
			`whimbrel.yaml:1:15: this is not a URL; write product://user@host:port/database, and give a password with special characters as ${NAME} or in a password-file`, nil,
		},
		"unknown product": {
			"source: {url: \"oracle://db1/shop\"}\ntarget: {url: \"postgres://db2/shop\"}\n",
			`whimbrel.yaml:1:15: no database is known by the word that this URL begins with; take one of postgres, postgresql, mariadb, mysql, sqlite`, nil,
		},
		"the same":       {"source: {url: \"sqlite:a.db\"}\ntarget: {url: \"sqlite:a.db\"}\n", `whimbrel.yaml:2:15: source and target are the same database`, nil},
		"schema":         {"source: {url: \"sqlite:a.db\", schema: x}\ntarget: {url: \"sqlite:b.db\"}\n", `whimbrel.yaml:1:38: schema belongs to the target; the source has schemas, a list`, nil},
		"sessions":       {twoSides + "sessions:\n  source: 0\n", `whimbrel.yaml:4:11: sessions are 1 to 1000`, nil},
		"records":        {twoSides + "records:\n  limit-mib: 0\n", `whimbrel.yaml:4:14: the limit is 1 MiB to 1 PiB`, nil},
		"no list":        {twoSides + "tables: {list: up.txt}\n", `whimbrel.yaml:3:16: the table list up.txt can not be read: no such file or directory`, nil},
		"list and names": {twoSides + "tables: {list: up.txt, uptime: [a]}\n", `whimbrel.yaml:3:32: uptime tables come from a list or from here, not from both; leave one out`, nil},
		"named twice":    {twoSides + "tables: {uptime: [a, b, a]}\n", `whimbrel.yaml:3:25: a is listed twice`, nil},
		"listed twice":   {twoSides + "tables: {list: up.txt}\n", `up.txt:4: a is listed twice; line 1 has it already`, map[string]string{"up.txt": "a\nb\n#\na\n"}},
		"listed garbage": {twoSides + "tables: {list: up.txt}\n", `up.txt:2: this line is not UTF-8 text`, map[string]string{"up.txt": "a\n\xff\n"}},
		"pattern":        {twoSides + "tables: {skip: [a, \"[\"]}\n", `whimbrel.yaml:3:20: the pattern "[" is not complete`, nil},
		"level":          {twoSides + "verify: {levels: {a: full}}\n", `whimbrel.yaml:3:22: there is no level "full"; take full-downtime, full-uptime+changed or sample`, nil},
		"open password file": {
			"source: {url: \"sqlite:a.db\"}\ntarget: {url: \"postgres://m@db2/shop\", password-file: open}\n",
			`whimbrel.yaml:2:55: password-file DIR/open: others than its owner can read it; chmod 600 it`,
			map[string]string{"open": "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.files == nil {
				c.files = map[string]string{}
			}
			read, err := Load(writeConfig(t, c.text, c.files), testSchemes, testEnvironment)
			var placed *ConfigError
			if !errors.As(err, &placed) {
				t.Fatalf("read %+v with error %v, want a *ConfigError", read, err)
			}
			dir, _ := os.Getwd()
			if got := strings.ReplaceAll(err.Error(), dir, "DIR"); got != c.want {
				t.Errorf("error\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAMissingConfigurationSaysWhatToDo(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "w.yaml"), testSchemes, testEnvironment)
	if err == nil || !strings.Contains(err.Error(), "whimbrel init") {
		t.Errorf("error %v", err)
	}
}

func TestASecretIsShownNowhere(t *testing.T) {
	s := NewSecret(canary)
	inside := struct {
		S      Secret
		P      *Secret
		hidden Secret
		m      map[string]Secret
	}{s, &s, s, map[string]Secret{"a": s}}
	var out strings.Builder
	for verb := 'A'; verb <= 'z'; verb++ {
		for _, flags := range []string{"", "+", "#", " ", "0", "-8.3"} {
			if verb == 'T' || verb == 'p' || verb == 'w' || verb > 'Z' && verb < 'a' { // the type's name, an address, no verb
				continue
			}
			form := "%" + flags + string(verb)
			if got := fmt.Sprintf(form, s); got != hidden {
				t.Errorf("%s shows %q", form, got)
			}
			fmt.Fprintf(&out, form+form+"\n", &s, inside)
		}
	}
	if s.String() != hidden || s.GoString() != hidden {
		t.Errorf("as words of Go it is %s and %s", s, s.GoString())
	}
	encoded, err := json.Marshal(inside)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{s, &s, inside, map[string]Secret{"a": s}} {
		text, err := yaml.Marshal(v)
		if err != nil || !bytes.Contains(text, []byte(hidden)) {
			t.Errorf("YAML of %T: %s, %v", v, text, err)
		}
		out.Write(text)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "in", inside, "p", &s)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "in", inside)
	for _, form := range []string{canary, "k4nary", fmt.Sprintf("%x", "k4nary"), fmt.Sprintf("%X", "k4nary")} {
		if text := out.String() + string(encoded); strings.Contains(text, form) {
			t.Errorf("the secret is shown in\n%s", text)
		}
	}
	if s.Reveal() != canary {
		t.Errorf("revealed %q", s.Reveal())
	}
}

func TestNoErrorHoldsAPassword(t *testing.T) {
	for _, secret := range []string{"q7/ss:word", "q7%zz", "q7@ss@", "[q7", "q7 p", "q7\nq", "q7#x", "q7?x=y"} {
		side := Side{URL: NewSecret("postgres://user:" + secret + "@host:port/db")}
		if _, err := side.Resolve("/"); err != nil && strings.Contains(err.Error(), "q7") {
			t.Errorf("password %q is in %q", secret, err)
		}
		text := "source: {url: \"postgres://user:" + secret + "@host:port/db\"}\ntarget: {url: [x]}\n"
		if _, err := Load(writeConfig(t, text, map[string]string{}), testSchemes, testEnvironment); err == nil || strings.Contains(err.Error(), "q7") {
			t.Errorf("error %v", err)
		}
	}
}

func TestVariablesAreFilledIn(t *testing.T) {
	escaped := strings.ReplaceAll(url.QueryEscape(canary), "+", "%20")
	for text, want := range map[string]string{
		"${URL}":                            "postgres://a:b@c/d",
		"mariadb://a:${SOURCE_PASSWORD}@h/": "mariadb://a:" + escaped + "@h/",
		"mariadb://a:${EMPTY}@${HOST}/x":    "mariadb://a:@db1:3307/x",
		"pg://h/x?password=${HOST}&a=b":     "pg://h/x?password=db1%3A3307&a=b",
		"a$b${":                             "a$b${",
		"":                                  "",
	} {
		if got, missing := expand(text, testEnvironment); got != want || missing != "" {
			t.Errorf("%s is %q (missing %q), want %q", text, got, missing, want)
		}
	}
	if _, missing := expand("${HOST}${NOBODY}", testEnvironment); missing != "NOBODY" {
		t.Errorf("missing %q", missing)
	}
}

func TestPasswordsOfMariaDBsOwnFile(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	text := "# mine\n[mysqld]\npassword=no\n[client]\nuser = kim # me\npassword=\"a # b\"\n"
	if err := os.WriteFile(filepath.Join(home, ".my.cnf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"mariadb://h/d":     "mariadb://kim:a%20%23%20b@h/d",
		"mysql://u@h/d":     "mysql://u:a%20%23%20b@h/d",
		"mariadb://u:p@h/d": "mariadb://u:p@h/d",
		"postgres://u@h/d":  "postgres://u@h/d",
	} {
		u, err := Side{URL: NewSecret(from)}.Resolve("/")
		if err != nil || u.String() != want {
			t.Errorf("%s is %s (%v), want %s", from, u, err, want)
		}
	}
}

func TestFilesOfSQLiteLieBesideTheConfiguration(t *testing.T) {
	for from, want := range map[string]string{
		"sqlite:shop.db": "/conf/shop.db", "sqlite:/var/a b.db": "/var/a b.db", "sqlite:sub/x.db?mode=ro": "/conf/sub/x.db",
		"sqlite:///abs.db": "/abs.db", "sqlite:a%20b.db": "/conf/a b.db",
	} {
		u, err := Side{URL: NewSecret(from)}.Resolve("/conf")
		if err != nil || u.Path != want || u.Opaque != "" {
			t.Errorf("%s is %v (%v), want the path %s", from, u, err, want)
		}
	}
	for _, wrong := range []string{"sqlite:", "sqlite://host/x.db"} {
		if u, err := (Side{URL: NewSecret(wrong)}).Resolve("/conf"); err == nil {
			t.Errorf("%s is %s", wrong, u)
		}
	}
}

func TestAMaskedURLShowsNoPassword(t *testing.T) {
	u, err := url.Parse("postgres://kim:secret@h:5432/d?sslmode=require&password=secret&sslkey=secret#secret")
	if err != nil {
		t.Fatal(err)
	}
	got := Mask(u)
	if strings.Contains(got, "secret") || !strings.Contains(got, "kim@h:5432/d") || !strings.Contains(got, "sslmode=require") {
		t.Errorf("masked as %s", got)
	}
	if !bytes.Contains([]byte(u.String()), []byte("secret")) {
		t.Error("the URL itself was changed")
	}
}

// TestTableListsStayInTheirFolder: what a path or a link outside of the configuration's folder names is not read, and nothing of it
// is said.
func TestTableListsStayInTheirFolder(t *testing.T) {
	const secret = "root-k4nary"
	elsewhere := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(elsewhere, []byte(secret+"\n"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{elsewhere, "../" + filepath.Base(filepath.Dir(elsewhere)) + "/shadow", "link", "folder", "dir/../../shadow", "pipe", "huge"} {
		path := writeConfig(t, twoSides+"tables: {list: "+quoteYAML(list)+"}\n", map[string]string{})
		if err := errors.Join(os.Symlink(elsewhere, "link"), os.Symlink(filepath.Dir(elsewhere), "dir"), os.Mkdir("folder", 0o700), syscall.Mkfifo("pipe", 0o600),
			os.WriteFile("huge", nil, 0o600), os.Truncate("huge", longestList+1)); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, testSchemes, testEnvironment)
		var wrong *ConfigError
		if !errors.As(err, &wrong) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", list, err)
		}
		if list == "huge" && !strings.Contains(err.Error(), "it is larger than") {
			t.Errorf("a list without bounds: %v", err)
		}
	}
	for _, list := range []string{"lists/uptime.txt", "./lists/../lists/uptime.txt", "inside"} {
		path := writeConfig(t, twoSides+"tables: {list: "+quoteYAML(list)+"}\n", map[string]string{})
		if err := errors.Join(os.Mkdir("lists", 0o700), os.WriteFile("lists/uptime.txt", []byte("orders\n"), 0o600), os.Symlink("lists/uptime.txt", "inside")); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(path, testSchemes, testEnvironment); err != nil || len(c.Listed) != 1 {
			t.Errorf("%s: %v", list, err)
		}
	}
}

func quoteYAML(s string) string { b, _ := json.Marshal(s); return string(b) }

// TestAPasswordThatOthersCanReadIsRefused, and one that only the environment knows is not.
func TestAPasswordThatOthersCanReadIsRefused(t *testing.T) {
	for _, c := range []struct {
		url     string
		refused bool
	}{
		{"postgres://a:secret@b/c", true},
		{"postgres://a@b/c?password=secret", true},
		{"postgres://a@b/c?x=1&Password=secret", true},
		{"postgres://a:${SOURCE_PASSWORD}@b/c", false},
		{"postgres://a@b/c?password=${SOURCE_PASSWORD}", false},
		{"postgres://a@b/c", false},
		{"postgres://a:${EMPTY}secret@b/c", true},
		{"sqlite:a:b@c", false},
	} {
		path := writeConfig(t, "source: {url: "+quoteYAML(c.url)+"}\ntarget: {url: \"sqlite:x.db\"}\n", map[string]string{})
		for _, mode := range []os.FileMode{0o600, 0o640, 0o604} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, testSchemes, testEnvironment)
			if refused := err != nil && strings.Contains(err.Error(), "others than its owner can read"); refused != (c.refused && mode != 0o600) {
				t.Errorf("%s in a file of mode %o: %v", c.url, mode, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is in %v", err)
			}
		}
	}
}
