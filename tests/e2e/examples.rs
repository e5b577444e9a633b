//! The example filters run. For `examples/clients`, see `small_clients.rs` and `live.rs`.

use super::clients::{post, run};
use super::router::{Home, eventually, repository, weir};

#[test]
fn the_example_filters_build_from_source_and_work() {
    let home = Home::new();
    let mut router = home.start();
    for (folder, file) in [("greeter", "greeter"), ("typed-rust", "typed_rust")] {
        let project = repository().join("examples/filters").join(folder);
        run(weir().args(["filter", "build"]).arg(&project));
        let module = project.join(format!("{file}.wasm"));
        let tested = run(weir().args(["filter", "test"]).arg(&project));
        assert!(String::from_utf8_lossy(&tested.stdout).ends_with("cases passed\n"), "{tested:?}");
        home.put_filter(file, &std::fs::read(module).unwrap());
        router.wait_for_line(&format!("filter `{file}`"));
    }
    let record = r#"{"message":"done","context":{"user":"Ada","email":"ada@example.com","duration_ms":2500}}"#;
    assert_eq!(post(&router, record).status, 200);
    eventually("the console shows it", || router.stdout().contains("done"));
    let shown = router.stdout();
    assert!(shown.contains("hello Ada") && shown.contains("WARNING") && shown.contains("slow"), "{shown}");
    assert!(!shown.contains("ada@example.com"), "{shown}");
}

const FOLDER_ALONE: &str = r#"
auto_load = true
filter = []
[sink.out]
type = "file"
path = "out.jsonl"
"#;

#[test]
fn the_stateful_example_counts_across_a_swap_and_emits_its_count_at_the_end() {
    let project = repository().join("examples/filters/typed-stateful");
    run(weir().args(["filter", "build"]).arg(&project));
    let mut module = std::fs::read(project.join("typed_stateful.wasm")).unwrap();
    let home = Home::with(FOLDER_ALONE);
    let mut router = home.start();
    home.put_filter("lines", &module);
    router.wait_for_line("filter `lines` 1.0.0 loaded");
    let two = r#"{"message":"one\ntwo","level":"error","tags":[],"context":{"user":"Ada","empty":{}}}"#;
    assert_eq!(post(&router, two).body, r#"{"accepted":1}"#);

    // A custom section makes other bytes of the same filter.
    module.extend([0, 3, 1, b'v', b'2']);
    home.put_filter("lines", &module);
    router.wait_for_line("replaced by");
    assert_eq!(post(&router, r#"[{"message":"one"},{"message":"x\ny\nz"}]"#).body, r#"{"accepted":2}"#);
    let (status, said) = router.stop();
    assert_eq!(status.code(), Some(0), "{said}");

    let text = std::fs::read_to_string(home.path("out.jsonl")).unwrap();
    let records: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    let summary = "2 records were split into 5 lines";
    assert_eq!(messages, ["one", "two", "one", "x", "y", "z", summary], "{said}");
    for (index, record) in records[..2].iter().enumerate() {
        assert_eq!((&record["line"], &record["level"]), (&(index + 1).into(), &"ERROR".into()), "{record}");
        let context = serde_json::json!({ "user": "Ada", "empty": {} });
        assert_eq!((&record["context"], &record["tags"]), (&context, &serde_json::json!([])), "{record}");
    }
    assert_eq!((&records[6]["records"], &records[6]["lines"]), (&2.into(), &5.into()));
}
