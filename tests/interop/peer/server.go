package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/proxy"
	tunnel "k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"portway.dev/interop/pod"
)

// settings are what can be chosen for all pods alike.
type settings struct {
	idle     time.Duration
	creation time.Duration
	// everyPod is the pod whose manners all pods have; empty: each those of its name.
	everyPod string
	// proxied puts the API server's pass-through proxy in front of v4 and plain SPDY, too.
	proxied bool
	// kubelet is where another process stands for the kubelet; empty: this one does.
	kubelet string
	// token is what a client has to bear; empty: nothing.
	token string
}

// server is API server, kubelet and container runtime in one process: the URLs and refusals of the
// first two around Kubernetes' own code of the third, and around Kubernetes' own tunnel.
type server struct {
	settings
	runtime *pod.Runtime
	// node is where the API server's proxies find the kubelet.
	node      url.URL
	transport *http.Transport

	upgrades atomic.Int64
	live     atomic.Int64
	asked    [kinds]atomic.Int64
	served   [kinds]atomic.Int64
}

// kind is what a request asks for. Whoever offers the tunnel asks for the tunnel, whatever else they offer.
type kind int

const (
	asksTunnel kind = iota
	asksV4
	asksSpdy
	kinds
)

func kindOf(req *http.Request) kind {
	switch {
	case wsstream.IsWebSocketRequestWithTunnelingProtocol(req):
		return asksTunnel
	case wsstream.IsWebSocketRequest(req):
		return asksV4
	default:
		return asksSpdy
	}
}

func newServer(runtime *pod.Runtime, settings settings) (http.Handler, error) {
	s := &server{
		settings: settings, runtime: runtime,
		transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext},
	}
	if s.kubelet != "" {
		s.node = url.URL{Scheme: "http", Host: s.kubelet}
	} else if err := s.startKubelet(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	const path = "/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
	// GET for WebSocket, POST (or GET) for SPDY; only these two methods exist.
	mux.HandleFunc("GET "+path, s.portForward)
	mux.HandleFunc("POST "+path, s.portForward)
	mux.HandleFunc("GET /peer/stats", s.stats)
	discovery(mux)
	return s.authenticated(mux), nil
}

// authenticated lets only those through who bear the token, if there is one, and whoever counts.
func (s *server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if s.token != "" && req.URL.Path != "/peer/stats" && req.Header.Get("Authorization") != "Bearer "+s.token {
			writeStatus(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
			return
		}
		next.ServeHTTP(w, req)
	})
}

// startKubelet serves what the API server's proxies connect to.
func (s *server) startKubelet() error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the kubelet: %w", err)
	}
	s.node = url.URL{Scheme: "http", Host: listener.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{namespace}/{pod}", s.forward)
	go func() { log.Fatal(http.Serve(listener, mux)) }()
	return nil
}

// portForward is the API server's part.
func (s *server) portForward(w http.ResponseWriter, req *http.Request) {
	if !strings.Contains(strings.ToLower(req.Header.Get("Connection")), "upgrade") {
		writeStatus(w, http.StatusBadRequest, "BadRequest", "Upgrade request required")
		return
	}
	if err := rewritePorts(req); err != nil {
		writeStatus(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	s.upgrades.Add(1)
	s.live.Add(1)
	defer s.live.Add(-1)
	asked := kindOf(req)
	s.asked[asked].Add(1)

	manners := req.PathValue("pod")
	if s.everyPod != "" {
		manners = s.everyPod
	}
	if lie := lieOf(manners); lie != nil {
		w = lie(w, req)
		if w == nil {
			return
		}
	}
	// An old API server knows no tunnel and hands the offer on to a runtime that knows none, either.
	if manners == noTunnel && asked == asksTunnel {
		asked = asksV4
	}
	s.served[asked].Add(1)
	switch {
	case asked == asksTunnel:
		tunnel.NewTunnelingHandler(s.passThrough(w, req)).ServeHTTP(w, req)
	case s.proxied || s.kubelet != "":
		s.passThrough(w, req).ServeHTTP(w, req)
	default:
		s.forward(w, req)
	}
}

// passThrough is what an API server uses to get to the kubelet, set up as it sets it up.
func (s *server) passThrough(w http.ResponseWriter, req *http.Request) http.Handler {
	location := s.node
	location.Path = fmt.Sprintf("/portForward/%s/%s", req.PathValue("namespace"), req.PathValue("pod"))
	location.RawQuery = req.URL.RawQuery
	return proxy.NewUpgradeAwareHandler(&location, s.transport, false, true, proxy.NewErrorResponder(responder{w}))
}

// responder tells a failure of the proxy as an API server does.
type responder struct{ w http.ResponseWriter }

func (r responder) Error(err error) {
	writeStatus(r.w, http.StatusInternalServerError, "InternalError", err.Error())
}

// forward is kubelet and container runtime.
func (s *server) forward(w http.ResponseWriter, req *http.Request) {
	options, err := portforward.NewV4Options(req)
	if err != nil {
		writeText(w, http.StatusBadRequest, err.Error())
		return
	}
	name := req.PathValue("pod")
	portforward.ServePortForward(w, req, s.runtime, name, "", options, s.idle, s.creation, portforward.SupportedProtocols)
}

// rewritePorts does what an API server does: "ports", repeated or in comma lists, becomes the one
// "port" that a kubelet reads. A "port" from the client goes no further.
func rewritePorts(req *http.Request) error {
	query := req.URL.Query()
	var ports []string
	for _, value := range query["ports"] {
		for _, port := range strings.Split(value, ",") {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				return fmt.Errorf("cannot convert to []int32: %w", err)
			}
			ports = append(ports, strconv.FormatUint(n, 10))
		}
	}
	query.Del("ports")
	query.Del("port")
	if len(ports) > 0 {
		query.Set("port", strings.Join(ports, ","))
	}
	req.URL.RawQuery = query.Encode()
	return nil
}

// stats tells a test what goes on behind its back.
func (s *server) stats(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]int64{
		"upgrades":        s.upgrades.Load(),
		"live_upgrades":   s.live.Load(),
		"asked_tunnel":    s.asked[asksTunnel].Load(),
		"asked_v4":        s.asked[asksV4].Load(),
		"asked_spdy":      s.asked[asksSpdy].Load(),
		"served_tunnel":   s.served[asksTunnel].Load(),
		"served_v4":       s.served[asksV4].Load(),
		"served_spdy":     s.served[asksSpdy].Load(),
		"pod_dials":       s.runtime.Dials.Load(),
		"live_pod_relays": s.runtime.Live.Load(),
	})
}

// writeText answers the way a kubelet does.
func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
}

// writeStatus answers the way an API server does.
func writeStatus(w http.ResponseWriter, code int, reason, message string) {
	writeJSON(w, code, map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{},
		"status": "Failure", "message": message, "reason": reason, "code": code,
	})
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}
