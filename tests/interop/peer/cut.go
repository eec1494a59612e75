package main

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
	"time"
)

// cutAfter lets the honest server serve and takes the connection away after n bytes behind its 101.
func cutAfter(n int, reset bool) lie {
	return func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter {
		return &cutWriter{ResponseWriter: w, n: n, reset: reset}
	}
}

type cutWriter struct {
	http.ResponseWriter
	n     int
	reset bool
	// The header block was written before the connection was taken over, as for plain SPDY.
	answered bool
}

// WriteHeader implements http.ResponseWriter.
func (w *cutWriter) WriteHeader(status int) {
	w.answered = true
	w.ResponseWriter.WriteHeader(status)
}

// Hijack implements http.Hijacker.
func (w *cutWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	cut := &cutConn{Conn: conn, left: w.n, reset: w.reset, body: w.answered}
	return cut, bufio.NewReadWriter(buffered.Reader, bufio.NewWriter(cut)), nil
}

type cutConn struct {
	net.Conn
	reset bool

	lock sync.Mutex
	// tail is the end of what was written while the header block goes on; nil once it is over.
	tail []byte
	body bool
	left int
}

func (c *cutConn) Write(b []byte) (int, error) {
	c.lock.Lock()
	defer c.lock.Unlock()

	start := 0
	if !c.body {
		head := append(c.tail, b...)
		end := bytes.Index(head, []byte("\r\n\r\n"))
		if end < 0 {
			c.tail = bytes.Clone(head[max(0, len(head)-3):])
			return c.Conn.Write(b)
		}
		c.body = true
		start = end + 4 - len(c.tail)
		c.tail = nil
	}
	if len(b)-start < c.left {
		c.left -= len(b) - start
		return c.Conn.Write(b)
	}
	written, err := c.Conn.Write(b[:start+c.left])
	c.left = 0
	if err != nil {
		return written, err
	}
	if tcp, ok := c.Conn.(*net.TCPConn); ok && c.reset {
		// A reset discards what the peer's kernel has not got yet.
		time.Sleep(50 * time.Millisecond)
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close()
	return written, errCut
}
