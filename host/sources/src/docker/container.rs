//! What is known about a container: its names and labels, which are in its records, and whether it is wanted.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use weir_record::{ComposeError, Composer, Level};

use crate::limits;

const SOURCE: &str = "weir.source";
const LEVEL: &str = "weir.level";
const ROUTE: &str = "weir.route";
const IGNORE: &str = "weir.ignore";
const COMPOSE_SERVICE: &str = "com.docker.compose.service";
const COMPOSE_PROJECT: &str = "com.docker.compose.project";

/// How much of an id Docker shows.
const SHORT_ID: usize = 12;

/// A container.
#[derive(Clone, Debug, Default)]
pub(super) struct Container {
    pub id: String,
    name: String,
    image: String,
    labels: BTreeMap<String, String>,
    /// Its output is that of a terminal.
    pub has_terminal: bool,
    pub is_running: bool,
    /// `level` of records without one, as its label says.
    pub level: Option<Level>,
}

impl Container {
    /// From the answer of `/containers/ID/json`.
    pub fn inspected(answer: &Value) -> Container {
        let config = &answer["Config"];
        Container {
            has_terminal: config["Tty"] == true,
            is_running: answer["State"]["Running"] == true,
            ..Container::new(&answer["Id"], &answer["Name"], &config["Image"], &config["Labels"])
        }
    }

    /// From an event, in which labels, name and image are attributes.
    pub fn of_event(event: &Value) -> Container {
        let actor = &event["Actor"];
        let attributes = &actor["Attributes"];
        Container::new(&actor["ID"], &attributes["name"], &attributes["image"], attributes)
    }

    fn new(id: &Value, name: &Value, image: &Value, labels: &Value) -> Container {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels: BTreeMap<_, _> =
            labels.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect();
        let level = labels.get(LEVEL).and_then(|level| Level::parse(level));
        let name = text(name).trim_start_matches('/').to_owned();
        Container { id: text(id), name, image: text(image), labels, level, ..Container::default() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `source` of its records that have none.
    pub fn source(&self) -> &str {
        let label = |key| self.labels.get(key).map(String::as_str).filter(|label| !label.is_empty());
        label(SOURCE).or_else(|| label(COMPOSE_SERVICE)).unwrap_or(&self.name)
    }

    /// Routes of its records.
    pub fn routes(&self) -> Vec<String> {
        let label = self.labels.get(ROUTE).map(String::as_str).unwrap_or_default();
        let routes =
            label.split(',').map(str::trim).filter(|route| !route.is_empty() && route.len() <= limits::ROUTE_BYTES);
        routes.take(limits::ROUTES).map(str::to_owned).collect()
    }

    /// Adds what it is to the record that was begun.
    pub fn describe(&self, labels: &[String], composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        composer.entry(b"container", |value| {
            value.map(|map| {
                map.entry(b"name").text(self.name.as_bytes());
                map.entry(b"id").text(&self.id.as_bytes()[..self.id.len().min(SHORT_ID)]);
                map.entry(b"image").text(self.image.as_bytes());
                for (key, label) in [(&b"service"[..], COMPOSE_SERVICE), (b"project", COMPOSE_PROJECT)] {
                    if let Some(label) = self.labels.get(label) {
                        map.entry(key).text(label.as_bytes());
                    }
                }
                let mut chosen = labels.iter().filter_map(|key| Some((key, self.labels.get(key)?))).peekable();
                if chosen.peek().is_none() {
                    return Ok(());
                }
                map.entry(b"labels").map(|map| {
                    chosen.for_each(|(key, label)| map.entry(key.as_bytes()).text(label.as_bytes()));
                    Ok(())
                })
            })
        })
    }
}

/// Which containers are wanted.
#[derive(Debug, Default)]
pub(super) struct Selection {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    /// The id of the container that this process is in.
    own: Option<String>,
}

#[derive(Debug)]
enum Pattern {
    Name(String),
    Image(String),
    Label(String, Option<String>),
}

impl Selection {
    pub fn new(include: &[String], exclude: &[String]) -> Result<Selection, String> {
        let read = |texts: &[String]| texts.iter().map(|text| Pattern::read(text)).collect::<Result<_, _>>();
        Ok(Selection { include: read(include)?, exclude: read(exclude)?, own: None })
    }

    /// The same, without the container that this process is in.
    pub fn without_own(&mut self) {
        self.own = own_id(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    }

    pub fn wants(&self, container: &Container) -> bool {
        let is_own = self.own.as_ref().is_some_and(|own| *own == container.id);
        let is_ignored = container.labels.get(IGNORE).is_some_and(|ignore| ignore == "true");
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(container));
        !is_own && !is_ignored && (self.include.is_empty() || matches(&self.include)) && !matches(&self.exclude)
    }
}

impl Pattern {
    fn read(text: &str) -> Result<Pattern, String> {
        let pattern = match text.split_once(':') {
            Some(("label", label)) => match label.split_once('=') {
                Some((key, value)) => Pattern::Label(key.to_owned(), Some(value.to_owned())),
                None => Pattern::Label(label.to_owned(), None),
            },
            // An image has a colon before its tag.
            Some(("image", image)) => Pattern::Image(image.to_owned()),
            Some(_) => return Err(format!("`{text}` is not `NAME`, `image:NAME`, `label:KEY` or `label:KEY=VALUE`")),
            None => Pattern::Name(text.to_owned()),
        };
        match &pattern {
            Pattern::Name(part) | Pattern::Image(part) | Pattern::Label(part, _) if part.is_empty() => {
                Err(format!("`{text}` selects nothing"))
            }
            _ => Ok(pattern),
        }
    }

    fn matches(&self, container: &Container) -> bool {
        match self {
            Pattern::Name(name) => is_like(name, &container.name),
            Pattern::Image(image) => is_like(image, &container.image),
            Pattern::Label(key, value) => {
                let label = container.labels.get(key);
                label.is_some_and(|label| value.as_ref().is_none_or(|value| is_like(value, label)))
            }
        }
    }
}

/// Whether a text matches a pattern, in which `*` stands for any text.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(begin) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place leaves the most for what follows.
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

/// The id of the container that a process is in, from its mounts: Docker mounts files of the container's own folder.
fn own_id(mounts: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        if !["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].contains(&point) {
            return None;
        }
        let id = root.split_once("/containers/")?.1.split('/').next()?;
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(name: &str, image: &str, labels: Value) -> Container {
        let id = "0123456789abcdef".repeat(4);
        let answer = json!({"Id": id, "Name": format!("/{name}"), "Config": {"Image": image, "Labels": labels}});
        Container::inspected(&answer)
    }

    fn selected(include: &[&str], exclude: &[&str], container: &Container) -> bool {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Selection::new(&owned(include), &owned(exclude)).expect("patterns").wants(container)
    }

    #[test]
    fn containers_are_selected_by_name_image_and_label() {
        let web = container("shop-web-1", "registry:5000/nginx:1.27", json!({"team": "shop", "tier": ""}));
        let cases: [(&[&str], &[&str], bool); 10] = [
            (&[], &[], true),
            (&["shop-*"], &[], true),
            (&["shop"], &[], false),
            (&["*-web-*"], &["*-1"], false),
            (&["db", "image:*nginx*"], &[], true),
            (&["image:registry:5000/nginx:1.27"], &[], true),
            (&["label:team=sh*"], &[], true),
            (&["label:team=other"], &[], false),
            (&["label:tier"], &["label:absent"], true),
            (&[], &["label:team"], false),
        ];
        for (include, exclude, due) in cases {
            assert_eq!(selected(include, exclude, &web), due, "{include:?} {exclude:?}");
        }
        assert!(!selected(&[], &[], &container("a", "b", json!({IGNORE: "true"}))));
        for bad in ["", "label:", "image:", "name:x", "label:=x"] {
            assert!(Selection::new(&[bad.to_owned()], &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn stars_match_any_text() {
        for (pattern, text, due) in [
            ("*", "", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("*ab", "aab", true),
        ] {
            assert_eq!(is_like(pattern, text), due, "{pattern} {text}");
        }
    }

    #[test]
    fn a_label_chooses_the_source_before_the_compose_service_and_the_name() {
        assert_eq!(container("c-1", "i", json!({})).source(), "c-1");
        let labels = json!({COMPOSE_SERVICE: "cart", LEVEL: "warn"});
        let cart = container("c-1", "i", labels);
        assert_eq!((cart.source(), cart.level), ("cart", Some(Level::Warning)));
        let labels = json!({COMPOSE_SERVICE: "cart", SOURCE: "shop", LEVEL: "nonesuch"});
        let shop = container("c-1", "i", labels);
        assert_eq!((shop.source(), shop.level), ("shop", None));
    }

    #[test]
    fn a_label_gives_routes_unless_they_are_empty_or_too_long_or_too_many() {
        let routes = |label: &str| container("c-1", "i", json!({ROUTE: label})).routes();
        assert!(container("c-1", "i", json!({})).routes().is_empty());
        assert!(routes("").is_empty());
        assert_eq!(routes(" audit,, billing ,"), ["audit", "billing"]);
        let (longest, longer) = ("r".repeat(limits::ROUTE_BYTES), "r".repeat(limits::ROUTE_BYTES + 1));
        assert_eq!(routes(&format!("{longer},{longest}")), [longest]);
        let many: Vec<String> = (0..=limits::ROUTES).map(|number| number.to_string()).collect();
        assert_eq!(routes(&many.join(",")), many[..limits::ROUTES]);
    }

    #[test]
    fn a_process_finds_its_own_container_only_if_it_is_in_one() {
        let id = "0123456789abcdef".repeat(4);
        let mounts = |point: &str| format!("1 0 8:1 /var/lib/docker/containers/{id}/hostname {point} rw - ext4 x rw\n");
        assert_eq!(own_id(&mounts("/etc/hostname")), Some(id.clone()));
        assert_eq!(own_id(&mounts("/var/lib/docker/containers/mounted")), None);
        assert_eq!(own_id("1 0 8:1 / / rw - ext4 x rw\n"), None);
    }
}
