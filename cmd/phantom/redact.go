package main

import (
	"bufio"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"phantom/internal/secret"
)

func (c *cli) redactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "redact",
		Short: "Copy standard input to standard output without secrets",
		Long: "Copies standard input to standard output, line by line, with everything that is or looks like a secret replaced;\n" +
			"all else stays byte for byte. In a home it also knows the secrets of that home, and refuses to work if they cannot be read.",
		Example: "  journalctl -u phantom | phantom redact",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			conf, err := c.settings()
			if err != nil { // without the home's own secrets the output would look clean and not be
				return err
			}
			redactor := secret.NewRedactor(conf.Secrets...)
			out := bufio.NewWriter(c.stdout)
			filter := redactor.Writer(out)
			_, err = io.Copy(filter, c.stdin)
			return errors.Join(err, filter.Close(), out.Flush())
		},
	}
}
