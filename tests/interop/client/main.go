// Command client forwards local ports with other people's code: client-go's port forwarder, as
// kubectl has it, and WebSocket clients of v4 on gorilla/websocket and golang.org/x/net/websocket.
//
// What it says on stdout, a line each:
//
//	forwarding LOCAL REMOTE   a port listens on 127.0.0.1
//	ready                     all of them do
//	error TEXT                something that client-go would log
//	end TEXT                  it is over; no TEXT after a stop
//
// It takes "stop" on stdin, which is the end that Ctrl-C makes of kubectl, and dies without a word when
// stdin is closed.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// order is what is asked of a forwarder.
type order struct {
	server string
	pod    string
	ports  []uint16
	// ping is the time between two keep-alives; zero for client-go's own.
	ping time.Duration
	stop <-chan struct{}
}

// forwarders are the ways to forward: each returns when it is over.
var forwarders = map[string]func(order) error{
	"tunnel":         forwardBy(tunnelDialer),
	"spdy":           forwardBy(spdyDialer),
	"fallback":       forwardBy(fallbackDialer),
	"gorilla":        forwardV4(dialGorilla, false),
	"gorilla-base64": forwardV4(dialGorilla, true),
	"xnet":           forwardV4(dialXNet, false),
	"xnet-base64":    forwardV4(dialXNet, true),
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("client: ")

	by := flag.String("by", "tunnel", "the forwarder: tunnel, spdy, fallback, gorilla, gorilla-base64, xnet, xnet-base64")
	server := flag.String("server", "", "the API server, such as http://127.0.0.1:8001")
	pod := flag.String("pod", "demo", "the pod in the namespace `default`")
	ping := flag.Duration("ping", 0, "the time between two keep-alives, where client-go's own is too long to wait for")
	flag.Parse()

	forward, ok := forwarders[*by]
	if !ok {
		log.Fatalf("-by %s: no such forwarder", *by)
	}
	var ports []uint16
	for _, arg := range flag.Args() {
		port, err := strconv.ParseUint(arg, 10, 16)
		if err != nil {
			log.Fatalf("port %q: %v", arg, err)
		}
		ports = append(ports, uint16(port))
	}

	stop := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if lines.Text() == "stop" {
				close(stop)
			}
		}
		os.Exit(0)
	}()

	err := forward(order{server: *server, pod: *pod, ports: ports, ping: *ping, stop: stop})
	if err != nil {
		say("end", err.Error())
		os.Exit(1)
	}
	say("end")
}

var sayLock sync.Mutex

// say writes one line; nothing in it can start another.
func say(words ...any) {
	line := strings.TrimSuffix(fmt.Sprintln(words...), "\n")
	sayLock.Lock()
	defer sayLock.Unlock()
	fmt.Println(strings.ReplaceAll(line, "\n", "\\n"))
}

func (o order) url(scheme, query string) string {
	server := strings.TrimPrefix(o.server, "http")
	return fmt.Sprintf("%s%s/api/v1/namespaces/default/pods/%s/portforward%s", scheme, server, o.pod, query)
}
