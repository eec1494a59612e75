package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"

	"portway.dev/interop/pod"
)

// startTLS is the peer in TLS, for who bears a token, and the certificate of its CA.
func startTLS(t *testing.T) (addr string, ca []byte) {
	t.Helper()
	handler, err := newServer(&pod.Runtime{Pod: demoPod(t)}, settings{idle: time.Hour, creation: time.Second, token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: handler, TLSConfig: identity.config()}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String(), identity.ca
}

func TestTLS(t *testing.T) {
	addr, ca := startTLS(t)
	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)

	t.Run("v4", func(t *testing.T) {
		path := fmt.Sprintf("wss://%s/api/v1/namespaces/default/pods/demo/portforward?ports=8080", addr)
		config, err := websocket.NewConfig(path, "https://"+addr)
		if err != nil {
			t.Fatal(err)
		}
		config.Protocol = []string{"v4.channel.k8s.io"}
		config.TlsConfig = &tls.Config{RootCAs: roots}
		if _, err := websocket.DialConfig(config); err == nil {
			t.Fatal("somebody without a token was let in")
		}
		config.Header.Set("Authorization", "Bearer secret")
		ws, err := websocket.DialConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		ws.PayloadType = websocket.BinaryFrame
		c := &client{t, ws}
		c.prefixes("\x90\x1f")
		c.send("\x00hi")
		c.expect("\x00hi")
	})

	t.Run("tunnel", func(t *testing.T) {
		config := &rest.Config{Host: "https://" + addr, BearerToken: "secret"}
		config.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})
		where := &url.URL{Scheme: "https", Host: addr, Path: "/api/v1/namespaces/default/pods/demo/portforward"}
		dialer, err := portforward.NewSPDYOverWebsocketDialer(where, config)
		if err != nil {
			t.Fatal(err)
		}
		conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, data, err := pair(conn, 8084, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(data, "hello\n")
		if answer, err := io.ReadAll(data); err != nil || string(answer) != "got hello\n" {
			t.Fatalf("%q, %v", answer, err)
		}
	})

	t.Run("unknown CA", func(t *testing.T) {
		if conn, err := tls.Dial("tcp", addr, &tls.Config{}); err == nil {
			_ = conn.Close()
			t.Fatal("a CA that nobody knows was trusted")
		}
	})

	// Who offers HTTP/2 gets it, and cannot upgrade.
	t.Run("ALPN", func(t *testing.T) {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if chosen := conn.ConnectionState().NegotiatedProtocol; chosen != "h2" {
			t.Fatalf("chosen: %q", chosen)
		}
	})
}
