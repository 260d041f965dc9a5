use super::*;

fn target() -> Migration {
    Migration {
        app: "core".into(),
        name: "0056_user_roles".into(),
    }
}

fn file(dependencies: &str) -> String {
    format!(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n{dependencies}\n    operations = []\n"
    )
}

fn added(text: &str) -> String {
    match add_dependency(text, &target()).unwrap() {
        Added::Text(new) => {
            // A second time there is nothing to do, and the relation is read back.
            assert!(
                matches!(add_dependency(&new, &target()).unwrap(), Added::There(_)),
                "{new}"
            );
            assert!(relations(&new).unwrap().dependencies.contains(&target()));
            new
        }
        Added::There(line) => panic!("there already at {line}"),
    }
}

#[test]
fn every_way_to_write_dependencies_is_added_to_in_its_own_style() {
    let forms = [
        "    dependencies = []",
        "    dependencies = ()",
        "    dependencies = [\n    ]",
        "    dependencies = [(\"a\", \"0001\")]",
        "    dependencies = [('a', '0001'), ]",
        "    dependencies = ((\"a\", \"0001\"),)",
        "    dependencies = [\n        (\"a\", \"0001\"),\n    ]",
        "    dependencies = [\n        ('a', '0001')\n    ]",
        "    dependencies = [\n        (\"a\", \"0001\")  # first\n        # last\n    ]",
        "    dependencies = [\n        (\"a\", \"0001\"),  # first\n    ]",
        "    dependencies = [\n        migrations.swappable_dependency(settings.AUTH_USER_MODEL),\n    ]",
        "    dependencies = [(\"a\", \"0001\")] + more",
        "    dependencies = more + [(\"a\", \"0001\")]",
        "    dependencies: list = [(\"a\", \"0001\")]",
        "    \"\"\"What it does\"\"\"\n\n    initial = True",
        "    \"\"\"What it does\"\"\"",
    ];
    let results: Vec<String> = forms
        .iter()
        .map(|form| {
            let new = added(&file(form));
            let body = new.split_once("Migration):\n").unwrap().1;
            body.split_once("\n    operations")
                .map_or(body, |(body, _)| body)
                .to_owned()
        })
        .collect();
    insta::assert_snapshot!(results.join("\n---\n"));
}

#[test]
fn nothing_else_changes_not_even_line_ends() {
    let text =
        file("    dependencies = [\n        (\"a\", \"0001\"),\n    ]").replace('\n', "\r\n");
    let new = added(&text);
    let line = "        (\"core\", \"0056_user_roles\"),\r\n";
    assert_eq!(new.replace(line, ""), text);
}

#[test]
fn what_is_there_is_left_alone() {
    for form in [
        "    dependencies = [('core', '0056_user_roles')]",
        "    dependencies = more + [\n        (\n            \"core\",\n            \"0056_user_roles\",\n        ),\n    ]",
    ] {
        assert!(matches!(
            add_dependency(&file(form), &target()).unwrap(),
            Added::There(_)
        ));
    }
    // Something that only looks alike is not it.
    added(&file(
        "    # (\"core\", \"0056_user_roles\")\n    dependencies = []",
    ));
    added(&file(
        "    dependencies = [(\"core\", \"0056_user_roles\", 3)]",
    ));
}

#[test]
fn what_cannot_be_understood_is_said() {
    let errors: Vec<String> = [
        "x = 1\n".to_owned(),
        "class Migration(:\n".to_owned(),
        file("    dependencies = computed()"),
        file("    dependencies = ((\"a\", \"0001\"))"),
        "class Migration(M): pass\n".to_owned(),
    ]
    .iter()
    .map(|text| add_dependency(text, &target()).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(errors.join("\n"));
    let odd = Migration {
        app: "a\")".into(),
        name: "x".into(),
    };
    assert!(matches!(
        add_dependency(&file(""), &odd),
        Err(MigrationError::Name(_))
    ));
}

/// Python 3.14 says of each that it is no Python, or sees another file there than the grammar does.
#[test]
fn spaces_that_are_none_of_python_s_are_said() {
    let plain = file("    dependencies = [(\"a\", \"0001\")]");
    let at = plain.find("    dependencies").unwrap();
    for odd in [
        "\u{b}",
        "\u{a0}",
        "\u{200b}",
        "\u{2060}",
        "\u{feff}",
        "\r",
        "# x\rx = 1\n",
        "# \0\n",
        "\u{2028}",
    ] {
        let mut text = plain.clone();
        text.insert_str(at, odd);
        let line = plain[..at].lines().count() + 1;
        let said = add_dependency(&text, &target());
        assert_eq!(said, Err(MigrationError::Syntax { line }), "{odd:?}");
    }
    for space in [
        "\u{c}",
        "\t\n",
        "# \u{a0}\u{b}\n",
        "    x = '\u{a0}\u{b}'\n",
    ] {
        let mut text = format!("\u{feff}{plain}");
        text.insert_str(at + 3, space);
        let text = text.replace('\n', "\r\n");
        assert!(
            matches!(add_dependency(&text, &target()), Ok(Added::Text(_))),
            "{space:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_stumble(text in "(class Migration|dependencies|[=\\[\\](),#'\" \n]|x){0,40}") {
        let _ = add_dependency(&text, &target());
    }
}
