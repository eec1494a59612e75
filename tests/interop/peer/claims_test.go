package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/spdystream/spdy"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// The tests in claims_*_test.go settle what docs/PROTOCOL.md says of Kubernetes' code, one claim each:
// bytes in, bytes out, against that code itself. Nothing of portway is in them.

const (
	// patience is how long something may take that has to come.
	patience = 10 * time.Second
	// quiet is how long nothing comes, where nothing is to come.
	quiet = 300 * time.Millisecond
)

// forwarderFunc is a container runtime.
type forwarderFunc func(port int32, stream io.ReadWriteCloser) error

func (f forwarderFunc) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	return f(port, stream)
}

// echoing is a runtime whose pods echo, and closes the stream as containerd does.
func echoing(_ int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	_, err := io.Copy(stream, stream)
	return err
}

// deafOn is a runtime that reads nothing on one port until it is released, and echoes on all others.
func deafOn(port int32, release <-chan struct{}) forwarderFunc {
	return func(on int32, stream io.ReadWriteCloser) error {
		if on == port {
			<-release
		}
		return echoing(on, stream)
	}
}

// serveRuntime serves Kubernetes' streaming server on this runtime.
func serveRuntime(t *testing.T, forward forwarderFunc, idle, creation time.Duration) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		options, err := portforward.NewV4Options(req)
		if err != nil {
			writeText(w, http.StatusBadRequest, err.Error())
			return
		}
		portforward.ServePortForward(w, req, forward, "demo", "", options, idle, creation, portforward.SupportedProtocols)
	}))
	t.Cleanup(server.CloseClientConnections)
	return server.Listener.Addr().String()
}

// wire is a SPDY connection that says what it is told and shows what comes, a line for each event:
// `reply 1`, `data 3 "hi"`, `fin 3`, `rst 3 5`, `ping 1`, `goaway 0 0`, `end`.
type wire struct {
	t      *testing.T
	conn   io.ReadWriteCloser
	framer *spdy.Framer
	seen   chan string
}

// dialWire upgrades to plain SPDY.
func dialWire(t *testing.T, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: peer\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"+
		"X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", response, err)
	}
	return newWire(t, conn, reader)
}

func newWire(t *testing.T, conn io.ReadWriteCloser, reader io.Reader) *wire {
	t.Helper()
	framer, err := spdy.NewFramer(conn, reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, conn: conn, framer: framer, seen: make(chan string, 4096)}
	t.Cleanup(func() { _ = conn.Close() })
	go w.listen()
	return w
}

func (w *wire) listen() {
	defer close(w.seen)
	for {
		next, err := w.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := next.(type) {
		case *spdy.SynStreamFrame:
			w.seen <- fmt.Sprint("syn ", f.StreamId)
		case *spdy.SynReplyFrame:
			w.seen <- fmt.Sprint("reply ", f.StreamId)
		case *spdy.DataFrame:
			if len(f.Data) > 0 {
				w.seen <- fmt.Sprintf("data %d %q", f.StreamId, f.Data)
			}
			if f.Flags&spdy.DataFlagFin != 0 {
				w.seen <- fmt.Sprint("fin ", f.StreamId)
			}
		case *spdy.RstStreamFrame:
			w.seen <- fmt.Sprintf("rst %d %d", f.StreamId, f.Status)
		case *spdy.PingFrame:
			w.seen <- fmt.Sprint("ping ", f.Id)
		case *spdy.GoAwayFrame:
			w.seen <- fmt.Sprintf("goaway %d %d", f.LastGoodStreamId, f.Status)
		default:
			w.seen <- fmt.Sprintf("%T", f)
		}
	}
}

// next is what comes next; "end" if nothing ever does.
func (w *wire) next() string {
	w.t.Helper()
	select {
	case seen, more := <-w.seen:
		if !more {
			return "end"
		}
		return seen
	case <-time.After(patience):
		w.t.Fatal("nothing comes")
		return ""
	}
}

// expect takes these in this order. A want that ends with `...` is a prefix.
func (w *wire) expect(wants ...string) {
	w.t.Helper()
	for i, want := range wants {
		got := w.next()
		prefix, open := strings.CutSuffix(want, "...")
		if got != want && !(open && strings.HasPrefix(got, prefix)) {
			w.t.Fatalf("%d: %s, want %s", i, got, want)
		}
	}
}

// expectUnordered takes these in any order.
func (w *wire) expectUnordered(wants ...string) {
	w.t.Helper()
	var got []string
	for range wants {
		got = append(got, w.next())
	}
	slices.Sort(got)
	slices.Sort(wants)
	if !slices.Equal(got, wants) {
		w.t.Fatalf("%q, want %q", got, wants)
	}
}

// silence is that nothing comes.
func (w *wire) silence() {
	w.t.Helper()
	select {
	case seen, more := <-w.seen:
		w.t.Fatalf("%q (more: %v) where nothing was to come", seen, more)
	case <-time.After(quiet):
	}
}

func (w *wire) frame(f spdy.Frame) {
	w.t.Helper()
	if err := w.framer.WriteFrame(f); err != nil {
		w.t.Fatal(err)
	}
}

// syn opens a stream; a requestid or port that is empty is left out.
func (w *wire) syn(id int, kind, port, request string) {
	w.t.Helper()
	headers := http.Header{}
	for name, value := range map[string]string{"streamtype": kind, "port": port, "requestid": request} {
		if value != "" {
			headers.Set(name, value)
		}
	}
	w.frame(&spdy.SynStreamFrame{StreamId: spdy.StreamId(id), Headers: headers})
}

// pair opens the two streams of a forward with these ids and waits until they are open.
func (w *wire) pair(errors, data int, port int) {
	w.t.Helper()
	request := strconv.Itoa(errors)
	w.syn(errors, "error", strconv.Itoa(port), request)
	w.syn(data, "data", strconv.Itoa(port), request)
	w.expectUnordered(fmt.Sprint("reply ", errors), fmt.Sprint("reply ", data))
}

func (w *wire) data(id int, text string) {
	w.t.Helper()
	w.frame(&spdy.DataFrame{StreamId: spdy.StreamId(id), Data: []byte(text)})
}

func (w *wire) fin(id int) {
	w.t.Helper()
	w.frame(&spdy.DataFrame{StreamId: spdy.StreamId(id), Flags: spdy.DataFlagFin})
}

func (w *wire) rst(id int) {
	w.t.Helper()
	w.frame(&spdy.RstStreamFrame{StreamId: spdy.StreamId(id), Status: spdy.Cancel})
}

func (w *wire) ping(ids ...int) {
	w.t.Helper()
	for _, id := range ids {
		w.frame(&spdy.PingFrame{Id: uint32(id)})
	}
}

// raw is bytes as they are.
func (w *wire) raw(b []byte) {
	w.t.Helper()
	if _, err := w.conn.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// wedged is how many of the five workers do not answer a ping. Pings are dealt to them in turn, so
// none of the session's before may be unanswered but by those.
func (w *wire) wedged(first int) int {
	w.t.Helper()
	for i := range 5 {
		w.ping(first + 2*i)
	}
	missing := 5
	for {
		select {
		case seen, more := <-w.seen:
			if !more || !strings.HasPrefix(seen, "ping ") {
				w.t.Fatalf("%q instead of a ping", seen)
			}
			if missing--; missing == 0 {
				return 0
			}
		case <-time.After(quiet):
			return missing
		}
	}
}
