//! The promises, by the noun they are about. The list in `lib.rs` registers them.

pub mod echo;
pub mod error_text;
pub mod half_close;
pub mod reset;
