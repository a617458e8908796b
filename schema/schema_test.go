package schema

import "testing"

// TestAKeyThatNamesNoRowIsNoLiveKey: with NULL, of some rows only, of an expression or the beginning of a value, or checked late
// (HAZARDS 60).
func TestAKeyThatNamesNoRowIsNoLiveKey(t *testing.T) {
	for name, bad := range map[string]*Key{
		"with NULL":            {Columns: []Part{{Column: "a"}, {Column: "n"}}},
		"of some rows":         {Columns: []Part{{Column: "a"}}, Where: "a > 0"},
		"of an expression":     {Columns: []Part{{Expression: "lower(a)"}}},
		"and an expression":    {Columns: []Part{{Column: "a"}, {Expression: "lower(a)"}}},
		"of a value's start":   {Columns: []Part{{Column: "a", Prefix: 5}}},
		"checked late":         {Columns: []Part{{Column: "a"}}, Deferrable: true},
		"of an unknown column": {Columns: []Part{{Column: "x"}}},
	} {
		for _, primary := range []bool{true, false} {
			table := &Table{Columns: []*Column{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "n", Null: true}}, Uniques: []*Key{bad}}
			if primary {
				table.Primary, table.Uniques = bad, nil
			}
			if got := table.LiveKey(); got != nil {
				t.Errorf("%s: rows are known by %v", name, got.Names())
			}
			good := &Key{Columns: []Part{{Column: "b"}, {Column: "c"}}}
			if table.Uniques = append(table.Uniques, good); table.LiveKey() != good {
				t.Errorf("%s: the other key is not taken", name)
			}
		}
	}
}
