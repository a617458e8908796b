// Package tools pins the versions of the programs that check this project: see go.mod, and the Makefile's lint target.
package tools
