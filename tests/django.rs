//! Django itself judges what `lockwright patch migration` does: its loader reads the migrations before and after.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Ran, Run as _, Temp, lockwright};
use serde_json::{Value, json};

/// What every case shall depend on.
const TARGET: [&str; 2] = ["core", "0002_roles"];

/// What Django makes of these projects.
fn django(projects: &[Utf8PathBuf]) -> Vec<Value> {
    let script = common::project().join("tests/oracle/django_graph.py");
    let ran = Command::new(common::python())
        .env("PYTHONPATH", common::django())
        .arg(script)
        .args(projects)
        .run()
        .ok();
    serde_json::from_value(ran.json()).unwrap()
}

fn depend(temp: &Temp, file: &Utf8Path, [app, name]: [&str; 2]) -> Ran {
    lockwright(temp)
        .args(["patch", "migration", file.as_str()])
        .args(["--depends-on", app, name])
        .run()
}

fn migration(temp: &Temp, app: &str, name: &str, text: &str) -> Utf8PathBuf {
    temp.write(&format!("site/{app}/__init__.py"), "");
    temp.write(&format!("site/{app}/migrations/__init__.py"), "");
    temp.write(&format!("site/{app}/migrations/{name}.py"), text)
}

const HEAD: &str = "from django.conf import settings\nfrom django.db import migrations, models\n\n";

fn simple(body: &str) -> String {
    format!("{HEAD}\nclass Migration(migrations.Migration):\n{body}\n")
}

/// A project in which each of `texts` is the second migration of an app of its own, `@` being that app's label.
fn project(temp: &Temp, texts: &[String]) -> Vec<Utf8PathBuf> {
    temp.write("site/with-auth", "");
    migration(temp, "core", "0001_initial", &simple("    initial = True"));
    let roles = simple("    dependencies = [('core', '0001_initial')]");
    migration(temp, "core", "0002_roles", &roles);
    let app = |(n, text): (usize, &String)| {
        let app = format!("case{n:02}");
        migration(temp, &app, "0001_initial", &simple("    initial = True"));
        migration(temp, &app, "0002_case", &text.replace('@', &app))
    };
    texts.iter().enumerate().map(app).collect()
}

/// Bodies of the class, in the ways that people and tools write them.
const BODIES: &[&str] = &[
    "    dependencies = []",
    "    dependencies = ()",
    "    dependencies = [\n    ]\n    operations = []",
    "    dependencies = [  # none yet\n    ]",
    "    dependencies = [('@', '0001_initial')]",
    "    dependencies = [('@', '0001_initial'), ]",
    "    dependencies = ((\"@\", \"0001_initial\"),)",
    "    dependencies = ('@', '0001_initial'),",
    "    dependencies = ('@', '0001_initial'), ('auth', '0001_initial')",
    "    dependencies = ('@', '0001_initial'), \\\n        ('auth', '0001_initial')",
    "    dependencies = [\n        ('@', '0001_initial'),\n    ]",
    "    dependencies = [\n        ('@', '0001_initial')\n    ]",
    "    dependencies = [\n        ('@', '0001_initial')  # why, (\"core\", \"0002_roles\")]\n    ]",
    "    dependencies = [\n        ('@', '0001_initial')  # why\n        ,  # and why\n        # more\n    ]",
    "    dependencies = [\n        ('@', '0001_initial'),  # why\n        # ('core', '0002_roles'),\n    ]",
    "    dependencies = [('@', '0001_initial'),\n                    ('auth', '0001_initial')]",
    "    dependencies = [('@', '0001_initial'),\n                    ('auth', '0001_initial'),\n                    ]",
    "    dependencies = [\n        ('@', '0001_initial'), ('auth', '0001_initial')]",
    "    dependencies = [\n        (\n            '@',\n            '0001_initial',\n        ),\n    ]",
    "    dependencies = [\n        migrations.swappable_dependency(settings.AUTH_USER_MODEL),\n        ('@', '0001_initial'),\n    ]",
    "    dependencies = [\n        ('@', '0001_initial'),\n        migrations.swappable_dependency(settings.AUTH_USER_MODEL),\n    ]",
    "    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]",
    "    dependencies: list[tuple[str, str]] = [('@', '0001_initial')]",
    "    dependencies: list[tuple[str, str]]",
    "    dependencies = [('@', '0001_initial')] + [('auth', '0001_initial')]",
    "    dependencies = list(()) + [\n        ('@', '0001_initial'),\n    ]",
    "    dependencies = (\n        [('@', '0001_initial')]\n        + [('auth', '0001_initial')]\n    )",
    "    dependencies = [*[('@', '0001_initial')], *()]",
    "    dependencies = [('@', '0001_initial')]\n    dependencies += [('auth', '0001_initial')]",
    "    dependencies = [('@', '0001_initial')]\n    dependencies.append(('auth', '0001_initial'))",
    "    dependencies = [('@', '0001_initial')]\n    if models:\n        dependencies += [('auth', '0001_initial')]",
    "    dependencies = [('@', '0001_initial')]\n    dependencies = [('auth', '0001_initial')]",
    "    dependencies = [('@', '0001_initial')]\n    dependencies = dependencies + [('auth', '0001_initial')]",
    "    initial = False; dependencies = [('@', '0001_initial')]; operations = []",
    "    initial = False; operations = []",
    "    initial = False",
    "    '''What it is for.'''",
    "    '''What it is for.\n\n    dependencies = []\n    '''\n    # Why.\n    atomic = False\n    operations = []",
    "    run_before = []\n    operations = [migrations.RunSQL(\"\"\"\nselect 'dependencies = []'\n\"\"\")]",
    "    def forwards(apps, editor):\n        dependencies = []\n\n    operations = [migrations.RunPython(forwards)]",
    "    pass",
    "    operations = [\n        migrations.RunSQL('select 1'),\n    ]\n\n    dependencies = [\n        ('@', '0001_initial'),\n    ]",
    "\tdependencies = [\n\t\t('@', '0001_initial'),\n\t]",
    "    dependencies = [\n        (u'@', r'0001_initial'),\n        (\"\"\"auth\"\"\", '''0001_initial'''),\n    ]",
    "    dependencies = [('@', '0001' '_initial')]",
    "    dependencies = [('core', '0001_initial'), ('@', '0002_roles'[:0] + '0001_initial')]",
    "    dependencies = [('é' and '@', '0001_initial')]  # é",
];

/// Whole files that are not like the rest.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = BODIES.iter().map(|body| simple(body)).collect();
    let last = texts[10].clone();
    texts.extend([
        last.replace('\n', "\r\n"),
        format!("\u{feff}{last}"),
        last.trim_end().to_owned(),
        format!("# -*- coding: utf-8 -*-\n{last}\nMigration.dependencies.append(('auth', '0001_initial'))\n"),
        last.replace("class Migration", "@staticmethod.__class__.__call__.__class__ and (lambda c: c)\nclass Migration")
            .replace("@staticmethod.__class__.__call__.__class__ and (lambda c: c)", "@(lambda c: c)"),
        "from django.db import migrations as m\nclass Migration(m.Migration): initial = True\n".to_owned(),
        "from django.db.migrations import Migration as Base\n\nclass Migration(Base):\n    operations = []\n".to_owned(),
        "import django.db.migrations\nclass Migration(django.db.migrations.Migration):\n    '''Docs.'''\n    operations = []\n"
            .to_owned(),
        // A base's dependencies are seen when they are named.
        format!(
            "{HEAD}class Base(migrations.Migration):\n    dependencies = [('@', '0001_initial')]\n\n\
             class Migration(Base):\n    dependencies = Base.dependencies + []\n"
        ),
        format!("{HEAD}MORE = [('@', '0001_initial')]\n\nclass Migration(migrations.Migration):\n    dependencies = MORE + []\n"),
    ]);
    // The decorator's `@` is no label.
    texts
        .into_iter()
        .map(|text| text.replace("@(lambda c: c)", "\u{1}(lambda c: c)"))
        .collect()
}

#[test]
fn django_sees_one_more_edge_and_nothing_else_however_the_file_is_written() {
    let temp = Temp::new();
    let files = project(&temp, &texts());
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, text.replace('\u{1}', "@")).unwrap();
    }
    let site = [temp.join("site")];
    let before = django(&site).remove(0);
    assert!(before["migrations"].is_object(), "{before}");
    for file in &files {
        depend(&temp, file, TARGET).ok();
    }
    let after = django(&site).remove(0);
    assert_eq!(before["leaves"], after["leaves"]);

    let keys = |value: &Value| {
        value["migrations"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&before), keys(&after));
    let target = TARGET.join(".");
    for (key, old) in before["migrations"].as_object().unwrap() {
        let mut new = after["migrations"][key].clone();
        if key.starts_with("case") && key.ends_with(".0002_case") {
            let text = fs::read_to_string(
                temp.join(format!("site/{}/migrations/0002_case.py", &key[..6])),
            )
            .unwrap();
            let take = |list: &mut Value, what: &Value| {
                let list = list.as_array_mut().unwrap();
                let at = list.iter().position(|one| one == what);
                list.remove(at.unwrap_or_else(|| panic!("{key} has no {what}:\n{text}")));
            };
            take(&mut new["dependencies"], &json!(TARGET));
            take(&mut new["parents"], &json!(target));
            if old["holds"]["dependencies"].is_null() {
                new["holds"].as_object_mut().unwrap().remove("dependencies");
            }
            let order = after["order"][key].as_array().unwrap();
            assert!(order.contains(&json!(target)), "{order:?}");
            assert_eq!(&new, old, "{key} is another one now:\n{text}");
        } else {
            assert_eq!(&new, old, "{key} was not to be touched");
        }
    }

    // A second time there is nothing to do.
    for file in &files {
        let text = fs::read(file).unwrap();
        let again = depend(&temp, file, TARGET).ok();
        assert!(again.stderr.contains("already; nothing to do"), "{again}");
        assert_eq!(fs::read(file).unwrap(), text);
    }
}

#[test]
fn what_django_has_already_is_left_alone_however_it_is_written() {
    let temp = Temp::new();
    let files = project(
        &temp,
        &[
            "    dependencies = [('core', '0002_roles')]",
            "    dependencies = ('core', \"0002_roles\"),",
            "    dependencies = []\n    dependencies += [('core', '0002_roles')]",
            "    dependencies = []\n    dependencies += ('core', '0002_roles'),",
            "    dependencies = []\n    dependencies.append(('core', '0002_roles'))",
            "    dependencies = []\n    dependencies.extend([('core', '0002_roles')])",
            "    dependencies = [('auth', '0001_initial')]\n    dependencies.insert(0, ('core', '0002_roles'))",
            "    dependencies = list(()) + [\n        (\n            'core',\n            '0002_roles',\n        ),\n    ]",
            "    dependencies = [*[('core', '0002_roles')]]",
            "    dependencies = [('core', '0002' '_roles')]",
            "    dependencies = [('core', '0002_roles')]\n    dependencies = dependencies + []",
        ]
        .map(simple),
    );
    let site = [temp.join("site")];
    let told = django(&site).remove(0);
    for (n, file) in files.iter().enumerate() {
        let parents = &told["migrations"][format!("case{n:02}.0002_case")]["parents"];
        assert!(
            parents
                .as_array()
                .unwrap()
                .contains(&json!("core.0002_roles")),
            "{parents}"
        );
        let text = fs::read_to_string(file).unwrap();
        let ran = depend(&temp, file, TARGET).ok();
        assert!(
            ran.stderr.contains("already; nothing to do"),
            "{ran}\n{text}"
        );
        assert_eq!(fs::read_to_string(file).unwrap(), text);
    }
}

#[test]
fn what_an_addition_would_change_or_not_reach_is_refused() {
    let temp = Temp::new();
    let texts = [
        // What the class inherits would be hidden.
        format!(
            "{HEAD}class Base(migrations.Migration):\n    dependencies = [('@', '0001_initial')]\n\nclass Migration(Base):\n    operations = []\n"
        ),
        format!(
            "{HEAD}from @.base import Migration as Parent\nclass Migration(Parent):\n    pass\n"
        ),
        // Or only one way through the file would have it.
        simple(
            "    if settings.USE_TZ:\n        dependencies = []\n    else:\n        dependencies = []",
        ),
        simple("    dependencies = []\n    for dependencies in ([],):\n        pass"),
        simple("    dependencies = []\n    if settings.USE_TZ:\n        dependencies = []"),
        simple("    dependencies = []\n    del dependencies"),
        simple("    from os import environ as dependencies"),
        simple("    dependencies, run_before = [], []"),
        simple("    run_before = dependencies = []"),
        simple("    dependencies = run_before = []"),
        simple("    dependencies = [('@', '0001_initial')] * 1"),
        simple("    dependencies = [('@', '0001_initial')] if settings else []"),
        simple("    dependencies = [pair for pair in ()]"),
        simple("    dependencies = settings.DEPENDENCIES"),
        simple("    dependencies = (('@', '0001_initial'))"),
        simple("    @property\n    def dependencies(self):\n        return []"),
    ];
    let files = project(&temp, &texts);
    let mut said = String::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let ran = depend(&temp, file, TARGET).exit(1);
        said.push_str(&ran.redacted(&temp));
        assert_eq!(fs::read_to_string(file).unwrap(), text);
    }
    insta::assert_snapshot!("django_refusals", said);
}

/// A random project: its apps' migrations, in an order in which Django could apply them.
struct Random {
    rng: proptest::test_runner::TestRng,
}

impl Random {
    fn below(&mut self, end: usize) -> usize {
        use proptest::prelude::Rng as _;
        (self.rng.next_u64() % end as u64) as usize
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Every migration's label, name and class body without what stands for its dependencies; and those.
    fn project(&mut self) -> Vec<Drawn> {
        let mut all: Vec<Drawn> = Vec::new();
        for n in 0..self.below(6) + 5 {
            let app = ["a", "b", "c"][self.below(3)];
            let own = all.iter().filter(|one| one.app == app).count();
            let before: Option<String> = all
                .iter()
                .rev()
                .find(|one| one.app == app)
                .map(|one| one.name.clone());
            let mut drawn = Drawn {
                app,
                name: format!("{:04}_m{n}", own + 1),
                ..Drawn::default()
            };
            drawn
                .dependencies
                .extend(before.map(|name| (app.to_owned(), name)));
            for _ in 0..self.below(3) {
                let Some(other) = (!all.is_empty()).then(|| self.below(all.len())) else {
                    continue;
                };
                let (app, name) = (all[other].app.to_owned(), all[other].name.clone());
                match self.below(8) {
                    0 => drawn.dependencies.push((app, "__first__".into())),
                    1 => drawn.dependencies.push((app, "__latest__".into())),
                    2 => {
                        let this = (drawn.app.to_owned(), drawn.name.clone());
                        all[other].run_before.push(this);
                    }
                    _ => drawn.dependencies.push((app, name)),
                }
            }
            all.push(drawn);
        }
        if self.once_in(2) {
            self.squash(&mut all);
        }
        all
    }

    fn squash(&mut self, all: &mut Vec<Drawn>) {
        let app = all[self.below(all.len())].app;
        let own: Vec<usize> = (0..all.len()).filter(|n| all[*n].app == app).collect();
        let replaced = &own[..=self.below(own.len())];
        let mut squash = Drawn {
            app,
            name: format!("0001_squashed_{}", replaced.len()),
            ..Drawn::default()
        };
        for n in replaced {
            squash.replaces.push((app.into(), all[*n].name.clone()));
            let outside = all[*n]
                .dependencies
                .iter()
                .filter(|(other, _)| other != app);
            squash.dependencies.extend(outside.cloned());
        }
        if self.once_in(3) {
            let names: Vec<_> = squash
                .replaces
                .iter()
                .map(|(_, name)| name.clone())
                .collect();
            all.retain(|one| one.app != app || !names.contains(&one.name));
        }
        all.push(squash);
    }
}

#[derive(Default, Clone)]
struct Drawn {
    app: &'static str,
    name: String,
    dependencies: Vec<(String, String)>,
    run_before: Vec<(String, String)>,
    replaces: Vec<(String, String)>,
}

impl Drawn {
    fn text(&self) -> String {
        let list = |pairs: &[(String, String)]| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(app, name)| format!("('{app}', '{name}')"))
                .collect();
            format!("[{}]", pairs.join(", "))
        };
        let (needs, before, replaces) = (
            list(&self.dependencies),
            list(&self.run_before),
            list(&self.replaces),
        );
        simple(&format!(
            "    dependencies = {needs}\n    run_before = {before}\n    replaces = {replaces}"
        ))
    }
}

fn written(temp: &Temp, folder: &str, all: &[Drawn]) -> Utf8PathBuf {
    for one in all {
        let app = format!("{folder}/{}", one.app);
        temp.write(&format!("{app}/__init__.py"), "");
        temp.write(&format!("{app}/migrations/__init__.py"), "");
        temp.write(&format!("{app}/migrations/{}.py", one.name), one.text());
    }
    temp.join(folder)
}

#[test]
fn a_dependency_is_refused_where_django_would_refuse_the_project() {
    use proptest::test_runner::{RngAlgorithm, TestRng};
    let temp = Temp::new();
    let mut random = Random {
        rng: TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    };
    let bases: Vec<_> = (0..40).map(|_| random.project()).collect();
    let folder = |(n, all): (usize, &Vec<Drawn>)| written(&temp, &format!("base{n}"), all);
    let told = django(&bases.iter().enumerate().map(folder).collect::<Vec<_>>());
    // What is broken without us says nothing.
    let whole = bases
        .iter()
        .zip(told)
        .filter(|(_, told)| told.get("error").is_none());
    // Each with an edge more, written by this test: what does Django say, and what do we?
    let (mut changed, mut asked) = (Vec::new(), Vec::new());
    for (n, (all, _)) in whole.enumerate() {
        for m in 0..4 {
            let from = random.below(all.len());
            let mut to = all[random.below(all.len())].clone();
            if random.once_in(12) {
                to.name = "0009_nowhere".into();
            }
            let edge = (to.app.to_owned(), to.name);
            // Django drops a squashed migration's need of itself; we say that it is none.
            let own = (all[from].app.to_owned(), all[from].name.clone());
            if edge == own || all[from].dependencies.contains(&edge) {
                continue;
            }
            let mut with = all.clone();
            with[from].dependencies.push(edge.clone());
            changed.push(written(&temp, &format!("changed{n}-{m}"), &with));
            let ours = written(&temp, &format!("ours{n}-{m}"), all);
            let file = format!("{}/migrations/{}.py", all[from].app, all[from].name);
            asked.push((ours.join(file), edge));
        }
    }
    let (mut taken, mut refused) = (0, 0);
    for ((file, (app, name)), told) in asked.iter().zip(django(&changed)) {
        let ran = depend(&temp, file, [app, name]);
        let theirs = told.get("error");
        match theirs {
            None => taken += 1,
            Some(_) => refused += 1,
        }
        assert_eq!(ran.code == 0, theirs.is_none(), "Django: {theirs:?}\n{ran}");
        let theirs = theirs.and_then(Value::as_str).unwrap_or_default();
        for (kind, ours) in [
            ("CircularDependencyError", "close a circle"),
            ("NodeNotFoundError", "has no migration"),
        ] {
            let same = !theirs.starts_with(kind) || ran.stderr.contains(ours);
            assert!(same, "Django: {theirs}\n{ran}");
        }
    }
    assert!(
        taken > 20 && refused > 20,
        "{taken} taken, {refused} refused"
    );
}
