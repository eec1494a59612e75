// Command peer serves Kubernetes' own port-forward server code over HTTP on loopback, plain or in TLS, with a
// pod side that copies by containerd's rules and pods that can be told to misbehave.
//
// What it says on stdout, and when it ends: see pod.Open.
package main

import (
	"encoding/base64"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"portway.dev/interop/pod"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	idle := flag.Duration("stream-idle-timeout", 4*time.Hour, "the runtime's idle timeout of an upgraded connection")
	creation := flag.Duration("stream-creation-timeout", 30*time.Second, "how long a SPDY stream waits for the other one of its pair")
	finPassedOn := flag.Bool("fin-passed-on", false, "pass a client's FIN on to the pod and wait for its answer, on every pod")
	everyPod := flag.String("every-pod", "", "every pod has the manners of the `pod` of this name (pod-no-tunnel: an old API server)")
	proxied := flag.Bool("proxied", false, "put the API server's pass-through proxy in front of v4 and plain SPDY, too")
	kubelet := flag.String("kubelet", "", "have the `address` of another process for a kubelet (peer-old: one of an old node)")
	token := flag.String("token", "", "serve only who has this bearer token")
	inTLS := flag.Bool("tls", false, "speak TLS, and print the CA made for it as a further line \"ca BASE64\"")
	flag.Parse()

	demo, listener := pod.Open("peer", *listen)
	handler, err := newServer(&pod.Runtime{Pod: demo, FinPassedOn: *finPassedOn}, settings{
		idle: *idle, creation: *creation, everyPod: *everyPod, proxied: *proxied, kubelet: *kubelet, token: *token,
	})
	if err != nil {
		log.Fatal(err)
	}
	if !*inTLS {
		log.Fatal(http.Serve(listener, handler))
	}
	identity, err := newIdentity()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ca", base64.StdEncoding.EncodeToString(identity.ca))
	server := http.Server{Handler: handler, TLSConfig: identity.config()}
	log.Fatal(server.ServeTLS(listener, "", ""))
}
