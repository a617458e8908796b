package move

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzConfig: any text is a configuration or an error with a place, and no error holds a value of the environment.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		twoSides, twoSides + "tables: {uptime: [a, b], skip: [\"tmp_*\"]}\nverify: {levels: {a: sample}}\nwait: {lock: 2s, settled: 1m}\nsessions: {source: 2}\n",
		"source: *a\n", "a: &a [*a]\n", "? {x: y}\n: z\n", "--- \n...\n---\n", "0\n---", "0\n...\n...", "source: {url: \"${SOURCE_PASSWORD}\"}\ntarget: {url: x}\n", "wait: {lock: {}}\n", "\xff", "!!binary x",
		"source: {url: \"postgres://${SOURCE_PASSWORD}@x:y/z\", password-file: ${SOURCE_PASSWORD}}\n", "tables: {list: ../x}\n" + twoSides,
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Setenv("HOME", dir)
	path := filepath.Join(dir, "whimbrel.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Count(text, []byte("&"))+bytes.Count(text, []byte("*")) > 20 || len(text) > 4096 {
			return // the YAML reader takes its time for many aliases; the file is the operator's own
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, testSchemes, testEnvironment)
		if err == nil {
			if c.Source.URL.Reveal() == "" || c.Target.URL.Reveal() == "" || c.Sessions.Source < 1 || c.Wait.Lock <= 0 {
				t.Fatalf("%q is taken: %+v", text, c)
			}
			return
		}
		if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), url.QueryEscape(canary)) {
			t.Fatalf("%q: the password is in %q", text, err)
		}
		if !strings.HasPrefix(err.Error(), path) && !strings.HasPrefix(err.Error(), "uptime") && c != nil {
			t.Fatalf("%q: %v has no place", text, err)
		}
	})
}

// FuzzURL: whatever stands around it, a password that is filled in is in no error and in nothing for people, and comes out as it is.
func FuzzURL(f *testing.F) {
	for _, s := range []string{
		"postgres://a:${P}@b/c", "postgres://a@b/c?password=${P}", "mariadb://a:x@b:${P}/c", "sqlite:${P}", "sqlite:///a?x=${P}", "${P}", "x://${P}", "postgres://a:${P}@b/c#${P}",
		"postgres://a:${P@b", "postgres://[${P}]/", "postgres:a:${P}@b", "postgres://a:${P}@b@c/d?e=f&sslmode=${P}", "a://b?sslmode=%zz&${P}",
	} {
		f.Add(s, "s3cr/et:@?#%")
	}
	f.Fuzz(func(t *testing.T, text, suffix string) {
		password := "k4nary7" + suffix
		full, missing := expand(text, func(name string) (string, bool) { return password, name == "P" })
		if missing != "" {
			return
		}
		u, err := parse(full)
		if err != nil {
			if strings.Contains(err.Error(), "k4nary7") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		got, has := u.User.Password()
		if simple, found := strings.CutPrefix(text, "postgres://a:${P}@"); found && !strings.ContainsAny(simple, "@$") && (!has || got != password) {
			t.Fatalf("%q: the password is %q, not %q", text, got, password)
		}
		if has && strings.Contains(got, "k4nary7") && !strings.Contains(strings.Replace(text, "${P}", "", 1), "${P}") && strings.Contains(Mask(u), "k4nary7") {
			t.Fatalf("%q is shown as %q", text, Mask(u))
		}
		if reveals(text) && full == text && len(text) > 0 && u.Scheme == "" {
			t.Fatalf("%q", text)
		}
	})
}

// FuzzMyCnf: no option file makes its reader fail otherwise than with an error.
func FuzzMyCnf(f *testing.F) {
	f.Add([]byte("[client]\nuser = a\npassword=\"x # y\"\n[mysqld]\npassword=z\n"))
	f.Add([]byte("[client]\npassword='\n=\n#\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		settings, err := group(bytes.NewReader(text), "[client]")
		if err == nil && len(settings) > bytes.Count(text, []byte("\n"))+1 {
			t.Fatalf("%q gave %d settings", text, len(settings))
		}
	})
}
