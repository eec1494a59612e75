package pod

import (
	"encoding/binary"
	"io"
)

// Pattern is an endless stream of bytes that is different for every seed and in which every byte
// depends on where it stands, so that lost, doubled and misplaced bytes all show. The load has the
// same: block i of eight bytes is the i-th output of splitmix64, little endian.
type Pattern struct {
	Seed uint64
	at   uint64
}

// Read never fails and never reads short.
func (p *Pattern) Read(b []byte) (int, error) {
	var block [8]byte
	for n := 0; n < len(b); {
		binary.LittleEndian.PutUint64(block[:], splitmix64(p.Seed, p.at/8))
		c := copy(b[n:], block[p.at%8:])
		n += c
		p.at += uint64(c)
	}
	return len(b), nil
}

func splitmix64(seed, index uint64) uint64 {
	z := seed + (index+1)*0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// send writes n bytes of the pattern in pieces of 64 KiB.
func send(w io.Writer, seed uint64, n int64) error {
	// Not io.Copy: it would hand over to the connection's own way of reading, in smaller pieces.
	source := Pattern{Seed: seed}
	buf := make([]byte, 64<<10)
	for n > 0 {
		piece := buf[:min(n, int64(len(buf)))]
		_, _ = source.Read(piece)
		if _, err := w.Write(piece); err != nil {
			return err
		}
		n -= int64(len(piece))
	}
	return nil
}
