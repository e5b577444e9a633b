//! Converts a compiler's output to a component. Reports every problem with a file, in one line.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use wasmparser::{Chunk, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::adapt;
use crate::error::{LoadErrorKind, one_line};
use crate::limits::MAX_MODULE_BYTES;
use crate::structure;
use crate::v1;
use crate::v2;
use crate::wasi;

const MAGIC: &[u8] = b"\0asm";
/// The module name of WASI preview 1 imports.
const WASI_P1: &str = "wasi_snapshot_preview1";
/// The module name of AssemblyScript's one import.
const ASSEMBLYSCRIPT: &str = "env";

/// Converts a core module to a component; returns a component unchanged.
pub fn component_bytes(file: &[u8]) -> Result<Cow<'_, [u8]>, LoadErrorKind> {
    check(file)?;
    match Core::read(file)? {
        Some(core) => core.encode(file).map(Cow::Owned),
        None => Ok(Cow::Borrowed(file)),
    }
}

/// Fails if a file is not a module, or exceeds the limits on modules.
pub(crate) fn check(file: &[u8]) -> Result<(), LoadErrorKind> {
    if file.is_empty() {
        return Err(LoadErrorKind::Empty);
    }
    if file.len() > MAX_MODULE_BYTES {
        return Err(LoadErrorKind::TooLarge(file.len()));
    }
    if !file.starts_with(MAGIC) {
        let text = file.trim_ascii_start();
        if text.starts_with(b"(module") || text.starts_with(b"(component") {
            return Err(LoadErrorKind::Text);
        }
        if MAGIC.starts_with(file) {
            return Err(LoadErrorKind::Truncated(file.len()));
        }
        let start: Vec<String> = file.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        return Err(LoadErrorKind::NotWasm(start.join(" ")));
    }
    structure::check(file)
}

/// The SHA-256 digest of a module, in hexadecimal.
pub fn digest(module: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(module).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The imports and exports of a core module.
struct Core {
    exports: Vec<String>,
    /// Module and name.
    imports: Vec<(String, String)>,
    has_component_type: bool,
}

impl Core {
    /// Returns `None` for a component.
    fn read(file: &[u8]) -> Result<Option<Core>, LoadErrorKind> {
        if file.len() < 8 {
            return Err(LoadErrorKind::Truncated(file.len()));
        }
        let is_component = Parser::is_component(file);
        let mut core = Core { exports: Vec::new(), imports: Vec::new(), has_component_type: false };
        for payload in Parser::new(0).parse_all(file) {
            match payload.map_err(|error| broken(&error, file))? {
                _ if is_component => {}
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(|error| broken(&error, file))?;
                        core.imports.push((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(|error| broken(&error, file))?;
                        core.exports.push(export.name.to_owned());
                    }
                }
                Payload::CustomSection(section) => {
                    core.has_component_type |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        Ok((!is_component).then_some(core))
    }

    fn encode(&self, file: &[u8]) -> Result<Vec<u8>, LoadErrorKind> {
        for (module, name) in &self.imports {
            let is_component_import = module.contains([':', '[', '$']);
            let is_abort = module == ASSEMBLYSCRIPT && name == "abort";
            if !is_component_import && !is_abort && module != WASI_P1 {
                return Err(LoadErrorKind::UnknownImport(one_line(&format!("{module}.{name}"))));
            }
        }
        let mut module = Cow::Borrowed(file);
        let imports = |name: &str| self.imports.iter().any(|(module, _)| module == name);
        if imports(WASI_P1) || self.exports.iter().any(|name| adapt::contract_name(name).is_some()) {
            let adapted = adapt::adapt(file, imports(WASI_P1));
            module = Cow::Owned(adapted.map_err(|error| LoadErrorKind::Invalid(one_line(&error.to_string())))?);
        }
        if !self.has_component_type {
            let text = self.world_text()?;
            embed(module.to_mut(), &text).map_err(|error| LoadErrorKind::Encode(one_line(&error)))?;
        }
        let adapters = [(WASI_P1, wasi::PREVIEW1), (ASSEMBLYSCRIPT, wasi::ASSEMBLYSCRIPT)].into_iter();
        let adapters = adapters.filter(|(name, _)| imports(name));
        let adapters = adapters.map(|(name, adapter)| Ok((name, with_host(adapter)?)));
        let adapters: Vec<_> =
            adapters.collect::<Result<_, _>>().map_err(|error: String| LoadErrorKind::Encode(one_line(&error)))?;
        let encode = || {
            let mut encoder = ComponentEncoder::default().validate(true).module(&module)?;
            for (name, adapter) in &adapters {
                encoder = encoder.adapter(name, adapter)?;
            }
            encoder.encode()
        };
        encode().map_err(|error| LoadErrorKind::Encode(one_line(&format!("{error:#}"))))
    }

    /// The world of a module without a type section, derived from the names of its exports and the version of the host
    /// that it imports.
    fn world_text(&self) -> Result<String, LoadErrorKind> {
        let has = |interface: &str| {
            self.exports.iter().any(|name| {
                let contract = adapt::contract_name(name);
                let name = contract.as_deref().unwrap_or(name);
                name.strip_prefix(interface).is_some_and(|rest| rest.starts_with('#'))
            })
        };
        let interfaces =
            [v1::LIFECYCLE, v2::LIFECYCLE, v2::HOLDING, v1::PACKED, v1::PACKED_STATE, v1::TYPED, v1::TYPED_STATE];
        let exported: Vec<&str> = interfaces.into_iter().filter(|interface| has(interface)).collect();
        let is_among = |wanted: &[&str]| wanted.iter().any(|interface| exported.contains(interface));
        if !is_among(&[v1::LIFECYCLE, v2::LIFECYCLE]) || !is_among(&[v2::HOLDING, v1::PACKED, v1::TYPED]) {
            return Err(missing(self.exports.iter().map(String::as_str)));
        }
        let imports = [v1::HOST, v2::HOST].into_iter().filter(|host| self.imports.iter().any(|(name, _)| name == host));
        let mut text = "package weir:module;\nworld module {\n".to_owned();
        imports.for_each(|host| text.push_str(&format!("import {host};\n")));
        exported.iter().for_each(|interface| text.push_str(&format!("export {interface};\n")));
        text.push('}');
        Ok(text)
    }
}

/// Embeds the type of a world of package `weir:module` in a core module, from the host's own copy of the contract.
fn embed(module: &mut Vec<u8>, text: &str) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let mut add = |file: &str, text: &str| resolve.push_source(file, text).map_err(|error| format!("{error:#}"));
    add("v1.wit", v1::WIT)?;
    add("v2.wit", v2::WIT)?;
    let package = add("module.wit", text)?;
    let world = resolve.select_world(&[package], Some("module")).map_err(|error| format!("{error:#}"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).map_err(|error| format!("{error:#}"))
}

/// Embeds in an adapter the type of its imports: the host's functions.
fn with_host(adapter: &[u8]) -> Result<Vec<u8>, String> {
    let mut resolve = Resolve::default();
    let text = format!("package weir:adapter;\nworld adapter {{ import {}; }}", v1::HOST);
    let mut add = |file: &str, text: &str| resolve.push_source(file, text).map_err(|error| format!("{error:#}"));
    add("filter.wit", v1::WIT)?;
    let package = add("adapter.wit", &text)?;
    let world = resolve.select_world(&[package], Some("adapter")).map_err(|error| format!("{error:#}"))?;
    let mut adapter = adapter.to_vec();
    embed_component_metadata(&mut adapter, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| format!("{error:#}"))?;
    Ok(adapter)
}

/// The error for a component that wasmtime rejects.
pub(crate) fn invalid(error: &wasmtime::Error) -> LoadErrorKind {
    LoadErrorKind::Invalid(one_line(&format!("{error:#}")))
}

/// The error for a file that can't be parsed: truncated if the parser needs more bytes, invalid otherwise.
fn broken(error: &wasmparser::Error, file: &[u8]) -> LoadErrorKind {
    match ends_early(file) {
        true => LoadErrorKind::Truncated(file.len()),
        false => LoadErrorKind::Invalid(one_line(&error.to_string())),
    }
}

/// Whether a file is valid as far as it goes, but ends within a section or its contents.
fn ends_early(file: &[u8]) -> bool {
    let (mut parser, mut outer, mut rest) = (Parser::new(0), Vec::new(), file);
    let mut functions = 0;
    loop {
        let (consumed, payload) = match parser.parse(rest, false) {
            Ok(Chunk::Parsed { consumed, payload }) => (consumed, payload),
            Ok(Chunk::NeedMoreData(_)) => return !rest.is_empty() || !outer.is_empty() || functions > 0,
            Err(_) => return false,
        };
        rest = &rest[consumed..];
        match payload {
            Payload::ModuleSection { parser: inner, .. } | Payload::ComponentSection { parser: inner, .. } => {
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::CodeSectionStart { count, .. } => functions = count,
            Payload::CodeSectionEntry(_) => functions -= 1,
            Payload::End(_) => match outer.pop() {
                Some(next) => parser = next,
                None => return false,
            },
            _ => {}
        }
    }
}

pub(crate) fn missing<'a>(exports: impl Iterator<Item = &'a str>) -> LoadErrorKind {
    /// At most this many are listed.
    const SHOWN: usize = 8;
    let names: Vec<&str> = exports.collect();
    if let Some(other) = names.iter().find(|name| name.starts_with("weir:filter/") && !is_served(name)) {
        let version = other.split_once('@').map_or("another version", |(_, version)| version);
        let version = version.split('#').next().unwrap_or(version);
        return LoadErrorKind::OtherVersion(one_line(&format!("weir:filter@{version}")));
    }
    let mut list = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        list.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    LoadErrorKind::NoWorld(if list.is_empty() { "nothing".into() } else { one_line(&list) })
}

/// Whether the host supports the version in an interface's name.
pub(crate) fn is_served(interface: &str) -> bool {
    interface.contains("@1.") || interface.contains("@2.")
}
