package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOtherFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v, want %v", err, fs.ErrNotExist)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "not "+files[0].sha256+" as in version 0.2.0") {
		t.Errorf("other files under the same names: %v", err)
	}
}

func TestVocabularyIsReadStrictly(t *testing.T) {
	all, err := pieces([]byte(`[["a", -1.5], [":", null], ["b", 0]]`))
	if err != nil || len(all) != 3 || all[0] != (Piece{"a", -1.5}) || all[1] != (Piece{":", 0}) {
		t.Errorf("%v, %v", all, err)
	}
	for _, text := range []string{`{}`, `[[1, 2]]`, `[["a", "b"]]`, `[["a", -1.5]`} {
		if _, err := pieces([]byte(text)); err == nil {
			t.Errorf("%s is taken for a vocabulary", text)
		}
	}
}

func TestManifestMustMatchTheShards(t *testing.T) {
	manifest := `{"weightsManifest": [{"weights": [{"name": "a", "dtype": "int32", "shape": [1]}, {"name": "b", "dtype": "float32", "shape": [2, 1]}]}]}`
	got, err := tensors([]byte(manifest), []byte{9, 9, 9, 9, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0})
	if err != nil || len(got) != 1 || got["b"].data[0] != 1 || got["b"].data[1] != -2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := tensors([]byte(manifest), make([]byte, 11)); err == nil {
		t.Error("shards that end too early are taken")
	}
	if _, err := (tensorMap{}).model(nil); err == nil {
		t.Error("a model without weights is taken")
	}
}
