package testserver

import (
	"os/exec"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestServersStartAndRestart(t *testing.T) {
	for _, product := range []string{"postgres", "mariadb"} {
		t.Run(product, func(t *testing.T) {
			s := New(t, product)
			s.Create(t, "shop")
			s.Kill()
			s.Start(t)
			for range 3 {
				s.Crash()
				if err := s.Restart(); err != nil {
					t.Fatal(err)
				}
			}
			if product == "postgres" {
				s.psql(t, "shop", "select 1")
			} else {
				s.mariadb(t, "use shop")
			}
		})
	}
	if out, err := exec.Command("psql", "-XAtq", Postgres(t), "-c", "select 1").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if one, two := MariaDB(t), MariaDB(t); one == two {
		t.Fatal("two tests got one database")
	}
}
