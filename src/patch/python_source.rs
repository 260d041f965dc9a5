//! Just enough of Python's grammar to read the attributes of a class.

use tree_sitter::{Node, Parser, Tree};

/// A Python file, parsed.
pub struct Source<'a> {
    /// Its text.
    pub text: &'a str,
    tree: Tree,
}

impl<'a> Source<'a> {
    /// Parses a file.
    ///
    /// # Errors
    /// With the line, from 1, when it is no Python.
    pub fn parse(text: &'a str) -> Result<Self, usize> {
        let mut parser = Parser::new();
        let loaded = parser.set_language(&tree_sitter_python::LANGUAGE.into());
        let tree = loaded
            .ok()
            .and_then(|()| parser.parse(text, None))
            .ok_or(1usize)?;
        match first_error(tree.root_node()) {
            Some(line) => Err(line),
            None => Ok(Self { text, tree }),
        }
    }

    /// The top-level classes: name and body.
    pub fn classes(&self) -> Vec<(&'a str, Node<'_>)> {
        children(self.tree.root_node())
            .into_iter()
            .filter_map(|node| match node.kind() {
                "decorated_definition" => node.child_by_field_name("definition"),
                _ => Some(node),
            })
            .filter(|node| node.kind() == "class_definition")
            .filter_map(|class| {
                let name = self.of(class.child_by_field_name("name")?);
                Some((name, class.child_by_field_name("body")?))
            })
            .collect()
    }

    /// What a class assigns to an attribute, last assignment first.
    pub fn attribute<'t>(&self, body: Node<'t>, name: &str) -> Vec<Node<'t>> {
        let mut values: Vec<Node<'t>> = children(body)
            .into_iter()
            .filter(|statement| statement.kind() == "expression_statement")
            .filter_map(|statement| statement.named_child(0))
            .filter(|node| node.kind() == "assignment")
            .filter(|node| {
                let left = node.child_by_field_name("left");
                left.is_some_and(|left| self.of(left) == name)
            })
            .filter_map(|node| node.child_by_field_name("right"))
            .collect();
        values.reverse();
        values
    }

    /// A node's text.
    pub fn of(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// The value of a plain string: no formatting, no escapes.
    pub fn string(&self, node: Node<'_>) -> Option<&'a str> {
        let node = unwrapped(node);
        if node.kind() != "string" {
            return None;
        }
        let text = self.of(node);
        let start = text.find(['"', '\''])?;
        let (prefix, quoted) = text.split_at(start);
        let is_plain = prefix.chars().all(|c| "rRuU".contains(c)) && !quoted.contains('\\');
        let quote = [r#"""""#, "'''", "\"", "'"]
            .into_iter()
            .find(|quote| quoted.starts_with(quote))?;
        let value = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
        is_plain.then_some(value)
    }

    /// The two strings of `("app", "name")`, or of a list of two.
    pub fn pair(&self, node: Node<'_>) -> Option<(&'a str, &'a str)> {
        let node = unwrapped(node);
        if !matches!(node.kind(), "tuple" | "list") {
            return None;
        }
        match *elements(node) {
            [one, other] => Some((self.string(one)?, self.string(other)?)),
            _ => None,
        }
    }
}

/// What a list or tuple holds, without comments.
pub fn elements(node: Node<'_>) -> Vec<Node<'_>> {
    children(node)
        .into_iter()
        .filter(|node| node.kind() != "comment")
        .collect()
}

/// The named children, comments included.
pub fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).collect()
}

/// What stands in parentheses that make no tuple.
pub fn unwrapped(mut node: Node<'_>) -> Node<'_> {
    while node.kind() == "parenthesized_expression" {
        match elements(node).first() {
            Some(inner) => node = *inner,
            None => break,
        }
    }
    node
}

fn first_error(root: Node<'_>) -> Option<usize> {
    if !root.has_error() {
        return None;
    }
    let mut stack = vec![root];
    let mut first = usize::MAX;
    while let Some(node) = stack.pop() {
        if node.is_error() || node.is_missing() {
            first = first.min(node.start_position().row);
        } else if node.has_error() {
            let mut cursor = node.walk();
            stack.extend(node.children(&mut cursor));
        }
    }
    Some(if first == usize::MAX { 1 } else { first + 1 })
}
