package mysql

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// A trigger's name that a loss of power has left without its trigger does not keep capture from being installed.
func TestANameWithoutItsTriggerIsNoTrigger(t *testing.T) {
	server := testserver.New(t, "mariadb")
	s := open(t, server.Create(t, "shop"), driver.Source)
	s.do("CREATE TABLE p (id INT PRIMARY KEY)")
	p := s.inspect("p")
	name := filepath.Join(server.Dir, "data", "shop", "whimbrel_insert_1.TRN")
	s.do("CREATE TRIGGER whimbrel_insert_1 AFTER INSERT ON p FOR EACH ROW SET @x = 1")
	kept := os.Link(name, name+".kept")
	s.do("DROP TRIGGER whimbrel_insert_1")
	err := s.d.control.with(s.ctx, func(c *session) error {
		if err := errors.Join(kept, os.Rename(name+".kept", name)); err != nil {
			return err
		}
		return c.run(s.ctx, "CREATE TRIGGER whimbrel_insert_1 AFTER INSERT ON p FOR EACH ROW SET @x = 1")
	})
	if number(err) != 1359 {
		t.Fatalf("the name can be used, and nothing is proven: %v", err)
	}
	shape := shapeOf(p)
	s.class(s.Capturer.Install(s.ctx, p, shape, brief), driver.Transient)
	if err := s.Capturer.Install(s.ctx, p, shape, brief); err != nil {
		t.Fatal(err)
	}
	s.app().do("INSERT INTO p VALUES (1)")
	if noted := s.taken(p, shape, 1); len(noted) != 1 {
		t.Errorf("%v is noted", noted)
	}
}
