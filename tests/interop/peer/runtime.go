package main

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

// runtime is the container runtime's half of a port forward: it dials the port inside the pod and
// copies, by the rules containerd follows:
//   - IPv4 first, then IPv6;
//   - a client's end is never made a FIN towards the pod (unless finPassedOn);
//   - after one direction ended the other has a second, then both sides are closed;
//   - running into that second is success.
type runtime struct {
	pod         *pod
	finPassedOn bool
	dials       atomic.Int64
	live        atomic.Int64
}

// PortForward implements portforward.PortForwarder.
func (r *runtime) PortForward(ctx context.Context, name, _ string, port int32, stream io.ReadWriteCloser) error {
	// Also when there is nothing to connect to: the stream's end comes before the error text.
	defer stream.Close()
	conn, err := r.dial(ctx, port)
	if err != nil {
		return fmt.Errorf("failed to execute portforward in network namespace %q: %w", namespace, err)
	}
	r.live.Add(1)
	defer r.live.Add(-1)
	if err := relay(conn, stream, r.finPassedOn || name == "pod-fin"); err != nil {
		err = errors.New(r.inPod(err.Error(), port))
		return fmt.Errorf("failed to execute portforward in network namespace %q: %w", namespace, err)
	}
	return nil
}

func (r *runtime) dial(ctx context.Context, port int32) (*net.TCPConn, error) {
	r.dials.Add(1)
	_, real, err := net.SplitHostPort(r.pod.addr(port))
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
func (r *runtime) inPod(text string, port int32) string {
	_, real, err := net.SplitHostPort(r.pod.addr(port))
	if err != nil {
		return text
	}
	return strings.ReplaceAll(text, ":"+real, fmt.Sprintf(":%d", port))
}

func relay(pod *net.TCPConn, client io.ReadWriter, finPassedOn bool) error {
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
	if finPassedOn && first.fromClient && first.err == nil {
		_ = pod.CloseWrite()
	} else {
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
