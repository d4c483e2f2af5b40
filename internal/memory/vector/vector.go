// Package vector holds the meanings of memories: vectors of one byte a number,
// and of each a code of 512 bits that says nearly as much in an eighth of the
// room. A search compares codes first and vectors of the nearest afterwards.
//
// It owns the stored form of both and the codes in memory. It is pure: no
// database, no encoder. It refuses a stored vector whose length, checksum or
// norm is not that of a whole one, and one that belongs to another memory.
package vector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
)

const (
	// Bits is the length of a code.
	Bits  = 512
	words = Bits / 64
	// overhead is what a stored vector has besides its numbers: scale and checksum.
	overhead = 8
	// slack is how far a stored vector's norm may be from 1: rounding to one
	// byte moves it by less.
	slack = 0.05
)

// Vector is a direction, in one byte a number.
type Vector struct {
	Scale   float32 // what one step stands for
	Numbers []int8
}

// ErrNothing says that a text has no direction: the vector is all zeros.
var ErrNothing = errors.New("the vector is all zeros")

// New rounds a vector of length 1. It refuses what is not finite, and zeros
// with ErrNothing.
func New(v []float32) (Vector, error) {
	largest := float32(0)
	for i, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return Vector{}, fmt.Errorf("number %d of the vector is not finite", i)
		}
		largest = max(largest, x, -x)
	}
	if largest == 0 {
		return Vector{}, ErrNothing
	}
	r := Vector{Scale: largest / math.MaxInt8, Numbers: make([]int8, len(v))}
	for i, x := range v {
		r.Numbers[i] = int8(math.Round(float64(x / r.Scale)))
	}
	return r, nil
}

// Cosine says how near two vectors are, from -1 to 1; of different lengths
// they are not comparable and 0 apart from each other.
func (v Vector) Cosine(o Vector) float64 {
	if len(v.Numbers) != len(o.Numbers) {
		return 0
	}
	dot, a, b := 0, 0, 0
	for i, x := range v.Numbers {
		y := int(o.Numbers[i])
		dot, a, b = dot+int(x)*y, a+int(x)*int(x), b+y*y
	}
	if a == 0 || b == 0 {
		return 0
	}
	return float64(dot) / math.Sqrt(float64(a)*float64(b))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Seal returns the stored form of the vector of an item.
func (v Vector) Seal(item int64) []byte {
	raw := make([]byte, 4, overhead+len(v.Numbers))
	binary.LittleEndian.PutUint32(raw, math.Float32bits(v.Scale))
	for _, n := range v.Numbers {
		raw = append(raw, byte(n))
	}
	return binary.LittleEndian.AppendUint32(raw, sum(item, raw))
}

func sum(item int64, raw []byte) uint32 {
	var of [8]byte
	binary.LittleEndian.PutUint64(of[:], uint64(item))
	return crc32.Update(crc32.Checksum(of[:], castagnoli), castagnoli, raw)
}

// Open reads the stored form of the vector of an item.
func Open(item int64, raw []byte) (Vector, error) {
	n := len(raw) - overhead
	if n <= 0 {
		return Vector{}, fmt.Errorf("a stored vector has %d bytes: too few", len(raw))
	}
	if binary.LittleEndian.Uint32(raw[4+n:]) != sum(item, raw[:4+n]) {
		return Vector{}, errors.New("a stored vector does not fit its checksum")
	}
	v := Vector{Scale: math.Float32frombits(binary.LittleEndian.Uint32(raw)), Numbers: make([]int8, n)}
	squares := 0
	for i, b := range raw[4 : 4+n] {
		v.Numbers[i] = int8(b)
		squares += int(v.Numbers[i]) * int(v.Numbers[i])
	}
	if norm := math.Sqrt(float64(squares)) * float64(v.Scale); !(math.Abs(norm-1) <= slack) {
		return Vector{}, fmt.Errorf("a stored vector has the length %.3f, not 1", norm)
	}
	return v, nil
}

// Code is the sides of 512 planes through the origin on which a vector lies.
type Code [words]uint64

// Code returns the vector's code. The planes stand upright on each other (a
// Hadamard transform after a fixed change of signs), so that no bit says what
// another says, whatever the encoder.
func (v Vector) Code() Code {
	size := Bits
	for size < len(v.Numbers) {
		size *= 2
	}
	x := make([]int32, size)
	seed := uint64(0x9E3779B97F4A7C15)
	for i, n := range v.Numbers {
		// A step of xorshift: any fixed sequence of signs does.
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		if x[i] = int32(n); seed&1 == 1 {
			x[i] = -x[i]
		}
	}
	for half := 1; half < size; half *= 2 {
		for block := 0; block < size; block += 2 * half {
			for i := block; i < block+half; i++ {
				x[i], x[i+half] = x[i]+x[i+half], x[i]-x[i+half]
			}
		}
	}
	var c Code
	for i := range Bits {
		if x[i] > 0 {
			c[i/64] |= 1 << (i % 64)
		}
	}
	return c
}

// Distance counts the bits that differ, from 0 to 512.
func (c *Code) Distance(o *Code) int {
	return bits.OnesCount64(c[0]^o[0]) + bits.OnesCount64(c[1]^o[1]) + bits.OnesCount64(c[2]^o[2]) + bits.OnesCount64(c[3]^o[3]) +
		bits.OnesCount64(c[4]^o[4]) + bits.OnesCount64(c[5]^o[5]) + bits.OnesCount64(c[6]^o[6]) + bits.OnesCount64(c[7]^o[7])
}

// Bytes returns the stored form of a code.
func (c Code) Bytes() []byte {
	raw := make([]byte, 0, Bits/8)
	for _, w := range c {
		raw = binary.LittleEndian.AppendUint64(raw, w)
	}
	return raw
}

// OpenCode reads the stored form of a code; false if it is none.
func OpenCode(raw []byte) (Code, bool) {
	var c Code
	if len(raw) != Bits/8 {
		return c, false
	}
	for i := range c {
		c[i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	return c, true
}
