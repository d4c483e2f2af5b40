package main

import (
	"bufio"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"phantom/internal/config"
	"phantom/internal/secret"
)

func (c *cli) redactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "redact",
		Short: "Copy standard input to standard output without secrets",
		Long: "Copies standard input to standard output, line by line, with everything that is or looks like a secret replaced;\n" +
			"all else stays byte for byte. In a home it also knows the secrets of that home.",
		Example: "  journalctl -u phantom | phantom redact",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			redactor := secret.NewRedactor()
			if conf, err := c.load(false, config.Overrides{}); err == nil { // outside a home only the shapes are known
				redactor.Add(conf.Secrets...)
			}
			out := bufio.NewWriter(c.stdout)
			filter := redactor.Writer(out)
			_, err := io.Copy(filter, c.stdin)
			return errors.Join(err, filter.Close(), out.Flush())
		},
	}
}
