package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/internal/verify"
)

// keyName is the file that holds the public key of a run, beside its certificates.
const keyName = "certificates.key"

// writeCertificates writes a file for each table that has a certificate, and the key they are checked with. Names are made of
// numbers and of letters that mean nothing to a file system, whatever the tables are called.
func (p *program) writeCertificates(dir string, r move.Report) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the certificates: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the folder of the certificates: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	written := 0
	for i, t := range r.Tables {
		if t.Certificate == "" {
			continue
		}
		name := fmt.Sprintf("%05d-%s.certificate", i+1, strings.Map(harmless, t.Name))
		if err := root.WriteFile(name, []byte(t.Certificate), 0o600); err != nil {
			return fmt.Errorf("write the certificate of %s: %w", t.Name, err)
		}
		written++
	}
	if written == 0 {
		return errors.New("no table has been compared yet, so there is no certificate")
	}
	if err := root.WriteFile(keyName, []byte(r.CertificateKey+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	fmt.Fprintf(p.out, "%d certificates in %s, signed with the key %s\n", written, dir, r.CertificateKey)
	return nil
}

// harmless keeps ASCII letters and digits.
func harmless(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}

// checkCertificate says what a certificate says, if its signature holds.
func (p *program) checkCertificate(file, key string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	public, err := publicKey(file, key)
	if err != nil {
		return err
	}
	checked, err := verify.Check(text, public)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	value := func(name string) string { return plain.Line(checked.Value(name)) }
	fmt.Fprintf(p.out, "%s holds: %s of %s is %s to %s of %s, proven by %s at %s in move %s\nsigned with the key %x: compare it with the report's\n",
		file, value("source-table"), value("source-database"), value("verdict"), value("target-table"),
		value("target-database"), value("level"), value("at"), value("move"), []byte(public))
	if checked.Value("verdict") != string(move.Equal) {
		return fmt.Errorf("%s says that the table is %s", file, checked.Value("verdict"))
	}
	return nil
}

// publicKey reads a key given in hexadecimal, as the name of a file, or, where none is given, from beside the certificate.
func publicKey(certificate, key string) (ed25519.PublicKey, error) {
	if key == "" {
		key = filepath.Join(filepath.Dir(certificate), keyName)
	}
	public, err := hex.DecodeString(key)
	if err != nil {
		text, failed := os.ReadFile(key)
		if failed != nil {
			return nil, fmt.Errorf("read the key: %w", failed)
		}
		public, err = hex.DecodeString(strings.TrimSpace(string(text)))
	}
	if err != nil || len(public) != ed25519.PublicKeySize {
		return nil, errors.New("this is not a key: the report prints it, 64 hexadecimal digits")
	}
	return public, nil
}
