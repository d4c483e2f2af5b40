package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"phantom/internal/control"
)

// plainChat asks one line after the other.
func (c *cli) plainChat(ctx context.Context, client *control.Client, conversation string) error {
	var failed error
	for line, err := range c.inputLines(ctx) {
		if err != nil {
			return err
		}
		text := strings.TrimSpace(line)
		if slices.Contains([]string{"/quit", "/exit"}, text) {
			break
		}
		if text == "" {
			continue
		}
		err := c.ask(ctx, client, conversation, text)
		if _, ended := errors.AsType[exitCode](err); ended {
			failed = err // said already; the next line has its own answer
			continue
		}
		if err != nil {
			return err
		}
	}
	return failed
}

// inputLines yields the lines of standard input until it or ctx ends.
func (c *cli) inputLines(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		lines := make(chan string)
		ended := make(chan error, 1)
		// A read cannot be interrupted: if ctx ends first, this goroutine stays
		// in it until the process ends.
		go func() {
			s := bufio.NewScanner(c.stdin)
			s.Buffer(nil, questionLimit)
			for s.Scan() {
				select {
				case lines <- s.Text():
				case <-ctx.Done():
					return
				}
			}
			ended <- s.Err()
		}()
		for {
			select {
			case line := <-lines:
				if !yield(line, nil) {
					return
				}
			case err := <-ended:
				if errors.Is(err, bufio.ErrTooLong) {
					err = usagef("a line of standard input has more than %d bytes: put it into a file of the workspace and name it", questionLimit)
				}
				if err != nil {
					yield("", fmt.Errorf("read standard input: %w", err))
				}
				return
			case <-ctx.Done():
				yield("", ctx.Err())
				return
			}
		}
	}
}
