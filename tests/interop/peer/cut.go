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
func cutAfter(n int, reset bool) lie {
	return between(func(_ *http.Request, conn net.Conn, client io.Reader, answered bool) net.Conn {
		return &cutConn{Conn: &readsFrom{conn, client}, raw: conn, left: n, reset: reset, body: answered}
	})
}

type cutConn struct {
	net.Conn
	raw   net.Conn
	reset bool

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
	if c.reset {
		// A reset discards what the peer's kernel has not got yet.
		time.Sleep(50 * time.Millisecond)
		reset(c.raw)
	} else {
		_ = c.raw.Close()
	}
	return written, errCut
}
