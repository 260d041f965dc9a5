//! What will be done, decided before anything is touched: locks, targets and manifests in, plans
//! out.

pub mod lock;
pub mod manifest;
pub mod plan;
pub mod target;
