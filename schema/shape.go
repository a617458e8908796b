package schema

import "github.com/whimbrel/whimbrel/row"

// Shape says which columns of a table travel, in which order, and as which cells. A source and a target have a shape
// each, of the same length: cell i of a row comes from column i of one and goes to column i of the other.
// A shape is made once a table, by translate.
type Shape struct {
	Columns []ShapeColumn
	Key     []int // the places of the key's columns in Columns, in the key's order; empty when there is none
}

// ShapeColumn is one travelling column.
type ShapeColumn struct {
	Column  *Column  // this side's column
	Cell    row.Kind // how its bytes are written while they travel; both sides agree on it
	Scale   int      // Decimal: digits after the point, -1 when each value has its own
	Digits  int      // times: the most digits of the second that travel; 0 to 9
	Lenient bool     // the operator accepted that what the cell's kind can not say (a zero date) becomes NULL
}

// Width is the number of cells in a row.
func (s Shape) Width() int { return len(s.Columns) }

// Keys returns the shape of the key alone, in the key's order.
func (s Shape) Keys() Shape {
	k := Shape{Columns: make([]ShapeColumn, len(s.Key)), Key: make([]int, len(s.Key))}
	for i, c := range s.Key {
		k.Columns[i], k.Key[i] = s.Columns[c], i
	}
	return k
}

// Names returns this side's column names in order.
func (s Shape) Names() []string {
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Column.Name
	}
	return names
}

// Pick returns the shape of the columns at these places, in this order. Every key column must be among them.
func (s Shape) Pick(places []int) Shape {
	p := Shape{Columns: make([]ShapeColumn, len(places))}
	at := make(map[int]int, len(places))
	for i, c := range places {
		p.Columns[i], at[c] = s.Columns[c], i
	}
	for _, k := range s.Key {
		p.Key = append(p.Key, at[k])
	}
	return p
}
