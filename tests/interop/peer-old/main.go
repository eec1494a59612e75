// Command peer-old is a node of Kubernetes 1.28: a kubelet and its streaming server, as they were before
// there was a tunnel, with the same pod as the peer's behind it. The peer stands before it as the API
// server ("-kubelet ADDR").
//
// What it says on stdout, and when it ends: see pod.Open.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"

	"portway.dev/interop/pod"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	flag.Parse()

	demo, listener := pod.Open("peer-old", *listen)
	log.Fatal(http.Serve(listener, newNode(&pod.Runtime{Pod: demo})))
}

// runtime is the container runtime, as this release asks for it.
type runtime struct{ *pod.Runtime }

// PortForward implements portforward.PortForwarder.
func (r runtime) PortForward(ctx context.Context, name string, uid types.UID, port int32, stream io.ReadWriteCloser) error {
	return r.Runtime.PortForward(ctx, name, string(uid), port, stream)
}

func newNode(podRuntime *pod.Runtime) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{namespace}/{pod}", func(w http.ResponseWriter, req *http.Request) {
		options, err := portforward.NewV4Options(req)
		if err != nil {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, err.Error())
			return
		}
		portforward.ServePortForward(w, req, runtime{podRuntime}, req.PathValue("pod"), "", options,
			4*time.Hour, 30*time.Second, portforward.SupportedProtocols)
	})
	mux.HandleFunc("GET /peer/stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]int64{
			"pod_dials":       podRuntime.Dials.Load(),
			"live_pod_relays": podRuntime.Live.Load(),
		})
	})
	return mux
}
