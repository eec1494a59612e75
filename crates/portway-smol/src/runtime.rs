use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use portway_driver::{Addr, Net, Runtime, Sleep};
#[cfg(unix)]
use smol::Async;
use smol::net::TcpStream;
use smol::{Executor, Timer};

use crate::{SmolListener, SmolSocket};

/// An executor of smol's: the global one, or one of your own.
#[derive(Clone)]
pub struct Smol {
    executor: Option<Arc<Executor<'static>>>,
}

impl Smol {
    /// The global executor of `smol::spawn`.
    pub const fn global() -> Self {
        Self { executor: None }
    }

    /// An executor that somebody runs.
    pub const fn new(executor: Arc<Executor<'static>>) -> Self {
        Self { executor: Some(executor) }
    }
}

impl Runtime for Smol {
    type Sleep = SmolSleep;

    fn sleep_until(&self, at: Instant) -> SmolSleep {
        SmolSleep(Timer::at(at))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.executor {
            Some(executor) => executor.spawn(task).detach(),
            None => smol::spawn(task).detach(),
        }
    }
}

impl Net for Smol {
    type Socket = SmolSocket;
    type Listener = SmolListener;

    async fn connect(&self, to: &Addr) -> io::Result<SmolSocket> {
        let stream = match to {
            Addr::Ip(addr) => TcpStream::connect(addr).await,
            Addr::Host(host, port) => TcpStream::connect((host.as_str(), *port)).await,
            #[cfg(unix)]
            Addr::Unix(path) => {
                return Async::<UnixStream>::connect(path).await.map(SmolSocket::unix);
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        SmolSocket::new(stream?)
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<SmolListener> {
        SmolListener::bind(addr)
    }

    #[cfg(unix)]
    fn adopt_unix(&self, listener: UnixListener) -> io::Result<SmolListener> {
        SmolListener::unix(listener)
    }
}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smol").field("global", &self.executor.is_none()).finish()
    }
}

/// A timer of smol's.
#[derive(Debug)]
pub struct SmolSleep(Timer);

impl Future for SmolSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Sleep for SmolSleep {
    fn reset(&mut self, at: Instant) {
        self.0.set_at(at);
    }
}
