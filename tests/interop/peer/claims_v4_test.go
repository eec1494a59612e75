package main

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	v4Name       = "v4.channel.k8s.io"
	v4Base64Name = "v4.base64.channel.k8s.io"
)

// dialV4 upgrades to v4 and reads the prefixes. Ports are those that a kubelet is asked for.
func dialV4(t *testing.T, addr string, ports ...int) *frames {
	t.Helper()
	query := url.Values{}
	for _, port := range ports {
		query.Add("port", fmt.Sprint(port))
	}
	client := dialFrames(t, addr, "/?"+query.Encode(), v4Name)
	for i, port := range ports {
		for channel := range 2 {
			client.expect(2, string([]byte{byte(2*i + channel), byte(port), byte(port >> 8)}))
		}
	}
	return client
}

// Trap 6. A frame is a message, whatever its FIN says: of the second fragment the first byte is taken for
// a channel.
func TestV4TakesFragmentsForMessages(t *testing.T) {
	client := dialV4(t, serveRuntime(t, echoing, time.Hour, time.Hour), 1, 2)
	client.send(0x02, "\x00one")
	client.expect(2, "\x00one")
	client.send(0x80, "\x02two")
	client.expect(2, "\x02two")
}

// B.5: what a message is called is not looked at, and codes that mean nothing are data.
func TestV4TakesAnyOpcodeForData(t *testing.T) {
	client := dialV4(t, serveRuntime(t, echoing, time.Hour, time.Hour), 1)
	for _, head := range []byte{headText, headBinary, 0x83, 0x87, 0x8b, 0x8f} {
		client.send(head, fmt.Sprintf("\x00%x", head))
		client.expect(2, fmt.Sprintf("\x00%x", head))
	}
}

// B.5: what is for nobody is dropped.
func TestV4DropsWhatIsForNobody(t *testing.T) {
	client := dialV4(t, serveRuntime(t, echoing, time.Hour, time.Hour), 1)
	client.send(headBinary, "")
	client.send(headBinary, "\x01to the error channel")
	client.send(headBinary, "\x02to nobody's channel")
	client.send(headBinary, "\xffto nobody's channel")
	client.send(headBinary, "\x00hi")
	client.expect(2, "\x00hi")

	base64 := dialFrames(t, serveRuntime(t, echoing, time.Hour, time.Hour), "/?port=1", v4Base64Name)
	base64.expect(1, "0AQA=")
	base64.expect(1, "1AQA=")
	base64.send(headText, "0this is not base64")
	base64.send(headText, "0aGk=")
	base64.expect(1, "0aGk=")
}

// B.1, B.3: the client sends no prefix, and a port that is named twice is two connections.
func TestV4TakesAPortTwice(t *testing.T) {
	client := dialV4(t, serveRuntime(t, echoing, time.Hour, time.Hour), 7, 7)
	client.send(headBinary, "\x00first")
	client.expect(2, "\x00first")
	client.send(headBinary, "\x02second")
	client.expect(2, "\x02second")
}

// B.4: a channel is a byte: with 129 ports the last one's prefixes come on the channels of the first.
func TestV4ChannelsWrapAround(t *testing.T) {
	ports := strings.TrimSuffix(strings.Repeat("1,", 128), ",") + ",2"
	client := dialFrames(t, serveRuntime(t, echoing, time.Hour, time.Hour), "/?port="+ports, v4Name)
	for channel := range 256 {
		client.expect(2, string([]byte{byte(channel), 1, 0}))
	}
	client.expect(2, "\x00\x02\x00")
	client.expect(2, "\x01\x02\x00")
}

// Trap 14. In base64 a channel is a character, and from the 80th on that is two bytes.
func TestV4ChannelsOfBase64AreCharacters(t *testing.T) {
	ports := strings.TrimSuffix(strings.Repeat("1,", 41), ",")
	client := dialFrames(t, serveRuntime(t, echoing, time.Hour, time.Hour), "/?port="+ports, v4Base64Name)
	for channel := range 80 {
		client.expect(1, string([]byte{'0' + byte(channel)})+"AQA=")
	}
	client.expect(1, "\xc2\x80AQA=")
	client.expect(1, "\xc2\x81AQA=")
	// The same two bytes do not lead back: the first of them is taken for a channel that nobody has.
	client.send(headText, "\xc2\x80aGk=")
	client.silence()
	client.send(headText, "\x80aGk=")
	client.expect(1, "\xc2\x80aGk=")
}

// Trap 10, B.7: a port whose pod does not read stops the others, and pings and the Close are not heard.
// So does a message of nothing but its channel.
func TestV4HearsNothingWhileAPodDoesNotRead(t *testing.T) {
	for name, message := range map[string]string{"data": "\x00data", "channel only": "\x00"} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			client := dialV4(t, serveRuntime(t, deafOn(1, release), time.Hour, time.Hour), 1, 2)
			client.send(headBinary, "\x02before")
			client.expect(2, "\x02before")
			client.send(headBinary, message)
			client.send(headPing, "anybody?")
			client.send(headBinary, "\x02behind")
			client.silence()
			close(release)
			wants := []string{"anybody?", "\x02behind"}
			if len(message) > 1 {
				wants = append(wants, message)
			}
			var got []string
			for range wants {
				got = append(got, string(client.next().payload))
			}
			slices.Sort(got)
			slices.Sort(wants)
			if !slices.Equal(got, wants) {
				t.Fatalf("%q, want %q", got, wants)
			}
			client.silence()
		})
	}
	release := make(chan struct{})
	client := dialV4(t, serveRuntime(t, deafOn(1, release), time.Hour, time.Hour), 1)
	client.send(headBinary, "\x00data")
	client.send(headClose, closed1000)
	client.silence()
	close(release)
	// Its echo and the Close race.
	for client.next().opcode != 8 {
	}
}

// Trap 9. Pings do not keep a session from its idle time, empty messages do. It ends without a Close.
func TestV4IdleTimeIsMovedByMessagesOnly(t *testing.T) {
	const idle = 400 * time.Millisecond
	client := dialV4(t, serveRuntime(t, echoing, idle, time.Hour), 1)
	start := time.Now()
	for time.Since(start) < 3*idle {
		client.send(headBinary, "")
		time.Sleep(idle / 8)
	}
	client.send(headBinary, "\x00alive")
	client.expect(2, "\x00alive")

	start = time.Now()
	gone := func() bool {
		for {
			select {
			case seen, more := <-client.seen:
				if !more {
					return true
				}
				if seen.opcode != 10 {
					t.Fatalf("%v where only pongs and a bare end were to come", seen)
				}
			default:
				return false
			}
		}
	}
	for !gone() {
		if time.Since(start) > 8*idle {
			t.Fatal("pings keep it alive")
		}
		// It may go while we write.
		_, _ = client.conn.Write(maskedHead(headPing, 0))
		time.Sleep(idle / 8)
	}
	if took := time.Since(start); took < idle*3/4 {
		t.Fatalf("over after %v", took)
	}
}

// B.6: any Close is answered by 1000; a frame that is not masked by 1002 and then 1000; one of more than
// 32 MiB by 1000.
func TestV4KnowsOneCode(t *testing.T) {
	addr := serveRuntime(t, echoing, time.Hour, time.Hour)
	client := dialV4(t, addr, 1)
	client.send(headClose, "\x0b\xb8bye")
	client.expect(8, closed1000)
	client.end()

	client = dialV4(t, addr, 1)
	_, _ = client.conn.Write([]byte{headBinary, 2, 0, 'x'})
	client.expect(8, "\x03\xea")
	client.expect(8, closed1000)
	client.end()

	client = dialV4(t, addr, 1)
	message := make([]byte, 32<<20+1)
	_, _ = client.conn.Write(append(maskedHead(headBinary, len(message)), message...))
	client.expect(8, closed1000)
}

// B.5: what a pod sends comes in messages of up to 32 KiB and the channel.
func TestV4MessagesAreNoLongerThan32KiB(t *testing.T) {
	much := make([]byte, 5_000_000)
	client := dialV4(t, serveRuntime(t, func(_ int32, stream io.ReadWriteCloser) error {
		_, err := io.Copy(stream, struct{ io.Reader }{bytes.NewReader(much)})
		return err
	}, time.Hour, time.Hour), 1)
	longest, all := 0, 0
	for {
		frame := client.next()
		if frame.opcode == 8 {
			break
		}
		longest, all = max(longest, len(frame.payload)), all+len(frame.payload)-1
		if !frame.fin {
			t.Fatal("a fragment")
		}
	}
	if longest != 32<<10+1 || all != len(much) {
		t.Fatalf("%d bytes, the longest message has %d", all, longest)
	}
}

// B.5: the error text is not always the last of a port. What its other copy still holds may follow.
func TestV4DataMayFollowTheErrorText(t *testing.T) {
	said := make(chan struct{})
	client := dialV4(t, serveRuntime(t, func(port int32, stream io.ReadWriteCloser) error {
		if port == 2 {
			return echoing(port, stream)
		}
		go func() {
			<-said
			_, _ = io.WriteString(stream, "late")
		}()
		return errPod
	}, time.Hour, time.Hour), 1, 2)
	client.expect(2, "\x01error forwarding port 1 to pod demo, uid : connection refused")
	close(said)
	client.expect(2, "\x00late")
	// Data for the port that is over are dropped, and the other one goes on.
	client.send(headBinary, "\x00too late")
	client.send(headBinary, "\x02hi")
	client.expect(2, "\x02hi")
}

// Trap 11. The end of one port of several is not told: the Close comes with the last one's.
func TestV4DoesNotTellTheEndOfAPort(t *testing.T) {
	release := make(chan struct{})
	client := dialV4(t, serveRuntime(t, func(port int32, _ io.ReadWriteCloser) error {
		if port == 2 {
			<-release
		}
		return nil
	}, time.Hour, time.Hour), 1, 2)
	client.silence()
	close(release)
	client.expect(8, closed1000)
	client.end()
}
