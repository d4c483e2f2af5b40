// Command convert makes the weights that the sentence encoder carries. It is
// run by hand, after scripts/embed-reference has installed the model:
//
//	go run ./internal/embed/convert
//
// It reads .cache/embed-reference, rounds the model to 8 bits, writes
// internal/embed/weights/use-lite-en.bin and prints the checksum that
// internal/embed/weights.go must name. The same model gives the same bytes.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"

	"phantom/internal/embed/source"
)

const (
	from = ".cache/embed-reference/node_modules/" + source.Package
	to   = "internal/embed/weights/use-lite-en.bin"
)

func main() {
	if err := convert(); err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

func convert() error {
	model, err := source.Read(from)
	if err != nil {
		return fmt.Errorf("%w: run scripts/embed-reference first, and this in the folder of go.mod", err)
	}
	data := encode(model)
	if err := os.WriteFile(to, data, 0o644); err != nil {
		return err
	}
	fmt.Printf("%x  %s, %d bytes\n", sha256.Sum256(data), to, len(data))
	return nil
}
