//! Each runtime keeps what the driver relies on.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[macro_use]
mod promises;

use portway_runtimes::{AsyncStdGlobal, SmolGlobal, TokioThreads, run};

mod on_tokio {
    promises!(super::run::<super::TokioThreads, _>);
}

mod on_smol {
    promises!(super::run::<super::SmolGlobal, _>);
}

mod on_async_std {
    promises!(super::run::<super::AsyncStdGlobal, _>);
}
