//! How the source is cut into files.

use super::source::{files, relative, rust};

const LONGEST: usize = 400;

#[test]
fn a_file_does_one_thing() {
    let mut wrong = Vec::new();
    for file in ["src", "fakes"].into_iter().flat_map(rust) {
        let lines = file.text.lines().count();
        if lines > LONGEST {
            wrong.push(format!(
                "{}: {lines} lines, more than {LONGEST}: cut it",
                file.path
            ));
        }
        for part in file.path.split('/') {
            if ["utils", "util", "common", "helpers", "misc"].contains(&part.trim_end_matches(".rs")) {
                wrong.push(format!("{}: {part} says nothing about what is in it", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_begins_with_why_it_exists() {
    for folder in ["src", "tests", "fakes"] {
        for file in rust(folder) {
            assert!(
                file.text.starts_with("//! "),
                "{}: the first line is no `//!`",
                file.path
            );
        }
    }
}

#[test]
fn a_module_with_parts_is_a_folder_with_a_mod_rs() {
    for path in files("src", "rs") {
        assert!(
            !path.with_extension("").is_dir(),
            "{} stands beside its folder",
            relative(&path)
        );
    }
}
