package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/moby/spdystream/spdy"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"portway.dev/interop/pod"
)

// refusal is what a pod side says that had nobody to connect to.
const refusal = "error forwarding port 8080 to pod demo, uid : grüße, connection refused"

// spdyLies are pods that lie in SPDY, tunnelled and plain alike; refused is what they do to v4.
//
// Those that end with "hello" say things that mean nothing, and a client has to get over it.
var spdyLies = map[string]lie{
	"pod-spdy-goaway-first": spdyLie(func(s *spdySession) {
		s.control(spdy.TypeGoAway, 0, words(0, 0))
		s.hangUp()
	}),
	"pod-spdy-goaway-once": firstOnly(spdyLie(func(s *spdySession) {
		s.control(spdy.TypeGoAway, 0, words(0, 0))
		s.hangUp()
	})),
	// As a Go server does it: nothing comes after it.
	"pod-spdy-goaway-mid": onPair(func(s *spdySession, p streams) {
		s.partial(p)
		s.control(spdy.TypeGoAway, 0, words(uint32(p.data), 0))
		s.hangUp()
	}),
	"pod-spdy-mute":      onPair(func(*spdySession, streams) {}),
	"pod-spdy-mute-once": firstOnly(onPair(func(*spdySession, streams) {})),
	"pod-spdy-reply-half": onPair(func(s *spdySession, p streams) {
		s.reply(p.errors)
	}),
	"pod-spdy-rst-not-reply": onPair(func(s *spdySession, p streams) {
		s.rst(p.errors, spdy.Cancel)
		s.rst(p.data, spdy.Cancel)
	}),
	"pod-spdy-garbage": spdyLie(func(s *spdySession) {
		garbage := make([]byte, 4096)
		_, _ = (&pod.Pattern{Seed: 3}).Read(garbage)
		s.raw(garbage)
		s.wait()
	}),
	"pod-spdy-wrong-zlib": onPair(func(s *spdySession, p streams) {
		s.control(spdy.TypeSynReply, 0, append(words(uint32(p.errors)), "this was never deflated"...))
	}),
	"pod-spdy-truncated": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		// A frame of 100 bytes, seven of which come.
		s.raw(append(words(uint32(p.data), 100), "partial"...))
		s.hangUp()
	}),
	"pod-spdy-huge-control": onPair(func(s *spdySession, p streams) {
		s.control(spdy.TypeSynReply, 0, append(words(uint32(p.errors)), make([]byte, 1<<24-5)...))
	}),
	"pod-spdy-header-bomb": onPair(func(s *spdySession, p streams) {
		s.control(spdy.TypeSynReply, 0, append(words(uint32(p.errors)), bomb()...))
	}),
	"pod-spdy-wrong-length": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		s.control(spdy.TypePing, 0, words(2, 2, 2))
	}),
	"pod-spdy-settings": onPair(func(s *spdySession, p streams) {
		const entries = 1000
		settings := words(entries)
		for i := range uint32(entries) {
			settings = append(settings, words(i%8+1, 1)...)
		}
		for range 1000 {
			s.control(spdy.TypeSettings, 0, settings)
			s.flush()
		}
		s.hello(p)
	}),
	"pod-spdy-ping-flood": onPair(func(s *spdySession, p streams) {
		for id := uint32(2); id < 40_000; id += 2 {
			s.control(spdy.TypePing, 0, words(id))
		}
		s.hello(p)
	}),
	// Replies to pings that nobody sent, and more than one to those that somebody did.
	"pod-spdy-ping-replies": onPair(func(s *spdySession, p streams) {
		for id := range uint32(50) {
			s.control(spdy.TypePing, 0, words(2*id+1))
		}
		s.pongs.Store(3)
		s.hello(p)
	}),
	"pod-spdy-data-after-fin": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		s.say(p.data, "hello", true)
		s.say(p.data, "too late", false)
		s.say(p.data, "", true)
		s.say(p.errors, "", true)
	}),
	"pod-spdy-unknown-streams": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		for _, id := range []spdy.StreamId{2, 99, 1 << 30} {
			s.say(id, "nobody asked", true)
			s.rst(id, spdy.InvalidStream)
			s.reply(id)
		}
		s.hello(p)
	}),
	"pod-spdy-headers": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		s.frame(&spdy.HeadersFrame{StreamId: p.data, Headers: http.Header{"More": {"to say"}}})
		s.frame(&spdy.HeadersFrame{StreamId: 77, Headers: http.Header{"More": {"to say"}}})
		s.hello(p)
	}),
	"pod-spdy-windows": onPair(func(s *spdySession, p streams) {
		s.control(spdy.TypeWindowUpdate, 0, words(0, 1<<31-1))
		s.polite(p)
		s.control(spdy.TypeWindowUpdate, 0, words(uint32(p.data), 1))
		s.control(spdy.TypeWindowUpdate, 0, words(uint32(p.data), 1<<31-1))
		s.hello(p)
	}),
	"pod-spdy-unknown-frames": onPair(func(s *spdySession, p streams) {
		s.control(5, 0, nil)
		s.control(10, 0, words(1, 2, 3))
		s.control(999, 255, []byte("what is this"))
		s.hello(p)
	}),
	"pod-spdy-opens-streams": onPair(func(s *spdySession, p streams) {
		for id := spdy.StreamId(2); id < 200; id += 2 {
			s.frame(&spdy.SynStreamFrame{StreamId: id, Headers: http.Header{"Streamtype": {"data"}, "Port": {"22"}}})
		}
		s.hello(p)
	}),
	"pod-spdy-replies-twice": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		s.polite(p)
		s.hello(p)
	}),
	"pod-spdy-bytewise":   paced(func(s *spdySession, b []byte) { s.eachByte(b, nil) }),
	"pod-spdy-empties":    tunnelOnly(paced(func(s *spdySession, b []byte) { s.eachByte(b, []byte{0x82, 0}) })),
	"pod-spdy-fragments":  tunnelOnly(paced((*spdySession).fragments)),
	"pod-spdy-text":       tunnelOnly(ended(frame{opText, []byte("partial")})),
	"pod-spdy-close-1000": tunnelOnly(ended(closeFrame(1000, ""))),
	"pod-spdy-close-1011": tunnelOnly(ended(closeFrame(1011, "going to pieces"))),
	"pod-spdy-eof": onPair(func(s *spdySession, p streams) {
		s.partial(p)
		s.hangUp()
	}),
	"pod-spdy-data-rst": onPair(func(s *spdySession, p streams) {
		s.partial(p)
		s.rst(p.data, spdy.InternalError)
		s.say(p.errors, "", true)
	}),
	// The data are complete, and whether there is an error to tell is never told.
	"pod-spdy-no-verdict": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		s.say(p.data, "hello", true)
	}),
	"pod-spdy-error-after-fin": onPair(func(s *spdySession, p streams) {
		s.partial(p)
		s.say(p.data, "", true)
		s.flush()
		time.Sleep(200 * time.Millisecond)
		s.say(p.errors, refusal, false)
		s.rst(p.errors, spdy.Cancel)
	}),
	"pod-spdy-error-first": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		s.say(p.errors, refusal, false)
		s.say(p.data, "partial", false)
		s.rst(p.data, spdy.Cancel)
		s.rst(p.errors, spdy.Cancel)
	}),
	"pod-spdy-error-split": onPair(func(s *spdySession, p streams) {
		s.partial(p)
		s.say(p.data, "", true)
		// In the middle of the ü, and of the ß.
		for _, piece := range []string{refusal[:strings.Index(refusal, "ü")+1], "\xbc\xc3", "\x9fe, connection refused"} {
			s.say(p.errors, piece, false)
			s.flush()
			time.Sleep(20 * time.Millisecond)
		}
		s.rst(p.errors, spdy.Cancel)
	}),
	// Servers before 1.32 end with a FIN where later ones reset.
	"pod-spdy-error-fin": onPair(func(s *spdySession, p streams) {
		s.partial(p)
		s.say(p.data, "", true)
		s.say(p.errors, refusal, true)
	}),
	"pod-spdy-huge-error": onPair(func(s *spdySession, p streams) {
		s.polite(p)
		s.say(p.data, "", true)
		for range 64 {
			s.say(p.errors, strings.Repeat("\x1b]0;owned\x07\x1b[2J", 1024), false)
		}
		s.rst(p.errors, spdy.Cancel)
	}),
}

// words are 32-bit numbers as frames have them.
func words(numbers ...uint32) []byte {
	var b []byte
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// bomb is a header block of a few dozen KiB that inflates to 64 MiB.
func bomb() []byte {
	var out bytes.Buffer
	deflate, _ := zlib.NewWriterLevel(&out, zlib.BestCompression)
	_, _ = deflate.Write(words(1, 64<<20))
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, _ = deflate.Write(zeros)
	}
	_ = deflate.Flush()
	return out.Bytes()
}

// streams are the two of one forward.
type streams struct{ errors, data spdy.StreamId }

// spdySession is one connection on which a script says what it likes; what comes is read in the background.
type spdySession struct {
	conn net.Conn
	ws   *gorilla.Conn
	// pairs are the forwards that the client opens. It is closed when the client is gone.
	pairs chan streams
	// pongs is how often each ping is answered.
	pongs atomic.Int32

	lock   sync.Mutex
	out    bytes.Buffer
	framer *spdy.Framer
	pace   func(*spdySession, []byte)
}

// spdyLie upgrades to SPDY, in the tunnel or plain, and lets a script talk. The connection ends with it.
func spdyLie(talk func(*spdySession)) lie {
	return func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
		s := &spdySession{pairs: make(chan streams, 64)}
		s.pongs.Store(1)
		var in io.Reader
		switch kindOf(req) {
		case asksTunnel:
			upgrader := gorilla.Upgrader{
				CheckOrigin:  func(*http.Request) bool { return true },
				Subprotocols: []string{"SPDY/3.1+portforward.k8s.io"},
			}
			ws, err := upgrader.Upgrade(w, req, nil)
			if err != nil {
				return nil
			}
			s.conn, s.ws = ws.NetConn(), ws
			in = &messages{ws: ws}
		case asksV4:
			writeText(w, http.StatusBadRequest, "this pod lies in SPDY only")
			return nil
		default:
			conn, buffered, ok := hijack(w)
			if !ok {
				return nil
			}
			s.conn, in = conn, buffered
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
				"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n")
		}
		defer s.conn.Close()
		framer, err := spdy.NewFramer(&s.out, in)
		if err != nil {
			return nil
		}
		s.framer = framer
		go s.listen()
		talk(s)
		return nil
	}
}

// onPair answers every forward that is opened, in the same way.
func onPair(answer func(*spdySession, streams)) lie {
	return spdyLie(func(s *spdySession) {
		for p := range s.pairs {
			answer(s, p)
			s.flush()
		}
	})
}

// paced says hello in messages cut like this.
func paced(pace func(*spdySession, []byte)) lie {
	return spdyLie(func(s *spdySession) {
		s.pace = pace
		for p := range s.pairs {
			s.hello(p)
			s.flush()
		}
	})
}

// ended says a part and ends the WebSocket like this.
func ended(last frame) lie {
	return onPair(func(s *spdySession, p streams) {
		s.partial(p)
		s.flush()
		var out bytes.Buffer
		last.writeTo(&out)
		_, _ = s.conn.Write(out.Bytes())
		if last.opcode == opClose {
			s.hangUp()
		}
	})
}

// tunnelOnly is a lie that only a WebSocket can tell; plain SPDY gets the honest server.
func tunnelOnly(lie lie) lie {
	return func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
		if !wsstream.IsWebSocketRequest(req) {
			return w
		}
		return lie(w, req)
	}
}

// firstOnly lies to the first session of all and is honest to the rest.
func firstOnly(lie lie) lie {
	var told atomic.Bool
	return func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
		if told.Swap(true) {
			return w
		}
		return lie(w, req)
	}
}

// listen reads what the client says: pairs of streams, and pings to be answered.
func (s *spdySession) listen() {
	defer close(s.pairs)
	halves := map[string]streams{}
	for {
		next, err := s.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := next.(type) {
		case *spdy.SynStreamFrame:
			id := f.Headers.Get("Requestid")
			half := halves[id]
			if f.Headers.Get("Streamtype") == "error" {
				half.errors = f.StreamId
			} else {
				half.data = f.StreamId
			}
			halves[id] = half
			if half.errors != 0 && half.data != 0 {
				delete(halves, id)
				s.pairs <- half
			}
		case *spdy.PingFrame:
			if f.Id%2 == 1 {
				for range s.pongs.Load() {
					s.control(spdy.TypePing, 0, words(f.Id))
				}
				s.flush()
			}
		}
	}
}

// wait waits until the client is gone.
func (s *spdySession) wait() {
	s.flush()
	for range s.pairs {
	}
}

// hangUp says that nothing more comes, and gives the client time to hear it: with bytes unread, closing
// would be a reset.
func (s *spdySession) hangUp() {
	s.flush()
	if tcp, ok := s.conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	patience := time.After(3 * time.Second)
	for {
		select {
		case _, more := <-s.pairs:
			if !more {
				return
			}
		case <-patience:
			return
		}
	}
}

func (s *spdySession) frame(f spdy.Frame) {
	s.lock.Lock()
	defer s.lock.Unlock()
	_ = s.framer.WriteFrame(f)
}

func (s *spdySession) raw(b []byte) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.out.Write(b)
}

// control is a control frame of any type with any body.
func (s *spdySession) control(kind spdy.ControlFrameType, flags byte, body []byte) {
	head := binary.BigEndian.AppendUint16([]byte{0x80, 3}, uint16(kind))
	head = append(head, flags, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)))
	s.raw(append(head, body...))
}

func (s *spdySession) reply(id spdy.StreamId) {
	s.frame(&spdy.SynReplyFrame{StreamId: id, Headers: http.Header{}})
}

func (s *spdySession) say(id spdy.StreamId, text string, last bool) {
	var flags spdy.DataFlags
	if last {
		flags = spdy.DataFlagFin
	}
	s.frame(&spdy.DataFrame{StreamId: id, Flags: flags, Data: []byte(text)})
}

func (s *spdySession) rst(id spdy.StreamId, status spdy.RstStreamStatus) {
	s.frame(&spdy.RstStreamFrame{StreamId: id, Status: status})
}

// polite opens what the client wants opened.
func (s *spdySession) polite(p streams) {
	s.reply(p.errors)
	s.reply(p.data)
}

// partial is the start of an answer that will not be complete.
func (s *spdySession) partial(p streams) {
	s.polite(p)
	s.say(p.data, "partial", false)
}

// hello is a whole answer.
func (s *spdySession) hello(p streams) {
	s.polite(p)
	s.say(p.data, "hello", true)
	s.say(p.errors, "", true)
}

// flush sends what was said, in one message if there are messages.
func (s *spdySession) flush() {
	s.lock.Lock()
	defer s.lock.Unlock()
	b := bytes.Clone(s.out.Bytes())
	s.out.Reset()
	switch {
	case len(b) == 0:
	case s.pace != nil:
		s.pace(s, b)
	case s.ws != nil:
		s.message(b)
	default:
		_, _ = s.conn.Write(b)
	}
}

func (s *spdySession) message(b []byte) {
	var out bytes.Buffer
	frame{opBinary, b}.writeTo(&out)
	_, _ = s.conn.Write(out.Bytes())
}

// eachByte sends each byte by itself, with these raw bytes before and after it.
func (s *spdySession) eachByte(b, between []byte) {
	_, _ = s.conn.Write(between)
	for i := range b {
		if s.ws != nil {
			s.message(b[i : i+1])
		} else {
			_, _ = s.conn.Write(b[i : i+1])
		}
		_, _ = s.conn.Write(between)
	}
}

// fragments sends one message in frames of two bytes with pings between them, and an empty one to end it.
func (s *spdySession) fragments(b []byte) {
	opcode := byte(opBinary)
	for len(b) > 0 {
		n := min(2, len(b))
		_, _ = s.conn.Write(append([]byte{opcode, byte(n)}, b[:n]...))
		_, _ = s.conn.Write([]byte{0x89, 2, 'h', 'i'})
		b, opcode = b[n:], 0
	}
	_, _ = s.conn.Write([]byte{0x80, 0})
}

// messages are the payloads of a WebSocket's messages, one after the other.
type messages struct {
	ws      *gorilla.Conn
	current io.Reader
}

// Read implements io.Reader.
func (m *messages) Read(b []byte) (int, error) {
	for {
		if m.current == nil {
			_, next, err := m.ws.NextReader()
			if err != nil {
				return 0, fmt.Errorf("next message: %w", err)
			}
			m.current = next
		}
		n, err := m.current.Read(b)
		if err == io.EOF {
			m.current, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}
