//! What a session over SPDY promises, in virtual time. Each file is about one thing, each test about
//! one promise.

mod pair;
