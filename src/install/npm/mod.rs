//! What a `node_modules` is made of: packages out of their tarballs, programs, and the hidden
//! lockfile. As `npm ci` of npm 11.17 and later writes them, but for what npm lets pass.

pub mod glob;
pub mod hidden_lockfile;
pub mod pack;
pub mod package;
pub mod packlist;
