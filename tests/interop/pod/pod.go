// Package pod is the one pod there is, its programs, and the container runtime's half of a port
// forward into it. It knows nothing of Kubernetes, so that any release of its server can stand before it.
package pod

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is what listens on one port of the pod.
type program struct {
	port  int32
	serve func(*net.TCPConn)
}

// programs are the ports that accept, beside 8091 (HTTP) and 8085 (refused).
var programs = []program{
	{8080, echo},
	{8081, helloFirst},
	{8082, countUntilEOF},
	{8083, partialThenReset},
	{8084, gotLine},
	{8086, slowAnswer},
	{8087, sink},
	{8088, source},
	{8089, earlyCloser},
	{8090, deafTalker},
	{8092, rudeCloser},
	{8093, deafAndDumb},
}

const refusedPort = 8085

// HTTPPort is that of the web server.
const HTTPPort = 8091

// The numbered ports: each says which it is and then echoes.
const (
	FirstNumbered int32 = 9000
	LastNumbered  int32 = 9253
)

// Pod maps the logical ports of the one pod there is to where its programs really listen.
type Pod struct {
	addrs map[int32]string
	// closed is an address that nothing listens on and that nothing else can take.
	closed string
}

// Start starts its programs.
func Start() (*Pod, error) {
	closed, err := reserveClosedPort()
	if err != nil {
		return nil, fmt.Errorf("reserve a closed port: %w", err)
	}
	p := &Pod{addrs: map[int32]string{refusedPort: closed}, closed: closed}
	for _, program := range programs {
		listener, err := p.listen(program.port)
		if err != nil {
			return nil, err
		}
		go accept(listener, program.serve)
	}
	for port := FirstNumbered; port <= LastNumbered; port++ {
		listener, err := p.listen(port)
		if err != nil {
			return nil, err
		}
		go accept(listener, numbered(port))
	}
	listener, err := p.listen(HTTPPort)
	if err != nil {
		return nil, err
	}
	go func() { log.Fatal(http.Serve(listener, webPages())) }()
	return p, nil
}

func (p *Pod) listen(port int32) (net.Listener, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for port %d of the pod: %w", port, err)
	}
	p.addrs[port] = listener.Addr().String()
	return listener, nil
}

// addr is where to dial for a port; for one that nobody has, where dialling is refused.
func (p *Pod) addr(port int32) string {
	if addr, ok := p.addrs[port]; ok {
		return addr
	}
	return p.closed
}

// String is "PORT=ADDR ...".
func (p *Pod) String() string {
	var ports []string
	for port, addr := range p.addrs {
		ports = append(ports, fmt.Sprintf("%d=%s", port, addr))
	}
	slices.Sort(ports)
	return strings.Join(ports, " ")
}

// reserveClosedPort binds and never listens, so connections are refused for as long as we live.
func reserveClosedPort() (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	inet4, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("bound to %T", name)
	}
	return fmt.Sprintf("127.0.0.1:%d", inet4.Port), nil
}

func accept(listener net.Listener, serve func(*net.TCPConn)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Printf("accept in the pod: %v", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go func() {
			defer conn.Close()
			serve(conn.(*net.TCPConn))
		}()
	}
}

func echo(conn *net.TCPConn) {
	// Without io.Copy's shortcut between two sockets, which not every kernel takes well.
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if _, err := conn.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// numbered says "PORT\n" and echoes.
func numbered(port int32) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		if _, err := fmt.Fprintf(conn, "%d\n", port); err == nil {
			echo(conn)
		}
	}
}

// Hello is what 8081 says.
var Hello = func() []byte {
	b := make([]byte, 5_000_000)
	_, _ = (&Pattern{}).Read(b)
	return b
}()

func helloFirst(conn *net.TCPConn) {
	_, _ = conn.Write(Hello)
}

func countUntilEOF(conn *net.TCPConn) {
	n, err := io.Copy(io.Discard, onlyReader{conn})
	if err == nil {
		_, _ = fmt.Fprintf(conn, "%d\n", n)
	}
}

func partialThenReset(conn *net.TCPConn) {
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return
	}
	_, _ = conn.Write([]byte("partial"))
	// A reset discards what the peer's kernel has not got yet.
	time.Sleep(50 * time.Millisecond)
	_ = conn.SetLinger(0)
}

func gotLine(conn *net.TCPConn) {
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil {
		_, _ = fmt.Fprintf(conn, "got %s", line)
	}
}

func slowAnswer(conn *net.TCPConn) {
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		return
	}
	time.Sleep(3 * time.Second)
	_ = send(conn, 0, 1_000_000)
}

// sink reads "N\n" and N bytes, answers "N SHA256\n" and closes.
func sink(conn *net.TCPConn) {
	reader := bufio.NewReaderSize(conn, 64<<10)
	n, _, err := readOrder(reader)
	if err != nil {
		_, _ = fmt.Fprintf(conn, "error: %v\n", err)
		return
	}
	hash := sha256.New()
	got, err := io.CopyN(hash, onlyReader{reader}, n)
	if err != nil {
		_, _ = fmt.Fprintf(conn, "error: after %d of %d bytes: %v\n", got, n, err)
		return
	}
	_, _ = fmt.Fprintf(conn, "%d %x\n", got, hash.Sum(nil))
}

// source reads "N\n" or "N SEED\n", sends N bytes of the pattern and closes.
func source(conn *net.TCPConn) {
	n, seed, err := readOrder(bufio.NewReader(conn))
	if err != nil {
		_, _ = fmt.Fprintf(conn, "error: %v\n", err)
		return
	}
	_ = send(conn, seed, n)
}

// earlyCloser reads 100 bytes, sends a FIN and reads nothing more of what is still coming.
func earlyCloser(conn *net.TCPConn) {
	if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
		return
	}
	_ = conn.CloseWrite()
	// Closing with bytes unread would be a reset (that is rudeCloser).
	time.Sleep(5 * time.Second)
}

// rudeCloser reads 100 bytes and closes; with bytes unread the kernel makes that a reset.
func rudeCloser(conn *net.TCPConn) {
	_, _ = io.ReadFull(conn, make([]byte, 100))
}

// deafTalker sends for ever and reads nothing.
func deafTalker(conn *net.TCPConn) {
	for seed := uint64(0); ; seed++ {
		if send(conn, seed, 1<<40) != nil {
			return
		}
	}
}

// deafAndDumb neither reads nor sends until it is let go of, ten minutes at most.
func deafAndDumb(*net.TCPConn) {
	time.Sleep(10 * time.Minute)
}

// readOrder reads "N\n" or "N SEED\n".
func readOrder(reader *bufio.Reader) (n int64, seed uint64, err error) {
	line, err := reader.ReadString('\n')
	if err != nil {
		return 0, 0, fmt.Errorf("read the first line: %w", err)
	}
	words := strings.Fields(line)
	if len(words) == 0 || len(words) > 2 {
		return 0, 0, fmt.Errorf("the first line %q is not \"N\" or \"N SEED\"", line)
	}
	if n, err = strconv.ParseInt(words[0], 10, 64); err != nil || n < 0 {
		return 0, 0, fmt.Errorf("%q is not a number of bytes", words[0])
	}
	if len(words) == 2 {
		if seed, err = strconv.ParseUint(words[1], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("%q is not a seed", words[1])
		}
	}
	return n, seed, nil
}

// onlyReader hides every shortcut but Read.
type onlyReader struct{ io.Reader }

// webPages is a small web server: a page, a download of any size and an upload.
func webPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<!doctype html><title>demo</title><p>Hello from the pod.\n")
	})
	mux.HandleFunc("GET /download", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
		if err != nil || n < 0 {
			http.Error(w, "bytes= must be a number", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		w.Header().Set("Content-Type", "application/octet-stream")
		_ = send(w, 0, n)
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.New()
		n, err := io.Copy(hash, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprintf(w, "%d %x\n", n, hash.Sum(nil))
	})
	return mux
}
