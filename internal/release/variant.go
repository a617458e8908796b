package release

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/whimbrel/whimbrel/internal/strict"
)

// variants are the folders of migrations that scripts name, by the product that they are for, in goose's words: folders of these
// names in the one that is named, so that a release speaks to each product in its own SQL; or that one itself, for every product, under
// the empty name.
func (r *Release) variants(s Scripts) (map[string]Scripts, error) {
	files, err := r.open(s)
	if err != nil {
		return nil, err
	}
	defer files.root.Close()
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, &strict.Error{File: filepath.Join(r.Folder, s.Migrations), Message: "it can not be read: " + because(err)}
	}
	found, loose := map[string]Scripts{}, ""
	for _, e := range entries {
		switch product := goose.Dialect(e.Name()); {
		case e.IsDir() && (product == goose.DialectPostgres || product == goose.DialectMySQL || product == goose.DialectSQLite3):
			one := s
			one.Migrations = filepath.Join(s.Migrations, e.Name())
			found[e.Name()] = one
		case path.Ext(e.Name()) == ".sql":
			loose = e.Name()
		}
	}
	switch {
	case len(found) == 0:
		return map[string]Scripts{"": s}, nil
	case loose != "":
		return nil, &strict.Error{
			File:    filepath.Join(r.Folder, s.Migrations, loose),
			Message: fmt.Sprintf("it stands beside the folder %s, whose migrations are for one product; put it into a folder for its own", slices.Sorted(maps.Keys(found))[0]),
		}
	}
	return found, nil
}

// variant are the scripts for a product.
func (r *Release) variant(s Scripts, dialect string) (Scripts, error) {
	all, err := r.variants(s)
	if err != nil {
		return Scripts{}, err
	}
	for _, name := range []string{dialect, ""} {
		if one, there := all[name]; there {
			return one, nil
		}
	}
	return Scripts{}, &strict.Error{
		File:    filepath.Join(r.Folder, s.Migrations),
		Message: fmt.Sprintf("there are migrations for %s and none for %s; put them into a folder of that name", strings.Join(slices.Sorted(maps.Keys(all)), ", "), dialect),
	}
}

// examine holds the migrations for every product against goose's own rules.
func (r *Release) examine(s Scripts) error {
	all, err := r.variants(s)
	if err != nil {
		return err
	}
	for _, product := range slices.Sorted(maps.Keys(all)) {
		if err := r.examineOne(all[product]); err != nil {
			return err
		}
	}
	return nil
}
