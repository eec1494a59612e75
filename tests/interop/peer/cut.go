package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// cutAfter lets the honest server serve and takes the connection away after n bytes behind its 101.
func cutAfter(n int, take func(net.Conn)) lie {
	return between(func(_ *http.Request, conn net.Conn, client io.Reader, answered bool) net.Conn {
		return &cutConn{Conn: &readsFrom{conn, client}, raw: conn, left: n, take: take, body: answered}
	})
}

// resetLater resets it once the client has had time to read: a reset discards what it has not.
func resetLater(conn net.Conn) {
	time.Sleep(300 * time.Millisecond)
	reset(conn)
}

// end closes it; in TLS with a close_notify.
func end(conn net.Conn) { _ = conn.Close() }

// hangUp ends our direction, below TLS: there is no close_notify.
func hangUp(conn net.Conn) {
	if tcp, ok := belowTLS(conn).(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

type cutConn struct {
	net.Conn
	raw  net.Conn
	take func(net.Conn)

	lock sync.Mutex
	// tail is the end of what was written while the header block goes on; nil once it is over.
	tail []byte
	body bool
	left int
}

// Write implements net.Conn.
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
	c.take(c.raw)
	return written, errCut
}
