//! Files of this crate may import only files of lower layers.

use std::path::Path;

/// The files in the order of the table in `lib.rs`.
fn order() -> Vec<&'static str> {
    let rows = include_str!("../lib.rs").lines().filter(|line| line.starts_with("//! |") && line.contains('`'));
    rows.flat_map(|row| row.split('|').nth(2).unwrap_or_default().split('`').skip(1).step_by(2)).collect()
}

/// The modules of this crate that a file imports outside of its tests.
fn imports(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.split("#[cfg(test)]mod tests").next().unwrap_or_default();
    let name = |text: &str| text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
    let after = code.split("crate::").skip(1);
    after
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').filter_map(name).collect(),
            None => Vec::from_iter(name(rest)),
        })
        .collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn files_import_only_lower_layers() {
    let (order, source) = (order(), Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let place = |file: &str| order.iter().position(|name| *name == file);
    for path in files(&source) {
        let inside = path.strip_prefix(&source).unwrap().with_extension("");
        let file = inside.iter().next().unwrap().to_str().unwrap();
        if ["lib", "tests"].contains(&file) || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let at = place(file).unwrap_or_else(|| panic!("`{file}` is not in the table of lib.rs"));
        for import in imports(&std::fs::read_to_string(&path).unwrap()) {
            if let Some(other) = place(&import).filter(|other| *other > at) {
                panic!("`{file}` imports `{}`, which stands below it", order[other]);
            }
        }
    }
}
