package pod

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

// Open is the start of every program that serves the pod: it starts the pod, listens, and tells where both
// are on stdout, "listening ADDR" and "pods PORT=ADDR ...". When stdin is closed the process ends.
func Open(program, listen string) (*Pod, net.Listener) {
	log.SetFlags(0)
	log.SetPrefix(program + ": ")
	demo, err := Start()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", listener.Addr())
	fmt.Println("pods", demo)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return demo, listener
}
