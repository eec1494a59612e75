package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"portway.dev/interop/pod"
)

// dialSPDY opens a session the way kubectl does, with its code.
func dialSPDY(t *testing.T, addr, pod string, tunnelled bool) (httpstream.Connection, error) {
	t.Helper()
	config := &rest.Config{Host: "http://" + addr}
	where := &url.URL{Scheme: "http", Host: addr, Path: "/api/v1/namespaces/default/pods/" + pod + "/portforward"}
	var dialer httpstream.Dialer
	if tunnelled {
		var err error
		if dialer, err = portforward.NewSPDYOverWebsocketDialer(where, config); err != nil {
			t.Fatal(err)
		}
	} else {
		transport, upgrader, err := spdy.RoundTripperFor(config)
		if err != nil {
			t.Fatal(err)
		}
		dialer = spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, where)
	}
	conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

// pair opens one forward.
func pair(conn httpstream.Connection, port, id int) (errors, data httpstream.Stream, err error) {
	headers := http.Header{}
	headers.Set("streamtype", "error")
	headers.Set("port", strconv.Itoa(port))
	headers.Set("requestid", strconv.Itoa(id))
	if errors, err = conn.CreateStream(headers); err != nil {
		return nil, nil, err
	}
	_ = errors.Close()
	headers.Set("streamtype", "data")
	data, err = conn.CreateStream(headers)
	return errors, data, err
}

// eachSPDY runs a test through the tunnel and plain.
func eachSPDY(t *testing.T, test func(t *testing.T, tunnelled bool)) {
	for name, tunnelled := range map[string]bool{"tunnel": true, "plain": false} {
		t.Run(name, func(t *testing.T) { test(t, tunnelled) })
	}
}

func TestSPDYEchoAndRefusal(t *testing.T) {
	eachSPDY(t, func(t *testing.T, tunnelled bool) {
		conn, err := dialSPDY(t, startServer(t), "demo", tunnelled)
		if err != nil {
			t.Fatal(err)
		}
		for id := range 12 {
			_, data, err := pair(conn, 8080, id)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(data, "hi")
			answer := make([]byte, 2)
			if _, err := io.ReadFull(data, answer); err != nil || string(answer) != "hi" {
				t.Fatalf("%q, %v", answer, err)
			}
			_ = data.Close()
		}
		errors, _, err := pair(conn, 8085, 12)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(errors); err != nil || !bytes.HasPrefix(text, []byte("error forwarding port 8085 to pod demo, uid : ")) {
			t.Fatalf("error text %q, %v", text, err)
		}
	})
}

func TestSPDYPassesTheFINOn(t *testing.T) {
	eachSPDY(t, func(t *testing.T, tunnelled bool) {
		conn, err := dialSPDY(t, startServer(t), "pod-fin", tunnelled)
		if err != nil {
			t.Fatal(err)
		}
		_, data, err := pair(conn, 8082, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = data.Write(make([]byte, 100_000))
		_ = data.Close()
		if answer, err := io.ReadAll(data); err != nil || string(answer) != "100000\n" {
			t.Fatalf("%q, %v", answer, err)
		}
	})
}

// After the pod closed, the runtime takes one more frame and never another: with two, a worker of the
// server is lost to every later stream that falls to it.
func TestLateFramesWedgeAWorker(t *testing.T) {
	conn, err := dialSPDY(t, startServer(t), "demo", true)
	if err != nil {
		t.Fatal(err)
	}
	errors, data, err := pair(conn, 8084, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(data, "hello\n")
	if answer, err := io.ReadAll(data); err != nil || string(answer) != "got hello\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	_, _ = io.ReadAll(errors)
	for range 3 {
		_, _ = io.WriteString(data, "late\n")
	}
	_ = data.Reset()
	// The pairs take stream ids two by two, so five of them visit every worker twice.
	opened := make(chan error, 1)
	go func() {
		for id := 1; id <= 5; id++ {
			if _, _, err := pair(conn, 8080, id); err != nil {
				opened <- err
				return
			}
		}
		opened <- nil
	}()
	select {
	case err := <-opened:
		t.Fatalf("no worker is wedged: %v", err)
	case <-time.After(2 * time.Second):
	}
}

func TestWhoAnswersWhatOffer(t *testing.T) {
	addr := startServer(t)
	const both = "SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io"
	for _, c := range []struct{ pod, offer, chosen string }{
		{"demo", both, "SPDY/3.1+portforward.k8s.io"},
		{"demo", "v4.channel.k8s.io, SPDY/3.1+portforward.k8s.io", "SPDY/3.1+portforward.k8s.io"},
		{"demo", "SPDY/3.1+portforward.k8s.io", "SPDY/3.1+portforward.k8s.io"},
		{"demo", "v4.channel.k8s.io", "v4.channel.k8s.io"},
		{noTunnel, both, "v4.channel.k8s.io"},
		{"pod-no-websocket-101", both, ""},
	} {
		where := fmt.Sprintf("http://%s/api/v1/namespaces/default/pods/%s/portforward?ports=8080", addr, c.pod)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, where, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": c.offer,
		} {
			req.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		chosen := response.Header.Get("Sec-WebSocket-Protocol")
		if response.StatusCode != http.StatusSwitchingProtocols || chosen != c.chosen {
			t.Errorf("%s, offered %s: %d %q", c.pod, c.offer, response.StatusCode, chosen)
		}
	}
	response, err := http.Get("http://" + addr + "/peer/stats")
	if err != nil {
		t.Fatal(err)
	}
	stats, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	for _, want := range []string{`"asked_tunnel":5`, `"asked_v4":1`, `"asked_spdy":0`, `"served_tunnel":3`, `"served_v4":2`} {
		if !strings.Contains(string(stats), want) {
			t.Errorf("no %s in %s", want, stats)
		}
	}
}

func TestPlainSPDYWhereNoWebSocketGetsThrough(t *testing.T) {
	addr := startServer(t)
	for _, pod := range []string{"403", "400", "500", "502", "101"} {
		pod = "pod-no-websocket-" + pod
		if _, err := dialSPDY(t, addr, pod, true); err == nil {
			t.Errorf("%s took a WebSocket", pod)
		}
		if _, err := dialSPDY(t, addr, pod, false); err != nil {
			t.Errorf("%s: %v", pod, err)
		}
	}
}

// What kubectl's code makes of the lies that it survives: "hello", or a part and an error text.
func TestSPDYLies(t *testing.T) {
	for pod, want := range map[string][2]string{
		"pod-spdy-settings":        {"hello", ""},
		"pod-spdy-ping-flood":      {"hello", ""},
		"pod-spdy-data-after-fin":  {"hello", ""},
		"pod-spdy-unknown-streams": {"hello", ""},
		"pod-spdy-windows":         {"hello", ""},
		"pod-spdy-replies-twice":   {"hello", ""},
		"pod-spdy-bytewise":        {"hello", ""},
		"pod-spdy-empties":         {"hello", ""},
		"pod-spdy-fragments":       {"hello", ""},
		"pod-spdy-error-after-fin": {"partial", refusal},
		"pod-spdy-error-first":     {"partial", refusal},
		"pod-spdy-error-split":     {"partial", refusal},
		"pod-spdy-error-fin":       {"partial", refusal},
		"pod-spdy-eof":             {"partial", ""},
		"pod-spdy-goaway-mid":      {"partial", ""},
		"pod-spdy-truncated":       {"", ""},
	} {
		t.Run(pod, func(t *testing.T) {
			t.Parallel()
			eachSPDY(t, func(t *testing.T, tunnelled bool) {
				if !tunnelled && (pod == "pod-spdy-empties" || pod == "pod-spdy-fragments") {
					t.Skip("only in a WebSocket")
				}
				conn, err := dialSPDY(t, startServer(t), pod, tunnelled)
				if err != nil {
					t.Fatal(err)
				}
				errors, data, err := pairAtOnce(conn, 8080)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(data)
				text, _ := io.ReadAll(errors)
				if string(got) != want[0] || string(text) != want[1] {
					t.Fatalf("%q, error text %q", got, text)
				}
			})
		})
	}
}

// pairAtOnce opens both streams without waiting for the first one's reply.
func pairAtOnce(conn httpstream.Connection, port int) (errors, data httpstream.Stream, err error) {
	headers := func(kind string) http.Header {
		h := http.Header{}
		h.Set("streamtype", kind)
		h.Set("port", strconv.Itoa(port))
		h.Set("requestid", "0")
		return h
	}
	failed := make(chan error, 1)
	go func() {
		var err error
		errors, err = conn.CreateStream(headers("error"))
		failed <- err
	}()
	time.Sleep(50 * time.Millisecond)
	data, err = conn.CreateStream(headers("data"))
	if first := <-failed; first != nil {
		err = first
	}
	return errors, data, err
}

// Kubernetes' own client gets everything through a proxy that cuts anew.
func TestSPDYRecut(t *testing.T) {
	for _, name := range []string{"pod-recut-bytes", "pod-recut-merged", "pod-late-50"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachSPDY(t, func(t *testing.T, tunnelled bool) {
				conn, err := dialSPDY(t, startServer(t), name, tunnelled)
				if err != nil {
					t.Fatal(err)
				}
				_, data, err := pair(conn, 8087, 1)
				if err != nil {
					t.Fatal(err)
				}
				body := make([]byte, 10_000)
				_, _ = (&pod.Pattern{}).Read(body)
				_, _ = fmt.Fprintf(data, "%d\n%s", len(body), body)
				want := fmt.Sprintf("%d %x\n", len(body), sha256.Sum256(body))
				if answer, err := io.ReadAll(data); err != nil || string(answer) != want {
					t.Fatalf("the sink answered %q, %v", answer, err)
				}
			})
		})
	}
}

// The same with a client that gives its stream up as it sees the end: on a long way frames are late all
// the same, and one of five later streams or more hangs.
func TestALongWayMakesFramesLate(t *testing.T) {
	t.Parallel()
	eachSPDY(t, func(t *testing.T, tunnelled bool) {
		conn, err := dialSPDY(t, startServer(t), "pod-late-300", tunnelled)
		if err != nil {
			t.Fatal(err)
		}
		_, data, err := pair(conn, 8089, 0)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, data)
		}()
		for open := true; open; {
			_, _ = data.Write(make([]byte, 100))
			select {
			case <-ended:
				open = false
			case <-time.After(5 * time.Millisecond):
			}
		}
		_ = data.Reset()
		served := 0
		for id := range 5 {
			answered := make(chan struct{})
			go func() {
				_, data, err := pair(conn, 8080, id+1)
				if err != nil {
					return
				}
				_, _ = io.WriteString(data, "hi")
				if _, err := io.ReadFull(data, make([]byte, 2)); err == nil {
					close(answered)
				}
			}()
			select {
			case <-answered:
				served++
			case <-time.After(3 * time.Second):
			}
		}
		if served == 5 {
			t.Fatal("every later stream was served")
		}
	})
}
