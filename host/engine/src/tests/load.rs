//! The errors for files that are not filters, and for filters that can't be used.

use super::hostile::{self, KEEP};
use super::*;
use crate::{LoadError, LoadErrorKind};

fn refusal(module: &[u8]) -> String {
    refusal_with(&spec("f"), module)
}

fn refusal_with(spec: &FilterSpec, module: &[u8]) -> String {
    let error: LoadError = engine().load(spec, module).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("filter `f`: "), "{text}");
    assert_one_line(&text);
    text
}

/// The `keep` guest with a part of its text replaced.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let text = hostile::text(KEEP);
    assert!(text.contains(from), "{from}");
    hostile::assemble(&text.replacen(from, to, 1))
}

#[test]
fn the_description_of_a_filter_is_read() {
    let filter = load(&engine(), KEEP);
    let description = filter.description();
    assert_eq!((&description.name[..], &description.version[..]), ("guest", "1.0.0"));
    assert_eq!(filter.world(), crate::World::PackedFilter);
    assert_eq!(filter.digest().len(), 64);
}

#[test]
fn the_texts_of_a_description_are_bounded_and_escaped() {
    let text = hostile::text(KEEP)
        .replacen(r#""guest""#, r#""g\1b[2m""#, 1)
        .replacen(r#""1.0.0""#, r#""1\0a2\7f0""#, 1)
        .replacen("(i32.const 136) (i32.const 48) (i32.const 5)", "(i32.const 136) (i32.const 48) (i32.const 80)", 1);
    let filter = engine().load(&spec("f"), &hostile::assemble(&text)).unwrap();
    let description = filter.description();
    assert_eq!((&description.name[..], &description.description[..]), ("g [2m", "g [2m"));
    assert!(description.version.starts_with("1 2 0"), "{}", description.version);
    assert!(description.version.len() < 70 && !description.version.contains(char::is_control));
}

#[test]
fn a_description_with_too_many_paths_is_refused() {
    let many = "(i32.const 152) (i32.const 30000) (i32.const 300)";
    let text = refusal(&changed("(i32.const 152) (i32.const 0) (i32.const 0)", many));
    assert!(text.contains("`describe` failed: it says that it reads more than 256 paths"), "{text}");
}

#[test]
fn each_kind_of_invalid_file_has_its_own_error() {
    let module = hostile::module(KEEP);
    assert!(refusal(b"").contains("empty"));
    assert!(refusal(b"\x7fELF\x02\x01\x01").contains("begins with 7f 45 4c 46"));
    assert!(refusal(b"(module)").contains("text format"));
    assert!(refusal(b"\0as").contains("ends too early"));
    for length in [5, 8 + 3, module.len() / 2, module.len() - 3] {
        let text = refusal(&module[..length]);
        assert!(text.contains("ends too early"), "cut at {length}: {text}");
    }
    assert!(refusal(b"\0asm\x09\0\0\0").contains("not valid"));
    let mut spoiled = module.clone();
    spoiled[9] = 0xff;
    refusal(&spoiled);
}

#[test]
fn a_truncated_component_is_reported_as_truncated() {
    let component = crate::component::component_bytes(&hostile::module(KEEP)).unwrap().into_owned();
    assert!(engine().load(&spec("f"), &component).is_ok());
    for length in [component.len() / 3, component.len() - 2] {
        let text = refusal(&component[..length]);
        assert!(text.contains("ends too early"), "cut at {length}: {text}");
    }
}

#[test]
fn the_error_for_a_module_of_another_world_lists_its_exports() {
    let text = refusal(&hostile::assemble(r#"(module (func (export "run")) (func (export "main")))"#));
    assert!(text.contains("none of the worlds") && text.contains("`run`, `main`"), "{text}");
    let text = refusal(&hostile::assemble(r#"(component)"#));
    assert!(text.contains("it exports nothing"), "{text}");
    let newer = hostile::assemble(r#"(module (func (export "weir:filter/lifecycle@3.3.0#describe")))"#);
    assert!(refusal(&newer).contains("weir:filter@3.3.0"), "{}", refusal(&newer));
}

#[test]
fn the_error_for_an_unknown_import_names_it() {
    let text = refusal(&changed("(module", r#"(module (import "env" "system" (func (param i32)))"#));
    assert!(text.contains("imports `env.system`"), "{text}");
    let text = refusal(&changed("(module", r#"(module (import "env" "a\n\1b[31mb" (func (param i32)))"#));
    assert!(text.contains("imports `env.a [31mb`"), "{text}");
    let component = hostile::assemble(r#"(component (import "acme:disk/files" (instance (export "open" (func)))))"#);
    assert_one_line(&refusal(&component));
}

#[test]
fn a_guest_built_for_wasi_gets_the_stub() {
    let text = hostile::text(KEEP)
        .replacen(
            "(module",
            r#"(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#,
            1,
        )
        .replacen("(call $decide (i32.const 0))", "(call $decide (call $random (i32.const 700) (i32.const 8)))", 1);
    let filter = engine().load(&spec("f"), &hostile::assemble(&text)).unwrap();
    assert_eq!(run(&[&filter], batch(["a"])).batch.len(), 1);
}

#[test]
fn the_error_for_a_function_of_another_type_names_it() {
    let text = refusal(&changed(
        "(func (export \"weir:filter/packed@1.0.0#encoding\") (result i32) (i32.const 0))",
        "(func (export \"weir:filter/packed@1.0.0#encoding\"))",
    ));
    assert!(text.contains("encoding"), "{text}");
}

#[test]
fn the_error_for_refused_options_quotes_the_filter() {
    let refusing = "(data (i32.const 700) \"`mode` must be one of a, b\")
        (func (export \"weir:filter/lifecycle@1.0.0#configure\") (param i32 i32) (result i32)
          (i32.store8 (i32.const 192) (i32.const 1))
          (call $pair (i32.const 196) (i32.const 700) (i32.const 26))
          (i32.const 192))
        (func (export \"old\") (param i32 i32) (result i32)";
    let text = refusal(&changed(
        "(func (export \"weir:filter/lifecycle@1.0.0#configure\") (param i32 i32) (result i32)",
        refusing,
    ));
    assert!(text.ends_with("it refuses its options: `mode` must be one of a, b"), "{text}");
    let two = changed(
        "(func (export \"weir:filter/lifecycle@1.0.0#configure\") (param i32 i32) (result i32)",
        &refusing.replace("must be", "\\n`a`"),
    );
    let error = engine().load(&spec("f"), &two).unwrap_err();
    let LoadErrorKind::Options(mistakes) = &error.kind else { panic!("{error}") };
    assert_eq!(mistakes.len(), 2, "{error}");
    let spec = FilterSpec { options: serde_json::json!([1]), ..spec("f") };
    assert!(refusal_with(&spec, &hostile::module(KEEP)).contains("must be a table"));
}

#[test]
fn a_guest_that_traps_or_hangs_before_its_first_batch_is_refused() {
    let describe = "(func (export \"weir:filter/lifecycle@1.0.0#describe\") (result i32)";
    let text = refusal(&changed(describe, &format!("{describe} (unreachable)")));
    assert!(text.contains("`describe` failed: it trapped"), "{text}");
    let text = refusal(&changed("(module", "(module (func $start (unreachable)) (start $start)"));
    assert!(text.contains("can't start it"), "{text}");
}

#[test]
fn memory_limits_are_validated_and_enforced_at_start() {
    let module = hostile::module(KEEP);
    assert!(refusal_with(&FilterSpec { memory_bytes: 1, ..spec("f") }, &module).contains("64 KiB and 4 GiB"));
    let text = refusal_with(&FilterSpec { memory_bytes: 64 << 10, ..spec("f") }, &module);
    assert!(text.contains("more memory than its limit of 64 KiB"), "{text}");
}

#[test]
fn a_compiled_filter_is_found_in_the_cache_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { cache_folder: Some(folder.path().join("compiled")), workers: 1 };
    let module = hostile::module(KEEP);
    let load = || {
        let engine = Engine::new(options.clone()).unwrap();
        engine.load(&spec("f"), &module).unwrap();
        engine.cache_hits()
    };
    assert_eq!((load(), load()), (0, 1));
}
