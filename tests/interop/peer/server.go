package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// server is API server, kubelet and container runtime in one process: the URLs and refusals of the
// first two around Kubernetes' own code of the third.
type server struct {
	runtime  *runtime
	idle     time.Duration
	creation time.Duration
	upgrades atomic.Int64
	live     atomic.Int64
}

func newServer(runtime *runtime, idle, creation time.Duration) http.Handler {
	s := &server{runtime: runtime, idle: idle, creation: creation}
	mux := http.NewServeMux()
	const path = "/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
	// GET for WebSocket, POST (or GET) for SPDY; only these two methods exist.
	mux.HandleFunc("GET "+path, s.portForward)
	mux.HandleFunc("POST "+path, s.portForward)
	mux.HandleFunc("GET /peer/stats", s.stats)
	discovery(mux)
	return mux
}

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

	name := req.PathValue("pod")
	if lie := lieOf(name); lie != nil {
		w = lie(w, req)
		if w == nil {
			return
		}
	}
	options, err := portforward.NewV4Options(req)
	if err != nil {
		writeText(w, http.StatusBadRequest, err.Error())
		return
	}
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
		"pod_dials":       s.runtime.dials.Load(),
		"live_pod_relays": s.runtime.live.Load(),
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
