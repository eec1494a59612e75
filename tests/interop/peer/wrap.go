package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"
)

// between lets the honest server serve, over a connection with something in between.
//
// answered says whether the head of the answer is already written, as for plain SPDY. The reader is what
// the client says, with what was read ahead.
func between(wrap func(req *http.Request, conn net.Conn, client io.Reader, answered bool) net.Conn) lie {
	return func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
		return &wrapWriter{ResponseWriter: w, wrap: wrap, req: req}
	}
}

type wrapWriter struct {
	http.ResponseWriter
	wrap     func(*http.Request, net.Conn, io.Reader, bool) net.Conn
	req      *http.Request
	answered bool
}

// WriteHeader implements http.ResponseWriter.
func (w *wrapWriter) WriteHeader(status int) {
	w.answered = true
	w.ResponseWriter.WriteHeader(status)
}

// Hijack implements http.Hijacker.
func (w *wrapWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	wrapped := w.wrap(w.req, conn, buffered.Reader, w.answered)
	return wrapped, bufio.NewReadWriter(bufio.NewReader(wrapped), bufio.NewWriter(wrapped)), nil
}

// readsFrom is a connection whose reader is another.
type readsFrom struct {
	net.Conn
	reader io.Reader
}

// Read implements net.Conn.
func (c *readsFrom) Read(b []byte) (int, error) { return c.reader.Read(b) }

// dropAfter resets the connection when this time is over, whatever goes on.
func dropAfter(wait time.Duration) lie {
	return between(func(_ *http.Request, conn net.Conn, client io.Reader, _ bool) net.Conn {
		time.AfterFunc(wait, func() { reset(conn) })
		return &readsFrom{conn, client}
	})
}

// reset resets the connection, below TLS.
func reset(conn net.Conn) {
	conn = belowTLS(conn)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// belowTLS is what carries the connection, if it is in TLS.
func belowTLS(conn net.Conn) net.Conn {
	if secured, ok := conn.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return conn
}

// late is a long way from the client to the server: what the client says arrives this much later.
func late(delay time.Duration) lie {
	return between(func(_ *http.Request, conn net.Conn, client io.Reader, _ bool) net.Conn {
		type piece struct {
			due   time.Time
			bytes []byte
		}
		// As much as is said in that time by who sends small pieces.
		way := make(chan piece, 1<<16)
		arrived, arriving := io.Pipe()
		go func() {
			defer close(way)
			for {
				buf := make([]byte, 16<<10)
				n, err := client.Read(buf)
				if n > 0 {
					way <- piece{time.Now().Add(delay), buf[:n]}
				}
				if err != nil {
					return
				}
			}
		}()
		go func() {
			defer arriving.Close()
			for piece := range way {
				time.Sleep(time.Until(piece.due))
				// Also when nobody reads any more: the client is not to wait for that.
				_, _ = arriving.Write(piece.bytes)
			}
		}()
		return &hangsUp{&readsFrom{conn, arrived}, arrived}
	})
}

// hangsUp lets go of the pipe that it reads from when it is closed.
type hangsUp struct {
	net.Conn
	pipe *io.PipeReader
}

// Close implements net.Conn.
func (c *hangsUp) Close() error {
	_ = c.pipe.Close()
	return c.Conn.Close()
}
