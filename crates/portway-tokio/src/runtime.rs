use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use portway_driver::{Addr, Net, Runtime, Sleep};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::runtime::Handle;

use crate::{TokioListener, TokioSocket};

/// A tokio runtime, by its handle.
#[derive(Debug, Clone)]
pub struct Tokio {
    handle: Handle,
}

impl Tokio {
    /// The runtime we are called from.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn current() -> Self {
        Self::new(Handle::current())
    }

    /// The runtime with this handle; its time and I/O must be enabled.
    pub const fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

impl Runtime for Tokio {
    type Sleep = TokioSleep;

    fn sleep_until(&self, at: Instant) -> TokioSleep {
        let _guard = self.handle.enter();
        TokioSleep(Box::pin(tokio::time::sleep_until(at.into())))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }
}

impl Net for Tokio {
    type Socket = TokioSocket;
    type Listener = TokioListener;

    async fn connect(&self, to: &Addr) -> io::Result<TokioSocket> {
        let stream = match to {
            Addr::Ip(addr) => TcpStream::connect(addr).await,
            Addr::Host(host, port) => TcpStream::connect((host.as_str(), *port)).await,
            #[cfg(unix)]
            Addr::Unix(path) => return UnixStream::connect(path).await.map(TokioSocket::unix),
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        TokioSocket::new(stream?)
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<TokioListener> {
        let _guard = self.handle.enter();
        TokioListener::bind(addr)
    }

    #[cfg(unix)]
    fn adopt_unix(&self, listener: UnixListener) -> io::Result<TokioListener> {
        let _guard = self.handle.enter();
        TokioListener::unix(listener)
    }
}

/// A timer of tokio's.
#[derive(Debug)]
pub struct TokioSleep(Pin<Box<tokio::time::Sleep>>);

impl Future for TokioSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Sleep for TokioSleep {
    fn reset(&mut self, at: Instant) {
        self.0.as_mut().reset(at.into());
    }
}
