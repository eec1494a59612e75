use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// What a [`Relay`] does wrong: each a mistake that forwarders in the field make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A local program's FIN ends the connection a second later.
    CutsAfterLocalEof,
    /// A connection to a refused port ends cleanly.
    FinAfterRefusal,
    /// A connection that the pod reset ends cleanly.
    FinAfterReset,
    /// One refused port ends everything.
    DiesOfRefusal,
    /// After 900,000 bytes from the pod the connection ends, cleanly.
    DropsTail,
    /// The 700,000th byte towards the pod is another one.
    FlipsUpload,
    /// All connections wait for the one whose reader is slow.
    OneSlowReaderStallsAll,
    /// A connection that ended leaves its socket behind.
    LeaksSockets,
    /// The pod's FIN is never passed on.
    WithholdsEof,
}

/// A plain TCP relay: the baseline of every figure, and with a [`Fault`] the proof that the load
/// can fail. It does what a perfect forwarder would, half-close and reset included.
#[derive(Debug)]
pub struct Relay {
    addrs: BTreeMap<u16, SocketAddr>,
    stopped: Arc<AtomicBool>,
}

struct Shared {
    fault: Option<Fault>,
    stopped: Arc<AtomicBool>,
    one_at_a_time: Mutex<()>,
    leaked: Mutex<Vec<TcpStream>>,
    all: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Listens on a free local port for each of `ports` and connects to where `pod` says.
    pub fn start(
        ports: impl IntoIterator<Item = u16>,
        pod: impl Fn(u16) -> SocketAddr,
        fault: Option<Fault>,
    ) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            fault,
            stopped: Arc::clone(&stopped),
            one_at_a_time: Mutex::new(()),
            leaked: Mutex::new(Vec::new()),
            all: Mutex::new(Vec::new()),
        });
        let addrs = ports
            .into_iter()
            .map(|port| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
                let addr = listener.local_addr().expect("the address just bound");
                let (shared, pod) = (Arc::clone(&shared), pod(port));
                thread::spawn(move || accept(&listener, pod, &shared));
                (port, addr)
            })
            .collect();
        Self { addrs, stopped }
    }

    /// Where this port of the pod is forwarded.
    #[must_use]
    pub fn addr(&self, port: u16) -> SocketAddr {
        self.addrs[&port]
    }

    /// All of [`addr`](Self::addr), as a [`Target`](crate::Target) wants it.
    pub fn addrs(&self) -> impl Fn(u16) -> SocketAddr + Send + Sync + 'static {
        let addrs = self.addrs.clone();
        move |port| addrs[&port]
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // The accept loops look at it when somebody comes.
        for addr in self.addrs.values() {
            let _ = TcpStream::connect_timeout(addr, Duration::from_secs(1));
        }
    }
}

fn accept(listener: &TcpListener, pod: SocketAddr, shared: &Arc<Shared>) {
    loop {
        let Ok((local, _)) = listener.accept() else { return };
        if shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let _ = forward(local, pod, &shared);
        });
    }
}

fn forward(local: TcpStream, pod: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    let fault = shared.fault;
    if fault == Some(Fault::DiesOfRefusal) {
        shared.all.lock().unwrap_or_else(PoisonError::into_inner).push(local.try_clone()?);
    }
    let pod = match TcpStream::connect(pod) {
        Ok(pod) => pod,
        Err(e) => {
            if fault == Some(Fault::DiesOfRefusal) {
                shared.stopped.store(true, Ordering::Relaxed);
                for stream in &*shared.all.lock().unwrap_or_else(PoisonError::into_inner) {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            } else if fault != Some(Fault::FinAfterRefusal) {
                reset_when_closed(&local);
            }
            return Err(e);
        }
    };
    local.set_nodelay(true)?;
    pod.set_nodelay(true)?;
    let (local, pod) = (Arc::new(local), Arc::new(pod));

    let upload = {
        let (local, pod, shared) = (Arc::clone(&local), Arc::clone(&pod), Arc::clone(shared));
        thread::spawn(move || copy(&local, &pod, true, &shared))
    };
    copy(&pod, &local, false, shared);
    let _ = upload.join();
    if fault == Some(Fault::LeaksSockets) {
        let _ = local.shutdown(Shutdown::Both);
        shared.leaked.lock().unwrap_or_else(PoisonError::into_inner).push(local.try_clone()?);
    }
    Ok(())
}

/// Copies one direction. Its clean end is passed on as a FIN; a failure on one side becomes a reset
/// of the other, sent when the last handle goes.
fn copy(from: &TcpStream, to: &TcpStream, upload: bool, shared: &Shared) {
    let fault = shared.fault;
    let mut buf = vec![0; 64 * 1024];
    let mut copied = 0_usize;
    loop {
        let (mut reader, mut writer) = (from, to);
        let n = match reader.read(&mut buf) {
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => {
                if fault != Some(Fault::FinAfterReset) {
                    reset_when_closed(to);
                }
                let _ = to.shutdown(if fault == Some(Fault::FinAfterReset) {
                    Shutdown::Both
                } else {
                    Shutdown::Read
                });
                return;
            }
        };
        let mut piece = &mut buf[..n];
        if !upload && fault == Some(Fault::DropsTail) && copied + n >= 900_000 {
            piece = &mut piece[..0];
        }
        if upload && fault == Some(Fault::FlipsUpload) && copied <= 700_000 && 700_000 < copied + n
        {
            piece[700_000 - copied] ^= 1;
        }
        if piece.is_empty() {
            if upload && fault == Some(Fault::CutsAfterLocalEof) {
                thread::sleep(Duration::from_secs(1));
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            } else if upload || fault != Some(Fault::WithholdsEof) {
                let _ = to.shutdown(Shutdown::Write);
            }
            return;
        }
        copied += n;
        let together = (fault == Some(Fault::OneSlowReaderStallsAll))
            .then(|| shared.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner));
        if writer.write_all(piece).is_err() {
            reset_when_closed(from);
            let _ = from.shutdown(Shutdown::Read);
            return;
        }
        drop(together);
    }
}

fn reset_when_closed(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
