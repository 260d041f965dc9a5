#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, Utf8Path::new("lockwright.toml"))
}

fn refusal(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("was read: {text}"),
        Err(error) => error.to_string(),
    }
}

const FLAGSHIP_SHAPE: &str = r#"
name = "demo"
version = "1"

[target]
python = "3.14"
platform = "x86_64-linux-gnu"

[mirrors]
"https://github.com/" = "https://forge.example/mirrors/"

[sources.app]
git = "https://github.com/demo/app"
rev = "v1"
hash = "sha256-pVQ34cZYX3hlk6hF1aZ/n32xMqTF4Jmp0G0VGDU7iXc="

[component.django]
base = "{component:deps}"
copy = [{ from = "{source:app}/app", to = "{site}/app" }]
link = { "app" = "{site}/app" }
smoke = { imports = ["app"] }

[[component.django.patch]]
file = "{site}/app/settings.py"
replace = "BASE = f'{x}'"
with = 'BASE = Path("{prefix}")'

[[component.django.patch]]
migration = "{site}/app/migrations/0010_x.py"
depends-on = ["core", "0056_y"]

[component.django.elf]
search = ["/usr/lib/x86_64-linux-gnu"]

[component.deps]
python = { lock = "{source:app}/uv.lock", groups = [], install = "dependencies" }
seal = "fixed-output"

[component.deps.build.gssapi]
env = { CFLAGS = "-include gssapi/gssapi_ext.h" }
"#;

#[test]
fn the_flagship_s_shape_is_read_and_ordered() {
    let manifest = parse(FLAGSHIP_SHAPE).unwrap();
    assert_eq!(manifest.order().unwrap(), ["deps", "django"]);
    let deps = &manifest.component["deps"];
    assert_eq!(deps.seal, Seal::FixedOutput);
    let flags = String::from(deps.build.packages["gssapi"].env["CFLAGS"].clone());
    assert!(flags.starts_with("-include"));
    assert!(matches!(
        manifest.component["django"].patch[1],
        Patch::Migration(_)
    ));
    assert_eq!(manifest.order_of(["deps"]).unwrap(), ["deps"]);
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_was_meant() {
    insta::assert_snapshot!(refusal("[component.a]\nwrp = {}\n"), @r"
    lockwright.toml:2:1: unknown field `wrp`, expected one of `base`, `python`, `node`, `go`, `image`, `workspace`, `copy`, `link`, `patch`, `tools`, `run`, `keep`, `wrap`, `shebangs`, `elf`, `seal`, `smoke`, `build`; did you mean `wrap`?
      2 | wrp = {}
        | ^
    ");
    insta::assert_snapshot!(refusal("[component.a]\nbase = \"{compnent:b}\"\n"));
    insta::assert_snapshot!(refusal("[component.a]\nbase = \"{component:b}\"\n"));
    insta::assert_snapshot!(refusal(
        "[component.aa]\n[component.b]\nbase = \"{component:a}\"\n"
    ));
    insta::assert_snapshot!(refusal("[component.a]\nbase = \"{component:a}\"\n"));
    insta::assert_snapshot!(refusal(
        "[component.a]\npatch = [{ file = \"x\", replace = \"y\" }]\n"
    ));
    insta::assert_snapshot!(refusal("[sources.a]\ngit = \"https://x.example/\"\n"));
    insta::assert_snapshot!(refusal("[component.a]\nseal = \"fixed\"\n"));
    insta::assert_snapshot!(refusal("[component.\"a b\"]\n"));
    insta::assert_snapshot!(refusal("name = \n"));
}
