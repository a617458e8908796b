package postgres

import (
	"bytes"
	"strconv"
)

// Dates and times as the server counts them: days and microseconds from the first of January 2000, in the Gregorian
// calendar for every year there is.
const (
	secondMicros = 1_000_000
	dayMicros    = 86400 * secondMicros

	infiniteDate   = 1<<31 - 1
	earliestDate   = -1 << 31
	infiniteMoment = 1<<63 - 1
	earliestMoment = -1 << 63

	// The last that the server holds: of years in a date, and of days in a timestamp (294276-12-31). The first it looks
	// after itself.
	lastYear = 5874897
	lastDay  = 106751982
)

// parseDate reads a date of any year.
func parseDate(cell []byte) (int32, bool) {
	switch string(cell) {
	case "infinity":
		return infiniteDate, true
	case "-infinity":
		return earliestDate, true
	}
	text, bc := bytes.CutSuffix(cell, beforeChrist)
	days, rest, ok := cutDate(text, bc)
	return int32(days), ok && len(rest) == 0
}

var beforeChrist = []byte(" BC")

// cutDate reads the date that text begins with, as days since 2000-01-01.
func cutDate(text []byte, bc bool) (days int, rest []byte, ok bool) {
	n := 4
	for n < len(text) && text[n] != '-' {
		n++
	}
	if len(text) < n+6 || n > 7 || n > 4 && text[0] == '0' || text[n] != '-' || text[n+3] != '-' {
		return 0, nil, false
	}
	year := 0
	for _, x := range text[:n] {
		if x -= '0'; x > 9 {
			return 0, nil, false
		}
		year = year*10 + int(x)
	}
	month, okMonth := two(text[n+1], text[n+2])
	day, okDay := two(text[n+4], text[n+5])
	if !okMonth || !okDay || year < 1 || year > lastYear {
		return 0, nil, false
	}
	if bc {
		year = 1 - year
	}
	if month < 1 || month > 12 || day < 1 || day > monthDays(year, month) {
		return 0, nil, false
	}
	return daysOf(year, month, day), text[n+6:], true
}

func two(a, b byte) (int, bool) {
	a, b = a-'0', b-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

func monthDays(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// An era is 400 years; its years begin with March, so that the leap day is the last of them. The first of January 2000 is
// that many days after the first of March of the year 0.
const (
	eraDays = 146097
	epoch   = 730425
)

// daysOf counts the days from 2000-01-01; year 0 is 1 BC.
func daysOf(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	year -= era * 400
	return era*eraDays + year*365 + year/4 - year/100 + (153*(month-3)+2)/5 + day - 1 - epoch
}

// dateOf is daysOf's way back, without branches: each division by the length of a cycle is one multiplication (Neri and
// Schneider, Euclidean affine functions and their application to calendar algorithms, 2022). The days are counted from an
// era so early that none is negative.
func dateOf(days int) (year, month, day int) {
	const eras = 15000
	fourfold := uint64(days+epoch+eras*eraDays)*4 + 3
	century, inCentury := fourfold/eraDays, fourfold%eraDays/4
	product := 2939745 * (4*inCentury + 3)
	ofCentury, ofYear := product>>32, product&(1<<32-1)/2939745/4
	place := 2141*ofYear + 197913
	year = int(100*century+ofCentury) - eras*400
	month, day = int(place>>16), int(place&(1<<16-1)/2141)+1
	if ofYear >= 306 { // January and February end a year that began with March
		return year + 1, month - 12, day
	}
	return year, month, day
}

// parseClock reads hh:mm:ss with up to six digits after the point that say something.
func parseClock(text []byte) (int64, bool) {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return 0, false
	}
	hours, okHours := two(text[0], text[1])
	minutes, okMinutes := two(text[3], text[4])
	seconds, okSeconds := two(text[6], text[7])
	if !okHours || !okMinutes || !okSeconds || minutes > 59 || seconds > 59 {
		return 0, false
	}
	micros := int64(hours*3600+minutes*60+seconds) * secondMicros
	if len(text) == 8 {
		return micros, true
	}
	fraction, ok := parseFraction(text[8:])
	return micros + fraction, ok
}

func parseFraction(text []byte) (int64, bool) {
	if len(text) < 2 || text[0] != '.' {
		return 0, false
	}
	micros, unit := int64(0), int64(secondMicros)
	for _, x := range text[1:] {
		x -= '0'
		if unit /= 10; x > 9 || unit == 0 && x > 0 {
			return 0, false
		}
		micros += int64(x) * unit
	}
	return micros, true
}

// parseMoment reads a date, a blank and a time of that day.
func parseMoment(cell []byte) (int64, bool) {
	switch string(cell) {
	case "infinity":
		return infiniteMoment, true
	case "-infinity":
		return earliestMoment, true
	}
	text, bc := cell, false
	if len(cell) > 3 && cell[len(cell)-1] == 'C' {
		text, bc = bytes.CutSuffix(cell, beforeChrist)
	}
	days, rest, ok := cutDate(text, bc)
	if !ok || len(rest) == 0 || rest[0] != ' ' || days > lastDay {
		return 0, false
	}
	micros, ok := parseClock(rest[1:])
	return int64(days)*dayMicros + micros, ok && micros < dayMicros
}

// parseDuration reads a sign, hours of any number of digits, minutes and seconds.
func parseDuration(cell []byte) (int64, bool) {
	text, negative := bytes.CutPrefix(cell, minus)
	colon := bytes.IndexByte(text, ':')
	if colon < 2 || colon > 9 || len(text) < colon+6 {
		return 0, false
	}
	hours, ok := parseInt(text[:colon])
	clock := [16]byte{'0', '0'}
	n := 2 + copy(clock[2:], text[colon:])
	micros, fits := parseClock(clock[:n])
	micros += hours * 3600 * secondMicros
	if negative {
		micros = -micros
	}
	return micros, ok && fits && n < len(clock) && text[0] != '-'
}

var minus = []byte{'-'}

// pairs are the decimal digits of 0 to 99.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

func appendTwo(dst []byte, v int) []byte { return append(dst, pairs[2*v], pairs[2*v+1]) }

// appendDay writes days since 2000-01-01 as a date, and reports a year before the first.
func appendDay(dst []byte, days int) (text []byte, bc bool) {
	year, month, day := dateOf(days)
	if bc = year < 1; bc {
		year = 1 - year
	}
	if year > 9999 {
		dst = strconv.AppendInt(dst, int64(year), 10)
	} else {
		dst = appendTwo(appendTwo(dst, year/100), year%100)
	}
	return append(dst, '-', pairs[2*month], pairs[2*month+1], '-', pairs[2*day], pairs[2*day+1]), bc
}

// appendDate writes a date as the server writes it.
func appendDate(dst []byte, days int32) []byte {
	switch days {
	case infiniteDate:
		return append(dst, "infinity"...)
	case earliestDate:
		return append(dst, "-infinity"...)
	}
	dst, bc := appendDay(dst, int(days))
	if bc {
		dst = append(dst, beforeChrist...)
	}
	return dst
}

// appendMoment writes a timestamp as the server writes it in UTC, without its zone, with at most so many digits of the
// second and no zeros at their end.
func appendMoment(dst []byte, micros int64, digits int) []byte {
	switch micros {
	case infiniteMoment:
		return append(dst, "infinity"...)
	case earliestMoment:
		return append(dst, "-infinity"...)
	}
	days, rest := micros/dayMicros, micros%dayMicros
	if rest < 0 {
		days, rest = days-1, rest+dayMicros
	}
	dst, bc := appendDay(dst, int(days))
	dst = appendClock(append(dst, ' '), rest, digits)
	if bc {
		dst = append(dst, beforeChrist...)
	}
	return dst
}

// appendClock writes a time of the day with at most so many digits of the second and no zeros at their end.
func appendClock(dst []byte, micros int64, digits int) []byte {
	seconds, fraction := int(micros/secondMicros), int(micros%secondMicros)
	dst = append(appendTwo(dst, seconds/3600), ':')
	dst = append(appendTwo(dst, seconds/60%60), ':')
	dst = appendTwo(dst, seconds%60)
	if fraction == 0 || digits <= 0 {
		return dst
	}
	start := len(dst)
	dst = append(dst, '.')
	dst = appendTwo(appendTwo(appendTwo(dst, fraction/10000), fraction/100%100), fraction%100)
	dst = dst[:min(len(dst), start+1+digits)]
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if len(dst) == start+1 {
		return dst[:start]
	}
	return dst
}

// The days and the moments that every product has: from the year 1 to the year 9999.
var (
	firstDay      = daysOf(1, 1, 1)
	beyondDay     = daysOf(10000, 1, 1)
	firstMoment   = int64(firstDay) * dayMicros
	beyondMoments = int64(beyondDay) * dayMicros
)
