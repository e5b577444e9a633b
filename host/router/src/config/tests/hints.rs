//! Warnings for settings that are valid but probably unintended.

use super::good;

const ROUTE: &str = "[[filter]]\nname = 'route'\nmodule = 'bundled:route'\n\
    options = { rules = [{ when = { source = 'auth' }, routes = ['audit'] }] }\n";

fn warnings(text: &str) -> Vec<String> {
    let settings = good(text);
    settings.warnings.iter().map(|line| line.strip_prefix("weir.toml:").unwrap_or(line).to_owned()).collect()
}

fn sink(options: &str) -> String {
    format!("[sink.a]\ntype = 'file'\npath = 'a.jsonl'\n{options}\n")
}

#[test]
fn a_route_that_no_filter_sets_is_a_warning_with_a_suggestion() {
    let text = |routes: &str| format!("{ROUTE}{}", sink(routes));
    assert_eq!(warnings(&text("routes = ['audit']")), [""; 0]);
    assert_eq!(
        warnings(&text("routes = ['audit', 'audti']")),
        ["8:20: no rule sets the route `audti`; did you mean `audit`?"]
    );
    let strange = warnings(&text("routes = ['billing']"));
    assert_eq!(strange.len(), 1, "{strange:?}");
    assert!(strange[0].starts_with("8:11: no rule sets the route `billing`; a `[[filter]]` with"), "{strange:?}");
    let without_filters = warnings(&format!("filter = []\n{}", sink("routes = ['audit']")));
    assert_eq!(without_filters.len(), 1, "{without_filters:?}");
}

#[test]
fn routes_of_custom_filters_are_unknown() {
    let own = "[[filter]]\nname = 'tidy'\nmodule = 'tidy.wasm'\n";
    assert_eq!(warnings(&format!("{own}{ROUTE}{}", sink("routes = ['billing']"))), [""; 0]);
    assert_eq!(
        warnings(&format!("{own}{ROUTE}{}", sink("routes = ['audti']"))),
        ["11:11: no rule sets the route `audti`, unless `tidy` does; did you mean `audit`?"]
    );
    assert_eq!(warnings(&format!("auto_load = true\n{}", sink("routes = ['billing']"))), [""; 0]);
}

#[test]
fn listeners_and_sources_set_routes_too() {
    let listener =
        "filter = []\n[[listen]]\nprotocol = 'syslog'\naddress = 'udp://127.0.0.1:1514'\nroutes = ['audit']\n";
    let source = "filter = []\n[source.shop]\ntype = 'demo'\nroutes = ['audit']\n";
    for given in [listener, source] {
        assert_eq!(warnings(&format!("{given}{}", sink("routes = ['audit']"))), [""; 0], "{given}");
        let other = warnings(&format!("{given}{}", sink("routes = ['audti']")));
        assert!(other.len() == 1 && other[0].ends_with("did you mean `audit`?"), "{other:?}");
    }
    let containers = "filter = []\n[source.containers]\ntype = 'docker'\n";
    assert_eq!(warnings(&format!("{containers}{}", sink("routes = ['set-by-a-label']"))), [""; 0]);
}

#[test]
fn a_label_similar_to_a_route_of_a_sink_is_one_warning() {
    let two = ROUTE.replace("['audit']", "['audit', 'audti']");
    assert_eq!(
        warnings(&format!("{two}{}", sink("routes = ['audit']"))),
        ["4:71: no sink accepts the route `audti`; did you mean `audit`?"]
    );
}

#[test]
fn labels_of_all_bundled_filters_are_recognized() {
    for (module, options) in [
        ("schema", "schema = {}, on_fail = 'route', route = 'x'"),
        ("parse", "on_fail = 'tag', fail_route = 'x'"),
        ("timeseries", "routes = ['x'], rules = []"),
    ] {
        let filter = format!("[[filter]]\nname = 'f'\nmodule = 'bundled:{module}'\noptions = {{ {options} }}\n");
        assert_eq!(warnings(&format!("{filter}{}", sink("routes = ['x']"))), [""; 0], "{module}");
    }
}

#[test]
fn a_template_with_an_unknown_key_is_a_warning() {
    let path = |path: &str| warnings(&format!("[sink.a]\ntype = 'file'\npath = '{path}'\n"));
    for right in ["{source}/{level}.jsonl", "{session}/{context.tenant}.jsonl", "%Y/{week_start}.jsonl", "%H-%M.jsonl"]
    {
        assert_eq!(path(right), [""; 0], "{right}");
    }
    assert_eq!(
        path("logs/{sorce}.jsonl"),
        ["3:8: records have no `sorce` unless a sender sets it; did you mean `source`?"]
    );
    assert_eq!(
        path("{service}.jsonl"),
        ["3:8: records have no `service`: a sender's `service` becomes `source`; write `source`"]
    );
    assert_eq!(path("{contxt.tenant}.jsonl")[0].rsplit_once("; ").unwrap().1, "did you mean `context.tenant`?");
    let zone = path("%Y-%Q.jsonl");
    assert!(zone.len() == 1 && zone[0].starts_with("3:8: `%Q` is the time zone, which is always UTC"), "{zone:?}");

    let unsure = good("[sink.a]\ntype = 'file'\npath = '{nosuch}.jsonl'\n");
    assert_eq!(unsure.warnings, [""; 0], "a sender may give it: not said at each start");
    assert_eq!(
        unsure.notes,
        ["weir.toml:3:8: no filter or alias sets the key `nosuch`; if senders don't set it, it is replaced by `_`"]
    );
    let given = "[[filter]]\nname = 'e'\nmodule = 'bundled:enrich'\noptions = { fields = { nosuch = 1 } }\n";
    assert_eq!(good(format!("{given}[sink.a]\ntype = 'file'\npath = '{{nosuch}}.jsonl'\n")).notes, [""; 0]);
}

#[test]
fn text_templates_and_their_times_are_checked() {
    let template = |template: &str| warnings(&sink(&format!("format = 'text'\ntemplate = '{template}'")));
    assert_eq!(template("{timestamp:%H:%M} {level:8} {source} {{x}} {message} {fields}"), [""; 0]);
    assert_eq!(template("{timestamp:%H %Z} {mesage:5}").len(), 2);
}

#[test]
fn a_condition_on_an_unknown_key_is_a_warning() {
    let rules = |when: &str| {
        warnings(&format!("[[filter]]\nname = 'r'\nmodule = 'bundled:route'\noptions.rules = [{{ when = {when} }}]"))
    };
    assert_eq!(rules("{ source = 'a', tenant = 5, 'context.user' = 'x', not = { message = 'y' } }"), [""; 0]);
    assert_eq!(rules("{ any = [{ sorce = 'a' }, { severity = 'ERROR' }] }").len(), 2);
    assert_eq!(rules("'source:a tenant=5'"), [""; 0]);
    assert_eq!(rules("'sorce:a level>=WARN'").len(), 1);
    assert_eq!(rules("{ any = ['sorce:a', { source = 'b' }], not = 'mesage:x' }").len(), 2);
    let rule = |when: &str| {
        let rule = "name = 'a_total', type = 'counter'";
        warnings(&format!("filter = []\n[sink.p]\ntype = 'prometheus'\nrule = [{{ {rule}, when = '{when}' }}]"))
    };
    assert_eq!(rule("level>=WARN source:a (tenant=5 OR -context.user:*) *:word timeout since:1h"), [""; 0]);
    assert_eq!(rule("sorce:a"), ["4:54: records have no `sorce` unless a sender sets it; did you mean `source`?"]);
}

#[test]
fn nothing_from_the_environment_is_quoted() {
    assert_eq!(warnings(&format!("filter = []\n{}", sink("routes = ['${WORD}']"))), [""; 0]);
}
