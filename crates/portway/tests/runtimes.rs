//! Each runtime keeps what the driver relies on.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[macro_use]
mod promises;

use portway::{AsyncStd, Smol, Tokio};
use promises::in_time;

mod on_tokio {
    promises!(super::tokio);
}

mod on_smol {
    promises!(super::smol);
}

mod on_async_std {
    promises!(super::async_std);
}

fn tokio(body: impl AsyncFnOnce(Tokio)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(in_time(Tokio::new(runtime.handle().clone()), body));
}

fn smol(body: impl AsyncFnOnce(Smol)) {
    smol::block_on(in_time(Smol::global(), body));
}

fn async_std(body: impl AsyncFnOnce(AsyncStd)) {
    async_std::task::block_on(in_time(AsyncStd::global(), body));
}
