package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/secret"
)

// redactPause is how long the input may be silent before the lines that came
// are shown: somebody may be following a log.
const redactPause = 100 * time.Millisecond

func (c *cli) redactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "redact",
		Short: "Copy standard input to standard output without secrets",
		Long: "Copies standard input to standard output, line by line, with everything that is or looks like a secret replaced;\n" +
			"all else stays byte for byte. In a home it also knows the secrets of that home, and refuses to work if they cannot be read.",
		Example: "  journalctl -fu phantom | phantom redact",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := c.settings()
			if err != nil { // without the home's own secrets the output would look clean and not be
				return err
			}
			known := secret.NewRedactor(conf.Secrets...)
			if err := app.KnowSecrets(cmd.Context(), conf, known); err != nil {
				return err
			}
			return redact(cmd.Context(), known.Writer(c.stdout), c.stdin)
		},
	}
}

// redact copies from into filter to its end and flushes what has come when no
// more does. The reader ends with the input; on an error of the output it is
// left to the end of the process, since nothing can interrupt it.
func redact(ctx context.Context, filter *secret.Stream, from io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := make(chan []byte) // unbuffered: the reader waits for the writer
	var readErr error
	go func() {
		defer close(parts)
		for {
			part := make([]byte, 64<<10)
			n, err := from.Read(part)
			if n > 0 {
				select {
				case parts <- part[:n]:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					readErr = err
				}
				return
			}
		}
	}()
	for {
		select {
		case part, ok := <-parts:
			if !ok {
				return errors.Join(readErr, filter.Close())
			}
			if _, err := filter.Write(part); err != nil {
				return err
			}
		case <-time.After(redactPause):
			if err := filter.Flush(); err != nil {
				return err
			}
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), filter.Close())
		}
	}
}
