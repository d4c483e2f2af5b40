package vault

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"phantom/internal/secret"
)

// row is a secret as it is stored.
type row struct {
	name    string
	version int64
	hosts   []string
	keyID   string
	sealed  []byte
	updated time.Time
}

const (
	format    = 1  // first byte of what is sealed
	nonceSize = 12 // bytes
	tagSize   = 16 // bytes
)

// errSealed tells nothing about why: whoever changes rows learns nothing.
var errSealed = errors.New("it was changed, or sealed for another name, version or host")

// bound is what a value is sealed together with: the row opens only as the
// name, the version and the hosts that it was sealed for. Each part is
// preceded by its length, so that no two rows share an encoding.
func (r row) bound() []byte {
	ad := []byte("phantom vault row")
	for _, part := range append([]string{r.name}, r.hosts...) {
		ad = binary.BigEndian.AppendUint32(ad, uint32(len(part)))
		ad = append(ad, part...)
	}
	return binary.BigEndian.AppendUint64(ad, uint64(r.version))
}

// sealWith seals v under k into r.
func (r *row) sealWith(k key, v secret.Value) {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce) // never fails: the runtime ends the process instead
	r.keyID = k.id
	r.sealed = k.seal.Seal(append([]byte{format}, nonce...), nonce, []byte(v.Reveal()), r.bound())
}

// open returns the value.
func (r row) open(keys ring) (secret.Value, error) {
	k, ok := keys.find(r.keyID)
	if !ok {
		return secret.Value{}, &KeyError{ID: r.keyID}
	}
	if len(r.sealed) < 1+nonceSize+tagSize || r.sealed[0] != format {
		return secret.Value{}, errSealed
	}
	plain, err := k.seal.Open(nil, r.sealed[1:1+nonceSize], r.sealed[1+nonceSize:], r.bound())
	if err != nil || len(plain) == 0 {
		return secret.Value{}, errSealed
	}
	return secret.New(string(plain)), nil
}

// KeyError says that a row is sealed under a key that is not here.
type KeyError struct{ ID string }

// Error names the key without telling anything of it.
func (e *KeyError) Error() string {
	return fmt.Sprintf("the key that it is sealed under (id %.16q) is not the one that phantom was given", e.ID)
}

// sum vouches for all rows together, so that none can be taken away, brought
// back or put back to what it was.
func (k key) sum(rows []row) []byte {
	mac := hmac.New(sha256.New, k.manifest)
	for _, r := range slices.SortedFunc(slices.Values(rows), func(a, b row) int { return strings.Compare(a.name, b.name) }) {
		bound, sealed := sha256.Sum256(r.bound()), sha256.Sum256(r.sealed)
		mac.Write(bound[:])
		mac.Write(sealed[:])
	}
	return mac.Sum(nil)
}
