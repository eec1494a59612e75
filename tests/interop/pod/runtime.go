package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// sandbox stands where the container runtime prints the id of the pod's sandbox and its namespace.
const (
	sandbox   = "0123456789abcdef"
	namespace = "/var/run/netns/cni-demo"
)

// Runtime is the container runtime's half of a port forward: it dials the port inside the pod and
// copies, by the rules containerd follows:
//   - IPv4 first, then IPv6;
//   - a client's end is never made a FIN towards the pod (unless FinPassedOn);
//   - after one direction ended the other has a second, then both sides are closed;
//   - running into that second is success.
type Runtime struct {
	Pod *Pod
	// FinPassedOn passes the end of either direction on at once, where the wire has it, and waits for
	// the other: what no runtime in the field does.
	FinPassedOn bool
	// Dials counts the times a port was dialled, Live the forwards that have not ended.
	Dials, Live atomic.Int64
}

// PortForward implements portforward.PortForwarder of today's server.
func (r *Runtime) PortForward(ctx context.Context, name, _ string, port int32, stream io.ReadWriteCloser) error {
	// Also when there is nothing to connect to: the stream's end comes before the error text.
	defer stream.Close()
	conn, err := r.dial(ctx, port)
	if err != nil {
		return fmt.Errorf("failed to execute portforward in network namespace %q: %w", namespace, err)
	}
	r.Live.Add(1)
	defer r.Live.Add(-1)
	if err := relay(conn, stream, r.FinPassedOn || name == "pod-fin"); err != nil {
		err = errors.New(r.inPod(err.Error(), port))
		return fmt.Errorf("failed to execute portforward in network namespace %q: %w", namespace, err)
	}
	return nil
}

func (r *Runtime) dial(ctx context.Context, port int32) (*net.TCPConn, error) {
	r.Dials.Add(1)
	_, real, err := net.SplitHostPort(r.Pod.addr(port))
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	var failures [2]error
	for i, network := range []string{"tcp4", "tcp6"} {
		conn, err := dialer.DialContext(ctx, network, "localhost:"+real)
		if err == nil {
			return conn.(*net.TCPConn), nil
		}
		failures[i] = err
	}
	text := fmt.Sprintf("failed to connect to localhost:%d inside namespace %q, IPv4: %v IPv6 %v ",
		port, sandbox, failures[0], failures[1])
	return nil, errors.New(r.inPod(text, port))
}

// inPod puts the port that the client knows where an error names the one that really was dialled.
func (r *Runtime) inPod(text string, port int32) string {
	_, real, err := net.SplitHostPort(r.Pod.addr(port))
	if err != nil {
		return text
	}
	return strings.ReplaceAll(text, ":"+real, fmt.Sprintf(":%d", port))
}

// closesByHalves is a SPDY stream, whose Close ends one direction. The Close of a v4 channel ends both.
type closesByHalves interface{ Identifier() uint32 }

func relay(pod *net.TCPConn, client io.ReadWriteCloser, finPassedOn bool) error {
	defer pod.Close()

	type end struct {
		fromClient bool
		err        error
	}
	ends := make(chan end, 2)
	go func() {
		_, err := io.Copy(client, pod)
		ends <- end{false, err}
	}()
	go func() {
		_, err := io.Copy(pod, client)
		ends <- end{true, err}
	}()

	first := <-ends
	var patience <-chan time.Time
	_, halves := client.(closesByHalves)
	switch {
	case finPassedOn && first.fromClient && first.err == nil:
		_ = pod.CloseWrite()
	case finPassedOn && halves && first.err == nil:
		_ = client.Close()
		// A client may give up what it would still have sent.
		<-ends
		return nil
	default:
		patience = time.After(time.Second)
	}
	err := first.err
	select {
	case second := <-ends:
		if err == nil {
			err = second.err
		}
	case <-patience:
	}
	return err
}
