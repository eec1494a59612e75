package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	utilportforward "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/streaming/pkg/httpstream"
	streamspdy "k8s.io/streaming/pkg/httpstream/spdy"
)

// forwardBy is `kubectl port-forward` from the dialling on.
func forwardBy(dialer func(order) (httpstream.Dialer, error)) func(order) error {
	return func(o order) error {
		runtime.ErrorHandlers = []runtime.ErrorHandler{
			func(_ context.Context, err error, _ string, _ ...any) { say("error", err) },
		}
		dial, err := dialer(o)
		if err != nil {
			return err
		}
		var ports []string
		for _, port := range o.ports {
			ports = append(ports, fmt.Sprintf(":%d", port))
		}
		ready := make(chan struct{})
		forwarder, err := portforward.NewOnAddressesForStreaming(dial, []string{"127.0.0.1"}, ports, o.stop, ready, io.Discard, io.Discard)
		if err != nil {
			return err
		}
		go func() {
			<-ready
			listening, err := forwarder.GetPorts()
			if err != nil {
				say("error", err)
				return
			}
			for _, port := range listening {
				say("forwarding", port.Local, port.Remote)
			}
			say("ready")
		}()
		return forwarder.ForwardPorts()
	}
}

func (o order) config() *rest.Config { return &rest.Config{Host: o.server} }

func (o order) where() (*url.URL, error) { return url.Parse(o.url("http", "")) }

// tunnelDialer asks for the tunnel in a WebSocket.
func tunnelDialer(o order) (httpstream.Dialer, error) {
	where, err := o.where()
	if err != nil {
		return nil, err
	}
	if o.ping == 0 {
		return portforward.NewSPDYOverWebsocketDialerForStreaming(where, o.config())
	}
	transport, holder, err := websocket.RoundTripperFor(o.config())
	return dialerFunc(func(protocols ...string) (httpstream.Connection, string, error) {
		return dialTunnel(where, transport, holder, o.ping, protocols[0])
	}), err
}

type dialerFunc func(protocols ...string) (httpstream.Connection, string, error)

func (f dialerFunc) Dial(protocols ...string) (httpstream.Connection, string, error) {
	return f(protocols...)
}

// dialTunnel does what client-go's dialer does, which cannot be told how often to ping.
func dialTunnel(where *url.URL, transport http.RoundTripper, holder websocket.ConnectionHolder, ping time.Duration, protocol string) (httpstream.Connection, string, error) {
	req, err := http.NewRequest(http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, "", err
	}
	conn, err := websocket.Negotiate(transport, holder, req, utilportforward.WebsocketsSPDYTunnelingPrefix+protocol)
	if err != nil {
		return nil, "", err
	}
	session, err := streamspdy.NewClientConnectionWithPings(portforward.NewTunnelingConnection("client", conn), ping)
	return session, protocol, err
}

// spdyDialer asks for SPDY without a WebSocket.
func spdyDialer(o order) (httpstream.Dialer, error) {
	where, err := o.where()
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdyTransport(o)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, where), nil
}

func spdyTransport(o order) (http.RoundTripper, spdy.Upgrader, error) {
	if o.ping == 0 {
		return spdy.RoundTripperFor(o.config())
	}
	transport, err := streamspdy.NewRoundTripperWithConfig(streamspdy.RoundTripperConfig{PingPeriod: o.ping})
	return transport, spdy.NewUpgraderForStreaming(transport), err
}

// fallbackDialer is kubectl's: the tunnel, and plain SPDY after whatever failed in an upgrade. The same
// questions of k8s.io/apimachinery's httpstream, which many programs ask, know no error of these dialers:
// they never fall back.
func fallbackDialer(o order) (httpstream.Dialer, error) {
	tunnel, err := tunnelDialer(o)
	if err != nil {
		return nil, err
	}
	plain, err := spdyDialer(o)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(tunnel, plain, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}
