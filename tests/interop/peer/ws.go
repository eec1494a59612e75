package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// The least of RFC 6455 that a lie needs: a 101 and unmasked frames.

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
)

type frame struct {
	opcode  byte
	payload []byte
}

func binaryFrame(channel byte, payload []byte) frame {
	return frame{opBinary, append([]byte{channel}, payload...)}
}

func closeFrame(code uint16, reason string) frame {
	return frame{opClose, append(binary.BigEndian.AppendUint16(nil, code), reason...)}
}

// prefixes are what an honest server says first about its one port.
func prefixes(port uint16) []frame {
	prefix := binary.LittleEndian.AppendUint16(nil, port)
	return []frame{binaryFrame(0, prefix), binaryFrame(1, prefix)}
}

func (f frame) writeTo(out *bytes.Buffer) {
	out.WriteByte(0x80 | f.opcode)
	switch n := len(f.payload); {
	case n < 126:
		out.WriteByte(byte(n))
	case n < 1<<16:
		out.WriteByte(126)
		out.Write(binary.BigEndian.AppendUint16(nil, uint16(n)))
	default:
		out.WriteByte(127)
		out.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	out.Write(f.payload)
}

func writeHandshake(out *bytes.Buffer, key, protocol string) {
	accept := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
		base64.StdEncoding.EncodeToString(accept[:]))
	if protocol != "" {
		fmt.Fprintf(out, "Sec-WebSocket-Protocol: %s\r\n", protocol)
	}
	out.WriteString("\r\n")
}
