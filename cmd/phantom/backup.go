package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"phantom/internal/atomicfile"
	"phantom/internal/audit"
	"phantom/internal/backup"
	"phantom/internal/config"
	"phantom/internal/store"
)

func (c *cli) backupCommand() *cobra.Command {
	var recipient string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the home's database and configuration into one file",
		Long: "Writes a consistent copy of the database, the configuration, the evolved configuration, the audit log's keys and\n" +
			"the terminal's log into a new file (0600), also while an instance runs. The secrets in .env.local and the key\n" +
			"of the stored ones are put in only when it is encrypted.",
		Example: "  phantom backup phantom.tar.gz\n  phantom backup --recipient age1… phantom.tar.gz.age",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := c.load(false, config.Overrides{})
			if err != nil {
				return err
			}
			if err := backup.Write(cmd.Context(), conf.Home, args[0], recipient); err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "%s: %d bytes\n", args[0], info.Size())
			if recipient == "" {
				fmt.Fprintln(c.stderr, "phantom: it is not encrypted, and the agent can read most files of this user: move it to another machine, or name a --recipient")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&recipient, "recipient", "", "encrypt to this age recipient (age1…)")
	notEmpty(cmd, "recipient")
	return cmd
}

// restoreCheckpoints writes the file of the audit log's checkpoints that belongs
// to a database that came back: a file of another moment would speak of rows
// that the copy does not have.
func restoreCheckpoints(ctx context.Context, home config.Home) error {
	if _, err := os.Stat(home.Database()); errors.Is(err, fs.ErrNotExist) {
		return nil // a backup of a home that had not run
	}
	db, err := store.Open(ctx, store.Options{Path: home.Database()}) // not only for reading: an older one has no table of them
	if err != nil {
		return err
	}
	var notes []byte
	r, err := audit.NewReader(db)
	if err == nil {
		notes, err = r.Checkpoints(ctx)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return atomicfile.Write(home.Checkpoints(), notes, 0o600)
}

func (c *cli) restoreCommand() *cobra.Command {
	var identity string
	cmd := &cobra.Command{
		Use:     "restore FILE",
		Short:   "Bring a backup back into an empty home",
		Example: "  phantom restore phantom.tar.gz --home /srv/phantom\n  phantom restore phantom.tar.gz.age --identity key.txt --home /srv/phantom",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			home, err := config.FindHome(c.home)
			if err != nil {
				return err
			}
			key := ""
			if identity != "" {
				raw, err := os.ReadFile(identity)
				if err != nil {
					return fmt.Errorf("read identity: %w", err)
				}
				key = string(raw)
			}
			names, err := backup.Restore(cmd.Context(), home, args[0], key)
			if err != nil {
				return err
			}
			if err := restoreCheckpoints(cmd.Context(), home); err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "%d files are back in %s\n", len(names), home.Dir())
			return nil
		},
	}
	cmd.Flags().StringVar(&identity, "identity", "", "file with the age identity of an encrypted backup")
	return cmd
}
