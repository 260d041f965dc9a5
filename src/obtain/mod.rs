//! How bytes come here, verified: the store, the network, and sources.

pub mod fetch;
pub mod source;
pub mod store;
