package row

// Kind says how the bytes of a cell are to be read. It is the vocabulary that every database is translated to and
// from: a driver that can read and write cells of each kind can exchange rows with every other driver.
// The exact bytes are specified in docs/encoding.md and held by the golden file testdata/encoding.txt.
type Kind uint8

const (
	// Other is a value in the text form of its own product (inet, tsvector, arrays, ranges, geometry as text).
	// It travels unchanged between databases of one product and as text elsewhere.
	Other     Kind = iota
	Bool           // 0 or 1
	Int            // decimal digits, '-' before negatives, no leading zeros, any size
	Decimal        // plain digits with exactly the column's scale after the point; NaN, Infinity, -Infinity where the product has them
	Float32        // shortest text that reads back as the same float32; NaN, Infinity, -Infinity, -0
	Float64        // shortest text that reads back as the same float64; NaN, Infinity, -Infinity, -0
	Text           // UTF-8, unchanged: no trimming, no normalisation
	Bytes          // the bytes
	Date           // 2006-01-02
	Time           // 15:04:05[.999999], a time of day up to 24:00:00
	Timestamp      // 2006-01-02 15:04:05[.999999], no zone
	Instant        // as Timestamp, in UTC
	Duration       // [-]HHH:MM:SS[.999999], hours of any number
	Interval       // PostgreSQL's interval in its own style: 1 year 2 mons 3 days 04:05:06
	UUID           // 36 characters, lower case, with hyphens
	JSON           // as the source stored it, byte for byte
	Bits           // a string of the characters 0 and 1
	kinds          // the number of kinds
)

var kindNames = [...]string{
	"other", "bool", "int", "decimal", "float32", "float64", "text", "bytes", "date", "time", "timestamp",
	"instant", "duration", "interval", "uuid", "json", "bits",
}

// String returns the kind's word, the one used in documents and findings.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Numeric reports whether cells of this kind are ASCII numbers, which need no escaping in any text format.
func (k Kind) Numeric() bool { return k >= Bool && k <= Float64 }

// Kinds returns every kind, for tests that must cover them all.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}
