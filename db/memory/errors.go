package memory

import (
	"errors"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Error is an error of this database, with its class.
type Error struct {
	Class driver.Class
	Text  string
	Cause error
}

// Error gives the text and the cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return "memory: " + e.Text + ": " + e.Cause.Error()
	}
	return "memory: " + e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Fail returns an error of a class, for a Fault to inject.
func Fail(class driver.Class, text string) error { return &Error{Class: class, Text: text} }

// Classify finds the class of an error of this database, wrapped or not.
func (Dialect) Classify(err error) driver.Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return driver.Unclassified
}

func failf(class driver.Class, format string, args ...any) error {
	return &Error{Class: class, Text: fmt.Sprintf(format, args...)}
}

func lost(why string) error { return &Error{Class: driver.Lost, Text: why} }
