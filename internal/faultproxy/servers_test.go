package faultproxy

import (
	"context"
	"database/sql"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// client opens a product's usual client on a database, directly and through a proxy.
func client(t *testing.T, at string, extended bool) (direct, through *sql.DB, p *Proxy) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	protocol := Postgres
	if u.Scheme == "mariadb" {
		protocol = MySQL
	}
	if p, err = Listen("127.0.0.1:0", u.Host, protocol); err != nil {
		t.Fatal(err)
	}
	open := func(host string) *sql.DB {
		there := *u
		there.Host = host
		driver, dsn := "pgx", there.String()+"&default_query_exec_mode=simple_protocol"
		if extended {
			dsn = there.String()
		}
		if protocol == MySQL {
			c := mysql.NewConfig()
			c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", host, strings.TrimPrefix(u.Path, "/")
			c.Passwd, _ = u.User.Password()
			c.Logger = &mysql.NopLogger{}
			driver, dsn = "mysql", c.FormatDSN()
		}
		db, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	direct, through = open(u.Host), open(p.Addr())
	t.Cleanup(func() { _, _, _ = direct.Close(), through.Close(), p.Close() })
	return direct, through, p
}

// has waits until the row is there, or not, and reports whether it is so.
func has(t *testing.T, db *sql.DB, id int, within time.Duration) bool {
	t.Helper()
	for limit := time.Now().Add(within); ; {
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM t WHERE id = " + strconv.Itoa(id)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 1 || time.Now().After(limit) {
			return n == 1
		}
		<-time.After(10 * time.Millisecond)
	}
}

// insert makes one row in a transaction, whose COMMIT is a statement of its own.
func insert(db *sql.DB, id int, prepared bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, statement := range []string{"BEGIN", "INSERT INTO t VALUES (" + strconv.Itoa(id) + ")"} {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if !prepared {
		_, err = c.ExecContext(ctx, "COMMIT")
		return err
	}
	s, err := c.PrepareContext(ctx, "COMMIT")
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.ExecContext(ctx)
	return err
}

func TestWhatHappensToACommit(t *testing.T) {
	for _, product := range []string{"postgres", "mariadb"} {
		for _, way := range []string{"simple", "prepared"} {
			t.Run(product+"/"+way, func(t *testing.T) {
				at := testserver.Postgres
				if product == "mariadb" {
					at = testserver.MariaDB
				}
				direct, through, p := client(t, at(t), way == "prepared")
				if _, err := direct.Exec("CREATE TABLE t (id INT PRIMARY KEY)"); err != nil {
					t.Fatal(err)
				}
				if err := insert(through, 1, way == "prepared"); err != nil || !has(t, direct, 1, 0) {
					t.Fatalf("without a fault: %v", err)
				}
				for id, kind := range map[int]Kind{2: CommitUnsent, 3: CommitLost, 4: CommitLate} {
					p.Set(Plan{Seed: uint64(id), Chances: map[Kind]int{kind: 100}, Longest: 300 * time.Millisecond, Most: 1})
					if err := insert(through, id, way == "prepared"); err == nil {
						t.Errorf("%s: the client was told that it had committed", kind)
					}
					p.Set(Plan{})
					if n := p.Counts(); n[kind] != 1 {
						t.Errorf("%s: counted %v", kind, n)
					}
					within := 10 * time.Second
					if kind == CommitUnsent {
						within = 0
					}
					if there := has(t, direct, id, within); there != (kind != CommitUnsent) {
						t.Errorf("%s: the row is there: %v", kind, there)
					}
				}
			})
		}
	}
}
