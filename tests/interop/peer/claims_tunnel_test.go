package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/moby/spdystream"
	"k8s.io/apimachinery/pkg/util/proxy"
	tunnel "k8s.io/apiserver/pkg/util/proxy"
	clientportforward "k8s.io/client-go/tools/portforward"
)

// upstream is a kubelet that has switched to SPDY and says what it is told.
type upstream struct {
	addr  string
	conns chan *net.TCPConn
}

// serveTunnel is the API server's tunnel in front of such a kubelet.
func serveTunnel(t *testing.T) (addr string, kubelet upstream) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	kubelet = upstream{listener.Addr().String(), make(chan *net.TCPConn, 1)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				continue
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
				"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n")
			kubelet.conns <- conn.(*net.TCPConn)
		}
	}()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		location := &url.URL{Scheme: "http", Host: kubelet.addr, Path: "/"}
		behind := proxy.NewUpgradeAwareHandler(location, &http.Transport{}, false, true, proxy.NewErrorResponder(responder{w}))
		tunnel.NewTunnelingHandler(behind).ServeHTTP(w, req)
	}))
	t.Cleanup(server.CloseClientConnections)
	return server.Listener.Addr().String(), kubelet
}

// frames is a WebSocket client of which every frame can be seen: fragments, pongs and all.
type frames struct {
	t    *testing.T
	conn net.Conn
	seen chan seenFrame
}

type seenFrame struct {
	opcode  byte
	fin     bool
	payload []byte
}

func (f seenFrame) String() string {
	return fmt.Sprintf("%x fin=%v % x", f.opcode, f.fin, f.payload)
}

func dialFrames(t *testing.T, addr, target, protocol string) *frames {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: peer\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", target, protocol)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", response, err)
	}
	f := &frames{t: t, conn: conn, seen: make(chan seenFrame, 4096)}
	go func() {
		defer close(f.seen)
		for {
			seen, err := readFrame(reader)
			if err != nil {
				return
			}
			f.seen <- seen
		}
	}()
	return f
}

func readFrame(reader io.Reader) (seen seenFrame, err error) {
	var head [2]byte
	if _, err := io.ReadFull(reader, head[:]); err != nil {
		return seen, err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var long uint16
		err = binary.Read(reader, binary.BigEndian, &long)
		n = uint64(long)
	case 127:
		err = binary.Read(reader, binary.BigEndian, &n)
	}
	if err != nil {
		return seen, err
	}
	seen = seenFrame{head[0] & 15, head[0]&0x80 != 0, make([]byte, n)}
	_, err = io.ReadFull(reader, seen.payload)
	return seen, err
}

// send sends one frame, masked with zeros.
func (f *frames) send(head byte, payload string) {
	f.t.Helper()
	if _, err := f.conn.Write(append(maskedHead(head, len(payload)), payload...)); err != nil {
		f.t.Fatal(err)
	}
}

func maskedHead(head byte, n int) []byte {
	b := []byte{head}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(b, 0, 0, 0, 0)
}

const (
	headText   = 0x81
	headBinary = 0x82
	headClose  = 0x88
	headPing   = 0x89
)

// expect takes one frame.
func (f *frames) expect(opcode byte, payload string) {
	f.t.Helper()
	if got := f.next(); got.opcode != opcode || string(got.payload) != payload {
		f.t.Fatalf("%v, want %x % x", got, opcode, payload)
	}
}

func (f *frames) next() seenFrame {
	f.t.Helper()
	select {
	case seen, more := <-f.seen:
		if !more {
			f.t.Fatal("the end instead of a frame")
		}
		return seen
	case <-time.After(patience):
		f.t.Fatal("nothing comes")
	}
	return seenFrame{}
}

// end is that the transport ends with nothing more.
func (f *frames) end() {
	f.t.Helper()
	select {
	case seen, more := <-f.seen:
		if more {
			f.t.Fatalf("%v instead of the end", seen)
		}
	case <-time.After(patience):
		f.t.Fatal("no end comes")
	}
}

func (f *frames) silence() {
	f.t.Helper()
	select {
	case seen, more := <-f.seen:
		f.t.Fatalf("%v (more: %v) where nothing was to come", seen, more)
	case <-time.After(quiet):
	}
}

const tunnelName = "SPDY/3.1+portforward.k8s.io"

const closed1000 = "\x03\xe8"

// Trap 34. When what is behind the tunnel ends, the client is told only after it has sent something: the
// end waits for a lock that a read holds until a message with bytes in it has come. Control frames and empty
// messages do not count.
func TestTheTunnelDoesNotCloseTowardsASilentClient(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"FIN": func(conn *net.TCPConn) { _ = conn.Close() },
		"RST": func(conn *net.TCPConn) { _ = conn.SetLinger(0); _ = conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			addr, kubelet := serveTunnel(t)
			client := dialFrames(t, addr, "/", tunnelName)
			conn := <-kubelet.conns
			// So that it is known to read.
			for range 2 {
				client.send(headBinary, "hello")
				_, _ = io.CopyN(conn, conn, 5)
				client.expect(2, "hello")
			}
			end(conn)
			client.silence()
			// It is alive, and it does not tell.
			client.send(headPing, "anybody?")
			client.expect(10, "anybody?")
			client.send(headBinary, "")
			client.silence()
			client.send(headBinary, "x")
			client.expect(8, closed1000)
			client.end()
		})
	}
}

// The way that a client has out of trap 34: the pings of SPDY, which kubectl sends, are such messages.
func TestAClientThatPingsIsToldOfTheEnd(t *testing.T) {
	addr, kubelet := serveTunnel(t)
	ws, _, err := (&gorilla.Dialer{Subprotocols: []string{tunnelName}}).Dial("ws://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := spdystream.NewConnection(clientportforward.NewTunnelingConnection("client", ws), false)
	if err != nil {
		t.Fatal(err)
	}
	go conn.Serve(spdystream.NoOpStreamHandler)
	kubeletConn := <-kubelet.conns
	// A ping that is answered, so that the tunnel is known to read.
	go func() { _, _ = io.CopyN(kubeletConn, kubeletConn, 12) }()
	if _, err := conn.Ping(); err != nil {
		t.Fatal(err)
	}
	_ = kubeletConn.Close()
	select {
	case <-conn.CloseChan():
		t.Fatal("it was told without a ping")
	case <-time.After(quiet):
	}
	go func() { _, _ = conn.Ping() }()
	select {
	case <-conn.CloseChan():
	case <-time.After(patience):
		t.Fatal("it is never told")
	}
}

// C.1: what comes from the kubelet is copied as it was read, cut anywhere and up to 32 KiB at a time; and
// what is more than a buffer comes in fragments, of which the last may be empty.
func TestTheTunnelFragmentsWhatIsLong(t *testing.T) {
	addr, kubelet := serveTunnel(t)
	client := dialFrames(t, addr, "/", tunnelName)
	conn := <-kubelet.conns
	sizes := func(n int) (sizes []int) {
		t.Helper()
		if _, err := conn.Write(bytes.Repeat([]byte("x"), n)); err != nil {
			t.Fatal(err)
		}
		for first := true; ; first = false {
			frame := client.next()
			if want := byte(2); first && frame.opcode != want || !first && frame.opcode != 0 {
				t.Fatalf("opcode %d", frame.opcode)
			}
			sizes = append(sizes, len(frame.payload))
			if frame.fin {
				return sizes
			}
		}
	}
	// The buffer is of 4,096 bytes and 14 for a header; what is more than two of them goes past it.
	for _, c := range []struct {
		n    int
		want []int
	}{
		{2, []int{2}},
		{4096, []int{4096}},
		{4097, []int{4096, 1}},
		{8220, []int{4096, 4096, 28}},
		{8221, []int{8221, 0}},
		{20_000, []int{20_000, 0}},
	} {
		if got := sizes(c.n); !slices.Equal(got, c.want) {
			t.Errorf("%d bytes came in frames of %v, want %v", c.n, got, c.want)
		}
	}
	// Whatever a read gave, and never more than 32 KiB.
	const much = 1 << 20
	go func() { _, _ = conn.Write(bytes.Repeat([]byte("x"), much)) }()
	for left := much; left > 0; {
		frame := client.next()
		if left -= len(frame.payload); len(frame.payload) > 32<<10 {
			t.Errorf("a frame of %d bytes", len(frame.payload))
		}
	}
}

// C.1: a text message is the end of the tunnel, told with 1000 like any other.
func TestATextMessageEndsTheTunnel(t *testing.T) {
	addr, kubelet := serveTunnel(t)
	client := dialFrames(t, addr, "/", tunnelName)
	conn := <-kubelet.conns
	client.send(headText, "hello")
	client.expect(8, closed1000)
	client.end()
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Fatalf("the kubelet was sent %q", got)
	}
}

// C.1: fragments are put together, an empty message means nothing, and a Close is echoed with its code.
func TestTheTunnelTakesFragmentsAndEchoesAClose(t *testing.T) {
	addr, kubelet := serveTunnel(t)
	client := dialFrames(t, addr, "/", tunnelName)
	conn := <-kubelet.conns
	client.send(0x02, "frag")
	client.send(headPing, "between")
	client.expect(10, "between")
	client.send(0x00, "ment")
	client.send(0x80, "")
	client.send(headBinary, "")
	client.send(headBinary, "ed")
	client.send(headClose, "\x0b\xb8bye")
	// 3000.
	client.expect(8, "\x0b\xb8")
	client.end()
	if got, _ := io.ReadAll(conn); string(got) != "fragmented" {
		t.Fatalf("the kubelet was sent %q", got)
	}
}

// C.1: a frame that is not masked is told by 1002.
func TestTheTunnelTellsBadFraming(t *testing.T) {
	addr, kubelet := serveTunnel(t)
	client := dialFrames(t, addr, "/", tunnelName)
	<-kubelet.conns
	_, _ = client.conn.Write([]byte{headBinary, 2, 'h', 'i'})
	if got := client.next(); got.opcode != 8 || !strings.HasPrefix(string(got.payload), "\x03\xea") {
		t.Fatal(got)
	}
}

// Trap 35. The end of one direction is the end of both: what was still to come the other way is lost.
func TestAHalfCloseEndsTheTunnel(t *testing.T) {
	addr, kubelet := serveTunnel(t)
	client := dialFrames(t, addr, "/", tunnelName)
	conn := <-kubelet.conns
	client.send(headBinary, "question")
	if got, err := io.ReadAll(io.LimitReader(conn, 8)); err != nil || string(got) != "question" {
		t.Fatalf("%q, %v", got, err)
	}
	_ = client.conn.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(conn); len(got) > 0 {
		t.Fatalf("%q, %v", got, err)
	}
	_, _ = io.WriteString(conn, "answer")
	for seen := range client.seen {
		if seen.opcode == 2 {
			t.Fatalf("%v came behind the half-close", seen)
		}
	}
}

// C.1: how client-go cuts SPDY frames into messages: field by field, and an empty one for no data.
func TestClientGoWritesFieldByField(t *testing.T) {
	upgrader := gorilla.Upgrader{Subprotocols: []string{tunnelName}}
	sizes := make(chan int, 1024)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ws, err := upgrader.Upgrade(w, req, nil)
		if err != nil {
			return
		}
		defer close(sizes)
		for {
			_, message, err := ws.ReadMessage()
			if err != nil {
				return
			}
			sizes <- len(message)
		}
	}))
	t.Cleanup(server.Close)
	ws, _, err := (&gorilla.Dialer{Subprotocols: []string{tunnelName}}).Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := spdystream.NewConnection(clientportforward.NewTunnelingConnection("client", ws), false)
	if err != nil {
		t.Fatal(err)
	}
	go conn.Serve(spdystream.NoOpStreamHandler)
	take := func(wants ...int) {
		t.Helper()
		for _, want := range wants {
			select {
			case got := <-sizes:
				// What a header block comes to is its own affair.
				if got != want && want >= 0 {
					t.Fatalf("a message of %d bytes, want %d", got, want)
				}
			case <-time.After(patience):
				t.Fatal("no message comes")
			}
		}
	}
	stream, err := conn.CreateStream(http.Header{"Streamtype": {"data"}}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	take(2, 2, 4, 4, 4, 1, 1, -1)
	_, _ = stream.Write(make([]byte, 1000))
	take(4, 4, 1000)
	_ = stream.Close()
	take(4, 4, 0)
	go func() { _, _ = conn.Ping() }()
	take(2, 2, 4, 4)
	second, err := conn.CreateStream(http.Header{"Streamtype": {"data"}}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	take(2, 2, 4, 4, 4, 1, 1, -1)
	_ = second.Reset()
	take(2, 2, 4, 4, 4)
	_ = stream.Reset()
	_ = conn.Close()
	take(2, 2, 4, 4, 4)
	if _, more := <-sizes; more {
		t.Fatal("something behind the goodbye")
	}
}

// C.1: a Close with the code 1000 is a clean end for client-go, any other an error; so is a text.
func TestHowClientGoReadsAnEnd(t *testing.T) {
	for name, c := range map[string]struct {
		say  func(*gorilla.Conn)
		want func(error) bool
	}{
		"1000": {closeWith(1000), func(err error) bool { return err == nil }},
		"1001": {closeWith(1001), func(err error) bool { return gorilla.IsCloseError(err, 1001) }},
		"text": {
			func(ws *gorilla.Conn) { _ = ws.WriteMessage(gorilla.TextMessage, []byte("hello")) },
			func(err error) bool { return err != nil && err.Error() == "invalid message type received" },
		},
		"no word": {
			func(ws *gorilla.Conn) { _ = ws.NetConn().Close() },
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) || gorilla.IsCloseError(err, 1006) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			var upgrader gorilla.Upgrader
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if ws, err := upgrader.Upgrade(w, req, nil); err == nil {
					c.say(ws)
				}
			}))
			t.Cleanup(server.Close)
			ws, _, err := gorilla.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(clientportforward.NewTunnelingConnection("client", ws))
			if len(got) > 0 || !c.want(err) {
				t.Fatalf("%q, %v", got, err)
			}
		})
	}
}

func closeWith(code int) func(*gorilla.Conn) {
	return func(ws *gorilla.Conn) {
		_ = ws.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
	}
}
