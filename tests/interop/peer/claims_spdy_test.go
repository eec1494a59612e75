package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/moby/spdystream"
	"github.com/moby/spdystream/spdy"
	"portway.dev/interop/pod"
)

// Trap 28. A stream that nobody reads takes its worker with it, that is every stream with the same id
// modulo 5, and once 50 frames wait for that worker the whole connection.
func TestAnUnreadStreamStopsItsWorkerAndThenEverything(t *testing.T) {
	release := make(chan struct{})
	w := dialWire(t, serveRuntime(t, deafOn(1, release), time.Hour, time.Hour))
	w.pair(1, 3, 1)
	if n := w.wedged(1); n != 0 {
		t.Fatalf("%d workers are wedged before anything was sent", n)
	}
	// The worker has this one in its hands.
	w.data(3, "first")
	if n := w.wedged(101); n != 1 {
		t.Fatalf("%d workers are wedged, want 1", n)
	}
	// Ids 5 to 11 are with the other four ...
	w.pair(5, 7, 2)
	w.pair(9, 11, 2)
	w.data(7, "hi")
	w.data(11, "hi")
	w.expectUnordered(`data 7 "hi"`, `data 11 "hi"`)
	// ... and 13 is with this one.
	w.syn(13, "error", "2", "x")
	w.silence()

	// A ping and this opening wait, so 48 more make 50: the rest goes on.
	for range 48 {
		w.data(3, "more")
	}
	w.data(7, "still")
	w.expect(`data 7 "still"`)
	// One more, and the loop that reads the connection waits.
	w.data(3, "too many")
	w.data(7, "stopped")
	w.ping(201, 203, 205, 207, 209)
	w.silence()

	close(release)
	var back strings.Builder
	for back.Len() < len(`first`)+48*len(`more`)+len(`too many`)+len(`stopped`) {
		seen := w.next()
		if _, data, ok := strings.Cut(seen, `"`); ok {
			back.WriteString(strings.TrimSuffix(data, `"`))
		}
	}
}

// Trap 24. Nobody reads the headers of a HEADERS frame, so it takes its worker with it for good.
func TestAHeadersFrameWedgesAWorker(t *testing.T) {
	w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
	w.pair(1, 3, 1)
	w.frame(&spdy.HeadersFrame{StreamId: 3, Headers: http.Header{"More": {"to say"}}})
	if n := w.wedged(1); n != 1 {
		t.Fatalf("%d workers are wedged, want 1", n)
	}
}

// Trap 31. What comes behind a GOAWAY is not read, and what is open ends.
func TestAGoAwayStopsTheReaderAtOnce(t *testing.T) {
	got := make(chan string, 1)
	w := dialWire(t, serveRuntime(t, func(_ int32, stream io.ReadWriteCloser) error {
		defer stream.Close()
		all, err := io.ReadAll(stream)
		got <- fmt.Sprintf("%s, %v", all, err)
		return nil
	}, time.Hour, time.Hour))
	w.pair(1, 3, 1)
	w.data(3, "before")
	w.frame(&spdy.GoAwayFrame{})
	// It may be gone already.
	_ = w.framer.WriteFrame(&spdy.DataFrame{StreamId: 3, Data: []byte("behind")})
	select {
	case got := <-got:
		if got != "before, <nil>" {
			t.Fatal(got)
		}
	case <-time.After(patience):
		t.Fatal("the stream does not end")
	}
}

// Trap 22. A control frame of a type that it does not know ends the connection, with no goodbye.
func TestAnUnknownControlFrameEndsTheConnection(t *testing.T) {
	for _, kind := range []byte{5, 10, 99} {
		w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
		w.pair(1, 3, 1)
		w.raw([]byte{0x80, 3, 0, kind, 0, 0, 0, 0})
		w.expect("end")
	}
}

// Trap 23. The length of a PING is not looked at: what is too much of it is read as the next frame.
func TestAWrongLengthIsReadOver(t *testing.T) {
	w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
	// A ping of twelve bytes too many, which are another ping.
	w.raw([]byte{0x80, 3, 0, 6, 0, 0, 0, 16, 0, 0, 0, 1, 0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 3})
	w.expectUnordered("ping 1", "ping 3")
}

// C.3: data of a stream that is not open are dropped without a word; ids need not follow each other, nor
// be odd, but they must not go back.
func TestUnknownStreamsAndOddIds(t *testing.T) {
	w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
	w.data(99, "nobody asked")
	w.rst(97)
	w.silence()
	w.pair(10, 21, 1)
	w.data(21, "hi")
	w.expect(`data 21 "hi"`)
	w.syn(11, "error", "1", "x")
	w.expect("rst 11 1")
}

// C.5: what is wrong with a stream's headers is told by an RST, CANCEL, and by no reply.
func TestARejectedStreamIsReset(t *testing.T) {
	for name, headers := range map[string][2]string{
		"no port": {"data", ""}, "port 0": {"data", "0"}, "port that is none": {"data", "http"},
		"port out of range": {"data", "65536"}, "no type": {"", "80"}, "other type": {"Data", "80"},
	} {
		w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
		w.syn(1, headers[0], headers[1], "0")
		if got := w.next(); got != "rst 1 5" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// C.5: all of an opening may be sent at once, with the end of the error stream in its SYN_STREAM and with
// data that no reply was waited for.
func TestAnOpeningMaySendEverythingAtOnce(t *testing.T) {
	w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
	for id := 1; id < 400; id += 4 {
		headers := func(kind string) http.Header {
			return http.Header{"Streamtype": {kind}, "Port": {"1"}, "Requestid": {fmt.Sprint(id)}}
		}
		w.frame(&spdy.SynStreamFrame{
			StreamId: spdy.StreamId(id), Headers: headers("error"),
			CFHeader: spdy.ControlFrameHeader{Flags: spdy.ControlFlagFin},
		})
		w.frame(&spdy.SynStreamFrame{StreamId: spdy.StreamId(id + 2), Headers: headers("data")})
		w.data(id+2, "hi")
		w.fin(id + 2)
		seen := map[string]int{}
		for i := range 5 {
			seen[w.next()] = i
		}
		reply, data := fmt.Sprint("reply ", id+2), fmt.Sprintf("data %d %q", id+2, "hi")
		for _, want := range []string{fmt.Sprint("reply ", id), reply, data, fmt.Sprint("fin ", id+2), fmt.Sprint("fin ", id)} {
			if _, ok := seen[want]; !ok {
				t.Fatalf("no %s in %v", want, seen)
			}
		}
		if seen[reply] > seen[data] || seen[data] > seen[fmt.Sprint("fin ", id+2)] {
			t.Fatalf("out of order: %v", seen)
		}
	}
}

// C.5: without a request id the data stream belongs to the error stream two before it.
func TestAPairWithoutARequestID(t *testing.T) {
	w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
	w.syn(7, "error", "1", "")
	w.syn(9, "data", "1", "")
	w.expectUnordered("reply 7", "reply 9")
	w.data(9, "hi")
	w.expect(`data 9 "hi"`)
}

// Trap 32. A stream that waits for its other half in vain is told so, and nothing follows.
func TestATimeOutOfAPairIsTextAlone(t *testing.T) {
	w := dialWire(t, serveRuntime(t, echoing, time.Hour, 50*time.Millisecond))
	w.syn(1, "error", "1", "lonely")
	w.expect("reply 1")
	text := w.next()
	if !strings.HasPrefix(text, `data 1 "(conn=0x`) || !strings.HasSuffix(text, `, request=lonely) timed out waiting for streams"`) {
		t.Fatal(text)
	}
	w.silence()
	// A data stream has nowhere to be told.
	w.syn(3, "data", "1", "lonely too")
	w.expect("reply 3")
	w.silence()
}

// Trap 32. A second stream of one type is told to the first one, and stays open itself.
func TestASecondErrorStreamIsTextAlone(t *testing.T) {
	w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
	w.syn(1, "error", "1", "twice")
	w.expect("reply 1")
	w.syn(3, "error", "1", "twice")
	w.expectUnordered("reply 3", `data 1 "error processing stream for request twice: error stream already assigned"`)
	w.silence()
	// The pair can still be completed.
	w.syn(5, "data", "1", "twice")
	w.expect("reply 5")
	w.data(5, "hi")
	w.expect(`data 5 "hi"`)
}

var errPod = errors.New("connection refused")

// C.6: in which order a forward ends.
func TestTheOrderOfAnEnd(t *testing.T) {
	const text = `data 1 "error forwarding port 1 to pod demo, uid : connection refused"`
	for name, c := range map[string]struct {
		runtime forwarderFunc
		want    []string
	}{
		"clean, as containerd and CRI-O on Linux": {
			func(_ int32, stream io.ReadWriteCloser) error { return stream.Close() },
			[]string{"fin 3", "fin 1"},
		},
		// The deferred ends run last in, first out.
		"clean, as containerd on Windows": {
			func(int32, io.ReadWriteCloser) error { return nil },
			[]string{"fin 1", "fin 3"},
		},
		"failed, as containerd and CRI-O on Linux": {
			func(_ int32, stream io.ReadWriteCloser) error { _ = stream.Close(); return errPod },
			[]string{"fin 3", text, "rst 1 5"},
		},
		"failed before the runtime began, and on Windows": {
			func(int32, io.ReadWriteCloser) error { return errPod },
			[]string{text, "rst 3 5", "rst 1 5"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			// The end of the error stream does not wait for the reply to the data stream.
			begin := make(chan struct{})
			w := dialWire(t, serveRuntime(t, func(port int32, stream io.ReadWriteCloser) error {
				<-begin
				return c.runtime(port, stream)
			}, time.Hour, time.Hour))
			w.pair(1, 3, 1)
			close(begin)
			w.expect(c.want...)
			w.silence()
		})
	}
}

// C.6: data may come behind the server's own end of a stream.
func TestDataComeBehindAnEnd(t *testing.T) {
	w := dialWire(t, serveRuntime(t, func(_ int32, stream io.ReadWriteCloser) error {
		_ = stream.Close()
		_, err := io.WriteString(stream, "late")
		return err
	}, time.Hour, time.Hour))
	w.pair(1, 3, 1)
	w.expect("fin 3", `data 3 "late"`, "fin 1")
}

// C.6: nor does a reset from the client stop them: they come for as long as the runtime copies, a second
// by containerd's rules. Of the data stream nothing more is said then.
func TestDataComeBehindAReset(t *testing.T) {
	r := &pod.Runtime{Pod: demoPod(t)}
	w := dialWire(t, serveRuntime(t, func(port int32, stream io.ReadWriteCloser) error {
		return r.PortForward(t.Context(), "demo", "", port, stream)
	}, time.Hour, time.Hour))
	w.pair(1, 3, 8090)
	w.expect("data 3 ...")
	w.rst(3)
	start := time.Now()
	late, last := 0, time.Duration(0)
	for {
		seen := w.next()
		if strings.HasPrefix(seen, "data 3 ") {
			late, last = late+1, time.Since(start)
			continue
		}
		if !strings.HasPrefix(seen, "data 1 ") && seen != "fin 1" {
			t.Fatal(seen)
		}
		break
	}
	if late < 10 || last < 500*time.Millisecond {
		t.Fatalf("%d frames, the last after %v", late, last)
	}
}

// C.6: after the idle time each stream that is not over is reset, then comes the goodbye. A ping counts
// as life.
func TestAnIdleConnectionIsResetAndLeft(t *testing.T) {
	const idle = 400 * time.Millisecond
	w := dialWire(t, serveRuntime(t, echoing, idle, time.Hour))
	w.pair(1, 3, 1)
	for id := 1; id < 21; id += 2 {
		w.ping(id)
		w.expect(fmt.Sprint("ping ", id))
		time.Sleep(idle / 4)
	}
	start := time.Now()
	var resets []string
	for len(resets) < 2 {
		resets = append(resets, w.next())
	}
	if time.Since(start) > 4*idle {
		t.Fatalf("after %v", time.Since(start))
	}
	if !(resets[0] == "rst 1 5" && resets[1] == "rst 3 5") && !(resets[0] == "rst 3 5" && resets[1] == "rst 1 5") {
		t.Fatal(resets)
	}
	// `last` is the highest stream that came.
	w.expect("goaway 3 0", "end")
}

// C.4: a header block ends in a sync flush. One that does not is taken, and so is one with a second flush
// behind it; but with the first, the next block on that connection is the end of it.
func TestAHeaderBlockEndsInASyncFlush(t *testing.T) {
	flush := []byte{0, 0, 0, 0xff, 0xff}
	for name, c := range map[string]struct {
		tail []byte
		then string
	}{
		"one":  {flush, "reply 3"},
		"none": {nil, "end"},
		"two":  {append(flush[:5:5], flush...), "reply 3"},
	} {
		t.Run(name, func(t *testing.T) {
			w := dialWire(t, serveRuntime(t, echoing, time.Hour, time.Hour))
			w.raw(storedSyn(1, c.tail))
			w.expect("reply 1")
			w.raw(storedSyn(3, flush))
			got := w.next()
			// What was open may be reset on the way.
			for got == "rst 1 5" || got == "goaway 1 0" {
				got = w.next()
			}
			if got != c.then {
				t.Fatalf("%s, want %s", got, c.then)
			}
		})
	}
}

// storedSyn is an opening of an error stream, the first one of a connection if it is that of stream 1, in
// a block that is not deflated, with this behind it.
func storedSyn(id uint32, tail []byte) []byte {
	var headers []byte
	word := func(s string) {
		headers = append(binary.BigEndian.AppendUint32(headers, uint32(len(s))), s...)
	}
	headers = binary.BigEndian.AppendUint32(headers, 3)
	for _, s := range []string{"port", "1", "requestid", fmt.Sprint(id), "streamtype", "error"} {
		word(s)
	}
	var block []byte
	if id == 1 {
		block = []byte{0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2}
	}
	block = binary.LittleEndian.AppendUint16(append(block, 0), uint16(len(headers)))
	block = binary.LittleEndian.AppendUint16(block, ^uint16(len(headers)))
	block = append(append(block, headers...), tail...)
	frame := []byte{0x80, 3, 0, 1, 0, 0, 0, byte(10 + len(block))}
	frame = append(binary.BigEndian.AppendUint32(frame, id), 0, 0, 0, 0, 0, 0)
	return append(frame, block...)
}

// spdyClient is Kubernetes' SPDY library as a client, and the wire at its other end.
func spdyClient(t *testing.T) (*spdystream.Connection, *wire) {
	t.Helper()
	ours, theirs := net.Pipe()
	conn, err := spdystream.NewConnection(ours, false)
	if err != nil {
		t.Fatal(err)
	}
	go conn.Serve(spdystream.NoOpStreamHandler)
	return conn, newWire(t, theirs, bufio.NewReader(theirs))
}

// Trap 30. Who opened a stream and gave up waiting for the reply leaves nobody to hear a reset: it takes
// its worker with it.
func TestALateResetWedgesAWorkerOfTheClient(t *testing.T) {
	conn, w := spdyClient(t)
	stream, err := conn.CreateStream(http.Header{"Streamtype": {"data"}}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	w.expect("syn 1")
	if err := stream.WaitTimeout(10 * time.Millisecond); !errors.Is(err, spdystream.ErrTimeout) {
		t.Fatal(err)
	}
	if n := w.wedged(2); n != 0 {
		t.Fatalf("%d workers are wedged before the reset", n)
	}
	w.rst(1)
	if n := w.wedged(102); n != 1 {
		t.Fatalf("%d workers are wedged, want 1", n)
	}
}

// Trap 26. Data that come before the reply are dropped by the stream's creator.
func TestDataBeforeTheReplyAreDropped(t *testing.T) {
	conn, w := spdyClient(t)
	stream, err := conn.CreateStream(http.Header{"Streamtype": {"data"}}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	w.expect("syn 1")
	w.data(1, "early")
	w.frame(&spdy.SynReplyFrame{StreamId: 1, Headers: http.Header{}})
	w.data(1, "in time")
	w.fin(1)
	if all, err := io.ReadAll(stream); err != nil || string(all) != "in time" {
		t.Fatalf("%q, %v", all, err)
	}
}

// C.3: a reset before the reply is how an opening fails; behind the reply it reads as an end.
func TestAResetIsAFailedOpeningOrAnEnd(t *testing.T) {
	conn, w := spdyClient(t)
	first, err := conn.CreateStream(http.Header{"Streamtype": {"data"}}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	w.expect("syn 1")
	failed := make(chan error, 1)
	go func() { failed <- first.WaitTimeout(patience) }()
	w.rst(1)
	if err := <-failed; !errors.Is(err, spdystream.ErrReset) {
		t.Fatal(err)
	}
	second, err := conn.CreateStream(http.Header{"Streamtype": {"data"}}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	w.expect("syn 3")
	w.frame(&spdy.SynReplyFrame{StreamId: 3, Headers: http.Header{}})
	if err := second.WaitTimeout(patience); err != nil {
		t.Fatal(err)
	}
	w.rst(3)
	if all, err := io.ReadAll(second); err != nil || len(all) != 0 {
		t.Fatalf("%q, %v", all, err)
	}
}

// Trap 25. A second answer to a ping that still waits ends the process of who sent it. The ping is not all
// read here when the answers come, so it waits for certain.
func TestASecondPongEndsTheProcess(t *testing.T) {
	const role = "SECOND_PONG"
	if os.Getenv(role) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), role+"=child")
		output, err := child.CombinedOutput()
		if err == nil || !strings.Contains(string(output), "panic: close of closed channel") {
			t.Fatalf("%v: %s", err, output)
		}
		return
	}
	ours, theirs := net.Pipe()
	conn, err := spdystream.NewConnection(ours, false)
	if err != nil {
		t.Fatal(err)
	}
	go conn.Serve(spdystream.NoOpStreamHandler)
	go func() { _, _ = conn.Ping() }()
	if _, err := io.ReadFull(theirs, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	pong := []byte{0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1}
	_, _ = theirs.Write(pong)
	_, _ = theirs.Write(pong)
	time.Sleep(patience)
}
