//! Just enough of Python's grammar to read the attributes of a class.

use tree_sitter::{Node, Parser, Tree};

/// A Python file, parsed.
pub struct PythonSource<'a> {
    /// Its text.
    pub text: &'a str,
    tree: Tree,
}

impl<'a> PythonSource<'a> {
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
        let root = tree.root_node();
        match first_error(root).or_else(|| first_odd_space(text, root)) {
            Some(line) => Err(line),
            None => Ok(Self { text, tree }),
        }
    }

    /// The top-level classes.
    pub fn classes(&self) -> Vec<Class<'a, '_>> {
        children(self.tree.root_node())
            .into_iter()
            .filter_map(|node| match node.kind() {
                "decorated_definition" => node.child_by_field_name("definition"),
                _ => Some(node),
            })
            .filter(|node| node.kind() == "class_definition")
            .filter_map(|class| {
                let bases = class.child_by_field_name("superclasses");
                Some(Class {
                    name: self.of(class.child_by_field_name("name")?),
                    bases: bases.map(elements).unwrap_or_default(),
                    body: class.child_by_field_name("body")?,
                })
            })
            .collect()
    }

    /// The full name of what an expression like `m.Migration` stands for, by the file's imports.
    pub fn full_name(&self, node: Node<'_>) -> String {
        let name = self.of(node);
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        let mut full = first.to_owned();
        for statement in children(self.tree.root_node()) {
            let from = match statement.kind() {
                "import_statement" => "",
                "import_from_statement" => statement
                    .child_by_field_name("module_name")
                    .map_or("", |module| self.of(module)),
                _ => continue,
            };
            let mut cursor = statement.walk();
            for imported in statement.children_by_field_name("name", &mut cursor) {
                let alias = imported.child_by_field_name("alias");
                let name = imported.child_by_field_name("name").unwrap_or(imported);
                let name = self.of(name);
                // Without `as`, `import a.b` binds `a`, which is itself.
                if self.of(alias.unwrap_or(imported)) == first {
                    full = match from {
                        "" => name.to_owned(),
                        from => format!("{from}.{name}"),
                    };
                }
            }
        }
        [full.as_str(), rest]
            .join(".")
            .trim_end_matches('.')
            .to_owned()
    }

    /// What a class assigns to an attribute, last assignment first.
    pub fn attribute<'t>(&self, body: Node<'t>, name: &str) -> Vec<Node<'t>> {
        let is = |one: Use<'t>| match one {
            Use::Is(value) => Some(value),
            _ => None,
        };
        self.uses(body, name)
            .into_iter()
            .rev()
            .filter_map(is)
            .collect()
    }

    /// All that the statements of a class do to an attribute, in order.
    pub fn uses<'t>(&self, body: Node<'t>, name: &str) -> Vec<Use<'t>> {
        children(body)
            .into_iter()
            .filter_map(|statement| {
                let simple = (statement.kind() == "expression_statement")
                    .then(|| self.simple(statement.named_child(0)?, name))
                    .flatten();
                simple.or_else(|| self.binds(statement, name).then_some(Use::Other(statement)))
            })
            .collect()
    }

    /// `name = …`, `name += …`, `name.append(…)` and the like.
    fn simple<'t>(&self, node: Node<'t>, name: &str) -> Option<Use<'t>> {
        let side = |side| node.child_by_field_name(side);
        match node.kind() {
            "assignment" if self.of(side("left")?) == name => Some(match side("right") {
                // `name: type` says nothing of its value.
                None => return None,
                Some(chained) if chained.kind() == "assignment" => Use::Other(node),
                Some(value) => Use::Is(value),
            }),
            "augmented_assignment" if self.of(side("left")?) == name => {
                Some(match self.of(side("operator")?) {
                    "+=" => Use::Plus(side("right")?),
                    _ => Use::Other(node),
                })
            }
            "call" => {
                let method = self.of(side("function")?).strip_prefix(name)?;
                let given = elements(side("arguments")?);
                match (method, given.as_slice()) {
                    (".append", [one]) | (".insert", [_, one]) => Some(Use::Item(*one)),
                    (".extend", [more]) => Some(Use::Plus(*more)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a statement of a class gives a name another meaning, in a branch say, or takes it away.
    fn binds(&self, statement: Node<'_>, name: &str) -> bool {
        // A list of our own, not calls: a file may nest deeper than a stack.
        let mut nodes = vec![statement];
        while let Some(node) = nodes.pop() {
            let field = |field| node.child_by_field_name(field);
            let target = match node.kind() {
                "assignment" if field("right").is_none() => None,
                "assignment" | "for_statement" => field("left"),
                "named_expression" | "function_definition" | "class_definition" => field("name"),
                "as_pattern_target"
                | "delete_statement"
                | "import_statement"
                | "import_from_statement"
                | "case_pattern" => Some(node),
                _ => None,
            };
            if target.is_some_and(|target| self.mentions(target, name)) {
                return true;
            }
            // What is inside of these has names of its own.
            if !matches!(
                node.kind(),
                "function_definition" | "class_definition" | "lambda"
            ) {
                nodes.extend(children(node));
            }
        }
        false
    }

    /// Whether an identifier occurs in it.
    pub fn mentions(&self, node: Node<'_>, name: &str) -> bool {
        let mut nodes = vec![node];
        while let Some(node) = nodes.pop() {
            if node.kind() == "identifier" && self.of(node) == name {
                return true;
            }
            nodes.extend(children(node));
        }
        false
    }

    /// A node's text.
    pub fn of(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// The value of a plain string, or of several one after the other: no formatting, no escapes.
    pub fn string(&self, node: Node<'_>) -> Option<String> {
        let node = unwrapped(node);
        if node.kind() == "concatenated_string" {
            let parts = elements(node).into_iter();
            return parts.map(|part| self.literal(part)).collect();
        }
        self.literal(node)
    }

    fn literal(&self, node: Node<'_>) -> Option<String> {
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
        is_plain.then(|| value.to_owned())
    }

    /// The two strings of `("app", "name")`, or of a list of two.
    pub fn pair(&self, node: Node<'_>) -> Option<(String, String)> {
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

/// A class at the top of a file.
pub struct Class<'a, 't> {
    /// What it is called.
    pub name: &'a str,
    /// What it inherits from, and other arguments.
    pub bases: Vec<Node<'t>>,
    /// Its statements.
    pub body: Node<'t>,
}

/// What a statement of a class does to one of its attributes.
#[derive(Debug, Clone, Copy)]
pub enum Use<'t> {
    /// Gives it this value.
    Is(Node<'t>),
    /// Adds what this holds.
    Plus(Node<'t>),
    /// Adds this.
    Item(Node<'t>),
    /// Gives it a value that depends on more than the expression, or none.
    Other(Node<'t>),
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

/// The line of the first character that the grammar takes for space and Python does not: they would see other lines and
/// blocks (<https://docs.python.org/3/reference/lexical_analysis.html#whitespace-between-tokens>).
fn first_odd_space(text: &str, root: Node<'_>) -> Option<usize> {
    // Python ends a line at each lone carriage return, and takes no NUL, wherever they stand.
    let is_lone = |(at, c): &(usize, &str)| {
        *c == "\0" || !text.get(*at..).is_some_and(|rest| rest.starts_with("\r\n"))
    };
    let mut all = text.match_indices(['\r', '\0']);
    let lone = all.find(is_lone).map(|(at, _)| at);
    let odd_between = |from: usize, to: usize| {
        let is_odd = |(at, c): &(usize, char)| match c {
            ' ' | '\t' | '\r' | '\n' | '\u{c}' | '\\' => false,
            // A byte order mark.
            '\u{feff}' => from + at > 0,
            _ => true,
        };
        let mut space = text.get(from..to)?.char_indices();
        space.find(is_odd).map(|(at, _)| from + at)
    };
    let mut odd = lone;
    let mut end = 0;
    let mut pending = vec![root];
    while let (None, Some(node)) = (odd, pending.pop()) {
        let mut cursor = node.walk();
        let inner: Vec<Node<'_>> = node.children(&mut cursor).collect();
        if inner.is_empty() || node.kind() == "string" {
            odd = odd_between(end, node.start_byte());
            end = node.end_byte();
        }
        pending.extend(inner.into_iter().rev().filter(|_| node.kind() != "string"));
    }
    let odd = odd.or_else(|| odd_between(end, text.len()))?;
    Some(text.get(..odd)?.matches('\n').count() + 1)
}
