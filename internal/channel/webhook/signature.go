package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"phantom/internal/secret"
)

const (
	// minKey is the length, in bytes, below which a key could be guessed.
	minKey = 24
	// window is how far a request's time may be from ours, before or after.
	window = 5 * time.Minute
	// maxID bounds the id of a request, and maxSignatures how many signatures
	// it may come with: one for each of the sender's secrets.
	maxID         = 256
	maxSignatures = 16
)

// encodedKey stands before a secret that is written in base64.
const encodedKey = "whsec_"

// The two forms in which requests are signed.
const (
	// standard is that of Standard Webhooks: "<id>.<time>.<body>".
	standard = "standard"
	// simple is for tools that cannot do that: "<time>.<body>". The id is not
	// signed, so it alone proves nothing.
	simple = "simple"
)

// The headers of both forms.
const (
	headerID         = "Webhook-Id"
	headerTime       = "Webhook-Timestamp"
	headerSignature  = "Webhook-Signature"
	simpleID         = "X-Webhook-Id"
	simpleTime       = "X-Webhook-Timestamp"
	simpleSignature  = "X-Webhook-Signature"
	standardVersion  = "v1,"
	simpleVersion    = "sha256="
	standardMaxBytes = maxSignatures * 128 // of the header, with signatures of other versions
)

// readKey returns the bytes that a secret stands for.
func readKey(v secret.Value) (secret.Value, error) {
	text := v.Reveal()
	if encoded, ok := strings.CutPrefix(text, encodedKey); ok {
		raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil {
			raw, err = base64.RawStdEncoding.Strict().DecodeString(encoded)
		}
		if err != nil { // the decoder's own words tell where
			return secret.Value{}, fmt.Errorf("what follows %s is not base64", encodedKey)
		}
		text = string(raw)
	}
	if len(text) < minKey {
		return secret.Value{}, fmt.Errorf("it stands for %d bytes, want at least %d: make one with `echo %s$(openssl rand -base64 32)`", len(text), minKey, encodedKey)
	}
	return secret.New(text), nil
}

// proof is what the headers of a request say of where it comes from. It counts
// nothing until a key was found that made it.
type proof struct {
	form  string
	id    string   // "" if the form has none and none was given
	stamp string   // the time, as it is signed
	macs  [][]byte // any of which may be the right one
}

// readProof reads the headers. The errors are for the audit log.
func readProof(h http.Header, now time.Time) (p proof, err error) {
	p.form = simple
	names := [...]string{simpleID, simpleTime, simpleSignature}
	for _, name := range [...]string{headerID, headerTime, headerSignature} {
		if len(h.Values(name)) > 0 {
			p.form = standard
			names = [...]string{headerID, headerTime, headerSignature}
		}
	}
	var values [len(names)]string
	for i, name := range names {
		switch given := h.Values(name); {
		case len(given) > 1:
			return proof{}, fmt.Errorf("the header %s stands there %d times", name, len(given))
		case len(given) == 1:
			values[i] = given[0]
		case name != simpleID:
			return proof{}, fmt.Errorf("the header %s is missing", name)
		}
	}
	p.id, p.stamp = values[0], values[1]
	if err := p.checkID(len(h.Values(names[0])) == 1); err != nil {
		return proof{}, err
	}
	if err := fresh(p.stamp, now); err != nil {
		return proof{}, err
	}
	if p.form == standard {
		p.macs, err = standardMACs(values[2])
	} else {
		p.macs, err = simpleMAC(values[2])
	}
	return p, err
}

// checkID refuses an id with which one signed text could be read as another.
func (p proof) checkID(given bool) error {
	if !given {
		return nil
	}
	if len(p.id) == 0 || len(p.id) > maxID {
		return fmt.Errorf("the id has %d bytes, want 1 to %d", len(p.id), maxID)
	}
	for i := range len(p.id) {
		if c := p.id[i]; c <= ' ' || c > '~' || c == '.' && p.form == standard {
			return fmt.Errorf("the id holds the byte %#02x", c)
		}
	}
	return nil
}

// fresh refuses a time outside the window.
func fresh(stamp string, now time.Time) error {
	const digits = 12 // seconds since 1970, some 30,000 years
	if len(stamp) == 0 || len(stamp) > digits || strings.Trim(stamp, "0123456789") != "" {
		return errors.New("the time is no number of seconds")
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("the time is no number of seconds")
	}
	if off := now.Unix() - seconds; off > int64(window/time.Second) || -off > int64(window/time.Second) {
		return fmt.Errorf("its time is %d seconds before ours, the limit is %d either way: compare the clocks of both machines", off, int64(window/time.Second))
	}
	return nil
}

// standardMACs reads a list of signatures. Those of other versions are no
// concern of ours, and neither is one that cannot be read.
func standardMACs(list string) (macs [][]byte, err error) {
	if len(list) > standardMaxBytes {
		return nil, fmt.Errorf("the signatures have %d bytes, the limit is %d", len(list), standardMaxBytes)
	}
	for one := range strings.FieldsSeq(list) {
		encoded, ours := strings.CutPrefix(one, standardVersion)
		if !ours {
			continue
		}
		if mac, err := base64.StdEncoding.Strict().DecodeString(encoded); err == nil && len(mac) == sha256.Size {
			macs = append(macs, mac)
		}
	}
	if len(macs) == 0 || len(macs) > maxSignatures {
		return nil, fmt.Errorf("%d signatures of version v1 can be read, want 1 to %d", len(macs), maxSignatures)
	}
	return macs, nil
}

func simpleMAC(text string) ([][]byte, error) {
	encoded, ok := strings.CutPrefix(text, simpleVersion)
	mac, err := hex.DecodeString(encoded)
	if !ok || err != nil || len(mac) != sha256.Size {
		return nil, fmt.Errorf("the signature is not %s and %d hexadecimal digits", simpleVersion, hex.EncodedLen(sha256.Size))
	}
	return [][]byte{mac}, nil
}

// sign returns the code of a body under a key.
func (p proof) sign(key secret.Value, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	if p.form == standard {
		mac.Write([]byte(p.id + "."))
	}
	mac.Write([]byte(p.stamp + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// by finds the sender whose key made the proof of a body, and the code that
// did; nil if nobody's did. It compares with every key, whichever is right.
func (p proof) by(senders []sender, body []byte) (found *sender, mac []byte) {
	for i := range senders {
		for _, key := range senders[i].keys {
			want := p.sign(key, body)
			for _, given := range p.macs {
				if hmac.Equal(want, given) {
					found, mac = &senders[i], want
				}
			}
		}
	}
	return found, mac
}
