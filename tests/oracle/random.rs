//! Locks made at random, always the same for one seed: shapes that nobody would think of.

use std::fmt::Write as _;

use super::{Project, Server};

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const HEAD: &str = "version = 1\nrevision = 3\nrequires-python = \">=3.8\"\n";

/// A project of many packages, each with a handful of wheels, of which at least one always fits.
pub fn many_wheels(seed: u64, packages: usize) -> Project {
    let mut rng = Rng(seed);
    let server = Server::start();
    let mut lock = String::from(HEAD);
    let names: Vec<String> = (0..packages).map(|index| format!("p{index:04}")).collect();
    for name in &names {
        let mut wheels = vec![format!(
            "{name}-1.0-{}-none-any.whl",
            rng.pick(&["py3", "py30", "py2.py3"])
        )];
        for _ in 0..rng.below(9) {
            let wheel = wheel_name(&mut rng, name);
            if !wheels.contains(&wheel) {
                wheels.insert(rng.below(wheels.len() + 1), wheel);
            }
        }
        let _ = write!(
            lock,
            "\n[[package]]\nname = \"{name}\"\nversion = \"1.0\"\nsource = {{ registry = \"{}/simple\" }}\nwheels = [\n",
            server.url
        );
        for wheel in wheels {
            let _ = writeln!(lock, "    {},", server.entry(&wheel));
        }
        lock.push_str("]\n");
    }
    lock.push_str("\n[[package]]\nname = \"root\"\nversion = \"1\"\nsource = { virtual = \".\" }\ndependencies = [\n");
    for name in &names {
        let _ = writeln!(lock, "    {{ name = \"{name}\" }},");
    }
    lock.push_str("]\n");
    let pyproject = "[project]\nname = \"root\"\nversion = \"1\"\nrequires-python = \">=3.8\"\n";
    Project::with_server(server, pyproject, &lock)
}

fn wheel_name(rng: &mut Rng, package: &str) -> String {
    let build = if rng.one_in(4) {
        rng.pick(&["-1", "-2", "-10", "-2a", "-2b"])
    } else {
        ""
    };
    let label = if rng.one_in(30) { "-x8664_v3" } else { "" };
    let python = set(rng, |rng| match rng.below(4) {
        0 => rng
            .pick(&[
                "py3", "py2", "py30", "py39", "py312", "py313", "py314", "py315", "cp3", "pp311",
            ])
            .into(),
        _ => rng
            .pick(&[
                "cp36", "cp38", "cp39", "cp311", "cp312", "cp313", "cp314", "cp315", "cp32",
                "cp313", "cp314",
            ])
            .into(),
    });
    let abi = set(rng, |rng| {
        rng.pick(&[
            "none", "abi3", "abi3", "abi3t", "cp312", "cp313", "cp314", "cp313t", "cp314t",
            "cp314d", "cp38m",
        ])
        .into()
    });
    let platform = set(rng, platform);
    format!("{package}-1.0{build}-{python}-{abi}-{platform}{label}.whl")
}

fn set(rng: &mut Rng, one: impl Fn(&mut Rng) -> String) -> String {
    let count = if rng.one_in(3) { 2 + rng.below(2) } else { 1 };
    let mut tags: Vec<String> = (0..count).map(|_| one(rng)).collect();
    tags.dedup();
    tags.join(".")
}

fn platform(rng: &mut Rng) -> String {
    let arch = rng.pick(&[
        "x86_64", "x86_64", "x86_64", "aarch64", "aarch64", "i686", "riscv64", "armv7l",
    ]);
    match rng.below(14) {
        0 => "any".into(),
        1 => format!("linux_{arch}"),
        2..=6 => {
            let minor = rng.pick(&[
                "5", "12", "17", "17", "24", "27", "28", "31", "34", "35", "39", "41",
            ]);
            format!("manylinux_2_{minor}_{arch}")
        }
        7 | 8 => format!(
            "{}_{arch}",
            rng.pick(&[
                "manylinux1",
                "manylinux2010",
                "manylinux2014",
                "manylinux2014"
            ])
        ),
        9 | 10 => format!("musllinux_1_{}_{arch}", rng.below(4)),
        11 | 12 => {
            let version = rng.pick(&[
                "10_9", "10_13", "11_0", "12_0", "13_0", "13_3", "14_0", "15_0",
            ]);
            let format = rng.pick(&[
                "arm64",
                "x86_64",
                "universal2",
                "universal2",
                "universal",
                "intel",
                "fat64",
            ]);
            format!("macosx_{version}_{format}")
        }
        _ => rng.pick(&["win32", "win_amd64", "win_arm64"]).into(),
    }
}

const EXTRAS: [&str; 3] = ["x", "y", "z"];
const GROUPS: [&str; 4] = ["dev", "docs", "lint", "test"];
const MEMBERS: [&str; 3] = ["root", "app", "lib"];
const PACKAGES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
/// Of this one there are two versions, for different systems.
const FORKED: &str = "b";

/// A workspace with extras, groups and markers, and conflicts among them if so wished.
pub fn workspace(seed: u64, conflicts: bool) -> Project {
    let mut rng = Rng(seed);
    let server = Server::start();
    let registry = format!("source = {{ registry = \"{}/simple\" }}", server.url);
    let mut lock = String::from(HEAD);
    // Half of the workspaces have a root that is no project.
    let members: &[&str] = if rng.one_in(3) {
        &MEMBERS[1..]
    } else {
        &MEMBERS
    };
    if conflicts {
        lock.push_str("conflicts = [");
        for _ in 0..=rng.below(2) {
            let (one, other) = (conflict(&mut rng, members), conflict(&mut rng, members));
            if one != other {
                let _ = write!(lock, "[{one}, {other}], ");
            }
        }
        lock.push_str("]\n");
    }
    let quoted: Vec<String> = members.iter().map(|name| format!("\"{name}\"")).collect();
    let _ = write!(lock, "\n[manifest]\nmembers = [{}]\n", quoted.join(", "));
    if members.len() == 2 {
        let one = rng.pick(&PACKAGES[2..]);
        let _ = write!(
            lock,
            "\n[manifest.dependency-groups]\ndev = [{{ name = \"{one}\" }}]\nops = [{{ name = \"c\", marker = \"sys_platform == 'linux'\" }}]\n"
        );
    }
    let mut edges = Edges {
        rng: &mut rng,
        conflicts,
        registry: &registry,
    };
    let mut files = Vec::new();
    let mut all: Vec<&str> = PACKAGES.iter().chain(members).copied().collect();
    all.sort_unstable();
    for name in all {
        let is_member = members.contains(&name);
        for version in if name == FORKED {
            &["1.0", "2.0"][..]
        } else {
            &["1.0"]
        } {
            let _ = write!(
                lock,
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"
            );
            if is_member {
                let kind = edges.rng.pick(&["virtual", "editable"]);
                let path = if name == "root" { "." } else { name };
                let _ = writeln!(lock, "source = {{ {kind} = \"{path}\" }}");
            } else {
                let _ = writeln!(lock, "{registry}");
            }
            if name == FORKED {
                let marker = if *version == "1.0" { "==" } else { "!=" };
                let _ = writeln!(
                    lock,
                    "resolution-markers = [\"sys_platform {marker} 'linux'\"]"
                );
            }
            let _ = writeln!(lock, "dependencies = {}", edges.list(name, members, 3));
            if !is_member {
                let _ = writeln!(
                    lock,
                    "wheels = [\n    {},\n]",
                    server.entry(&format!("{name}-{version}-py3-none-any.whl"))
                );
            }
            lock.push_str("\n[package.optional-dependencies]\n");
            for extra in EXTRAS {
                let _ = writeln!(lock, "{extra} = {}", edges.list(name, members, 2));
            }
            if is_member {
                let groups: Vec<&str> = GROUPS
                    .into_iter()
                    .filter(|_| !edges.rng.one_in(3))
                    .collect();
                lock.push_str("\n[package.dev-dependencies]\n");
                for group in &groups {
                    let _ = writeln!(lock, "{group} = {}", edges.list("", members, 2));
                }
                lock.push_str("\n[package.metadata]\nprovides-extras = [\"x\", \"y\", \"z\"]\n\n[package.metadata.requires-dev]\n");
                for group in &groups {
                    let _ = writeln!(lock, "{group} = []");
                }
                files.push((name, member_pyproject(name, &groups)));
            }
        }
    }
    let mut project = String::new();
    if members.len() == 2 {
        project.push_str("[dependency-groups]\ndev = []\nops = []\n");
    }
    if let Some((_, root)) = files.iter().find(|(name, _)| *name == "root") {
        project.push_str(root);
    }
    project.push_str("\n[tool.uv.workspace]\nmembers = [\"app\", \"lib\"]\n");
    let project = Project::with_server(server, &project, &lock);
    for (name, text) in files.iter().filter(|(name, _)| *name != "root") {
        project.write(&format!("{name}/pyproject.toml"), text);
    }
    project
}

fn member_pyproject(name: &str, groups: &[&str]) -> String {
    let mut text = format!(
        "[project]\nname = \"{name}\"\nversion = \"1.0\"\nrequires-python = \">=3.8\"\n\n[project.optional-dependencies]\nx = []\ny = []\nz = []\n\n[dependency-groups]\n"
    );
    for group in groups {
        let _ = writeln!(text, "{group} = []");
    }
    text
}

fn conflict(rng: &mut Rng, members: &[&str]) -> String {
    let member = rng.pick(members);
    match rng.below(8) {
        0..=2 => format!(
            "{{ package = \"{member}\", extra = \"{}\" }}",
            rng.pick(&EXTRAS)
        ),
        3..=5 => format!(
            "{{ package = \"{member}\", group = \"{}\" }}",
            rng.pick(&GROUPS)
        ),
        6 => format!("{{ package = \"{member}\" }}"),
        _ => format!(
            "{{ package = \"{}\", extra = \"{}\" }}",
            rng.pick(&["c", "d"]),
            rng.pick(&EXTRAS)
        ),
    }
}

struct Edges<'a> {
    rng: &'a mut Rng,
    conflicts: bool,
    registry: &'a str,
}

impl Edges<'_> {
    fn list(&mut self, own: &str, members: &[&str], most: usize) -> String {
        let mut edges: Vec<String> = Vec::new();
        for _ in 0..self.rng.below(most + 1) {
            let name = if self.rng.one_in(6) {
                self.rng.pick(members)
            } else {
                self.rng.pick(&PACKAGES)
            };
            if name == own && !self.rng.one_in(3) {
                continue;
            }
            let extra = match self.rng.below(4) {
                0 => format!(", extra = [\"{}\"]", self.rng.pick(&EXTRAS)),
                _ => String::new(),
            };
            if name == FORKED {
                for (version, operator) in [("1.0", "=="), ("2.0", "!=")] {
                    edges.push(format!(
                        "{{ name = \"{name}\", version = \"{version}\", {}{extra}, marker = \"sys_platform {operator} 'linux'\" }}",
                        self.registry
                    ));
                }
                continue;
            }
            let marker = match self.rng.below(3) {
                0 => format!(", marker = \"{}\"", self.marker()),
                _ => String::new(),
            };
            edges.push(format!("{{ name = \"{name}\"{extra}{marker} }}"));
        }
        edges.sort();
        edges.dedup();
        format!("[{}]", edges.join(", "))
    }

    fn marker(&mut self) -> String {
        let plain = self.rng.pick(&[
            "sys_platform == 'linux'",
            "sys_platform != 'win32'",
            "python_full_version < '3.13'",
            "python_full_version >= '3.13' and platform_machine == 'x86_64'",
            "platform_machine == 'aarch64'",
            "implementation_name != 'pypy' and os_name == 'posix'",
            "platform_python_implementation == 'CPython' or sys_platform == 'cygwin'",
        ]);
        if !self.conflicts || self.rng.one_in(3) {
            return plain.into();
        }
        let own = self.conflict_marker();
        match self.rng.below(4) {
            0 => own,
            1 => format!("({plain} and {own}) or {}", self.conflict_marker()),
            2 => format!("{own} and {}", self.conflict_marker()),
            _ => format!("{plain} or {own}"),
        }
    }

    fn conflict_marker(&mut self) -> String {
        let operator = self.rng.pick(&["==", "==", "!="]);
        let package = self.rng.pick(&["root", "app", "lib", "c", "d"]);
        let length = package.len();
        let what = match self.rng.below(5) {
            0 | 1 => format!("extra-{length}-{package}-{}", self.rng.pick(&EXTRAS)),
            2 | 3 => format!("group-{length}-{package}-{}", self.rng.pick(&GROUPS)),
            _ => format!("project-{length}-{package}"),
        };
        format!("extra {operator} '{what}'")
    }
}

/// Flags, some of which make no sense together or name what is not there.
pub fn flags(rng: &mut Rng) -> Vec<&'static str> {
    const FLAGS: [&[&str]; 34] = [
        &["--no-dev"],
        &["--dev"],
        &["--only-dev"],
        &["--group", "docs"],
        &["--group", "lint"],
        &["--group", "test"],
        &["--group", "ops"],
        &["--group", "dev"],
        &["--no-group", "dev"],
        &["--no-group", "docs"],
        &["--only-group", "docs"],
        &["--only-group", "lint"],
        &["--all-groups"],
        &["--no-default-groups"],
        &["--extra", "x"],
        &["--extra", "y"],
        &["--extra", "z"],
        &["--extra", "nope"],
        &["--all-extras"],
        &["--no-extra", "x"],
        &["--package", "app"],
        &["--package", "lib"],
        &["--package", "root"],
        &["--all-packages"],
        &["--no-install-project"],
        &["--no-install-workspace"],
        &["--no-install-local"],
        &["--no-install-package", "c"],
        &["--only-install-project"],
        &["--only-install-workspace"],
        &["--only-install-local"],
        &["--only-install-package", "d"],
        &["--only-install-package", "e"],
        &["--no-editable"],
    ];
    let mut chosen: Vec<&[&str]> = Vec::new();
    for _ in 0..rng.below(4) {
        let flag = FLAGS[rng.below(FLAGS.len())];
        if !chosen.contains(&flag) {
            chosen.push(flag);
        }
    }
    chosen.concat()
}
