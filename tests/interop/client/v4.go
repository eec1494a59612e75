package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	gorilla "github.com/gorilla/websocket"
	"golang.org/x/net/websocket"
)

// dialPatience is how long an upgrade may take.
const dialPatience = 10 * time.Second

const (
	v4Name       = "v4.channel.k8s.io"
	v4Base64Name = "v4.base64.channel.k8s.io"
)

const (
	dataChannel  = 0
	errorChannel = 1
)

// messages is a WebSocket.
type messages interface {
	// receive returns io.EOF after a Close with the code 1000.
	receive() ([]byte, error)
	send(message []byte) error
	// goodbye sends a Close; the other side's is still to be received.
	goodbye() error
	Close() error
}

type dialV4 func(o order, port uint16, base64 bool) (messages, error)

// forwardV4 is a forwarder of v4 as there are many: a WebSocket for every connection, which ends with
// the first of both sides.
func forwardV4(dial dialV4, base64 bool) func(order) error {
	return func(o order) error {
		for _, port := range o.ports {
			listener, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
			defer listener.Close()
			say("forwarding", listener.Addr().(*net.TCPAddr).Port, port)
			go func() {
				for {
					local, err := listener.Accept()
					if err != nil {
						return
					}
					go func() {
						defer local.Close()
						if err := carry(o, dial, port, base64, local.(*net.TCPConn)); err != nil {
							say("error", err)
						}
					}()
				}
			}()
		}
		say("ready")
		<-o.stop
		return nil
	}
}

// carry brings one local connection to the pod. An error is whatever a careful client would complain of.
func carry(o order, dial dialV4, port uint16, base64 bool, local *net.TCPConn) error {
	ws, err := dial(o, port, base64)
	if err != nil {
		return err
	}
	defer ws.Close()
	v4 := &channels{messages: ws, base64: base64}
	if err := v4.prefixes(port); err != nil {
		return err
	}

	go func() {
		buffer := make([]byte, 32<<10)
		for {
			n, err := local.Read(buffer)
			if n > 0 && v4.write(dataChannel, buffer[:n]) != nil {
				return
			}
			if err != nil {
				_ = ws.goodbye()
				return
			}
		}
	}()

	var refusal []byte
	for {
		channel, payload, err := v4.read()
		switch {
		case errors.Is(err, io.EOF) && len(refusal) > 0:
			return errors.New(string(refusal))
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case channel == errorChannel:
			refusal = append(refusal, payload...)
		case channel == dataChannel:
			// A program that is gone is no error of the session.
			_, _ = local.Write(payload)
		default:
			return fmt.Errorf("channel %d, which was not asked for", channel)
		}
	}
}

// channels are what v4 makes of messages.
type channels struct {
	messages
	base64 bool
}

// prefixes reads what a server says first on both channels, as strictly as any client does.
func (c *channels) prefixes(port uint16) error {
	want := binary.LittleEndian.AppendUint16(nil, port)
	for wanted := range byte(2) {
		channel, payload, err := c.read()
		if err != nil {
			return fmt.Errorf("prefix of channel %d: %w", wanted, err)
		}
		if channel != wanted || string(payload) != string(want) {
			return fmt.Errorf("prefix of channel %d: % x on channel %d, want % x", wanted, payload, channel, want)
		}
	}
	return nil
}

// read returns the next message that is not empty.
func (c *channels) read() (channel byte, payload []byte, err error) {
	for {
		message, err := c.receive()
		if err != nil {
			return 0, nil, err
		}
		if len(message) == 0 {
			continue
		}
		channel, payload := message[0], message[1:]
		if c.base64 {
			channel -= '0'
			if payload, err = base64.StdEncoding.DecodeString(string(payload)); err != nil {
				return 0, nil, fmt.Errorf("channel %d: %w", channel, err)
			}
		}
		return channel, payload, nil
	}
}

func (c *channels) write(channel byte, payload []byte) error {
	if c.base64 {
		message := base64.StdEncoding.AppendEncode([]byte{'0' + channel}, payload)
		return c.send(message)
	}
	return c.send(append([]byte{channel}, payload...))
}

func v4Protocol(base64 bool) string {
	if base64 {
		return v4Base64Name
	}
	return v4Name
}

// dialGorilla is a WebSocket of gorilla/websocket.
func dialGorilla(o order, port uint16, base64 bool) (messages, error) {
	dialer := gorilla.Dialer{Subprotocols: []string{v4Protocol(base64)}, HandshakeTimeout: dialPatience}
	conn, answer, err := dialer.Dial(o.url("ws", fmt.Sprintf("?ports=%d", port)), nil)
	if err != nil {
		if answer != nil {
			// Of the body gorilla keeps 1024 bytes.
			body, _ := io.ReadAll(answer.Body)
			return nil, fmt.Errorf("%w: %s %s", err, answer.Status, body)
		}
		return nil, err
	}
	if got := conn.Subprotocol(); got != v4Protocol(base64) {
		_ = conn.Close()
		return nil, fmt.Errorf("subprotocol %q, want %q", got, v4Protocol(base64))
	}
	kind := gorilla.BinaryMessage
	if base64 {
		kind = gorilla.TextMessage
	}
	return &gorillaMessages{Conn: conn, kind: kind}, nil
}

type gorillaMessages struct {
	*gorilla.Conn
	kind int
}

func (m *gorillaMessages) receive() ([]byte, error) {
	kind, message, err := m.ReadMessage()
	if gorilla.IsCloseError(err, gorilla.CloseNormalClosure) {
		return nil, io.EOF
	}
	if err == nil && kind != m.kind {
		return nil, fmt.Errorf("message of type %d, want %d", kind, m.kind)
	}
	return message, err
}

func (m *gorillaMessages) send(message []byte) error { return m.WriteMessage(m.kind, message) }

func (m *gorillaMessages) goodbye() error {
	message := gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, "")
	return m.WriteControl(gorilla.CloseMessage, message, time.Now().Add(dialPatience))
}

// origin is what x/net sends for an Origin: it cannot do without.
const origin = "http://go-client.example"

// dialXNet is a WebSocket of golang.org/x/net/websocket. It knows no code of a Close: any is the end.
func dialXNet(o order, port uint16, base64 bool) (messages, error) {
	config, err := websocket.NewConfig(o.url("ws", fmt.Sprintf("?ports=%d", port)), origin)
	if err != nil {
		return nil, err
	}
	config.Protocol = []string{v4Protocol(base64)}
	config.Dialer = &net.Dialer{Timeout: dialPatience}
	conn, err := websocket.DialConfig(config)
	if err != nil {
		return nil, err
	}
	conn.PayloadType = websocket.BinaryFrame
	if base64 {
		conn.PayloadType = websocket.TextFrame
	}
	return &xnetMessages{conn: conn}, nil
}

type xnetMessages struct {
	conn  *websocket.Conn
	close sync.Once
}

func (m *xnetMessages) receive() ([]byte, error) {
	var message []byte
	err := websocket.Message.Receive(m.conn, &message)
	return message, err
}

func (m *xnetMessages) send(message []byte) error {
	// Write, unlike Message.Send, takes the type of the connection.
	_, err := m.conn.Write(message)
	return err
}

func (m *xnetMessages) goodbye() error { return m.conn.WriteClose(1000) }

func (m *xnetMessages) Close() (err error) {
	m.close.Do(func() { err = m.conn.Close() })
	return err
}
