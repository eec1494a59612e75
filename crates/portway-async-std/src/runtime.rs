use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

#[cfg(unix)]
use async_io::Async;
use async_io::Timer;
use async_std::net::TcpStream;
use async_std::task;
use portway_driver::{Addr, Net, Runtime, Sleep};

use crate::{AsyncStdListener, AsyncStdSocket};

/// The executor of async-std's, which is one for the whole process.
#[derive(Debug, Clone)]
pub struct AsyncStd(());

impl AsyncStd {
    /// The global executor of `async_std::task::spawn`.
    pub const fn global() -> Self {
        Self(())
    }
}

impl Runtime for AsyncStd {
    type Sleep = AsyncStdSleep;

    fn sleep_until(&self, at: Instant) -> AsyncStdSleep {
        AsyncStdSleep(Timer::at(at))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(task::spawn(task));
    }
}

impl Net for AsyncStd {
    type Socket = AsyncStdSocket;
    type Listener = AsyncStdListener;

    async fn connect(&self, to: &Addr) -> io::Result<AsyncStdSocket> {
        let stream = match to {
            Addr::Ip(addr) => TcpStream::connect(addr).await,
            Addr::Host(host, port) => TcpStream::connect((host.as_str(), *port)).await,
            #[cfg(unix)]
            Addr::Unix(path) => {
                return Async::<UnixStream>::connect(path).await.map(AsyncStdSocket::unix);
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        AsyncStdSocket::new(stream?)
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<AsyncStdListener> {
        AsyncStdListener::bind(addr)
    }

    #[cfg(unix)]
    fn adopt_unix(&self, listener: UnixListener) -> io::Result<AsyncStdListener> {
        AsyncStdListener::unix(listener)
    }
}

/// A timer of async-std's.
#[derive(Debug)]
pub struct AsyncStdSleep(Timer);

impl Future for AsyncStdSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Sleep for AsyncStdSleep {
    fn reset(&mut self, at: Instant) {
        self.0.set_at(at);
    }
}
