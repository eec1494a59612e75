package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portway.dev/interop/pod"
)

// What a node that knows no tunnel makes of an offer of one: it is refused, or v4 is taken in its place.
func TestKnowsNoTunnel(t *testing.T) {
	demo, err := pod.Start()
	if err != nil {
		t.Fatal(err)
	}
	node := httptest.NewServer(newNode(&pod.Runtime{Pod: demo}))
	t.Cleanup(node.Close)
	for _, c := range []struct {
		query, offer string
		status       int
		chosen       string
	}{
		{"port=8080", "SPDY/3.1+portforward.k8s.io", http.StatusForbidden, ""},
		{"", "SPDY/3.1+portforward.k8s.io", http.StatusBadRequest, ""},
		{"port=8080", "SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io", http.StatusSwitchingProtocols, "v4.channel.k8s.io"},
		{"port=8080", "v4.base64.channel.k8s.io", http.StatusSwitchingProtocols, "v4.base64.channel.k8s.io"},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(node.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		req, err := http.NewRequest(http.MethodGet, node.URL+"/portForward/default/demo?"+c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": c.offer, "Origin": node.URL,
		} {
			req.Header.Set(name, value)
		}
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err != nil {
			t.Fatal(err)
		}
		if chosen := response.Header.Get("Sec-WebSocket-Protocol"); response.StatusCode != c.status || chosen != c.chosen {
			t.Errorf("?%s, offered %s: %d %q", c.query, c.offer, response.StatusCode, chosen)
		}
	}
}
