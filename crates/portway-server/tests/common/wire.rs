//! What is between a client and a server: passes everything on, until it is told not to.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A load balancer of the kind that forgets its connections.
pub struct Wire {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Vec<Arc<Line>>>,
    /// Nobody gets through any more.
    closed: AtomicBool,
    accepted: AtomicUsize,
}

struct Line {
    ends: [TcpStream; 2],
    frozen: AtomicBool,
}

impl Wire {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if of_thread.closed.load(Ordering::SeqCst) {
                    continue;
                }
                of_thread.accepted.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(server).unwrap();
                let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                let line = Arc::new(Line { ends, frozen: AtomicBool::new(false) });
                of_thread.lines.lock().unwrap().push(Arc::clone(&line));
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                for (from, to) in [(client, server), back] {
                    from.set_nodelay(true).unwrap();
                    let line = Arc::clone(&line);
                    std::thread::spawn(move || line.copy(from, to));
                }
            }
        });
        Self { addr, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// What is there now gets nothing through any more, and is not told.
    pub fn freeze(&self) {
        for line in self.shared.lines.lock().unwrap().iter() {
            line.frozen.store(true, Ordering::SeqCst);
        }
    }

    /// Cuts the connections that are there now, from the `first` on.
    pub fn cut(&self, first: usize, many: usize) {
        for line in self.shared.lines.lock().unwrap().iter().skip(first).take(many) {
            line.ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
    }

    /// Lets nobody through from now on.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
    }
}

impl Line {
    fn copy(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if !self.frozen.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        if !self.frozen.load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }
}
