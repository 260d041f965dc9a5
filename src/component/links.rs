//! Links: what the manifest wants to be reachable under another name. Those to the tree itself are
//! relative, so that they hold wherever it lives, and must lead to something when it is finished.

use camino::Utf8Path;

use super::context::Context;
use super::error::ComponentError;
use crate::core::paths::way;
use crate::decide::manifest::{PathTemplate, Placeholder};
use crate::files::tree::{Tree, TreePath};

const PHASE: &str = "link";

/// Makes the component's links.
///
/// # Errors
/// When one cannot be placed.
pub fn place(context: &Context<'_>, tree: &Tree, prefix: &Utf8Path) -> Result<(), ComponentError> {
    let owner = tree.owner("links of the manifest", 2000);
    for (name, template) in &context.component.link {
        let path = path(context, name)?;
        match inside(template) {
            true => {
                let to = context.in_tree(template)?;
                let target = relative(&path, to.as_ref());
                tree.symlink(owner, &path, &target)
            }
            false => {
                let target = context.runtime_path(template, prefix)?;
                tree.link_anywhere(owner, &path, &target)
            }
        }
        .map_err(context.failed(name, PHASE))?;
    }
    Ok(())
}

/// Whether every link into the tree leads to something.
///
/// # Errors
/// Naming the first that does not.
pub fn check(context: &Context<'_>, root: &Utf8Path) -> Result<(), ComponentError> {
    for (name, template) in &context.component.link {
        let path = path(context, name)?;
        let link = root.join(path.as_str());
        let is_there = std::fs::symlink_metadata(&link).is_ok();
        if is_there && inside(template) && !link.exists() {
            let said = template.as_written();
            let what = format!("the link {name} leads to nothing: there is no {said} in the tree");
            return Err(context.refuse(said, what));
        }
    }
    Ok(())
}

fn path(context: &Context<'_>, name: &str) -> Result<TreePath, ComponentError> {
    TreePath::new(name).map_err(context.failed(name, PHASE))
}

/// Whether a link leads into the tree itself.
pub(super) fn inside(template: &PathTemplate) -> bool {
    let starts_there = matches!(
        template.placeholders().next(),
        Some(Placeholder::Out | Placeholder::Prefix | Placeholder::Site)
    );
    starts_there && template.as_written().starts_with('{')
}

/// How `to` is reached from the folder that `link` is in.
fn relative(link: &TreePath, to: Option<&TreePath>) -> String {
    let from = Utf8Path::new(link.parent().unwrap_or_default());
    let way = way(from, Utf8Path::new(to.map_or("", |to| to.as_str())));
    match way.as_str() {
        "" => String::from("."),
        way => way.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn links_inside_are_relative() {
        let relative = |link: &str, to: &str| {
            let to = (!to.is_empty()).then(|| TreePath::new(to).unwrap());
            relative(&TreePath::new(link).unwrap(), to.as_ref())
        };
        assert_eq!(relative("app", "lib/site/app"), "lib/site/app");
        assert_eq!(relative("a/b/app", "a/x"), "../x");
        assert_eq!(relative("a/b", "a"), ".");
        assert_eq!(relative("self", ""), ".");
    }
}
