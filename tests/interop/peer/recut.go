package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// cutting is what a proxy that re-cuts makes of the pieces that it passes on.
type cutting int

const (
	// Every byte comes by itself.
	intoBytes cutting = iota
	// What comes within a moment comes as one.
	intoOne
)

const (
	// moment is for how long a proxy that merges waits for more ...
	moment = 20 * time.Millisecond
	// ... and mergedMost is how much it holds meanwhile.
	mergedMost = 256 << 10
)

// recut lets the honest server serve behind a proxy that cuts anew what both sides say: messages, where
// there are messages, by the rules of their subprotocol, and else what one write was.
func recut(how cutting) lie {
	return between(func(req *http.Request, conn net.Conn, client io.Reader, answered bool) net.Conn {
		heard, hearing := io.Pipe()
		c := &recutConn{hangsUp: hangsUp{&readsFrom{conn, heard}, heard}, body: answered}
		c.down = &recutter{out: conn, how: how, prefixes: map[byte]bool{}}
		up := &recutter{out: hearing, how: how, masked: true}
		// The client may speak before it has the answer only where it needs none: in plain SPDY.
		c.agreed = make(chan struct{})
		c.up = up
		if !wsstream.IsWebSocketRequest(req) {
			close(c.agreed)
		}
		go func() {
			defer hearing.Close()
			defer up.flush()
			<-c.agreed
			_, _ = io.Copy(onlyWriter{up}, client)
		}()
		return c
	})
}

// onlyWriter hides every shortcut but Write.
type onlyWriter struct{ io.Writer }

type recutConn struct {
	hangsUp
	down, up *recutter
	agreed   chan struct{}
	// head is what was written of the head of the answer; body is whether it is over.
	head []byte
	body bool
}

// Write implements net.Conn. The head of the answer passes as it is, and says what is spoken.
func (c *recutConn) Write(b []byte) (int, error) {
	if c.body {
		return c.down.Write(b)
	}
	c.head = append(c.head, b...)
	end := bytes.Index(c.head, []byte("\r\n\r\n"))
	if end < 0 {
		return len(b), nil
	}
	c.body = true
	end += 4
	spoken := unitsOf(string(c.head[:end]))
	c.down.units, c.up.units = spoken, spoken
	if _, err := c.hangsUp.Write(c.head[:end]); err != nil {
		return 0, err
	}
	close(c.agreed)
	if _, err := c.down.Write(c.head[end:]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close implements net.Conn.
func (c *recutConn) Close() error {
	c.down.flush()
	return c.hangsUp.Close()
}

// units is what may be cut: bytes as they come, messages that are a stream of bytes, or messages for
// channels, as they are or in base64.
type units int

const (
	asBytes units = iota
	asStream
	asChannels
	asBase64
)

func unitsOf(head string) units {
	for _, line := range strings.Split(head, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(name, "Sec-WebSocket-Protocol") {
			continue
		}
		switch value = strings.TrimSpace(value); {
		case strings.HasPrefix(value, "SPDY/3.1+"):
			return asStream
		case strings.Contains(value, "base64"):
			return asBase64
		default:
			return asChannels
		}
	}
	return asBytes
}

// recutter is one direction.
type recutter struct {
	out    io.Writer
	how    cutting
	units  units
	masked bool
	// prefixes are the channels whose first message has come: a server's is its port, which is not cut.
	prefixes map[byte]bool

	lock sync.Mutex
	in   []byte
	// held is what waits for more, to go to this channel; err is what a later write has to tell.
	held    []byte
	channel byte
	waiting bool
	err     error
}

// Write implements io.Writer.
func (r *recutter) Write(b []byte) (int, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.units == asBytes {
		r.data(0, b)
		return len(b), r.err
	}
	r.in = append(r.in, b...)
	for r.err == nil {
		frame, n := parse(r.in)
		if n == 0 {
			break
		}
		r.in = r.in[n:]
		r.frame(frame)
	}
	return len(b), r.err
}

// parse takes a frame from the start of b. Its length is 0 when there is not all of it.
func parse(b []byte) (frame, int) {
	if len(b) < 2 {
		return frame{}, 0
	}
	n, at := uint64(b[1]&0x7f), 2
	switch {
	case n == 126 && len(b) >= 4:
		n, at = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case n == 127 && len(b) >= 10:
		n, at = binary.BigEndian.Uint64(b[2:]), 10
	case n >= 126:
		return frame{}, 0
	}
	var mask []byte
	if b[1]&0x80 != 0 {
		if len(b) < at+4 {
			return frame{}, 0
		}
		mask = b[at : at+4]
		at += 4
	}
	if uint64(len(b)-at) < n {
		return frame{}, 0
	}
	end := at + int(n)
	payload := bytes.Clone(b[at:end])
	for i := range mask {
		for j := i; j < len(payload); j += 4 {
			payload[j] ^= mask[i]
		}
	}
	return frame{b[0] & 0x0f, payload}, end
}

func (r *recutter) frame(f frame) {
	switch {
	case f.opcode >= opClose:
		r.release()
		r.send(f)
	case r.units == asStream:
		// Fragments of a message are but a part of the stream.
		r.data(0, f.payload)
	case len(f.payload) == 0:
		r.release()
		r.send(f)
	default:
		channel, payload := f.payload[0], f.payload[1:]
		if r.units == asBase64 {
			decoded, err := base64.StdEncoding.DecodeString(string(payload))
			if err != nil {
				r.err = err
				return
			}
			payload = decoded
		}
		if r.prefixes != nil && !r.prefixes[channel] && r.how == intoBytes {
			r.prefixes[channel] = true
			r.say(channel, payload)
			return
		}
		r.data(channel, payload)
	}
}

// data is some bytes of a channel.
func (r *recutter) data(channel byte, b []byte) {
	if r.how == intoBytes {
		var together bytes.Buffer
		out := r.out
		if r.units != asBytes {
			r.out = &together
		}
		for i := range b {
			r.say(channel, b[i:i+1])
		}
		r.out = out
		r.pass(together.Bytes())
		return
	}
	if channel != r.channel || len(r.held)+len(b) > mergedMost {
		r.release()
	}
	r.channel = channel
	r.held = append(r.held, b...)
	if !r.waiting && len(r.held) > 0 {
		r.waiting = true
		time.AfterFunc(moment, r.flush)
	}
}

// flush lets go of what is held.
func (r *recutter) flush() {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.waiting = false
	r.release()
}

func (r *recutter) release() {
	if len(r.held) > 0 {
		r.say(r.channel, r.held)
		r.held = nil
	}
}

// say sends these bytes of a channel as one piece.
func (r *recutter) say(channel byte, b []byte) {
	switch r.units {
	case asBytes:
		r.pass(b)
	case asStream:
		r.send(frame{opBinary, b})
	case asChannels:
		r.send(binaryFrame(channel, b))
	case asBase64:
		r.send(frame{opText, append([]byte{channel}, base64.StdEncoding.EncodeToString(b)...)})
	}
}

func (r *recutter) send(f frame) {
	var out bytes.Buffer
	f.writeTo(&out)
	b := out.Bytes()
	if r.masked {
		// Masked with zeros, which changes nothing.
		head := len(b) - len(f.payload)
		b[1] |= 0x80
		b = append(append(bytes.Clone(b[:head]), 0, 0, 0, 0), f.payload...)
	}
	r.pass(b)
}

func (r *recutter) pass(b []byte) {
	if r.err == nil && len(b) > 0 {
		_, r.err = r.out.Write(b)
	}
}
