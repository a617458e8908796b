package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

//go:embed init.yaml
var example []byte

func (p *program) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Args: cobra.NoArgs, Short: "Write a commented whimbrel.yaml to start from",
		RunE: failing(func(*cobra.Command, []string) error {
			f, err := os.OpenFile(p.config, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, os.ErrExist) {
				return &exitError{code: exitUsage, cause: fmt.Errorf("%s is there already and stays as it is", p.config)}
			}
			if err != nil {
				return fmt.Errorf("write the configuration: %w", err)
			}
			_, err = f.Write(example)
			if err := errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("write the configuration: %w", err)
			}
			fmt.Fprintf(p.out, "%s is written; name source and target in it, then: whimbrel check\n", p.config)
			return nil
		}),
	}
}
