//! Which kinds of dependencies are left out: npm's `buildOmitList`.

use std::collections::BTreeSet;

use super::Omit;
use crate::decide::lock::npmrc::Npmrc;

impl Omit {
    /// The kind of that name: `dev`, `optional` or `peer`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "dev" => Some(Self::Dev),
            "optional" => Some(Self::Optional),
            "peer" => Some(Self::Peer),
            _ => None,
        }
    }

    /// What is left out: what is said, or else what npm's settings say, or else `dev` where all is for
    /// production; without what is included.
    pub fn all(
        omit: &[Self],
        include: &[Self],
        npmrc: &Npmrc,
        in_production: bool,
    ) -> BTreeSet<Self> {
        let said = |own: &[Self], key: &str| -> Vec<Self> {
            let listed = npmrc.list(key).into_iter();
            match own {
                [] => listed.filter_map(Self::named).collect(),
                own => own.to_vec(),
            }
        };
        let is_said = !omit.is_empty() || npmrc.value("omit").is_some();
        let (mut omit, mut include) = (said(omit, "omit"), said(include, "include"));
        if in_production && !is_said {
            omit.push(Self::Dev);
        }
        let is_only = matches!(npmrc.value("only"), Some("prod" | "production"));
        match npmrc.value("production") {
            _ if is_only => omit.push(Self::Dev),
            Some("true") => omit.push(Self::Dev),
            Some("false") => include.push(Self::Dev),
            _ => {}
        }
        match npmrc.value("optional") {
            Some("false") => omit.push(Self::Optional),
            Some("true") => include.push(Self::Optional),
            _ => {}
        }
        let kept = omit.into_iter().filter(|kind| !include.contains(kind));
        kept.collect()
    }
}
