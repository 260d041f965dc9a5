//! The lines of go.mod and go.work.

/// A line of a go.mod: `require a v1`, also in a block.
pub struct Directive<'t> {
    /// Its first word.
    pub verb: &'t str,
    /// The others.
    pub words: Vec<&'t str>,
    /// Where it begins, in bytes.
    pub offset: usize,
}

/// The lines of a go.mod or a go.work (<https://go.dev/ref/mod#go-mod-file-grammar>). Words may be quoted; what they are
/// made of needs no escapes.
pub fn directives(text: &str) -> Vec<Directive<'_>> {
    let mut found = Vec::new();
    let mut block: Option<&str> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or_default();
        let mut words: Vec<&str> = code
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '`']))
            .collect();
        match (block, words.as_slice()) {
            (_, []) => {}
            (Some(_), [")", ..]) => block = None,
            (None, [verb, "("]) => block = Some(verb),
            (Some(verb), _) => found.push(Directive {
                verb,
                words,
                offset,
            }),
            (None, [verb, ..]) => {
                let verb = *verb;
                words.remove(0);
                found.push(Directive {
                    verb,
                    words,
                    offset,
                });
            }
        }
        offset += line.len();
    }
    found
}

/// What a module is replaced by, as directives say: what stands behind the arrow.
pub fn replaced<'d>(
    directives: &'d [Directive<'_>],
    path: &str,
    version: &str,
) -> Option<&'d [&'d str]> {
    let fits = |one: &&Directive<'_>| match one.words.as_slice() {
        [from, "=>", ..] => *from == path,
        [from, only, "=>", ..] => *from == path && *only == version,
        _ => false,
    };
    let mut all = directives.iter().filter(|one| one.verb == "replace");
    let found = all.find(fits)?;
    let to = found.words.iter().position(|word| *word == "=>")?;
    found.words.get(to + 1..)
}
