//! What to do about an error, where its own line does not say it.

mod credentials;
mod failed;
mod names;
mod role;
mod unreachable;

pub(crate) use self::credentials::{Credentials, no_credentials};
pub(crate) use self::failed::failed;
pub(crate) use self::names::{near, not_found};
pub(crate) use self::role::{Role, user_in};
pub(crate) use self::unreachable::unreachable;
