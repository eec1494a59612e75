package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/streaming/pkg/httpstream/wsstream"

	"portway.dev/interop/pod"
)

// A lie answers a request in place of the honest server and returns nil, or returns the writer that
// the honest server is to use.
type lie func(http.ResponseWriter, *http.Request) http.ResponseWriter

// lieOf tells by its name how a pod misbehaves; nil is an honest one.
func lieOf(pod string) lie {
	for _, lies := range []map[string]lie{lies, spdyLies} {
		if lie, ok := lies[pod]; ok {
			return lie
		}
	}
	for prefix, make := range liesWithNumber {
		if digits, ok := strings.CutPrefix(pod, prefix); ok {
			if n, err := strconv.Atoi(digits); err == nil && n >= 0 {
				return make(n)
			}
		}
	}
	return nil
}

var lies = map[string]lie{
	"pod-401": refuse(func(w http.ResponseWriter) {
		writeStatus(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	}),
	"pod-403": refuse(func(w http.ResponseWriter) {
		writeStatus(w, http.StatusForbidden, "Forbidden",
			`pods "pod-403" is forbidden: User "demo" cannot create resource "pods/portforward" in API group "" in the namespace "default"`)
	}),
	"pod-404": refuse(func(w http.ResponseWriter) { writeText(w, http.StatusNotFound, "pod does not exist") }),
	"pod-429": refuse(func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "60")
		writeText(w, http.StatusTooManyRequests, "maximum number of in-flight requests exceeded")
	}),
	"pod-500": refuse(func(w http.ResponseWriter) {
		writeText(w, http.StatusInternalServerError, `pod not found ("pod-500_default")`)
	}),
	// Takes the request and never says a word.
	"pod-silent": func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter {
		if conn, _, ok := hijack(w); ok {
			defer conn.Close()
			_, _ = io.Copy(io.Discard, conn)
		}
		return nil
	},
	"pod-garbage": func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter {
		if conn, _, ok := hijack(w); ok {
			defer conn.Close()
			garbage := make([]byte, 4096)
			_, _ = (&pod.Pattern{Seed: 1}).Read(garbage)
			_, _ = conn.Write(garbage)
		}
		return nil
	},
	// A 101 that belongs to another request's key.
	"pod-wrong-accept": func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter {
		return rawUpgrade(w, "dGhlIHNhbXBsZSBub25jZQ==", "v4.channel.k8s.io")
	},
	// A middlebox dropped the subprotocol, or picked another one.
	"pod-no-protocol": func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
		return rawUpgrade(w, req.Header.Get("Sec-WebSocket-Key"), "")
	},
	"pod-wrong-protocol": func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
		return rawUpgrade(w, req.Header.Get("Sec-WebSocket-Key"), "chat")
	},
	// Prefixes in network byte order: another port than the one asked for.
	"pod-wrong-prefix": script(func(port uint16) []frame {
		swapped := binary.BigEndian.AppendUint16(nil, port)
		return []frame{binaryFrame(0, swapped), binaryFrame(1, swapped)}
	}),
	"pod-short-prefix": script(func(port uint16) []frame {
		return []frame{binaryFrame(0, []byte{byte(port)})}
	}),
	// A text message on a binary form.
	"pod-text": script(func(port uint16) []frame {
		return append(prefixes(port), frame{opText, []byte("\x00hello")})
	}),
	"pod-unknown-channel": script(func(port uint16) []frame {
		return append(prefixes(port), binaryFrame(9, []byte("nobody asked")), binaryFrame(200, nil),
			frame{opBinary, nil}, binaryFrame(0, []byte("hello")), closeFrame(1000, ""))
	}),
	"pod-close-1011": script(func(port uint16) []frame {
		return append(prefixes(port), binaryFrame(0, []byte("partial")), closeFrame(1011, "going to pieces"))
	}),
	"pod-huge-error": hugeError(1 << 20),
	"pod-unknown": refuse(func(w http.ResponseWriter) {
		writeStatus(w, http.StatusNotFound, "NotFound", `pods "pod-unknown" not found`)
	}),
	// Honest, behind a proxy that cuts all messages anew, both ways.
	"pod-recut-bytes":  recut(intoBytes),
	"pod-recut-merged": recut(intoOne),
	// An old API server: see portForward.
	noTunnel: nil,
	// Plain SPDY gets through, and no WebSocket: refused by who knows no subprotocol ...
	"pod-no-websocket-403": refuseWebSocket(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}),
	// ... by a kubelet ...
	"pod-no-websocket-400": refuseWebSocket(func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusBadRequest, `query parameter "port" is required`)
	}),
	// ... by an API server whose kubelet, or what stands before it, does not upgrade ...
	"pod-no-websocket-500": refuseWebSocket(func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusInternalServerError, "InternalError", "invalid upgrade response: status code 200")
	}),
	// ... by a middlebox ...
	"pod-no-websocket-502": refuseWebSocket(func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusBadGateway, "<html><title>502 Bad Gateway</title></html>")
	}),
	// ... or accepted by one that drops the subprotocol.
	"pod-no-websocket-101": refuseWebSocket(func(w http.ResponseWriter, req *http.Request) {
		rawUpgrade(w, req.Header.Get("Sec-WebSocket-Key"), "")
	}),
}

const noTunnel = "pod-no-tunnel"

var liesWithNumber = map[string]func(int) lie{
	// Honest, and after N bytes behind its 101 the connection is reset ...
	"pod-cut-": func(n int) lie { return cutAfter(n, resetLater) },
	// ... or ends without a Close frame ...
	"pod-eof-": func(n int) lie { return cutAfter(n, end) },
	// ... and, in TLS, without the end of TLS either.
	"pod-hangup-":     func(n int) lie { return cutAfter(n, hangUp) },
	"pod-huge-error-": hugeError,
	// Honest, and the connection is reset after N ms.
	"pod-drop-": func(n int) lie { return dropAfter(time.Duration(n) * time.Millisecond) },
	// Honest, and what the client says arrives N ms late.
	"pod-late-": func(n int) lie { return late(time.Duration(n) * time.Millisecond) },
}

func refuse(answer func(http.ResponseWriter)) lie {
	return func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter {
		answer(w)
		return nil
	}
}

// refuseWebSocket refuses a request for a WebSocket and leaves plain SPDY to the honest server.
func refuseWebSocket(answer func(http.ResponseWriter, *http.Request)) lie {
	return func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
		if !wsstream.IsWebSocketRequest(req) {
			return w
		}
		answer(w, req)
		return nil
	}
}

// hugeError sends n bytes of error text, much of it meant for the terminal it may be printed on.
func hugeError(n int) lie {
	const escapes = "\x1b]0;owned\x07\x1b[2J\x1b[31merror\x1b[0m\r\n"
	text := bytes.Repeat([]byte(escapes), n/len(escapes)+1)[:n]
	return script(func(port uint16) []frame {
		return append(prefixes(port), binaryFrame(1, text), closeFrame(1000, ""))
	})
}

// script is a pod that upgrades, sends the same frames whatever it hears, and waits for the client
// to hang up.
func script(frames func(port uint16) []frame) lie {
	return func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
		if !wsstream.IsWebSocketRequest(req) {
			writeText(w, http.StatusBadRequest, "this pod lies in WebSocket only")
			return nil
		}
		first, _, _ := strings.Cut(req.URL.Query().Get("port"), ",")
		port, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			writeText(w, http.StatusBadRequest, `query parameter "port" is required`)
			return nil
		}
		conn, _, ok := hijack(w)
		if !ok {
			return nil
		}
		defer conn.Close()
		var out bytes.Buffer
		writeHandshake(&out, req.Header.Get("Sec-WebSocket-Key"), "v4.channel.k8s.io")
		for _, frame := range frames(uint16(port)) {
			frame.writeTo(&out)
		}
		if _, err := conn.Write(out.Bytes()); err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
		return nil
	}
}

// rawUpgrade answers a 101 for this key and subprotocol and waits for the client to hang up.
func rawUpgrade(w http.ResponseWriter, key, protocol string) http.ResponseWriter {
	if conn, _, ok := hijack(w); ok {
		defer conn.Close()
		var out bytes.Buffer
		writeHandshake(&out, key, protocol)
		if _, err := conn.Write(out.Bytes()); err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	}
	return nil
}

func hijack(w http.ResponseWriter) (net.Conn, io.Reader, bool) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		log.Printf("hijack: %v", err)
		return nil, nil, false
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, buffered.Reader, true
}

var errCut = errors.New("cut, as the name of the pod asked for")
