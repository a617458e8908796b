// Package strict reads YAML files that people write: a key that nobody knows, a value of the wrong type, a second document is a
// mistake, and every mistake is one sentence that begins with its place.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Error is a mistake in a file, with its place. It never holds a value that might be a password.
type Error struct {
	File         string
	Line, Column int // 0 when it has no place
	Message      string
}

// Error is one sentence that begins with the place.
func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return e.File + ": " + e.Message
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Place is the file with line and column, as far as they are known.
func (e *Error) Place() string {
	one := *e
	one.Message = ""
	return strings.TrimSuffix(one.Error(), ": ")
}

// Words are what is said of a kind of file.
type Words struct {
	Empty  string // a clause: what an empty file must say
	Second string // a clause: why there can be no second document
	What   string // what the file is: a configuration
}

// File is a file that was read as YAML.
type File struct {
	Name  string // as errors begin with it
	text  []byte
	words Words
	body  ast.Node
}

// Parse reads a file's text.
func Parse(name string, text []byte, words Words) (*File, error) {
	f := &File{Name: name, text: text, words: words}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, f.explain(err)
	}
	if len(tree.Docs) > 0 {
		f.body = tree.Docs[0].Body
	}
	if f.body == nil {
		return nil, &Error{File: name, Message: "it is empty; " + words.Empty}
	}
	nameless := &namelessKeys{}
	ast.Walk(nameless, f.body)
	if nameless.first != nil {
		return nil, f.at(nameless.first, "null is no key; the reader would pass over what it stands in")
	}
	if len(tree.Docs) > 1 {
		return nil, f.at(beginning(tree.Docs[1]), "a second document begins here; "+words.Second)
	}
	return f, nil
}

// beginning is where a document begins, by the line before it where it has one; nil for an empty one without.
func beginning(d *ast.DocumentNode) *token.Token {
	if d.Start == nil && d.Body != nil {
		return d.Body.GetToken()
	}
	return d.Start
}

// namelessKeys finds a key that is null, which the YAML reader takes for none.
type namelessKeys struct{ first *token.Token }

// Visit is called for every node.
func (k *namelessKeys) Visit(node ast.Node) ast.Visitor {
	if v, is := node.(*ast.MappingValueNode); is && k.first == nil {
		if _, null := v.Key.(*ast.NullNode); null {
			k.first = v.Key.GetToken()
		}
	}
	return k
}

// Decode fills a value in, whose fields have yaml tags. Again: fills in the same.
func (f *File) Decode(into any) error {
	err := yaml.NewDecoder(bytes.NewReader(f.text), yaml.Strict()).Decode(into)
	if err != nil && !errors.Is(err, io.EOF) {
		return f.explain(err)
	}
	return nil
}

// Value is the text of the value at a path, false where there is none.
func (f *File) Value(path ...string) (string, bool) {
	node := f.body
	for _, key := range path {
		if node = child(node, key); node == nil {
			return "", false
		}
	}
	return node.GetToken().Value, true
}

// explain turns what the YAML reader says into one sentence with its place.
func (f *File) explain(err error) error {
	var unknown *yaml.UnknownFieldError
	var wrong *yaml.TypeError
	var unexpected *yaml.UnexpectedNodeTypeError
	var placed yaml.Error
	switch {
	case errors.As(err, &unknown):
		return f.at(unknown.Token, fmt.Sprintf("there is no key %q here", unknown.Token.Value))
	case errors.As(err, &wrong):
		return f.at(wrong.Token, "here belongs "+wanted(wrong.DstType))
	case errors.As(err, &unexpected):
		return f.at(unexpected.Token, "here belongs "+kinds[unexpected.Expected])
	case errors.As(err, &placed):
		message, _, _ := strings.Cut(placed.GetMessage(), "\n")
		return f.at(placed.GetToken(), message)
	}
	return &Error{File: f.Name, Message: "it can not be read: it is not the YAML of " + f.words.What}
}

// kinds are the words of a person who writes YAML.
var kinds = map[ast.NodeType]string{
	ast.MappingType: "a group of keys", ast.MappingValueType: "a group of keys", ast.SequenceType: "a list, such as [a, b]",
	ast.StringType: "a text", ast.IntegerType: "a whole number",
}

// wanted names a type in these words.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return kinds[ast.SequenceType]
	case reflect.Int:
		return kinds[ast.IntegerType]
	case reflect.String:
		return kinds[ast.StringType]
	}
	return kinds[ast.MappingType]
}

// at makes an error with the place of a token.
func (f *File) at(t *token.Token, message string) *Error {
	e := &Error{File: f.Name, Message: message}
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

// Wrong makes an error about the value of a key, by its path, or, where it is not there, about the nearest group around it.
func (f *File) Wrong(message string, path ...string) *Error {
	node := f.body
	for _, key := range path {
		next := child(node, key)
		if next == nil {
			break
		}
		node = next
	}
	return f.at(first(node), message)
}

// first is the token that a node begins with: for a group its first key, not the colon behind it.
func first(node ast.Node) *token.Token {
	switch n := node.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return node.GetToken()
}

// child is the value of a key in a group, or an item of a list by its place from 0; nil when there is none.
func child(node ast.Node, key string) ast.Node {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.GetToken().Value == key {
				return v.Value
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == key {
			return n.Value
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i < len(n.Values) {
			return n.Values[i]
		}
	}
	return nil
}
