//! The runtimes that tests run on, and the way from a test into each.
//!
//! A test is a function that is generic over the runtime; [`on_every_runtime!`] makes three tests of
//! it. Who needs a runtime for longer than one call keeps a [`TestRuntime`].
//!
//! ```
//! use portway_driver::{Net, Runtime};
//!
//! async fn a_port_is_free<R: Runtime + Net>(rt: R) {
//!     rt.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
//! }
//!
//! portway_runtimes::run::<portway_runtimes::SmolGlobal, _>(a_port_is_free);
//! ```
#![allow(clippy::expect_used, clippy::missing_panics_doc)]

use std::time::Duration;

use portway_async_std::AsyncStd;
use portway_driver::{Net, Runtime, until};
use portway_smol::Smol;
use portway_tokio::Tokio;

/// A runtime that runs for as long as this is there, and how to wait on it from a test.
pub trait TestRuntime: Sized + Send + 'static {
    /// What it is called in tables.
    const NAME: &'static str;

    /// What the driver is given.
    type Runtime: Runtime + Net;

    /// Starts it, or joins the one that the process has.
    fn start() -> Self;

    /// What the driver is given.
    fn handle(&self) -> Self::Runtime;

    /// Waits for a future on it.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T;
}

/// tokio with two threads of its own.
#[derive(Debug)]
pub struct TokioThreads(tokio::runtime::Runtime);

/// tokio with everything on the thread of the test.
#[derive(Debug)]
pub struct TokioCurrent(tokio::runtime::Runtime);

/// smol with its global executor.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct SmolGlobal;

/// async-std with its global executor.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct AsyncStdGlobal;

/// No test of [`on_every_runtime!`] takes longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` to its end, on a runtime that was started for it. It panics if that takes longer than
/// [`PATIENCE`].
pub fn run<T: TestRuntime, O>(body: impl AsyncFnOnce(T::Runtime) -> O) -> O {
    let runtime = T::start();
    let handle = runtime.handle();
    let deadline = handle.now() + PATIENCE;
    // Boxed: in a debug build a runtime copies it from frame to frame.
    let body = Box::pin(body(handle.clone()));
    runtime.block_on(until(&handle, deadline, body)).expect("the test takes too long")
}

/// Makes a test of each generic `async fn name<R: Runtime + Net>(rt: R)` on tokio, smol and async-std:
/// `tokio::name` and so on. To be called once in a module.
#[macro_export]
macro_rules! on_every_runtime {
    ($($name:ident),+ $(,)?) => {
        mod tokio {
            $(#[test] fn $name() { $crate::run::<$crate::TokioThreads, _>(super::$name) })+
        }
        mod smol {
            $(#[test] fn $name() { $crate::run::<$crate::SmolGlobal, _>(super::$name) })+
        }
        mod async_std {
            $(#[test] fn $name() { $crate::run::<$crate::AsyncStdGlobal, _>(super::$name) })+
        }
    };
}

impl TestRuntime for TokioThreads {
    const NAME: &'static str = "tokio, threads";
    type Runtime = Tokio;

    fn start() -> Self {
        Self(build(tokio::runtime::Builder::new_multi_thread().worker_threads(2)))
    }

    fn handle(&self) -> Tokio {
        Tokio::new(self.0.handle().clone())
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

impl TestRuntime for TokioCurrent {
    const NAME: &'static str = "tokio, one thread";
    type Runtime = Tokio;

    fn start() -> Self {
        Self(build(&mut tokio::runtime::Builder::new_current_thread()))
    }

    fn handle(&self) -> Tokio {
        Tokio::new(self.0.handle().clone())
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

impl TestRuntime for SmolGlobal {
    const NAME: &'static str = "smol";
    type Runtime = Smol;

    fn start() -> Self {
        Self
    }

    fn handle(&self) -> Smol {
        Smol::global()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        smol::block_on(future)
    }
}

impl TestRuntime for AsyncStdGlobal {
    const NAME: &'static str = "async-std";
    type Runtime = AsyncStd;

    fn start() -> Self {
        Self
    }

    fn handle(&self) -> AsyncStd {
        AsyncStd::global()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }
}

fn build(builder: &mut tokio::runtime::Builder) -> tokio::runtime::Runtime {
    builder.enable_all().build().expect("a runtime")
}
