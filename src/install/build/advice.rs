//! What a failed build lacks, according to its log, and the Debian package that has it.

/// Programs, by the name they are looked for.
const PROGRAMS: [(&str, &str); 24] = [
    ("gcc", "gcc"),
    ("cc", "gcc"),
    ("x86_64-linux-gnu-gcc", "gcc"),
    ("aarch64-linux-gnu-gcc", "gcc"),
    ("g++", "g++"),
    ("c++", "g++"),
    ("x86_64-linux-gnu-g++", "g++"),
    ("gfortran", "gfortran"),
    ("make", "make"),
    ("cmake", "cmake"),
    ("ninja", "ninja-build"),
    ("pkg-config", "pkg-config"),
    ("swig", "swig"),
    ("cargo", "cargo"),
    ("rustc", "rustc"),
    ("git", "git"),
    ("krb5-config", "libkrb5-dev"),
    ("pg_config", "libpq-dev"),
    ("mysql_config", "default-libmysqlclient-dev"),
    ("xml2-config", "libxml2-dev"),
    ("xslt-config", "libxslt1-dev"),
    ("xmlsec1-config", "libxmlsec1-dev"),
    ("curl-config", "libcurl4-openssl-dev"),
    ("llvm-config", "llvm-dev"),
];

/// Headers, by how they begin.
const HEADERS: [(&str, &str); 18] = [
    ("Python.h", "python3-dev"),
    ("libxml/", "libxml2-dev"),
    ("libxslt/", "libxslt1-dev"),
    ("libexslt/", "libxslt1-dev"),
    ("xmlsec/", "libxmlsec1-dev"),
    ("ltdl.h", "libltdl-dev"),
    ("gssapi", "libkrb5-dev"),
    ("krb5", "libkrb5-dev"),
    ("libpq-fe.h", "libpq-dev"),
    ("openssl/", "libssl-dev"),
    ("ffi.h", "libffi-dev"),
    ("zlib.h", "zlib1g-dev"),
    ("ldap.h", "libldap2-dev"),
    ("lber.h", "libldap2-dev"),
    ("sasl/", "libsasl2-dev"),
    ("mysql", "default-libmysqlclient-dev"),
    ("jpeglib.h", "libjpeg-dev"),
    ("yaml.h", "libyaml-dev"),
];

/// Libraries, by the name that follows `-l`, or that pkg-config knows them by.
const LIBRARIES: [(&str, &str); 14] = [
    ("xml2", "libxml2-dev"),
    ("libxml-2.0", "libxml2-dev"),
    ("xslt", "libxslt1-dev"),
    ("libxslt", "libxslt1-dev"),
    ("libexslt", "libxslt1-dev"),
    ("xmlsec1", "libxmlsec1-dev"),
    ("xmlsec1-openssl", "libxmlsec1-dev"),
    ("ltdl", "libltdl-dev"),
    ("pq", "libpq-dev"),
    ("libpq", "libpq-dev"),
    ("krb5", "libkrb5-dev"),
    ("krb5-gssapi", "libkrb5-dev"),
    ("ssl", "libssl-dev"),
    ("openssl", "libssl-dev"),
];

/// What cargo says where it would have asked a registry.
const OFFLINE: [&str; 2] = ["you're using offline mode", "but --offline was specified"];

/// What programs say that ask a network where there is none.
const NETWORK: [&str; 13] = [
    // What the system says of a socket that seccomp refuses.
    "Address family not supported by protocol",
    "EAFNOSUPPORT",
    "Could not resolve host",
    "could not resolve host",
    "Could not resolve hostname",
    "unable to resolve host address",
    "Temporary failure in name resolution",
    "Name or service not known",
    "EAI_AGAIN",
    "ENOTFOUND",
    "ENETUNREACH",
    "etwork is unreachable",
    "UnknownHostException",
];

/// Whether what was said tells that somebody asked the network.
fn wants_network(log: &str) -> bool {
    // Go's resolver: `dial tcp: lookup NAME on …`.
    NETWORK.iter().any(|words| log.contains(words)) || log.contains("dial tcp: lookup ")
}

/// What a command that failed lacks, as far as what it said tells it, and what would bring that.
pub fn of_command(log: &str) -> Option<String> {
    if wants_network(log) {
        return Some(
            "it asked the network, and commands have none: what it wants can be a source ([sources.NAME] with `url` \
             and `digest`) that it names, or come by a lock"
                .to_owned(),
        );
    }
    log.lines().find_map(lacking)
}

/// The Debian package that brings a program, where that is known.
pub fn package_of(program: &str) -> Option<&'static str> {
    let found = PROGRAMS.iter().find(|(known, _)| *known == program);
    found.map(|(_, package)| *package)
}

/// What the log of a failed build of a package says is missing, and where it may be obtained; the first of it.
pub(super) fn missing(package: &str, log: &str) -> Option<String> {
    // setuptools-scm cannot tell a version without version control.
    if log.contains("unable to detect version") {
        let name = package.split(' ').next().unwrap_or(package);
        return Some(format!(
            "it takes its version from version control, which has none for it here; give it with \
             --build-env {name}:SETUPTOOLS_SCM_PRETEND_VERSION=VERSION"
        ));
    }
    if OFFLINE.iter().any(|words| log.contains(words)) {
        return Some(
            "it needs crates that are not here, and builds have no network: `cargo vendor` puts them into \
             its source, and prints what to add to its .cargo/config.toml"
                .to_owned(),
        );
    }
    if wants_network(log) {
        return Some(
            "it asked the network, and builds have none: what it wants can be locked among its build requirements, \
             or shown to it (`inputs` of [component.NAME.build.NAME])"
                .to_owned(),
        );
    }
    log.lines().find_map(lacking)
}

fn lacking(line: &str) -> Option<String> {
    let (what, package) = in_line(line)?;
    Some(match package {
        Some(package) => {
            format!("{what} is missing on this machine; on Debian it may be in {package}")
        }
        None => format!("{what} is missing on this machine"),
    })
}

fn in_line(line: &str) -> Option<(String, Option<&'static str>)> {
    let known = |table: &[(&str, &'static str)], name: &str| {
        let found = table.iter().find(|(known, _)| *known == name);
        found.map(|(_, package)| *package)
    };
    if let Some((before, _)) = line.split_once(": No such file or directory")
        && let Some((_, header)) = before.rsplit_once("error: ")
        && [".h", ".hpp", ".hh"]
            .iter()
            .any(|end| header.ends_with(end))
    {
        let package = HEADERS.iter().find(|(start, _)| header.starts_with(start));
        let package = package.map(|(_, package)| *package);
        return Some((format!("the header {header}"), package));
    }
    if let Some((_, rest)) = line.split_once("cannot find -l") {
        let name = rest.split([':', ' ']).next().unwrap_or_default();
        return Some((format!("the library {name}"), known(&LIBRARIES, name)));
    }
    // pkg-config and pkgconf, each in its words.
    if let Some((_, rest)) = line.split_once("Package ")
        && (line.contains("was not found in the pkg-config search path")
            || line.ends_with("not found") && line.contains("required by"))
    {
        let name = rest.split([' ', ',']).next().unwrap_or_default();
        let name = name.trim_matches(['\'', '"', '`']);
        return Some((format!("the library {name}"), known(&LIBRARIES, name)));
    }
    if line.contains("pg_config executable not found") {
        return Some(("pg_config".into(), Some("libpq-dev")));
    }
    if line.contains("libxml2 and libxslt development packages") {
        return Some((
            "libxml2 or libxslt".into(),
            Some("libxml2-dev and libxslt1-dev"),
        ));
    }
    let not_there = [
        "not found",
        "No such file or directory",
        "failed: No such file",
    ];
    if !not_there.iter().any(|words| line.contains(words)) {
        return None;
    }
    let words = line.split([' ', '\'', '"', '`', ':', ',', '(', ')', '[', ']']);
    for word in words.filter(|word| !word.is_empty()) {
        let name = word.rsplit('/').next().unwrap_or(word);
        if let Some(package) = known(&PROGRAMS, name) {
            return Some((name.to_owned(), Some(package)));
        }
        if name.ends_with("-config") || name.ends_with("_config") {
            return Some((name.to_owned(), None));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_compilers_and_back_ends_say_leads_to_a_package() {
        for (line, expected) in [
            (
                "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
                "in gcc",
            ),
            (
                "error: [Errno 2] No such file or directory: 'gcc'",
                "in gcc",
            ),
            ("/bin/sh: 1: krb5-config: not found", "in libkrb5-dev"),
            (
                "FileNotFoundError: [Errno 2] No such file or directory: 'pg_config'",
                "in libpq-dev",
            ),
            (
                "src/x.c:1:10: fatal error: libxml/xmlversion.h: No such file or directory",
                "in libxml2-dev",
            ),
            (
                "fatal error: own/thing.h: No such file or directory",
                "the header own/thing.h is missing on this machine",
            ),
            (
                "/usr/bin/ld: cannot find -lxmlsec1: No such file or directory",
                "in libxmlsec1-dev",
            ),
            (
                "Package xmlsec1 was not found in the pkg-config search path.",
                "in libxmlsec1-dev",
            ),
            (
                "Package 'xmlsec1', required by 'virtual:world', not found",
                "in libxmlsec1-dev",
            ),
            ("sh: foo-config: command not found", "foo-config is missing"),
            (
                "Error: Please make sure the libxml2 and libxslt development packages are installed.",
                "libxslt1-dev",
            ),
        ] {
            let said = missing("x 1", &format!("running build_ext\n{line}\nother")).unwrap();
            assert!(said.contains(expected), "{line}: {said}");
        }
        for line in [
            "curl: (6) Could not resolve host: example.com",
            "npm error code EAI_AGAIN",
            "OSError: [Errno 97] Address family not supported by protocol",
            "dial tcp: lookup proxy.example on [::1]:53: connection refused",
        ] {
            assert!(of_command(line).unwrap().contains("commands have none"));
            assert!(missing("x 1", line).unwrap().contains("builds have none"));
        }
        assert_eq!(
            missing("x 1", "error: expected ';' before '}'\nmodule not found"),
            None
        );
    }
}
