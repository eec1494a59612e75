package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"portway.dev/interop/pod"
)

// client speaks v4 to one port.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

// demo is the pod of all tests: it has some hundred listeners.
var demo = sync.OnceValues(pod.Start)

func demoPod(t *testing.T) *pod.Pod {
	t.Helper()
	started, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	return started
}

func startServer(t *testing.T) string {
	t.Helper()
	handler, err := newServer(&pod.Runtime{Pod: demoPod(t)}, settings{idle: time.Hour, creation: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func dial(t *testing.T, addr, pod, query, protocol string) (*websocket.Conn, error) {
	t.Helper()
	url := fmt.Sprintf("ws://%s/api/v1/namespaces/default/pods/%s/portforward?%s", addr, pod, query)
	config, err := websocket.NewConfig(url, "http://"+addr)
	if err != nil {
		t.Fatal(err)
	}
	config.Protocol = []string{protocol}
	config.Dialer = &net.Dialer{Timeout: 5 * time.Second}
	ws, err := config.DialContext(t.Context())
	if err == nil {
		t.Cleanup(func() { _ = ws.Close() })
		_ = ws.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return ws, err
}

func connect(t *testing.T, pod string, port int) *client {
	t.Helper()
	ws, err := dial(t, startServer(t), pod, fmt.Sprintf("ports=%d", port), "v4.channel.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	ws.PayloadType = websocket.BinaryFrame
	return &client{t, ws}
}

func (c *client) receive() ([]byte, error) {
	var message []byte
	err := websocket.Message.Receive(c.ws, &message)
	return message, err
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got, err := c.receive(); err != nil || string(got) != want {
		c.t.Fatalf("received %q, %v; want %q", got, err, want)
	}
}

func (c *client) prefixes(want string) {
	c.t.Helper()
	c.expect("\x00" + want)
	c.expect("\x01" + want)
}

func (c *client) send(message string) {
	c.t.Helper()
	if err := websocket.Message.Send(c.ws, []byte(message)); err != nil {
		c.t.Fatal(err)
	}
}

// rest is all that comes on the data and on the error channel, and how it ended.
func (c *client) rest() (data, text []byte, err error) {
	for {
		message, err := c.receive()
		if err != nil {
			return data, text, err
		}
		switch message[0] {
		case 0:
			data = append(data, message[1:]...)
		case 1:
			text = append(text, message[1:]...)
		default:
			c.t.Fatalf("message %q on another channel", message)
		}
	}
}

func TestEcho(t *testing.T) {
	c := connect(t, "demo", 8080)
	c.prefixes("\x90\x1f")
	c.send("\x00hi")
	c.expect("\x00hi")
}

func TestEchoBase64(t *testing.T) {
	ws, err := dial(t, startServer(t), "demo", "ports=8080", "v4.base64.channel.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, ws}
	c.expect("0kB8=")
	c.expect("1kB8=")
	c.send("0" + base64.StdEncoding.EncodeToString([]byte("hi")))
	c.expect("0aGk=")
}

func TestTwoPortsOneRefused(t *testing.T) {
	ws, err := dial(t, startServer(t), "demo", "ports=8080&ports=4", "v4.channel.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	ws.PayloadType = websocket.BinaryFrame
	c := &client{t, ws}
	c.prefixes("\x90\x1f")
	c.expect("\x02\x04\x00")
	c.expect("\x03\x04\x00")
	// What it says about IPv6 depends on the machine's hosts file.
	want := "\x03error forwarding port 4 to pod demo, uid : failed to execute portforward in network namespace \"/var/run/netns/cni-demo\": " +
		"failed to connect to localhost:4 inside namespace \"0123456789abcdef\", IPv4: dial tcp4 127.0.0.1:4: connect: connection refused IPv6 "
	if text, err := c.receive(); err != nil || !strings.HasPrefix(string(text), want) {
		t.Fatalf("received %q, %v; want %q", text, err, want)
	}
	c.send("\x00hi")
	c.expect("\x00hi")
}

func TestPodThatSpeaksFirstAndCloses(t *testing.T) {
	c := connect(t, "demo", 8081)
	c.prefixes("\x91\x1f")
	start := time.Now()
	data, text, err := c.rest()
	if !bytes.Equal(data, pod.Hello) || len(text) > 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("%d bytes, error text %q, end %v", len(data), text, err)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("the end came after %v and not a second after the pod's", took)
	}
}

func TestPodResets(t *testing.T) {
	c := connect(t, "demo", 8083)
	c.prefixes("\x93\x1f")
	c.send("\x00A")
	data, text, err := c.rest()
	if string(data) != "partial" || !bytes.Contains(text, []byte("127.0.0.1:8083: read: connection reset by peer")) || !errors.Is(err, io.EOF) {
		t.Fatalf("%q, error text %q, end %v", data, text, err)
	}
}

func TestSinkAndSource(t *testing.T) {
	body := make([]byte, 300_000)
	_, _ = (&pod.Pattern{Seed: 7}).Read(body)

	c := connect(t, "demo", 8087)
	c.prefixes("\x97\x1f")
	c.send(fmt.Sprintf("\x00%d\n%s", len(body), body))
	if data, _, _ := c.rest(); string(data) != fmt.Sprintf("%d %x\n", len(body), sha256.Sum256(body)) {
		t.Errorf("the sink answered %q", data)
	}

	c = connect(t, "demo", 8088)
	c.prefixes("\x98\x1f")
	c.send(fmt.Sprintf("\x00%d 7\n", len(body)))
	if data, _, _ := c.rest(); !bytes.Equal(data, body) {
		t.Errorf("the source sent %d bytes, %d wanted, or others", len(data), len(body))
	}
}

func TestLies(t *testing.T) {
	t.Run("wrong prefix", func(t *testing.T) {
		connect(t, "pod-wrong-prefix", 8080).prefixes("\x1f\x90")
	})
	t.Run("huge error", func(t *testing.T) {
		c := connect(t, "pod-huge-error", 8080)
		c.prefixes("\x90\x1f")
		data, text, err := c.rest()
		if len(data) > 0 || len(text) != 1<<20 || !bytes.HasPrefix(text, []byte("\x1b]0;")) || !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes, %d bytes of error text, end %v", len(data), len(text), err)
		}
	})
	// The two prefixes are five bytes each on the wire, two of them header.
	t.Run("cut", func(t *testing.T) {
		c := connect(t, "pod-cut-12", 8081)
		c.prefixes("\x91\x1f")
		if message, err := c.receive(); err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("%q, %v instead of a reset", message, err)
		}
	})
	t.Run("cut at once", func(t *testing.T) {
		if message, err := connect(t, "pod-cut-0", 8081).receive(); err == nil {
			t.Fatalf("received %q", message)
		}
	})
	t.Run("eof", func(t *testing.T) {
		c := connect(t, "pod-eof-100000", 8081)
		c.prefixes("\x91\x1f")
		data, _, err := c.rest()
		if len(data) == 0 || len(data) > 100_000 || !bytes.HasPrefix(pod.Hello, data) {
			t.Fatalf("%d bytes, end %v", len(data), err)
		}
	})
}

// What a proxy makes of messages: bytes by themselves, or more at once than the server says at once.
func TestRecut(t *testing.T) {
	t.Run("bytes", func(t *testing.T) {
		c := connect(t, "pod-recut-bytes", 8080)
		c.prefixes("\x90\x1f")
		c.send("\x00hello")
		for _, letter := range "hello" {
			c.expect("\x00" + string(letter))
		}
	})
	t.Run("merged", func(t *testing.T) {
		c := connect(t, "pod-recut-merged", 8081)
		c.prefixes("\x91\x1f")
		first, err := c.receive()
		if err != nil || len(first) < 100_000 || !bytes.HasPrefix(pod.Hello, first[1:]) {
			t.Fatalf("%d bytes in the first message, %v", len(first), err)
		}
		rest, text, err := c.rest()
		if !bytes.Equal(append(first[1:], rest...), pod.Hello) || len(text) > 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes more, error text %q, end %v", len(rest), text, err)
		}
	})
	t.Run("base64", func(t *testing.T) {
		ws, err := dial(t, startServer(t), "pod-recut-bytes", "ports=8080", "v4.base64.channel.k8s.io")
		if err != nil {
			t.Fatal(err)
		}
		c := &client{t, ws}
		c.expect("0kB8=")
		c.expect("1kB8=")
		c.send("0" + base64.StdEncoding.EncodeToString([]byte("hi")))
		c.expect("0aA==")
		c.expect("0aQ==")
	})
}

func TestDropped(t *testing.T) {
	c := connect(t, "pod-drop-300", 8080)
	c.prefixes("\x90\x1f")
	start := time.Now()
	if message, err := c.receive(); err == nil || errors.Is(err, io.EOF) {
		t.Fatalf("%q, %v instead of a reset", message, err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the reset came after %v", took)
	}
}

func TestLate(t *testing.T) {
	c := connect(t, "pod-late-300", 8080)
	c.prefixes("\x90\x1f")
	start := time.Now()
	c.send("\x00hi")
	c.expect("\x00hi")
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("the answer came after %v", took)
	}
}

func TestRefusals(t *testing.T) {
	addr := startServer(t)
	for _, c := range []struct {
		pod, query, protocol string
		status               int
		body                 string
	}{
		{"pod-404", "ports=8080", "v4.channel.k8s.io", 404, "pod does not exist"},
		{"pod-403", "ports=8080", "v4.channel.k8s.io", 403, `"reason":"Forbidden"`},
		{"pod-500", "ports=8080", "v4.channel.k8s.io", 500, "pod not found"},
		{"demo", "ports=http", "v4.channel.k8s.io", 400, "cannot convert to []int32"},
		{"demo", "ports=0", "v4.channel.k8s.io", 400, `must be > 0`},
		{"demo", "port=8080", "v4.channel.k8s.io", 400, `query parameter "port" is required`},
		{"pod-no-tunnel", "", "SPDY/3.1+portforward.k8s.io", 400, `query parameter "port" is required`},
		{"pod-no-tunnel", "ports=8080", "SPDY/3.1+portforward.k8s.io", 403, ""},
		{"demo", "ports=8080", "v5.channel.k8s.io", 403, ""},
		{"pod-403", "", "SPDY/3.1+portforward.k8s.io", 403, `"reason":"Forbidden"`},
		{"pod-no-websocket-403", "ports=8080", "v4.channel.k8s.io", 403, ""},
		{"pod-no-websocket-500", "", "SPDY/3.1+portforward.k8s.io", 500, "invalid upgrade response"},
	} {
		url := fmt.Sprintf("http://%s/api/v1/namespaces/default/pods/%s/portforward?%s", addr, c.pod, c.query)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": c.protocol,
		} {
			req.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != c.status || !strings.Contains(string(body), c.body) {
			t.Errorf("%s?%s with %s: %d %q", c.pod, c.query, c.protocol, response.StatusCode, body)
		}
	}
}
